"""_meta/epochs: from where on the source tables count. One begins when a reset of the API is accepted."""

from dataclasses import dataclass
from typing import Any

import narwhals as nw
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
        "closed_runs": pl.List(pl.String()),  # those that left lines before: a clock may be set back, ids stay
    }
)


@dataclass(frozen=True)
class Epoch:
    """Attributes:
    first_generations: by stream, the generation it begins with; a stream that is not there counts from its first.
    closed_runs: the runs whose lines belong to epochs before.
    """

    epoch_id: int
    first_generations: dict[str, int]
    closed_runs: tuple[str, ...]

    def cut(self, name: str, rows: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
        """The rows of a source table, by its bare name, that belong to this epoch or a later one."""
        if self == FIRST:
            return rows
        if name == "_lines":
            return rows.filter(~nw.col("run_id").is_in(self.closed_runs))
        if name == "generations":
            for stream, first in self.first_generations.items():
                rows = rows.filter((nw.col("stream") != stream) | (nw.col("generation_id") >= first))
            return rows
        return rows.filter(nw.col("_airbyte_generation_id") >= self.first_generations.get(name, 0))


FIRST = Epoch(1, {}, ())


def at(warehouse: Warehouse, version: int | None) -> Epoch:
    """The newest epoch of a version of the table; the first, for a build that is older than the table."""
    if version is None:
        return FIRST
    return warehouse.once((TABLE, version), lambda: _read(warehouse, version))


def _read(warehouse: Warehouse, version: int) -> Epoch:
    rows = warehouse.scan(TABLE, version).sort("epoch_id").tail(1).collect().to_dicts()
    if not rows:
        return FIRST
    first = {each["stream"]: each["generation_id"] for each in rows[0]["first_generations"]}
    return Epoch(rows[0]["epoch_id"], first, tuple(rows[0]["closed_runs"]))


def open_next(warehouse: Warehouse, run: Run, first_generations: dict[str, int]) -> int:
    """Begins an epoch with this run's reads, or with those that landed before it. Returns its number.

    The lines of a run that landed records of both stay open: better told of twice than of none.

    Raises WarehouseInUse when another one was opened meanwhile.
    """
    version = warehouse.version(TABLE)
    number = at(warehouse, version).epoch_id + 1
    generations = [{"stream": stream, "generation_id": first} for stream, first in first_generations.items()]
    lines = warehouse.scan("source/_lines").filter(pl.col("run_id") != run.run_id)
    for stream, first in first_generations.items():  # of files, the epoch's first reads landed before it was accepted
        mine = warehouse.scan(f"source/{stream}").filter(pl.col("_airbyte_generation_id") >= first)
        mine = mine.select(run_id="_run_id", stream=pl.lit(stream)).unique()
        lines = lines.join(mine, on=["run_id", "stream"], how="anti")
    closed = lines.select(pl.col("run_id").unique().sort()).collect().to_series().to_list()
    row = [(number, run.run_id, run.started_at, generations, closed)]
    warehouse.append(TABLE, pl.DataFrame(row, schema=SCHEMA, orient="row"), after=version)
    return number
