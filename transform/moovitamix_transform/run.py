"""The whole arrow: source → landing → build, recorded as one run."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from moovitamix_transform import builds, connector, epochs, ledger, news, null_counts, origins, resets, sources
from moovitamix_transform.alarms import zero_rows
from moovitamix_transform.alarms.watch import Watch, default_settings
from moovitamix_transform.blocks import IDLE, read_blocks
from moovitamix_transform.build import BuildResult, OnDrift, build
from moovitamix_transform.connector import Source
from moovitamix_transform.engines.engine import Engine
from moovitamix_transform.engines.on_polars import OnPolars
from moovitamix_transform.errors import ReadFailed
from moovitamix_transform.files import named
from moovitamix_transform.files.landing import FileLanding
from moovitamix_transform.landing import IDLE_SECONDS, Landing
from moovitamix_transform.masking import hide, mask
from moovitamix_transform.progress import RunProgress
from moovitamix_transform.recording import recorded
from moovitamix_transform.runs import PARTS, Run, StreamLedger
from moovitamix_transform.steps import Step, as_it_comes
from moovitamix_transform.streams import STREAMS
from moovitamix_transform.warehouse import Warehouse

if TYPE_CHECKING:
    # pydantic takes a tenth of a second, which only the commands that judge shall wait for.
    from moovitamix_transform.alarms.settings import Settings


def sync_and_build(
    warehouse: Warehouse,
    source: Source,
    progress: RunProgress,
    *,
    full_refresh: frozenset[str] = frozenset(),
    on_drift: OnDrift = "warn",
    accept_reset: bool = False,
    allow_empty: bool = False,
    settings: "Settings | None" = None,
    step: Step = as_it_comes,
) -> tuple[Run, BuildResult]:
    """One sync of the source from the last committed state, then one build. Recorded in _meta/runs however it ends,
    with its alarms.

    Args:
        full_refresh: the incremental streams to read whole, as a new generation.
        accept_reset: read everything whole; if the client's API did begin anew, the tables begin anew with this read.
        allow_empty: a stream that had records may have none any more.
        settings: of the alarms, and who is told of them.
    Raises:
        ReadFailed: the sync was no good one; what came is landed, nothing is built.
        ApiReset, DriftFound: what came is landed, nothing is built, until a person decides.
    """
    watch = Watch(warehouse, settings or default_settings())
    is_judged = not (allow_empty or accept_reset)

    def tell(notice: str) -> None:
        progress.log("WARN", f"alarms: {notice}")

    with (
        warehouse.writing(),
        watch.told(tell),
        recorded(warehouse, "run", watch.judge) as run,
    ):
        watch.begin(run, tell)
        if source.shown_config is not None:
            run.is_of_config(source.shown_config)
        sources.make_missing(warehouse)
        asked = frozenset(STREAMS) if accept_reset else full_refresh
        watching = watch if is_judged else None
        generations = step("sync", lambda: _sync(warehouse, source, progress, run, asked, watching))
        notice = _accept_reset(warehouse, run, generations) if accept_reset else None
        result = build_into(warehouse, run, on_drift=on_drift, on_table=progress.step, step=step)
        if notice:
            result.notices.append(notice)
        if not any(entry.received for entry in run.streams):
            result.notices.append(f"the source {source.name} sent no record of any stream")
        return run, result


def _accept_reset(warehouse: Warehouse, run: Run, generations: dict[str, int]) -> str | None:
    """Opens an epoch that begins with this run's generations, if the API was reset; else says that it was not.

    A stream that this run did not hear of begins anew too, without a record: what it has is of the API before.
    """
    before = builds.newest(warehouse)
    if not resets.find(OnPolars(warehouse), before.tables if before else None, news.newest_versions(warehouse)):
        return "--accept-reset: there was no reset to accept; every stream was read whole, no epoch began"
    silent = [stream for stream in STREAMS if stream not in generations]
    generations = generations | {stream: sources.open_generation(warehouse, stream) for stream in silent}
    epochs.open_next(warehouse, run, generations)
    return None


def _accept_reset_of_files(warehouse: Warehouse, run: Run) -> str:
    """Opens an epoch that begins, for each stream, with the snapshot of the newest reset, else with its newest
    generation; if the API was not reset, nothing is opened. Returns what a person is told."""
    before = builds.newest(warehouse)
    found = resets.find(OnPolars(warehouse), before.tables if before else None, news.newest_versions(warehouse))
    if not found:
        return "--accept-reset: there was no reset to accept, no epoch began"
    first = {name: int(warehouse.metadata(sources.path(name)).get("generation_id") or 0) for name in STREAMS}
    first |= {reset.stream: reset.after for reset in found}
    epochs.open_next(warehouse, run, first)
    begins = ", ".join(f"{name} with generation {generation}" for name, generation in first.items())
    return f"the reset is accepted: the next build begins the tables anew, {begins}"


def land(
    warehouse: Warehouse,
    fd: int,
    progress: RunProgress,
    echo: Callable[[bytes], None],
    *,
    full_refresh: frozenset[str] = frozenset(),
    ended: Callable[[Run], None] = lambda _: None,
) -> Run:
    """Airbyte messages from a file descriptor → source tables. Recorded in _meta/runs however it ends.

    Args:
        ended: is given the run when it has ended, also when it failed: with what was landed till then.
    """
    with warehouse.writing(), recorded(warehouse, "land", ended) as run:
        sources.make_missing(warehouse)
        landing = Landing(warehouse, run.run_id, progress, echo, full_refresh)
        landing.read(read_blocks(fd, IDLE_SECONDS))
        landing.finish()
        _settle(warehouse, run, landing)
        return run


def land_files(
    warehouse: Warehouse,
    names: Sequence[str],
    progress: RunProgress,
    *,
    stream: str | None = None,
    accept_reset: bool = False,
    ended: Callable[[Run], None] = lambda _: None,
) -> tuple[Run, FileLanding]:
    """What Airbyte's file destinations wrote → source tables. Recorded in _meta/runs however it ends.

    Args:
        names: the files: paths, URLs, or globs of them.
        stream: the stream they belong to, where their folders do not say so.
        accept_reset: if the client's API did begin anew, the tables begin anew with the generations after that.
        ended: as for `land`.
    """
    files = named.find(names, stream)
    with warehouse.writing(), recorded(warehouse, "land", ended) as run:
        sources.make_missing(warehouse)
        landing = FileLanding(warehouse, run.run_id, progress.received)
        landing.land(files)
        if accept_reset:
            progress.log("INFO", _accept_reset_of_files(warehouse, run))
        run.streams = ledger.of_run(warehouse, run.run_id, landing.received)
        return run, landing


def build_only(
    warehouse: Warehouse,
    progress: RunProgress,
    *,
    full_refresh: bool = False,
    on_drift: OnDrift = "warn",
    engine: Engine | None = None,
) -> tuple[Run, BuildResult]:
    """The tables of what has landed. Recorded in _meta/runs however it ends.

    Args:
        engine: where they are computed; Polars when there is none.
    """
    warehouse.open()
    with warehouse.writing(), recorded(warehouse, "build") as run:
        result = build_into(
            warehouse, run, full_refresh=full_refresh, on_drift=on_drift, on_table=progress.step, engine=engine
        )
        return run, result


def build_into(
    warehouse: Warehouse,
    run: Run,
    *,
    full_refresh: bool = False,
    on_drift: OnDrift = "warn",
    on_table: Callable[[str], None],
    step: Step = as_it_comes,
    engine: Engine | None = None,
) -> BuildResult:
    """A build whose numbers go into the run."""
    before = builds.newest(warehouse)
    result = build(
        warehouse,
        run.run_id,
        full_refresh=full_refresh,
        on_drift=on_drift,
        on_table=on_table,
        step=step,
        engine=engine,
    )
    run.build_id, run.tables, run.warnings = result.build.build_id, result.tables, result.warnings
    run.nulls = null_counts.of_build(warehouse, result.build)
    by_name = {entry.stream: entry for entry in run.streams}
    for name, history in result.streams.items():
        entry = by_name.get(name)
        if entry is None:
            entry = StreamLedger(name)
            run.streams.append(entry)
        for part in ("landed_total", *PARTS):
            setattr(entry, part, getattr(history, part))
        staged_before = before.tables.get(f"stg_{name}") if before else None
        entry.new = ledger.new_records(warehouse, run.run_id, name, result.build.tables, staged_before)
        entry.quarantined_records = ledger.quarantined_of_run(warehouse, run.run_id, name, result.build.tables)
    return result


def _sync(
    warehouse: Warehouse,
    source: Source,
    progress: RunProgress,
    run: Run,
    full_refresh: frozenset[str],
    watch: Watch | None,
) -> dict[str, int]:
    """One read of the source, landed. Returns the generation each stream was read into.

    Args:
        watch: who looks for dead streams; None when they may be.
    """
    for stream in STREAMS:
        origins.require(warehouse, stream, "messages")  # before the source is asked for anything
    landing = Landing(warehouse, run.run_id, progress, lambda _: None, full_refresh)
    incremental = {name for name, stream in STREAMS.items() if stream.incremental} - full_refresh
    committed = sources.states(warehouse)
    state = sources.state_list({name: committed[name] for name in committed if name in incremental})
    catalog = connector.configured_catalog(full_refresh)

    def on_stderr(line: str) -> None:
        progress.log("INFO", mask(line))

    with connector.started(source, catalog, state, on_stderr) as running:
        landing.read(_watched(read_blocks(running.stdout_fd, IDLE_SECONDS), progress))
        failure = running.failure()
    run.child_peak_memory_bytes = running.peak_memory_bytes
    whole = [name for name in STREAMS if name not in incremental or name not in committed]
    if watch and not failure and not landing.failures:
        read = [name for name in whole if not landing.was_left_out(name)]
        watch.dead = zero_rows.dead(warehouse, landing.received, read)
        for name in watch.dead:
            landing.distrust(name, zero_rows.message(name))
    landing.finish(mask(failure) if failure else None)
    _settle(warehouse, run, landing, source.secrets, whole)
    return landing.generations


def _watched(blocks: Iterable[bytes], progress: RunProgress) -> Iterator[bytes]:
    for block in blocks:
        if block == IDLE:
            progress.idle()
        yield block


def _settle(
    warehouse: Warehouse, run: Run, landing: Landing, secrets: tuple[str, ...] = (), whole: Sequence[str] | None = None
) -> None:
    """Law 1 for the run; then its failures, if any, end it.

    Args:
        whole: the streams that a `run` asked for from their beginning.
    """
    run.streams = ledger.of_run(warehouse, run.run_id, landing.received)
    for entry in run.streams:
        if whole is not None and entry.stream in STREAMS:
            entry.sync_mode = "full_refresh" if entry.stream in whole else "incremental"
    if landing.failures:
        raise ReadFailed(
            hide("\n".join(dict.fromkeys(landing.failures)), secrets),
            is_transient=landing.failure_type == "transient_error",
        )
