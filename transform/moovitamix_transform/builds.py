"""_meta/builds: which version of each table belongs to which build. A build is visible when its row is."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import polars as pl

from moovitamix_transform.errors import NoSuchBuild, UsageError, WarehouseInUse
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

    @property
    def built_on(self) -> date:
        """The day it was published, in UTC."""
        return self.built_at.astimezone(UTC).date()


AsOf = int | date | str


def newest(warehouse: Warehouse, version: int | None = None) -> Build | None:
    """The newest build, as the table is now or was at a version of it; None when there is none."""
    if not warehouse.exists(TABLE):
        return None
    rows = warehouse.scan(TABLE, version).sort("build_id").tail(1).collect().to_dicts()
    return _build(rows[0]) if rows else None


def every(warehouse: Warehouse) -> list[Build]:
    """The builds there are, newest first."""
    if not warehouse.exists(TABLE):
        return []
    rows = warehouse.scan(TABLE).sort("build_id", descending=True).collect()
    return [_build(row) for row in rows.iter_rows(named=True)]


def find(warehouse: Warehouse, as_of: AsOf) -> Build:
    """The build of that number, or the last one before that day's end (UTC).

    Args:
        as_of: a number, a day, or either as a text: `3`, `2026-11-24`.
    Raises:
        NoSuchBuild: there is none; the message says which builds there are.
        UsageError: neither a number nor a day.
    """
    wanted = _number_or_day(as_of)
    there = every(warehouse)
    if not there:
        raise NoSuchBuild(f"{warehouse.root}: expected a build, none is published yet; `moovitamix build` makes one")
    for build in there:
        if build.build_id == wanted or (isinstance(wanted, date) and build.built_on <= wanted):
            return build
    what = f"a build of {wanted} or earlier" if isinstance(wanted, date) else f"build {wanted}"
    first, last = there[-1].built_on, there[0].built_on
    raise NoSuchBuild(
        f"{warehouse.root}: expected {what}, there is none; published: {_listed(build.build_id for build in there)} "
        f"({first} to {last})"
    )


def fingerprints(warehouse: Warehouse) -> dict[str, str]:
    """The contracts' fingerprints of the newest build, by table."""
    return dict(warehouse.metadata(TABLE).get("fingerprints") or {})


def publish(warehouse: Warehouse, build: Build, fingerprints: dict[str, str]) -> None:
    """One commit: every reader sees the build before, or this one whole.

    Raises WarehouseInUse when another writer has published a build since this one began: each follows the one it was
    made from.
    """
    if not warehouse.exists(TABLE):
        warehouse.append(TABLE, pl.DataFrame(schema=SCHEMA))  # of two creations with rows, delta-rs keeps both rows
    version = warehouse.version(TABLE)
    last = newest(warehouse, version)
    if last is not None and last.build_id >= build.build_id:
        raise WarehouseInUse(
            f"build {build.build_id}: expected to follow build {build.build_id - 1}, but run {last.run_id} has "
            f"published build {last.build_id} meanwhile. This one is not published, what has landed stays; run it "
            "again."
        )
    tables = [{"table": table, "version": version} for table, version in build.tables.items()]
    row = {**vars(build), "tables": tables}
    warehouse.append(TABLE, pl.DataFrame([row], schema=SCHEMA), {"fingerprints": fingerprints}, after=version)


def forget(warehouse: Warehouse, build_ids: list[int]) -> None:
    """One commit after which these builds are no more; never the newest, whose fingerprints the others go by."""
    keys = pl.DataFrame({"build_id": build_ids}, schema={"build_id": pl.Int64})
    version = warehouse.version(TABLE)
    warehouse.delete(TABLE, keys, warehouse.metadata(TABLE, version), after=version)


def _build(row: dict[str, Any]) -> Build:
    return Build(**{**row, "tables": {each["table"]: each["version"] for each in row["tables"]}})


def _number_or_day(as_of: object) -> int | date:
    if isinstance(as_of, int) and not isinstance(as_of, bool):
        return as_of
    if isinstance(as_of, date) and not isinstance(as_of, datetime):
        return as_of
    if isinstance(as_of, str):
        text = as_of.strip()
        if re.fullmatch("-?[0-9]{1,18}", text):
            return int(text)
        if re.fullmatch("[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
            try:
                return date.fromisoformat(text)
            except ValueError:
                raise UsageError(f"expected a day of the calendar, got {text!r}") from None
    raise UsageError(f"expected the number of a build, such as 3, or a date, such as 2026-11-24, got {as_of!r}")


def _listed(numbers: Iterable[int]) -> str:
    """`1 to 3, 5`."""
    spans: list[list[int]] = []
    for number in sorted(numbers):
        if spans and number == spans[-1][1] + 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    return ", ".join(str(first) if first == last else f"{first} to {last}" for first, last in spans)
