"""_meta/epochs: from where on the source tables count. One begins when a reset of the API is accepted."""

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

import polars as pl

from moovitamix_transform.runs import Run
from moovitamix_transform.warehouse import Warehouse

TABLE = "_meta/epochs"
# Grain: one row per accepted reset. The first epoch has none.
SCHEMA = pl.Schema(
    {
        "epoch_id": pl.Int64(),
        "run_id": pl.String(),
        "opened_at": pl.Datetime("us", "UTC"),
        "first_generations": pl.List(pl.Struct({"stream": pl.String(), "generation_id": pl.Int64()})),
    }
)


@dataclass(frozen=True)
class Epoch:
    """Attributes:
    opened_at: when the run began that opened it; None for the first.
    first_generations: by stream, the generation it begins with; a stream that is not there counts from its first.
    """

    epoch_id: int
    opened_at: datetime | None
    first_generations: dict[str, int]

    def cut(self, name: str, rows: pl.LazyFrame) -> pl.LazyFrame:
        """The rows of a source table, by its bare name, that belong to this epoch or a later one."""
        if self.opened_at is None:
            return rows
        if name == "_lines":
            return rows.filter(pl.col("received_at") >= self.opened_at)
        if name == "generations":
            first = pl.col("stream").replace_strict(self.first_generations, default=0, return_dtype=pl.Int64)
            return rows.filter(pl.col("generation_id") >= first)
        return rows.filter(pl.col("_airbyte_generation_id") >= self.first_generations.get(name, 0))


FIRST = Epoch(1, None, {})


def at(warehouse: Warehouse, version: int | None) -> Epoch:
    """The newest epoch of a version of the table; the first, for a build that is older than the table."""
    return FIRST if version is None else _read(warehouse, version)


@lru_cache(maxsize=16)  # a version of a Delta table never changes, and every table of a build asks for it
def _read(warehouse: Warehouse, version: int) -> Epoch:
    rows = warehouse.scan(TABLE, version).sort("epoch_id").tail(1).collect().to_dicts()
    if not rows:
        return FIRST
    first = {each["stream"]: each["generation_id"] for each in rows[0]["first_generations"]}
    return Epoch(rows[0]["epoch_id"], rows[0]["opened_at"], first)


def open_next(warehouse: Warehouse, run: Run, first_generations: dict[str, int]) -> int:
    """Begins an epoch with this run's reads. Returns its number."""
    number = at(warehouse, warehouse.version(TABLE)).epoch_id + 1
    generations = [{"stream": stream, "generation_id": first} for stream, first in first_generations.items()]
    row = [(number, run.run_id, run.started_at, generations)]
    warehouse.append(TABLE, pl.DataFrame(row, schema=SCHEMA, orient="row"))
    return number
