"""How many of the API's values are missing, build by build."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from moovitamix_transform.builds import Build
from moovitamix_transform.catalog import require_kept
from moovitamix_transform.errors import NoSuchBuild
from moovitamix_transform.graph import models
from moovitamix_transform.tables import scan
from moovitamix_transform.warehouse import Warehouse

# A null there is a value the API did not give; those of the marts follow from it, or mean something (`valid_to`).
TABLES = ("stg_tracks", "stg_users", "stg_listen_history")
BUILDS = 30


@dataclass(frozen=True)
class NullRate:
    """One column of one table in one build."""

    build_id: int
    built_at: datetime
    table: str
    column: str
    null_count: int
    row_count: int

    @property
    def rate(self) -> float:
        return self.null_count / self.row_count if self.row_count else 0.0


def of_builds(warehouse: Warehouse, kept: list[Build]) -> list[NullRate]:
    """Every nullable column in each of the newest builds, the newest build first.

    A build of which a table cannot be read any more has no rows here. Each version of a table is read once, however
    many builds have it.
    """
    readable = [build for build in kept[:BUILDS] if _is_readable(warehouse, build)]
    return [each for build in readable for table in TABLES for each in _of_table(warehouse, build, table)]


def _is_readable(warehouse: Warehouse, build: Build) -> bool:
    try:
        for table in TABLES:
            require_kept(warehouse, table, models()[table].path, build)
    except NoSuchBuild:
        return False
    return True


def _of_table(warehouse: Warehouse, build: Build, table: str) -> Iterator[NullRate]:
    columns = [name for name, column in models()[table].contract.columns().items() if column.nullable]

    def count() -> dict[str, int]:
        nulls = scan(warehouse, table, build.tables).select(pl.len().alias("*"), pl.col(columns).null_count())
        return nulls.collect(engine="streaming").row(0, named=True)

    counts = warehouse.once(("null counts", table, build.tables[table]), count) if columns else {}
    for column in columns:
        yield NullRate(build.build_id, build.built_at, table, column, counts[column], counts["*"])
