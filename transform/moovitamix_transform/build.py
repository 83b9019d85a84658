"""Source tables → staging and marts, made visible together or not at all."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

import polars as pl

from moovitamix_transform import builds, incremental, ledger, sources
from moovitamix_transform.builds import Build
from moovitamix_transform.contracts import require
from moovitamix_transform.data_warnings import DataWarning, all_warnings
from moovitamix_transform.errors import ContractBroken, LedgerMismatch
from moovitamix_transform.graph import SOURCES, Model, models
from moovitamix_transform.incremental import Changes, Input, no_changes
from moovitamix_transform.runs import StreamLedger, TableResult, WarningCount
from moovitamix_transform.streams import STREAMS
from moovitamix_transform.warehouse import Warehouse


@dataclass
class BuildResult:
    """`build` is the newest one: this one, or, when nothing was new, the one before."""

    build: Build
    is_published: bool
    tables: list[TableResult]
    streams: dict[str, StreamLedger]
    warnings: list[WarningCount]
    notices: list[str] = field(default_factory=list)


@contextmanager
def _or_nothing() -> Iterator[None]:
    try:
        yield
    except (ContractBroken, LedgerMismatch) as error:
        raise type(error)(f"{error}. The build is not published; the one before stays.") from error


@_or_nothing()
def build(
    warehouse: Warehouse, run_id: str, *, full_refresh: bool = False, on_table: Callable[[str], None] = lambda _: None
) -> BuildResult:
    """Builds what the newest source rows make of every table, and publishes it as the next build.

    A table whose inputs and contract are those of the build before is not computed, and one that comes out with the
    same rows keeps its version. Nothing is published when no record landed and no contract changed.
    Raises ContractBroken and LedgerMismatch; the build before then stays the newest.
    """
    sources.make_missing(warehouse)
    before = builds.newest(warehouse)
    before_prints = builds.fingerprints(warehouse)
    prints = {name: model.fingerprint for name, model in models().items()}
    changed = [name for name in prints if before and before_prints.get(name) != prints[name]]
    is_full = full_refresh or before is None or bool(changed)
    versions = {name: _source_version(warehouse, name, before) for name in SOURCES}
    if before and not is_full and all(before.tables.get(name) == versions[name] for name in SOURCES):
        return BuildResult(
            before, False, [], ledger.of_history(warehouse, before.tables), count_warnings(warehouse, before)
        )

    work = _Work(warehouse, None if is_full else before, versions)
    results = []
    for name, model in models().items():
        if work.is_kept(model):
            continue
        on_table(name)
        started = time.monotonic()
        work.make(model, before.tables.get(name) if before else None)
        rows = warehouse.count(model.path, versions[name])
        results.append(TableResult(name, rows, round(time.monotonic() - started, 3)))

    streams = ledger.of_history(warehouse, versions)
    if before and not changed and versions == before.tables:
        return BuildResult(before, False, results, streams, count_warnings(warehouse, before))
    number = before.build_id + 1 if before else 1
    made = Build(number, run_id, datetime.now(UTC), "polars", is_full, versions)
    builds.publish(warehouse, made, prints)
    notices = list(work.notices)
    if changed:
        notices.append(f"the contracts of {', '.join(changed)} changed since build {number - 1}: full rebuild")
    return BuildResult(made, True, results, streams, count_warnings(warehouse, made), notices)


class _Work:
    """One build under way. Fills `versions`, which starts with those of the source tables.

    Args:
        before: the build to go on from; None when every table is made whole.
    """

    def __init__(self, warehouse: Warehouse, before: Build | None, versions: dict[str, int]) -> None:
        self.notices: list[str] = []
        self._warehouse, self._before, self._versions = warehouse, before, versions
        self._changes: dict[str, Changes | None] = {name: self._news(name) for name in versions}

    def is_kept(self, model: Model) -> bool:
        """The table's inputs are those of the build before, so its rows are too."""
        before = self._before
        if before is None or any(before.tables.get(read) != self._versions[read] for read in model.reads):
            return False
        self._versions[model.name] = before.tables[model.name]
        self._changes[model.name] = no_changes(scan(self._warehouse, model.name, before.tables))
        return True

    def make(self, model: Model, known: int | None) -> None:
        """The table's next version: from what changed in its inputs where that is enough, else whole."""
        if self._before is not None and known is not None:
            inputs = {
                name: Input(scan(self._warehouse, name, self._versions), self._changes[name]) for name in model.reads
            }
            step = incremental.advance(self._warehouse, model, inputs, known)
            if step is not None:
                self._versions[model.name], self._changes[model.name] = step.version, step.changes
                return
        version = _write(self._warehouse, model, self._versions, known)
        self._versions[model.name] = version
        self._changes[model.name] = self._compared(model, known, version)

    def _compared(self, model: Model, known: int | None, version: int) -> Changes | None:
        """What a whole new version changed, for the tables below; None where it costs more than it saves."""
        if self._before is None or known is None:
            return None
        before, after = (self._warehouse.scan(model.path, each) for each in (known, version))
        if version == known:
            return no_changes(after)
        is_large = self._warehouse.count(model.path, version) > incremental.COMPARED_ROWS
        return None if is_large else incremental.difference(before, after, list(model.contract.primary_key()))

    def _news(self, name: str) -> Changes | None:
        """What landed in a source table since the build before; None when it is too much to hold, or not readable."""
        if self._before is None or name not in self._before.tables:
            return None
        path, known, newest = sources.path(name), self._before.tables[name], self._versions[name]
        rows = self._warehouse.scan(path, newest)
        if known == newest:
            return no_changes(rows)
        count, before = self._warehouse.count(path, newest), self._warehouse.count(path, known)
        if count - before > incremental.LARGEST_PART * before:
            return None
        added = self._warehouse.added_since(path, known, newest)
        if added is None or added.height != count - before:
            self.notices.append(f"{name}: what is new since build {self._before.build_id} cannot be told: read whole")
            return None
        return Changes(added, added.clear())


