"""What the commands list and the report shows: each list is made here, once for both."""

from itertools import zip_longest
from typing import Any

import polars as pl

from moovitamix_transform import builds as all_builds
from moovitamix_transform import catalog
from moovitamix_transform.builds import Build
from moovitamix_transform.graph import fields_of, models
from moovitamix_transform.staging.odd_rules import ODD_RULES
from moovitamix_transform.streams import STREAMS
from moovitamix_transform.warehouse import Warehouse

Row = dict[str, Any]
TABLE_COLUMNS = ("table", "layer", "grain", "rows", "version", "build_id")


def tables(warehouse: Warehouse) -> list[Row]:
    """Every table: layer, grain, rows, version, build; rows None for one that is not made yet."""
    rows = []
    for entry in catalog.entries(warehouse):
        count = warehouse.count(entry.path, entry.version) if entry.version is not None else None
        rows.append({**vars(entry), "rows": count})
    return [{column: row[column] for column in TABLE_COLUMNS} for row in rows]


def builds(warehouse: Warehouse) -> list[Row]:
    """The builds, newest first: when, by which run, how many of their tables got a new version."""
    there = all_builds.every(warehouse)
    return [_build(build, before) for build, before in zip_longest(there, there[1:])]


def quarantine(warehouse: Warehouse) -> pl.DataFrame:
    """One row per stream and rule of the newest build: how many rows, when first and last seen."""
    return (
        catalog.resolve(warehouse, "quarantine")
        .group_by("stream", "rule")
        .agg(
            pl.len().cast(pl.Int64).alias("count"),
            pl.col("extracted_at").min().alias("first_seen"),
            pl.col("extracted_at").max().alias("last_seen"),
        )
        .sort("stream", "rule", nulls_last=True)
        .collect()
    )


def rules() -> list[str]:
    """Every rule that a record or a line may break."""
    fields = [field for stream in STREAMS for field in fields_of(stream)]
    of_values = [f"{field.name}_unreadable" for field in fields]
    of_nulls = [f"{field.name}_null" for field in fields if field.is_required]
    return sorted({*of_values, *of_nulls, *ODD_RULES})


def _build(build: Build, before: Build | None) -> Row:
    """The tables that this build made or took on: those it read are not counted."""
    known = before.tables if before else {}
    new = [name for name in models() if build.tables.get(name) != known.get(name)]
    row = {name: value for name, value in vars(build).items() if name != "tables"}
    return row | {"new_version_count": len(new)}
