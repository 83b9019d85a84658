"""A run judged when it has ended, its incidents committed, then told of; by a check too. Nothing of it fails either."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import polars as pl

from moovitamix_transform import builds, run_history, runs
from moovitamix_transform.alarms import freshness, incidents, measures, notify, zero_rows
from moovitamix_transform.alarms.incidents import Message
from moovitamix_transform.alarms.verdict import Verdict
from moovitamix_transform.errors import WarehouseError, first_line
from moovitamix_transform.runs import Run
from moovitamix_transform.warehouse import Warehouse

if TYPE_CHECKING:
    # pydantic takes a tenth of a second, which only the commands that judge shall wait for.
    from moovitamix_transform.alarms.settings import Settings

KILLED = "it was killed: it has no end"
_ENDED = ("succeeded", "failed")
_LATELY = 100  # runs among which one must have ended by itself
_UNREADABLE = (WarehouseError, pl.exceptions.PolarsError, OSError)


@dataclass
class Watch:
    """Attributes:
    dead: of the run, the streams without a record that had some; see `zero_rows`.
    notices: what went wrong with the alarms themselves, for a person.
    """

    warehouse: Warehouse
    settings: "Settings"
    dead: list[str] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)

    def begin(self, run: Run, tell: Callable[[str], None]) -> None:
        """A run before this one that was killed could tell of nothing: it is told of now, and all that was left untold.

        Not at this one's end: when each run is killed, as by a machine that is too small, none has an end.
        """
        with self._told():
            killed = _killed_before(self.warehouse, run)
            if killed is None or "run" in self.settings.off:
                return
            opened = incidents.move(self.warehouse, killed.run_id, [Verdict("run", "run", "error", KILLED)])
            self.notices += [f"run {each.run_id}: {each.detail}" for each in opened]
        self._tell(tell)

    def judge(self, run: Run) -> None:
        """The run's alarms, and what becomes of the incidents."""
        with self._told():
            earlier = _good(self.warehouse, self.settings, without=run.run_id)
            verdicts = [*_of_end(run, self.dead, self.settings)]
            if run.status == "succeeded":
                verdicts += measures.judge(run, earlier, self.settings)
            verdicts += of_tables(self.warehouse, self.settings)
            run.alarms = [verdict.alarm for verdict in verdicts if verdict.alarm]
            incidents.move(self.warehouse, run.run_id, verdicts)

    def look(self, failed: Sequence[str], passed: Sequence[str], tell: Callable[[str], None]) -> None:
        """What a check found becomes of the incidents, and is told: of the alarms as they are now, and of the rest.

        Args:
            failed, passed: what the check found of tables and streams. Of what failed the name alone is told: its
                message may quote rows.
        """
        with self._told():
            verdicts = now(self.warehouse, self.settings)
            if "check" not in self.settings.off:
                verdicts += [
                    Verdict("check", each, "error", "it failed; `moovitamix check` says why") for each in failed
                ]
                verdicts += [Verdict("check", each, None, "it passed") for each in passed]
            incidents.move(self.warehouse, None, verdicts)
        self._tell(tell)

    @contextmanager
    def told(self, tell: Callable[[str], None]) -> Iterator[None]:
        """When the block has ended, but for an interruption, its incidents are told of."""
        try:
            yield
        except KeyboardInterrupt:
            raise
        except BaseException:
            self._tell(tell)
            raise
        self._tell(tell)

    def _tell(self, tell: Callable[[str], None]) -> None:
        with self._told():
            self._send()
        for notice in self.notices:
            tell(notice)
        self.notices.clear()

    def _send(self) -> None:
        messages = incidents.untold(self.warehouse)
        channels = self.settings.channels()
        run_id = _newest(self.warehouse) if messages else None
        if not channels:  # the run's own output has told of them: a channel of tomorrow is not for what was today
            incidents.record_told(self.warehouse, run_id, messages)
            return
        for message in messages:
            title, body = worded(message, self.warehouse)
            taken, failures = notify.send(channels, title, body, is_recovery=message.is_recovery)
            self.notices += [failure for failure in failures if failure not in self.notices]
            if not taken:
                self.notices.append(f"{len(messages)} messages were not taken by any channel; the next run sends them")
                return
            incidents.record_told(self.warehouse, run_id, [message])

    @contextmanager
    def _told(self) -> Iterator[None]:
        """What cannot be read or written for the alarms is a notice, and no failure of the run."""
        try:
            yield
        except _UNREADABLE as error:
            self.notices.append(f"could not be judged or told of to the end: {first_line(error)}")


