"""Where one key of a stream went: every record that had it, what became of each, and every row made of them."""

import json
from dataclasses import dataclass
from typing import Any

import narwhals as nw
import polars as pl

from moovitamix_transform import builds
from moovitamix_transform.builds import Build
from moovitamix_transform.errors import NoSuchTable, UsageError
from moovitamix_transform.graph import Model, models
from moovitamix_transform.ledger import KEYS
from moovitamix_transform.staging import readings
from moovitamix_transform.staging.latest import latest
from moovitamix_transform.streams import STREAMS
from moovitamix_transform.tables import scan
from moovitamix_transform.warehouse import Warehouse

Row = dict[str, Any]


@dataclass(frozen=True)
class Explanation:
    """Attributes:
    key: as it was asked for.
    records: raw_id, run_id, extracted_at, generation_id, outcome (kept, superseded, quarantined), rules; as they came.
    rows: of every table that such a record reaches, by its bare name, in the data's order; empty where it has no row.
    """

    stream: str
    key: str
    found: bool
    records: list[Row]
    rows: dict[str, list[Row]]


def explain(warehouse: Warehouse, stream: str, key: str) -> Explanation:
    """Everything the newest build knows of a key.

    Args:
        key: `7`; of a composite one `7,2026-11-24T12:00:00`, with any instant that staging can read.
    Raises:
        UsageError: no such stream, or a text that is no key of it.
        NoSuchTable: nothing is built yet.
    """
    if stream not in STREAMS:
        raise UsageError(f"explain: expected one of {', '.join(STREAMS)}, got {stream!r}")
    build = builds.newest(warehouse)
    if build is None:
        raise NoSuchTable(
            f"{warehouse.root}: expected a build to explain, none is published yet; run `moovitamix build`"
        )
    wanted = _parsed(stream, key)
    base = scan(warehouse, f"base_{stream}", build.tables)
    mine = base.join(wanted.lazy(), on=wanted.columns, how="semi").collect(engine="streaming")
    records = _judged(warehouse, build, stream, mine)
    return Explanation(stream, key, bool(records), records, _rows(warehouse, build, f"base_{stream}", mine))


def _parsed(stream: str, key: str) -> pl.DataFrame:
    """One row with the key's columns, as the base table has them."""
    names = KEYS[stream]
    parts = [part.strip() for part in key.split(",")]
    if len(parts) == len(names):
        tokens = pl.DataFrame({name: [json.dumps(part)] for name, part in zip(names, parts, strict=True)})
        read = tokens.select(
            (readings.instant if name.endswith("_at") else readings.integer)(pl.col(name)).alias(name) for name in names
        )
        if not any(read.row(0)[position] is None for position in range(len(names))):
            return read
    form = "a number, such as 7" if len(names) == 1 else "USER_ID,CREATED_AT, such as 7,2026-11-24T12:00:00"
    raise UsageError(f"explain {stream}: expected {form}, got {key!r}")


def _judged(warehouse: Warehouse, build: Build, stream: str, mine: pl.DataFrame) -> list[Row]:
    source = scan(warehouse, stream, build.tables)
    texts = source.filter(pl.col("_airbyte_raw_id").is_in(mine["raw_id"].implode()))
    kept = latest(nw.from_native(mine.lazy()), nw.from_native(texts), KEYS[stream]).to_native().collect()["raw_id"]
    outcome = (
        pl.when(pl.col("broken_rules").list.len() > 0)
        .then(pl.lit("quarantined"))
        .when(pl.col("raw_id").is_in(kept.implode()))
        .then(pl.lit("kept"))
        .otherwise(pl.lit("superseded"))
    )
    columns = ("raw_id", "run_id", "extracted_at", "generation_id")
    rows = mine.sort("generation_id", "raw_id").select(*columns, outcome.alias("outcome"), rules="broken_rules")
    return rows.to_dicts()


def _rows(warehouse: Warehouse, build: Build, base: str, mine: pl.DataFrame) -> dict[str, list[Row]]:
    """Table by table, the rows that share the key columns they have with a row they were made of."""
    reached = {base: mine}
    for name, model in models().items():
        if name in reached or not any(read in reached for read in model.reads):
            continue
        rows = scan(warehouse, name, build.tables)
        found = [
            rows.join(_values(warehouse, build, model, reached, read).lazy(), on=columns, how="semi")
            for read in model.reads
            if read in reached and (columns := _shared(model, reached[read].columns) or list(_key(model)))
        ]
        reached[name] = pl.concat(found).unique(list(_key(model))).sort(_key(model)).collect(engine="streaming")
    return {name: rows.to_dicts() for name, rows in reached.items() if name != base}


def _values(
    warehouse: Warehouse, build: Build, model: Model, reached: dict[str, pl.DataFrame], read: str
) -> pl.DataFrame:
    """The values of the model's key columns in the reached rows of one of its inputs; found through another input when
    that one has none of them: a track's users, through who listened to it."""
    rows = reached[read]
    if shared := _shared(model, rows.columns):
        return rows.select(shared).unique()
    for other in model.reads:
        theirs = scan(warehouse, other, build.tables)
        columns = theirs.collect_schema().names()
        common = [name for name in rows.columns if name in columns]
        if other != read and common and set(_key(model)) <= set(columns):
            met = theirs.join(rows.select(common).unique().lazy(), on=common, how="semi")
            return met.select(_key(model)).unique().collect(engine="streaming")
    raise TypeError(f"{model.name}: expected an input that leads from {read} to the columns {_key(model)}")


def _key(model: Model) -> tuple[str, ...]:
    return tuple(model.contract.primary_key())


def _shared(model: Model, columns: list[str]) -> list[str]:
    return [name for name in _key(model) if name in columns]
