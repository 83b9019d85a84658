"""Every table by its bare name: where it is, what a row of it is, which version a reader sees."""

from dataclasses import dataclass

import polars as pl

from moovitamix_transform import builds, epochs, fields_seen, runs, sources
from moovitamix_transform.alarms import incidents
from moovitamix_transform.builds import AsOf, Build
from moovitamix_transform.errors import NoSuchBuild, NoSuchTable, UnknownTable, UsageError, WarehouseError
from moovitamix_transform.files import registry
from moovitamix_transform.graph import models
from moovitamix_transform.streams import STREAMS
from moovitamix_transform.warehouse import Warehouse

GRAINS = {stream: f"One row per landed record of {stream}, as it came." for stream in STREAMS} | {
    "_lines": "One row per line that is no record of a known stream.",
    "runs": "Two rows per run: when it starts, when it ends.",
    "builds": "One row per build.",
    "generations": "One row per read of a stream; of files, one per generation and each time more is known of it.",
    "epochs": "One row per accepted reset of the API.",
    "files": "One row per landed file of a destination.",
    "incidents": "One row per incident and event: when it opened, when it was over, when it was told of.",
    "fields": "One row per build, stream, field and change.",
}
_META = {
    "generations": sources.path("generations"),
    "epochs": epochs.TABLE,
    "files": registry.TABLE,
    "fields": fields_seen.TABLE,
    "builds": builds.TABLE,
    "runs": runs.TABLE,
    "incidents": incidents.TABLE,
}


@dataclass(frozen=True)
class TableEntry:
    """`version` and `build_id` are None for a table that is not built yet; only built tables have a build_id."""

    table: str
    layer: str
    grain: str
    path: str
    version: int | None = None
    build_id: int | None = None


def entries(warehouse: Warehouse) -> list[TableEntry]:
    """All tables, in the data's order; those of staging and marts at the version of the newest build."""
    build = builds.newest(warehouse)
    found = [_entry(warehouse, stream, "source", sources.path(stream)) for stream in [*STREAMS, "_lines"]]
    for name, model in models().items():
        version, build_id = (build.tables.get(name), build.build_id) if build else (None, None)
        found.append(TableEntry(name, model.layer, model.grain, model.path, version, build_id))
    for name, path in _META.items():
        found.append(_entry(warehouse, name, "_meta", path))
    return found


def load_table(warehouse: str, table: str, as_of: AsOf | None = None) -> pl.LazyFrame:
    """A table's rows, for a notebook or a script: `load_table("warehouse", "fct_listens").collect()`.

    The frame stays at the version it was resolved to, however many builds are published while it is used.

    Args:
        warehouse: the folder the tables live in, or its URL.
        table: a bare name, such as `fct_listens`; `moovitamix tables` lists them.
        as_of: the number of a build, or a day: the last build before its end (UTC), as a `date` or as a text such as
            `2026-11-24`. By default the newest build; of the source tables, all that has landed.
    Raises:
        NoSuchTable: an unknown name (UnknownTable), or a table that this build did not have.
        NoSuchBuild: no such build, or its rows are not kept any more.
        UsageError: `as_of` is neither a number nor a day, or is given for a table that belongs to no build.
        WarehouseError: nothing there, or something else.
    """
    return resolve(Warehouse(warehouse).open(), table, as_of)


def resolve(warehouse: Warehouse, table: str, as_of: AsOf | None = None) -> pl.LazyFrame:
    """A table's rows, by its bare name: of the newest build, or of the one that `as_of` finds.

    Raises UnknownTable for an unknown name, NoSuchTable for one that is not built yet, NoSuchBuild and UsageError as
    `load_table` says.
    """
    found = {entry.table: entry for entry in entries(warehouse)}
    if table not in found:
        raise UnknownTable(f"expected one of {', '.join(found)}, got {table!r}")
    entry = found[table]
    if as_of is not None:
        return warehouse.scan(entry.path, _version(warehouse, entry, builds.find(warehouse, as_of)))
    if entry.version is None and table == "incidents":
        return pl.LazyFrame(schema=incidents.SCHEMA)  # made with the first one
    if entry.version is None:
        raise NoSuchTable(
            f"{table}: expected a built table, but no build is published yet; `moovitamix build` makes one"
        )
    return warehouse.scan(entry.path, entry.version)


def require_kept(warehouse: Warehouse, table: str, path: str, build: Build) -> None:
    """NoSuchBuild unless the table can still be read at the version that the build has of it."""
    version = build.tables[table]
    try:
        damage = warehouse.damage(path, version)
    except WarehouseError as error:
        damage = str(error)
    if damage is not None:
        raise NoSuchBuild(f"{table} of build {build.build_id}: its version {version} is no longer kept whole: {damage}")


def _version(warehouse: Warehouse, entry: TableEntry, build: Build) -> int:
    """The version of a table that a build read or made."""
    if entry.path in (builds.TABLE, runs.TABLE, registry.TABLE, incidents.TABLE):
        raise UsageError(f"{entry.table}: expected a table that builds read or make; this one is shown as it is now")
    if entry.table not in build.tables:
        raise NoSuchTable(
            f"{entry.table}: build {build.build_id} does not have it; it was added to moovitamix after that build"
        )
    require_kept(warehouse, entry.table, entry.path, build)
    return build.tables[entry.table]


def _entry(warehouse: Warehouse, name: str, layer: str, path: str) -> TableEntry:
    version = warehouse.version(path) if warehouse.exists(path) else None
    return TableEntry(name, layer, GRAINS[name], path, version)
