"""What every run did, as far as it is known now: newest first, found by a part of its id, held against another."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from moovitamix_transform import ledger, runs
from moovitamix_transform.errors import NoSuchRun, WarehouseError
from moovitamix_transform.runs import PARTS, UNUSUAL_PARTS, Kind, Run
from moovitamix_transform.warehouse import Warehouse

_NAMED = 5
_RUN_MEASURES = ("seconds", "peak_memory_bytes", "child_peak_memory_bytes")
_STREAM_MEASURES = ("received", "landed", "quarantined_lines", "landed_total", *PARTS, "quarantined_records")
_UNUSUAL = (*UNUSUAL_PARTS, "quarantined_records")


@dataclass(frozen=True)
class Difference:
    """One number of two runs. `subject` is the stream, table or warning it is of; None for lines that name none.

    A number that one of the runs does not have (a table it had no need to compute) is None, and so is the difference.
    """

    kind: str
    subject: str | None
    measure: str
    a: float | None
    b: float | None

    @property
    def is_of_both(self) -> bool:
        return self.a is not None and self.b is not None

    @property
    def difference(self) -> float | None:
        return None if self.a is None or self.b is None else round(self.b - self.a, 3)


def every(warehouse: Warehouse, *, kind: Kind | None = None, limit: int | None = None) -> list[Run]:
    """Each run once, newest first. One without an end is `running` only if it is; else it was killed: `interrupted`.

    On a local folder it runs as long as the warehouse's lock is held. An object store has no lock: there the newest
    run counts as running until another one starts.

    Args:
        kind: only such runs.
        limit: only so many, the newest ones.
    """
    found = runs.every(warehouse, kind=kind, limit=limit)
    if not any(run.status == "running" for run in found):
        return found
    is_written = warehouse.is_being_written()
    seen = {run.run_id for run in found}
    # Read again: what ended before the lock was looked at is no longer unfinished; what began since then is running.
    newest = runs.every(warehouse, limit=1)
    found = runs.every(warehouse, kind=kind, limit=limit)
    for run in found:
        may_run = run.run_id == newest[0].run_id and (is_written or run.run_id not in seen)
        if run.status == "running" and not may_run:
            run.status = "interrupted"
            if run.kind != "build":
                with suppress(WarehouseError):  # killed before there were tables
                    run.streams = ledger.of_run(warehouse, run.run_id, received=None)
    return found


def find(history: list[Run], text: str) -> Run:
    """The run whose id, or the part of it behind the dash, begins so. Raises NoSuchRun unless it is exactly one."""
    exact = [run for run in history if run.run_id == text]
    found = exact or [run for run in history if text and (run.run_id.startswith(text) or _tail(run).startswith(text))]
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(run.run_id for run in found[:_NAMED]) + (", …" if len(found) > _NAMED else "")
        raise NoSuchRun(f"run {text!r}: expected the beginning of one run's id, {len(found)} begin so: {names}")
    newest = f"the newest is {history[0].run_id}" if history else "nothing ran in this warehouse"
    raise NoSuchRun(f"run {text!r}: expected a run's id or its beginning, none begins so; {newest}")


def compare(a: Run, b: Run) -> Iterator[Difference]:
    """Every number that one of the runs has: its duration and memory, its streams', its tables', its warnings', its
    columns' nulls. What is usually none is there when one of them has some."""
    for measure in _RUN_MEASURES:
        yield Difference("run", None, measure, getattr(a, measure), getattr(b, measure))
    streams = [{entry.stream: entry for entry in run.streams} for run in (a, b)]
    for name in dict.fromkeys([*streams[0], *streams[1]]):
        for measure in _STREAM_MEASURES:
            left, right = (getattr(each.get(name), measure, None) for each in streams)
            if measure in _UNUSUAL and not left and not right:
                continue
            yield Difference("stream", name, measure, left, right)
    tables = [{entry.table: entry for entry in run.tables} for run in (a, b)]
    for name in dict.fromkeys([*tables[0], *tables[1]]):
        for measure in ("rows", "seconds"):
            left, right = (getattr(each.get(name), measure, None) for each in tables)
            yield Difference("table", name, measure, left, right)
    warnings = [{entry.name: entry.count for entry in run.warnings} for run in (a, b)]
    for name in dict.fromkeys([*warnings[0], *warnings[1]]):
        yield Difference("warning", name, "count", warnings[0].get(name), warnings[1].get(name))
    nulls = [{f"{entry.table}.{entry.column}": entry.nulls for entry in run.nulls} for run in (a, b)]
    for name in dict.fromkeys([*nulls[0], *nulls[1]]):
        yield Difference("column", name, "nulls", nulls[0].get(name), nulls[1].get(name))


def _tail(run: Run) -> str:
    return run.run_id.rpartition("-")[2]
