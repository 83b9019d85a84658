"""_meta/fields: when a field of the API's records was first seen, when it vanished, when it came back."""

from typing import Any, Literal

import polars as pl

from moovitamix_transform.warehouse import Warehouse

TABLE = "_meta/fields"
Change = Literal["known", "appeared", "vanished", "returned"]
# Grain: one row per build, stream, field and change. `known` is a field that the models read, when first seen; the
# count is of the run in which a field appeared, and null otherwise; the first value is null for one that vanished.
SCHEMA = pl.Schema(
    {
        "build_id": pl.Int64(),
        "run_id": pl.String(),
        "stream": pl.String(),
        "field": pl.String(),
        "change": pl.String(),  # a Change
        "record_count": pl.Int64(),
        "first_raw_id": pl.String(),
        "first_value": pl.String(),  # JSON
    }
)

Row = dict[str, Any]


def rows(warehouse: Warehouse, version: int | None) -> list[Row]:
    """In the order in which they were noticed; none for a build that is older than the table."""
    if version is None:
        return []
    return warehouse.scan(TABLE, version).with_row_index().sort("build_id", "index").drop("index").collect().to_dicts()


def last_changes(noticed: list[Row]) -> dict[str, dict[str, Row]]:
    """By stream and field, what was noticed of it last."""
    found: dict[str, dict[str, Row]] = {}
    for row in noticed:
        found.setdefault(row["stream"], {})[row["field"]] = row
    return found


def frame(noticed: list[Row]) -> pl.DataFrame:
    return pl.DataFrame(noticed, schema=SCHEMA)
