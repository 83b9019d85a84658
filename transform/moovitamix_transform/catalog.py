"""Every table by its bare name: where it is, what a row of it is, which version a reader sees."""

from dataclasses import dataclass

import polars as pl

from moovitamix_transform import builds, runs, sources
from moovitamix_transform.errors import NoSuchTable
from moovitamix_transform.graph import models
from moovitamix_transform.streams import STREAMS
from moovitamix_transform.warehouse import Warehouse

_GRAINS = {stream: f"One row per landed record of {stream}, as it came." for stream in STREAMS} | {
    "_lines": "One row per line that is no record of a known stream.",
    "runs": "Two rows per run: when it starts, when it ends.",
    "builds": "One row per build.",
    "generations": "One row per read of a stream.",
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
    for name, path in {"generations": "_meta/generations", "builds": builds.TABLE, "runs": runs.TABLE}.items():
        found.append(_entry(warehouse, name, "_meta", path))
    return found


def resolve(warehouse: Warehouse, table: str) -> pl.LazyFrame:
    """A table's rows, by its bare name. Raises NoSuchTable for an unknown name and for one that is not built yet."""
    found = {entry.table: entry for entry in entries(warehouse)}
    if table not in found:
        raise NoSuchTable(f"{table!r}: expected one of {', '.join(found)}")
    entry = found[table]
    if entry.version is None:
        raise NoSuchTable(
            f"{table}: expected a built table, but no build is published yet; `moovitamix build` makes one"
        )
    return warehouse.scan(entry.path, entry.version)


def _entry(warehouse: Warehouse, name: str, layer: str, path: str) -> TableEntry:
    version = warehouse.version(path) if warehouse.exists(path) else None
    return TableEntry(name, layer, _GRAINS[name], path, version)
