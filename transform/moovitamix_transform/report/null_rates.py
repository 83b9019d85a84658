"""How many of the API's values are missing, build by build."""

from collections.abc import Iterator
from dataclasses import dataclass

from moovitamix_transform import null_counts
from moovitamix_transform.builds import Build
from moovitamix_transform.catalog import require_kept
from moovitamix_transform.errors import NoSuchBuild
from moovitamix_transform.graph import models
from moovitamix_transform.warehouse import Warehouse

# A null there is a value the API did not give; those of the marts follow from it, or mean something (`valid_to`).
TABLES = ("stg_tracks", "stg_users", "stg_listen_history")
BUILDS = 30


@dataclass(frozen=True)
class NullRate:
    """One column of one table in one build."""

    build_id: int
    table: str
    column: str
    null_count: int
    row_count: int

    @property
    def rate(self) -> float:
        return self.null_count / self.row_count if self.row_count else 0.0


def of_builds(warehouse: Warehouse, kept: list[Build]) -> list[NullRate]:
    """Every nullable column in each of the newest builds, the newest build first.

    A build of which a table cannot be read any more has no rows here.
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
    for each in null_counts.of_table(warehouse, models()[table], build.tables[table]):
        yield NullRate(build.build_id, table, each.column, each.nulls, each.rows)
