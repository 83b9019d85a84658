"""Source tables → staging and marts, made visible together or not at all."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Literal

import polars as pl

from moovitamix_transform import builds, drift, fields_seen, incremental, ledger, news, resets, sources
from moovitamix_transform.builds import Build
from moovitamix_transform.data_warnings import count_warnings
from moovitamix_transform.engines.engine import Engine
from moovitamix_transform.engines.on_polars import OnPolars
from moovitamix_transform.errors import ContractBroken, DriftFound, LedgerMismatch
from moovitamix_transform.graph import Model, models
from moovitamix_transform.incremental import Changes, Input, Known, no_changes
from moovitamix_transform.news import News
from moovitamix_transform.runs import StreamLedger, TableResult, WarningCount
from moovitamix_transform.steps import Step, as_it_comes
from moovitamix_transform.streams import STREAMS
from moovitamix_transform.tables import of_epoch, scan
from moovitamix_transform.warehouse import Warehouse

OnDrift = Literal["warn", "fail"]


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
    warehouse: Warehouse,
    run_id: str,
    *,
    full_refresh: bool = False,
    on_drift: OnDrift = "warn",
    on_table: Callable[[str], None] = lambda _: None,
    step: Step = as_it_comes,
    engine: Engine | None = None,
) -> BuildResult:
    """Builds what the newest source rows make of every table, and publishes it as the next build.

    A table whose inputs and contract are those of the build before is not computed, and one that comes out with the
    same rows keeps its version. Nothing is published when no record landed and no contract changed.
    Raises ApiReset and, where it is asked for, DriftFound before anything is built, ContractBroken and LedgerMismatch
    after; the build before then stays the newest.

    Args:
        engine: where the tables are computed; Polars when there is none.
    """
    engine = engine or OnPolars(warehouse)
    sources.make_missing(warehouse)
    before = builds.newest(warehouse)
    before_prints = builds.fingerprints(warehouse)
    prints = {name: model.fingerprint for name, model in models().items()}
    changed = [name for name in prints if before and before_prints.get(name) != prints[name]]
    found = news.since(warehouse, before)
    reasons = found.reasons(before) if before else []
    is_full = full_refresh or before is None or bool(changed) or bool(reasons)
    if before and not is_full and found.is_none(before):
        streams = ledger.of_history(engine, before.tables, before.tables)
        return BuildResult(before, False, [], streams, count_warnings(engine, before.tables))
    number = before.build_id + 1 if before else 1
    is_comparable = before is not None and not found.is_new_epoch and "generations" not in found.lost
    resets.require_none(engine, before.tables if before and is_comparable else None, found.versions)
    noticed = _notice_fields(engine, before, found, number, on_drift)

    work = _Work(engine, None if is_full else before, dict(found.versions))
    results = []
    for name, model in models().items():
        if work.is_kept(model):
            continue
        on_table(name)
        started = time.monotonic()
        step(f"build {name}", partial(work.make, model, before.tables.get(name) if before else None))
        rows = warehouse.count(model.path, work.versions[name])
        results.append(TableResult(name, rows, round(time.monotonic() - started, 3)))

    tables = {**work.versions, "fields": noticed.version}
    # All that is asked of the engine: one that fails later would tell of a published build that it is not.
    streams = ledger.of_history(engine, tables, None if is_full or before is None else before.tables)
    warnings = count_warnings(engine, tables)
    if before and not changed and tables == before.tables:
        return BuildResult(before, False, results, streams, warnings)
    made = Build(number, run_id, datetime.now(UTC), engine.name, is_full, tables)
    builds.publish(warehouse, made, prints)
    notices = [*noticed.texts, *work.notices, *reasons, *_unfinished_reads(warehouse, found.versions)]
    if changed:
        notices.append(f"the contracts of {', '.join(changed)} changed since build {number - 1}: full rebuild")
    return BuildResult(made, True, results, streams, warnings, notices)


def _unfinished_reads(warehouse: Warehouse, versions: dict[str, int]) -> Iterator[str]:
    """The streams whose newest read did not come to its end. Of files the newest never has: a later one ends it."""
    reads = scan(warehouse, "generations", versions).filter(pl.col("completed_at").is_not_null())
    complete = set(reads.select("stream", "generation_id").collect().iter_rows())
    for stream in (name for name, each in STREAMS.items() if not each.incremental):
        newest = warehouse.metadata(sources.path(stream), versions[stream])
        generation = newest.get("generation_id")
        if generation and newest.get("origin") != "files" and (stream, generation) not in complete:
            yield (
                f"{stream}: its newest read, generation {generation}, did not come to a good end: the tables have what "
                "came of it, and nothing is gone because it was not in it"
            )


@dataclass(frozen=True)
class _Noticed:
    version: int  # of _meta/fields, with what this build noticed
    texts: list[str]


def _notice_fields(engine: Engine, before: Build | None, found: News, number: int, on_drift: OnDrift) -> _Noticed:
    """The fields that appeared or vanished since the build before. They are no news before a build is published: what
    a killed one wrote of them is taken back."""
    rows = drift.notice(engine, before, found, number)
    texts = [drift.described(row) for row in rows if row["change"] != "known"]
    if texts and on_drift == "fail":
        raise DriftFound(
            f"{'; '.join(texts)}. Expected the fields of earlier runs (--on-drift fail). What came is landed, nothing "
            "was built; with --on-drift warn it is"
        )
    known = (before.tables.get("fields") if before else None) or 0
    version = engine.warehouse.replace(fields_seen.TABLE, known, pl.DataFrame(), fields_seen.frame(rows))
    return _Noticed(version, texts)


class _Work:
    """One build under way. Fills `versions`, which starts with those of the source tables.

    Args:
        before: the build to go on from; None when every table is made whole.
    """

    def __init__(self, engine: Engine, before: Build | None, versions: dict[str, int]) -> None:
        self.notices: list[str] = []
        self._engine, self._before, self.versions = engine, before, versions
        self._changes: dict[str, Changes | None] = {name: self._news(name) for name in versions}

    def is_kept(self, model: Model) -> bool:
        """The table's inputs are those of the build before, so its rows are too."""
        before = self._before
        if before is None or any(before.tables.get(read) != self.versions[read] for read in model.reads):
            return False
        self.versions[model.name] = before.tables[model.name]
        self._changes[model.name] = no_changes(self._engine.table(model.name, before.tables))
        return True

    def make(self, model: Model, known: int | None) -> None:
        """The table's next version: from what changed in its inputs where that is enough, else whole.

        Args:
            known: its version in the build before; None when it had none.
        """
        engine = self._engine
        if self._before is not None and known is not None:
            inputs = {name: Input(engine.table(name, self.versions), self._changes[name]) for name in model.reads}
            table = Known(known, engine.scan(model.path, known), engine.warehouse.count(model.path, known))
            step = incremental.advance(engine, model, inputs, table)
            if step is not None:
                self.versions[model.name], self._changes[model.name] = step.version, step.changes
                return
        version = _write(engine, model, self.versions, known)
        self.versions[model.name] = version
        self._changes[model.name] = self._compared(model, known, version)

    def _compared(self, model: Model, known: int | None, version: int) -> Changes | None:
        """What a whole new version changed, for the tables below; None where it costs more than it saves."""
        if self._before is None or known is None:
            return None
        before, after = (self._engine.scan(model.path, each) for each in (known, version))
        if version == known:
            return no_changes(after)
        if self._engine.warehouse.count(model.path, version) > incremental.COMPARED_ROWS:
            return None
        return Changes(*self._engine.difference(before, after, list(model.contract.primary_key())))

    def _news(self, name: str) -> Changes | None:
        """What landed in a source table since the build before; None when it is too much to hold, or not readable."""
        if self._before is None or name not in self._before.tables:
            return None
        warehouse = self._engine.warehouse
        path, known, newest = sources.path(name), self._before.tables[name], self.versions[name]
        nothing = no_changes(self._engine.scan(path, newest))
        if known == newest:
            return nothing
        count, before = warehouse.count(path, newest), warehouse.count(path, known)
        if count - before > max(incremental.LARGEST_PART * before, incremental.HELD_ROWS):
            return None
        added = self._engine.appended(path, known, newest)
        if added is None or added.count != count - before:
            self.notices.append(f"{name}: what is new since build {self._before.build_id} cannot be told: read whole")
            return None
        open_rows = of_epoch(warehouse, name, self.versions, added.rows)
        if open_rows is added.rows:  # nearly always: no reset was ever accepted
            return Changes(added, nothing.removed)
        held = self._engine.hold(open_rows)
        if held.count < added.count and name in STREAMS:
            self.notices.append(
                f"{name}: {added.count - held.count:,} of the rows that landed are from before the reset that was "
                "accepted: no table has them"
            )
        return Changes(held, nothing.removed)


def _write(engine: Engine, model: Model, versions: dict[str, int], known: int | None) -> int:
    """Writes the table whole, and returns the version that has its rows: the known one where it has the same, and can
    be read."""
    version = engine.overwrite(model, engine.whole(model, versions))
    count = engine.warehouse.count
    if known is None or count(model.path, known) != count(model.path, version):
        return version
    if engine.warehouse.damage(model.path, known):
        return version
    return known if engine.has_same_rows(*(engine.scan(model.path, each) for each in (known, version))) else version
