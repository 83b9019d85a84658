"""Every run, land and build in _meta/runs, however it ends."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from moovitamix_transform import ledger, runs, sources
from moovitamix_transform.errors import LedgerMismatch, MoovitamixError, WarehouseError
from moovitamix_transform.masking import mask
from moovitamix_transform.runs import Kind, Run
from moovitamix_transform.warehouse import Warehouse


@contextmanager
def recorded(warehouse: Warehouse, kind: Kind, judge: Callable[[Run], None] = lambda _: None) -> Iterator[Run]:
    """A run in _meta/runs: as running when it starts, as what became of it when it ends.

    Args:
        judge: is given the run when it has ended, before that is recorded, so that what it finds is recorded too. Not
            a run that a person interrupted, nor one of which nothing can be read or recorded any more.

    The caller holds the warehouse's lock, so a run that is still running there was killed: it is recorded as
    interrupted, without an `ended_at`, since nobody saw its end.
    """
    if warehouse.is_local:
        for killed in runs.unfinished(warehouse):
            killed.status, killed.message = "interrupted", "killed; what was committed stays"
            _count_committed(warehouse, killed)
            runs.record(warehouse, killed)
    run = Run(kind)
    runs.record(warehouse, run)
    states: dict[str, str] = {}
    try:
        states = _states(warehouse, run)
        yield run
    except BaseException as error:
        is_ours = isinstance(error, MoovitamixError)
        if isinstance(error, KeyboardInterrupt):
            run.end("interrupted", "interrupted; what was committed stays")
        else:
            run.end("failed", mask(str(error) if is_ours else f"{type(error).__name__}: {error}"))
        with suppress(WarehouseError):  # a full disk refuses this row too: the first error is the one to tell
            if not isinstance(error, LedgerMismatch):  # its numbers do not add up: they are in the message
                _count_committed(warehouse, run)
            with suppress(WarehouseError):  # states that cannot be read may be the very error
                _note_states(warehouse, run, states)
            if run.status == "failed":
                judge(run)
            runs.record(warehouse, run)
        raise
    run.end("succeeded")
    _note_states(warehouse, run, states)
    judge(run)
    runs.record(warehouse, run)


def _count_committed(warehouse: Warehouse, run: Run) -> None:
    """The ledger of a sync that did not come to its end: what is committed; the rest was lost with it, and is read
    again, since no state covers it."""
    if run.kind != "build" and not run.streams:
        with suppress(WarehouseError):  # killed before there were tables
            run.streams = ledger.of_run(warehouse, run.run_id, received=None)


def _states(warehouse: Warehouse, run: Run) -> dict[str, str]:
    """The committed states, for a run that may move them."""
    return {} if run.kind == "build" else sources.states(warehouse)


def _note_states(warehouse: Warehouse, run: Run, before: dict[str, str]) -> None:
    after = _states(warehouse, run)
    for entry in run.streams:
        if entry.stream is not None:
            entry.state_before, entry.state_after = before.get(entry.stream), after.get(entry.stream)