def default_settings() -> "Settings":
    from moovitamix_transform.alarms.settings import Settings  # not on top, see there

    return Settings()


def of_tables(warehouse: Warehouse, settings: "Settings") -> list[Verdict]:
    """How fresh the newest build's tables are now; nothing before there is one."""
    build = builds.newest(warehouse)
    if build is None or "freshness" in settings.off:
        return []
    return list(freshness.judge(warehouse, build, settings.freshness, datetime.now(UTC)))


def now(warehouse: Warehouse, settings: "Settings") -> list[Verdict]:
    """Every verdict as of now, by these settings: of the newest sync that ended, of the newest build's tables."""
    history = run_history.every(warehouse, kind="run", limit=_LATELY)
    newest = next((run for run in history if run.status in _ENDED or _is_killed(run)), None)
    if newest is None:
        return of_tables(warehouse, settings)
    dead = [alarm.subject for alarm in newest.alarms if alarm.kind == "zero_rows"]
    verdicts = list(_of_end(newest, dead, settings))
    good = _good(warehouse, settings)
    if good:
        verdicts += measures.judge(good[0], good[1:], settings)
    return verdicts + of_tables(warehouse, settings)


def worded(message: Message, warehouse: Warehouse) -> tuple[str, str]:
    """The title and the text of a message. No row, no message of the source: those may quote a person's data."""
    of = message.incident
    if message.is_recovery:
        return (
            f"moovitamix: recovered: {of.kind} {of.subject}",
            f"What was found {f'with run {of.run_id}' if of.run_id else 'by a check'} is no longer so: {of.detail}",
        )
    where = f"Warehouse {warehouse.root}: `moovitamix check`"
    if of.run_id:
        where = f"Run {of.run_id}, warehouse {warehouse.root}: `moovitamix history show {of.run_id}`"
    return f"moovitamix: {of.level}: {of.kind} {of.subject}", f"{of.detail}\n{where}"


def _of_end(run: Run, dead: list[str], settings: "Settings") -> Iterator[Verdict]:
    """Whether it came to its end, and whether each stream that it heard of is alive."""
    is_told_by_streams = dead and "zero_rows" not in settings.off
    if "run" not in settings.off and not is_told_by_streams:
        wrong = "it failed" if run.status == "failed" else KILLED if _is_killed(run) else None
        yield Verdict("run", "run", "error" if wrong else None, wrong or "it came to its end")
    if "zero_rows" not in settings.off:
        for entry in run.streams:
            if entry.stream in dead:
                yield Verdict("zero_rows", entry.stream, "error", zero_rows.DETAIL)
            elif entry.stream is not None and (entry.received or run.status == "succeeded"):
                yield Verdict("zero_rows", entry.stream, None, f"{entry.received:,} records")


def _is_killed(run: Run) -> bool:
    """Nobody saw its end; one that a person interrupted has one."""
    return run.status == "interrupted" and run.ended_at is None


def _killed_before(warehouse: Warehouse, run: Run) -> Run | None:
    """The sync before this one, if it was killed. An object store tells of none that runs still, beside this one: that
    is the history's `interrupted`, too."""
    newest = run_history.every(warehouse, kind="run", limit=2)
    before = next((each for each in newest if each.run_id != run.run_id), None)
    return before if before and _is_killed(before) else None


def _newest(warehouse: Warehouse) -> str | None:
    return next((run.run_id for run in runs.every(warehouse, limit=1)), None)


def _good(warehouse: Warehouse, settings: "Settings", without: str = "") -> list[Run]:
    """The newest good syncs, as many as one of them is judged by, and itself."""
    found = runs.every(warehouse, kind="run", status="succeeded", limit=measures.looked_at(settings) + 1)
    return [run for run in found if run.run_id != without]
