"""Every run, land and build in _meta/runs, however it ends."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from moovitamix_transform import ledger, runs
from moovitamix_transform.errors import LedgerMismatch, MoovitamixError, WarehouseError
from moovitamix_transform.masking import mask
from moovitamix_transform.runs import Kind, Run
from moovitamix_transform.warehouse import Warehouse


@contextmanager
def recorded(warehouse: Warehouse, kind: Kind) -> Iterator[Run]:
    """A run in _meta/runs: as running when it starts, as what became of it when it ends.

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
    try:
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
            runs.record(warehouse, run)
        raise
    run.end("succeeded")
    runs.record(warehouse, run)


def _count_committed(warehouse: Warehouse, run: Run) -> None:
    """The ledger of a sync that did not come to its end: what is committed; the rest was lost with it, and is read
    again, since no state covers it."""
    if run.kind != "build" and not run.streams:
        with suppress(WarehouseError):  # killed before there were tables
            run.streams = ledger.of_run(warehouse, run.run_id, received=None)
