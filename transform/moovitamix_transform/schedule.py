"""`moovitamix run` as a flow of Prefect: a task for the check, the sync, each table and the report. Needs the extra."""

import importlib.util
import os
import time
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from prefect import flow, get_run_logger, tags
from prefect.artifacts import create_link_artifact, create_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.runtime import flow_run
from prefect.tasks import Task
from rich.console import Console

from moovitamix_transform import connector, listings, source_check, surroundings
from moovitamix_transform.alarms.settings import load
from moovitamix_transform.build import BuildResult, OnDrift
from moovitamix_transform.connector import Source
from moovitamix_transform.errors import MoovitamixError, ReadFailed, WarehouseInUse
from moovitamix_transform.graph import models
from moovitamix_transform.progress import RunProgress
from moovitamix_transform.report.writing import FILE_NAME, write
from moovitamix_transform.run import sync_and_build
from moovitamix_transform.runs import PARTS, Run
from moovitamix_transform.warehouse import Warehouse

T = TypeVar("T")
LEDGER_COLUMNS = ("stream", "received", "landed", "quarantined_lines", "new", "landed_total", *PARTS)


@flow(name="moovitamix", description="Client's API → trustworthy tables. What it is given is a `moovitamix run`'s.")
def moovitamix(
    warehouse: str,
    api_url: str | None = None,
    config: str | None = None,
    source: str | None = None,
    on_drift: OnDrift = "warn",
    settings: str | None = None,
    retries: int = 3,
    retry_delay_seconds: float = 60.0,
) -> None:
    """Check, sync, build, report. Of the parameters none is secret: Prefect keeps them.

    Args:
        retries: how often a run is tried again that failed over something transient; other failures are told at once.
    """
    chosen = connector.source_of(api_url, Path(config) if config else None, source)
    os.environ.setdefault(surroundings.STARTED_BY, f"prefect:{flow_run.get_name() or 'flow'}")
    if source_check.can_be_checked(chosen):
        _check(chosen)
    house = Warehouse(warehouse)
    run, result = _tried_again(lambda: _run(house, chosen, on_drift, settings), retries, retry_delay_seconds)
    _tell(run, result)
    _keep_tables(house, run)
    if importlib.util.find_spec("altair") and house.is_local:
        carried_out("report", lambda: _report(house))


def _check(source: Source) -> None:
    """Says early what is wrong. The sync decides: only its failures tell what is transient."""
    try:
        carried_out("check", lambda: source_check.check(source))
    except ReadFailed as failed:
        get_run_logger().warning("%s", failed)


def _run(warehouse: Warehouse, source: Source, on_drift: OnDrift, settings: str | None) -> tuple[Run, BuildResult]:
    limits = load(Path(settings) if settings else None)
    progress = RunProgress(Console(stderr=True), "WARN", page_rows=source.page_rows, secrets=source.secrets)
    with progress.shown():
        return sync_and_build(warehouse, source, progress, on_drift=on_drift, settings=limits, step=carried_out)


def carried_out(name: str, work: Callable[[], T], /) -> T:
    """A step as a task: in this thread, under its name, tagged with the layer of its table."""
    layer = models()[name.removeprefix("build ")].layer if name.startswith("build ") else name

    def step() -> T:
        return work()

    with tags(layer):
        done: T = Task(fn=step, name=name, task_run_name=name, cache_policy=NO_CACHE, persist_result=False)()
    return done


def _tried_again(work: Callable[[], T], retries: int, delay_seconds: float) -> T:
    """Each try is a run of its own in _meta/runs: what the one before committed stays, and is not read again."""
    for left in range(retries, -1, -1):
        try:
            return work()
        except MoovitamixError as error:
            if not left or not _is_transient(error):
                raise
            get_run_logger().warning("%s; again in %.0f s, %d left", error, delay_seconds, left)
            time.sleep(delay_seconds)
    raise AssertionError("the last try returns or raises")


def _is_transient(error: MoovitamixError) -> bool:
    return isinstance(error, WarehouseInUse) or (isinstance(error, ReadFailed) and error.is_transient)


def _tell(run: Run, result: BuildResult) -> None:
    log = get_run_logger()
    state = "published" if result.is_published else "nothing new, still the newest"
    log.info("run %s: build %d (%s)", run.run_id, result.build.build_id, state)
    for notice in result.notices:
        log.warning("%s", notice)
    for warning in run.warnings:
        if warning.count:
            log.warning("%s: %d rows", warning.name, warning.count)


def _keep_tables(warehouse: Warehouse, run: Run) -> None:
    ledger = [{column: getattr(entry, column) for column in LEDGER_COLUMNS} for entry in run.streams]
    create_table_artifact(table=ledger, key="ledger", description=f"Run {run.run_id}: every record, accounted for.")
    held = listings.quarantine(warehouse).to_dicts()
    create_table_artifact(
        table=list(_as_texts(held)), key="quarantine", description="What was received but does not count, and why."
    )


def _as_texts(rows: Iterable[dict[str, Any]]) -> Iterable[dict[str, Any]]:
    for row in rows:
        yield {name: value.isoformat() if isinstance(value, datetime) else value for name, value in row.items()}


def _report(warehouse: Warehouse) -> None:
    from moovitamix_transform.report.make import report

    path = Path(warehouse.root).absolute() / FILE_NAME
    write(path, report(warehouse))
    create_link_artifact(
        link=path.as_uri(), key="report", link_text=FILE_NAME, description="On the machine that ran it."
    )
