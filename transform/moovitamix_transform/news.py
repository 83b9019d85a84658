"""What landed since a build: the versions of the source tables to read now, and why it cannot go on from that build."""

from dataclasses import dataclass

import polars as pl

from moovitamix_transform import removals, sources
from moovitamix_transform.builds import Build
from moovitamix_transform.graph import SOURCES
from moovitamix_transform.streams import STREAMS
from moovitamix_transform.warehouse import Warehouse

# What a build looks at for news: what the models read, and from where on it counts.
READ = (*SOURCES, "epochs")


@dataclass(frozen=True)
class News:
    """Attributes:
    versions: of each source table, the one to read: the build's own where nothing of note was committed since.
    lost: the tables of which the version that the build read is no longer there to compare with.
    is_new_epoch: a reset was accepted since.
    is_thinned: records were pruned or erased since.
    """

    versions: dict[str, int]
    lost: tuple[str, ...] = ()
    is_new_epoch: bool = False
    is_thinned: bool = False

    def is_none(self, before: Build) -> bool:
        return all(before.tables.get(name) == version for name, version in self.versions.items())

    def reasons(self, before: Build) -> list[str]:
        """Why the tables have to be made whole, for a person."""
        reasons = []
        if self.lost:
            reasons.append(
                f"{', '.join(self.lost)}: how far build {before.build_id} read is no longer readable: full rebuild"
            )
        if self.is_new_epoch:
            reasons.append("a new epoch began: full rebuild from what was read since")
        if self.is_thinned:
            reasons.append("records were pruned or erased: full rebuild from what is left")
        return reasons


def since(warehouse: Warehouse, before: Build | None) -> News:
    """A commit that only carries a state, or compacts, is no news: the table then has as many rows as before, and
    nothing was taken out."""
    newest = newest_versions(warehouse)
    if before is None:
        return News(newest)
    known = before.tables
    lost = tuple(name for name in READ if name in known and _is_lost(warehouse, name, known[name], newest[name]))
    versions = {
        name: known[name]
        if name in known and name not in lost and _has_no_news(warehouse, name, known[name], newest[name])
        else newest[name]
        for name in READ
    }
    return News(
        versions,
        lost,
        is_new_epoch=known.get("epochs") != versions["epochs"],
        is_thinned=_removed(warehouse, known) != _removed(warehouse, versions),
    )


def newest_versions(warehouse: Warehouse) -> dict[str, int]:
    # The last first: where a landing is under way, a generation that is seen to be complete has all its records.
    newest = {name: warehouse.version(sources.path(name)) for name in reversed(READ)}
    return {name: newest[name] for name in READ}


def _is_lost(warehouse: Warehouse, name: str, known: int, newest: int) -> bool:
    """Another program compacted the table and removed the files before: its log alone still knows the version."""
    return known != newest and warehouse.damage(sources.path(name), known) is not None


def _has_no_news(warehouse: Warehouse, name: str, known: int, newest: int) -> bool:
    if known == newest:
        return True
    one, other = (
        (_telling_rows(warehouse, name, version), _removed(warehouse, {name: version})) for version in (known, newest)
    )
    return one == other


def _telling_rows(warehouse: Warehouse, name: str, version: int) -> int:
    """Rows that say something to a model: of the generations, only those of streams that are always read whole."""
    if name != "generations":
        return warehouse.count(sources.path(name), version)
    whole = [stream.name for stream in STREAMS.values() if not stream.incremental]
    rows = warehouse.scan(sources.path(name), version).filter(pl.col("stream").is_in(whole))
    return int(rows.select(pl.len()).collect().item())


def _removed(warehouse: Warehouse, versions: dict[str, int]) -> dict[str, tuple[int, int]]:
    """How many records were pruned from and erased of each source table there is among these."""
    return {
        name: (
            removals.total(warehouse, sources.path(name), versions[name], "pruned"),
            removals.total(warehouse, sources.path(name), versions[name], "erased"),
        )
        for name in (*STREAMS, "_lines")
        if name in versions
    }