def scan(warehouse: Warehouse, name: str, tables: dict[str, int]) -> pl.LazyFrame:
    """A table, by its bare name, at the version a build has of it."""
    path = models()[name].path if name in models() else sources.path(name)
    return warehouse.scan(path, tables[name])


def _source_version(warehouse: Warehouse, name: str, before: Build | None) -> int:
    """The version to read. Commits that carry a state only are not news: the table has as many rows as before."""
    path = sources.path(name)
    newest = warehouse.version(path)
    known = before.tables.get(name) if before else None
    if known is not None and _telling_rows(warehouse, name, known) == _telling_rows(warehouse, name, newest):
        return known
    return newest


def _telling_rows(warehouse: Warehouse, name: str, version: int) -> int:
    """Rows that say something to a model: of the generations, only those of streams that are always read whole."""
    if name != "generations":
        return warehouse.count(sources.path(name), version)
    whole = [stream.name for stream in STREAMS.values() if not stream.incremental]
    rows = warehouse.scan(sources.path(name), version).filter(pl.col("stream").is_in(whole))
    return int(rows.select(pl.len()).collect().item())


def _write(warehouse: Warehouse, model: Model, versions: dict[str, int], known: int | None) -> int:
    """Writes the table, holds what was written against its contract, and returns the version that has its rows."""
    inputs = {name: scan(warehouse, name, versions) for name in model.reads}
    version = warehouse.overwrite(model.path, model.frame(inputs))
    written = warehouse.scan(model.path, version)
    require(model.name, written, model.contract)
    if known is not None and _has_same_rows(warehouse.scan(model.path, known), written):
        return known
    return version


def _has_same_rows(one: pl.LazyFrame, other: pl.LazyFrame) -> bool:
    """Equal as sets of rows, by number and by the sum of 64-bit row hashes, order aside."""
    if one.collect_schema() != other.collect_schema():
        return False
    digest = [pl.len(), pl.struct(pl.all()).hash(seed=0).sum().alias("digest")]
    left, right = pl.collect_all([one.select(digest), other.select(digest)], engine="streaming")
    return left.equals(right)


def count_warnings(warehouse: Warehouse, build: Build) -> list[WarningCount]:
    return [WarningCount(each.name, each.table, count_of(warehouse, build, each)) for each in all_warnings()]


def count_of(warehouse: Warehouse, build: Build, warning: DataWarning) -> int:
    return warning.count({name: scan(warehouse, name, build.tables) for name in warning.reads})
