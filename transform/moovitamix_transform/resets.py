"""Whether the client's API began anew: a complete snapshot that hardly shares an id with the one before it."""

from dataclasses import dataclass
from functools import partial

import narwhals as nw
import polars as pl

from moovitamix_transform import sources
from moovitamix_transform.engines.engine import Engine
from moovitamix_transform.errors import ApiReset
from moovitamix_transform.graph import fields_of
from moovitamix_transform.ledger import KEYS
from moovitamix_transform.staging.fields import read_fields
from moovitamix_transform.streams import STREAMS
from moovitamix_transform.tables import scan
from moovitamix_transform.warehouse import Warehouse


@dataclass(frozen=True)
class Reset:
    """Two complete snapshots of a stream that share fewer ids than half of the smaller one has."""

    stream: str
    before: int  # generations
    after: int
    before_count: int  # distinct ids
    after_count: int
    shared_count: int

    def __str__(self) -> str:
        expected = -(-min(self.before_count, self.after_count) // 2)
        return (
            f"{self.stream}: expected generation {self.after} to share at least {expected} ids with generation "
            f"{self.before}, got {self.shared_count} (of {self.before_count} and {self.after_count})"
        )


def find(engine: Engine, accepted: dict[str, int] | None, tables: dict[str, int]) -> list[Reset]:
    """The resets among the complete snapshots that no build has read yet, the last accepted one included.

    Args:
        accepted: the versions of the build before; None when there is none.
        tables: the source tables' versions to look at, of one epoch.
    """
    found, warehouse = [], engine.warehouse
    for stream in (name for name, each in STREAMS.items() if not each.incremental):
        known = set(
            _complete(warehouse, stream, {**tables, "generations": accepted["generations"]}) if accepted else ()
        )
        every = _complete(warehouse, stream, tables)
        fresh = [each for each in every if each not in known]
        if not fresh:
            continue
        last = _last_with_ids(engine, stream, tables, [each for each in every if each in known])
        for generation in fresh:
            ids = _ids(engine, stream, tables, generation)
            if ids.is_empty():  # it says that all are gone, not that others came
                continue
            if last is not None:
                shared = ids.join(last[1], on=ids.columns, how="semi").height
                if 2 * shared < min(ids.height, last[1].height):
                    found.append(Reset(stream, last[0], generation, last[1].height, ids.height, shared))
            last = generation, ids
    return found


def require_none(engine: Engine, accepted: dict[str, int] | None, tables: dict[str, int]) -> None:
    """ApiReset when there is one."""
    found = find(engine, accepted, tables)
    if found:
        what = "; ".join(map(str, found))
        raise ApiReset(
            f"{what}. The client's API began anew. What came is landed, nothing was built, the build before stays; "
            "`moovitamix run --accept-reset` reads everything whole and builds the tables from that read on; of files, "
            "`moovitamix land --from … --accept-reset` and a build do"
        )


def _complete(warehouse: Warehouse, stream: str, tables: dict[str, int]) -> list[int]:
    """The stream's complete generations, ascending."""
    rows = scan(warehouse, "generations", tables).filter(
        (pl.col("stream") == stream) & pl.col("completed_at").is_not_null()
    )
    return rows.select(pl.col("generation_id").unique().sort()).collect().to_series().to_list()


def _last_with_ids(
    engine: Engine, stream: str, tables: dict[str, int], generations: list[int]
) -> tuple[int, pl.DataFrame] | None:
    for generation in reversed(generations):
        ids = _ids(engine, stream, tables, generation)
        if not ids.is_empty():
            return generation, ids
    return None


def _ids(engine: Engine, stream: str, tables: dict[str, int], generation: int) -> pl.DataFrame:
    """The distinct readable keys of its records, those of quarantined ones included."""
    rows = engine.scan(sources.path(stream), tables[stream]).filter(nw.col("_airbyte_generation_id") == generation)
    schema = pl.Schema(dict.fromkeys(KEYS[stream], pl.Int64()))
    return engine.collect(engine.in_batches(rows, partial(_keys, stream), schema)).unique()


def _keys(stream: str, records: pl.DataFrame) -> pl.DataFrame:
    key = tuple(field for field in fields_of(stream) if field.column in KEYS[stream])
    return read_fields(records.lazy(), key).select(KEYS[stream]).drop_nulls().unique().collect()
