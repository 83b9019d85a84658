"""What was taken out of a source table on purpose, counted in the very commit that takes it out, as a state is."""

from typing import Literal

import polars as pl

from moovitamix_transform.warehouse import Warehouse

Kind = Literal["pruned", "erased"]


def by_generation(warehouse: Warehouse, table: str, version: int, kind: Kind) -> dict[int, int]:
    """How many records of each generation were taken out of a source table up to a version of it."""
    return dict(_removed(warehouse, table, version).get(kind, {}))


def total(warehouse: Warehouse, table: str, version: int, kind: Kind) -> int:
    """How many records were taken out of a source table up to a version of it."""
    return sum(by_generation(warehouse, table, version, kind).values())


def take_out(warehouse: Warehouse, table: str, kind: Kind, records: pl.DataFrame) -> int:
    """Deletes records from a source table, and counts them, in one commit. Returns the table's new version.

    Args:
        records: `_airbyte_raw_id` and `_airbyte_generation_id` of each; of a line `raw_id`, with generation 0.
    """
    version = warehouse.version(table)
    metadata = warehouse.metadata(table, version)
    counted = {int(generation): count for generation, count in metadata.get("removed", {}).get(kind, {}).items()}
    for generation, count in (
        records.group_by("_airbyte_generation_id").len().sort("_airbyte_generation_id").iter_rows()
    ):
        counted[generation] = counted.get(generation, 0) + count
    removed = {**metadata.get("removed", {}), kind: counted}
    metadata = {**metadata, "removed": removed}
    return warehouse.delete(table, records.drop("_airbyte_generation_id"), metadata, after=version)


def put_back(warehouse: Warehouse, table: str, version: int, *, after: int) -> None:
    """The rows, the state and the counts of an earlier version of a source table, as its newest.

    Raises WarehouseInUse when the newest is not `after`: what landed meanwhile would be taken back with it.
    """
    metadata = warehouse.metadata(table, version)
    restored = warehouse.restore(table, version, after=after)
    warehouse.append(table, warehouse.scan(table, version).head(0).collect(), metadata, after=restored)


def without_proof(generations: pl.LazyFrame, stream: str, pruned: dict[int, int]) -> pl.LazyFrame:
    """The generations, where a pruned one is no longer complete: that it lacks a key says nothing any more."""
    is_pruned = (pl.col("stream") == stream) & pl.col("generation_id").is_in(list(pruned))
    return generations.with_columns(completed_at=pl.when(~is_pruned).then("completed_at"))


def _removed(warehouse: Warehouse, table: str, version: int) -> dict[Kind, dict[int, int]]:
    def read() -> dict[Kind, dict[int, int]]:
        removed = warehouse.metadata(table, version).get("removed", {})
        return {kind: {int(each): count for each, count in counts.items()} for kind, counts in removed.items()}

    return warehouse.once(("removed", table, version), read)
