"""What changed from one build to another: per table the rows added, removed and changed, by the contract's key."""

from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl

from moovitamix_transform.builds import Build
from moovitamix_transform.catalog import require_kept
from moovitamix_transform.graph import Model, models
from moovitamix_transform.warehouse import Warehouse

# So many rows a side are joined at a time: more are compared in several passes, each over a part of the keys, so that
# memory does not grow with the table.
ROWS_AT_A_TIME = 2_000_000

Columns = list[tuple[str, pl.DataType]]


@dataclass(frozen=True)
class TableDiff:
    """`removed` and `added` are rows whose key only the one build or only the other has; `changed` share it."""

    table: str
    added: int
    removed: int
    changed: int


def diff(
    warehouse: Warehouse, before: Build, after: Build, *, rows_at_a_time: int = ROWS_AT_A_TIME
) -> Iterator[TableDiff]:
    """Every staging table and mart that one of the builds has, in the data's order, each as soon as it is compared.

    A table with the same version in both is not opened, and files that both versions share are not read.

    Args:
        rows_at_a_time: how many rows a side are joined at once, about; memory is in proportion to it.
    Raises:
        NoSuchBuild: a version is no longer kept.
    """
    for name, model in models().items():
        old, new = before.tables.get(name), after.tables.get(name)
        for build in (before, after):
            if old != new and name in build.tables:
                require_kept(warehouse, name, model.path, build)
        if old is not None and new is not None:
            yield TableDiff(name, 0, 0, 0) if old == new else _compared(warehouse, model, old, new, rows_at_a_time)
        elif new is not None:
            yield TableDiff(name, warehouse.count(model.path, new), 0, 0)
        elif old is not None:
            yield TableDiff(name, 0, warehouse.count(model.path, old), 0)


def _compared(warehouse: Warehouse, model: Model, old_version: int, new_version: int, rows_at_a_time: int) -> TableDiff:
    """Rows in files that both versions share are in both, unchanged: a key is in one row of a version only."""
    old, new = warehouse.scan_apart(model.path, old_version, new_version)
    of_old, of_new = old.collect_schema(), new.collect_schema()
    old_rows, new_rows = (_count(rows) for rows in (old, new))
    key = list(model.contract.primary_key())
    if any(of_old.get(name) != of_new.get(name) for name in key):  # the contract's key changed in between
        return TableDiff(model.name, new_rows, old_rows, 0)
    columns = list(dict.fromkeys([*of_old.items(), *of_new.items()]))
    passes = max(old_rows, new_rows) // rows_at_a_time + 1
    added = removed = changed = 0
    for number in range(passes):
        part = pl.struct(key).hash(seed=1) % passes == number
        counts = _counts(_digests(old.filter(part), key, columns), _digests(new.filter(part), key, columns), key)
        added, removed, changed = added + counts[0], removed + counts[1], changed + counts[2]
    return TableDiff(model.name, added, removed, changed)


def _digests(rows: pl.LazyFrame, key: list[str], columns: Columns) -> pl.LazyFrame:
    """Each row's key, and a 64-bit hash of all its columns. One that only the other version has is null here: a new
    column changes the rows that have a value in it."""
    own = rows.collect_schema()
    whole = [
        (pl.col(name) if own.get(name) == dtype else pl.lit(None, dtype)).alias(str(position))
        for position, (name, dtype) in enumerate(columns)
    ]
    return rows.select(*key, pl.struct(whole).hash(seed=0).alias("_digest"))


def _counts(old: pl.LazyFrame, new: pl.LazyFrame, key: list[str]) -> tuple[int, int, int]:
    """Added, removed, changed."""
    met = old.join(new, on=key, how="full", suffix="_new")
    before, after = pl.col("_digest"), pl.col("_digest_new")
    added, removed, changed = (
        met.select(
            before.is_null().sum().alias("added"), after.is_null().sum().alias("removed"), (before != after).sum()
        )
        .collect(engine="streaming")
        .row(0)
    )
    return int(added), int(removed), int(changed)


def _count(rows: pl.LazyFrame) -> int:
    return int(rows.select(pl.len()).collect(engine="streaming").item())
