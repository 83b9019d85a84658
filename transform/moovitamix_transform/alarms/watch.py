"""One run under watch: judged when it has ended, its incidents committed, then told of. Nothing of it fails the run."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import polars as pl

from moovitamix_transform import builds, runs
from moovitamix_transform.alarms import freshness, incidents, measures, notify, zero_rows
from moovitamix_transform.alarms.incidents import Message
from moovitamix_transform.alarms.verdict import Verdict
from moovitamix_transform.errors import WarehouseError, first_line
from moovitamix_transform.runs import Run
from moovitamix_transform.warehouse import Warehouse

if TYPE_CHECKING:
    # pydantic takes a tenth of a second, which only the commands that judge shall wait for.
    from moovitamix_transform.alarms.settings import Settings

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

    def judge(self, run: Run) -> None:
        """The run's alarms, and what becomes of the incidents."""
        with self._told():
            earlier = [each for each in runs.every(self.warehouse) if each.run_id != run.run_id]
            verdicts = [*_of_end(run, self.dead, self.settings)]
            if run.status == "succeeded":
                verdicts += measures.judge(run, earlier, self.settings)
            verdicts += of_tables(self.warehouse, self.settings)
            run.alarms = [verdict.alarm for verdict in verdicts if verdict.alarm]
            incidents.move(self.warehouse, run.run_id, verdicts)

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

    def _send(self) -> None:
        messages = incidents.untold(self.warehouse)
        channels = self.settings.channels()
        run_id = _newest(self.warehouse) if messages else ""
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
    """Every verdict as of now, by these settings: of the newest sync that ended, of the newest build's tables.

    That a sync failed is in the history, and says nothing of the build that stands; a dead stream does.
    """
    ended = [run for run in runs.every(warehouse) if run.kind == "run" and run.status in ("succeeded", "failed")]
    if not ended:
        return of_tables(warehouse, settings)
    newest = ended[0]
    dead = [alarm.subject for alarm in newest.alarms if alarm.kind == "zero_rows"]
    verdicts = [verdict for verdict in _of_end(newest, dead, settings) if verdict.kind == "zero_rows"]
    good = next((position for position, run in enumerate(ended) if run.status == "succeeded"), None)
    if good is not None:
        verdicts += measures.judge(ended[good], ended[good + 1 :], settings)
    return verdicts + of_tables(warehouse, settings)


def worded(message: Message, warehouse: Warehouse) -> tuple[str, str]:
    """The title and the text of a message. No row, no message of the source: those may quote a person's data."""
    of = message.incident
    if message.is_recovery:
        return (
            f"moovitamix: recovered: {of.kind} {of.subject}",
            f"What run {of.run_id} had found is no longer so: {of.detail}",
        )
    return (
        f"moovitamix: {of.level}: {of.kind} {of.subject}",
        f"{of.detail}\nRun {of.run_id}, warehouse {warehouse.root}: `moovitamix history show {of.run_id}`",
    )


def _of_end(run: Run, dead: list[str], settings: "Settings") -> Iterator[Verdict]:
    """Whether it came to its end, and whether each stream that it heard of is alive."""
    if "run" not in settings.off and not dead:
        failed = run.status == "failed"
        yield Verdict("run", "run", "error" if failed else None, "it failed" if failed else "it came to its end")
    if "zero_rows" not in settings.off:
        for entry in run.streams:
            if entry.stream in dead:
                yield Verdict("zero_rows", entry.stream, "error", zero_rows.DETAIL)
            elif entry.stream is not None and (entry.received or run.status == "succeeded"):
                yield Verdict("zero_rows", entry.stream, None, f"{entry.received:,} records")


def _newest(warehouse: Warehouse) -> str:
    return next((run.run_id for run in runs.every(warehouse)), "")
