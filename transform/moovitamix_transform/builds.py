"""_meta/builds: which version of each table belongs to which build. A build is visible when its row is."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import polars as pl

from moovitamix_transform.warehouse import Warehouse

TABLE = "_meta/builds"
SCHEMA = pl.Schema(
    {
        "build_id": pl.Int64(),
        "run_id": pl.String(),
        "built_at": pl.Datetime("us", "UTC"),
        "engine": pl.String(),
        "full_refresh": pl.Boolean(),
        "tables": pl.List(pl.Struct({"table": pl.String(), "version": pl.Int64()})),
    }
)


@dataclass(frozen=True)
class Build:
    """One row of _meta/builds. `tables` maps a table's name to its Delta version; those of the source tables say
    how far the build read."""

    build_id: int
    run_id: str
    built_at: datetime
    engine: str
    full_refresh: bool
    tables: dict[str, int]


def newest(warehouse: Warehouse) -> Build | None:
    if not warehouse.exists(TABLE):
        return None
    rows = warehouse.scan(TABLE).sort("build_id").tail(1).collect().to_dicts()
    return _build(rows[0]) if rows else None


def fingerprints(warehouse: Warehouse) -> dict[str, str]:
    """The contracts' fingerprints of the newest build, by table."""
    return dict(warehouse.metadata(TABLE).get("fingerprints") or {})


def publish(warehouse: Warehouse, build: Build, fingerprints: dict[str, str]) -> None:
    """One commit: every reader sees the build before, or this one whole."""
    tables = [{"table": table, "version": version} for table, version in build.tables.items()]
    row = {**vars(build), "tables": tables}
    warehouse.append(TABLE, pl.DataFrame([row], schema=SCHEMA), {"fingerprints": fingerprints})


def _build(row: dict[str, Any]) -> Build:
    return Build(**{**row, "tables": {each["table"]: each["version"] for each in row["tables"]}})
