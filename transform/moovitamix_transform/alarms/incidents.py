"""_meta/incidents: alarms that last, from who found them, a run or a check, to who found them gone; who was told of it.

Each row is something that happened to an incident, and is committed before anyone is told, then once more when they
were. So a message is sent at least once: killed in between, the next run sends it; killed between the message and its
row, the next run sends it again. At most once would be the other order, and would lose the message that matters.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

import polars as pl

from moovitamix_transform.alarms.verdict import Verdict
from moovitamix_transform.errors import WarehouseInUse
from moovitamix_transform.warehouse import Warehouse

TABLE = "_meta/incidents"
Event = Literal["opened", "told", "recovered", "recovery_told"]
# Grain: one row per incident and event.
SCHEMA = pl.Schema(
    {
        "incident_id": pl.String(),
        "kind": pl.String(),
        "subject": pl.String(),
        "level": pl.String(),
        "event": pl.String(),
        "at": pl.Datetime("us", "UTC"),
        "run_id": pl.String(),
        "detail": pl.String(),
    }
)


@dataclass(frozen=True)
class Incident:
    """`run_id` is that of the run it was found with; None of one that `moovitamix check` found. `detail` says what was
    found; no row of the data is quoted in it."""

    incident_id: str
    kind: str
    subject: str
    level: str
    detail: str
    run_id: str | None
    events: tuple[str, ...]

    @property
    def is_open(self) -> bool:
        return "recovered" not in self.events

    def lacks(self, happened: Event, told: Event) -> bool:
        return happened in self.events and told not in self.events


@dataclass(frozen=True)
class Message:
    """What someone is to be told of an incident: that it began, or that it is over."""

    incident: Incident
    event: Event  # the one that is recorded once it was told

    @property
    def is_recovery(self) -> bool:
        return self.event == "recovery_told"


def every(warehouse: Warehouse, version: int | None = None) -> list[Incident]:
    """Each incident once, oldest first."""
    if not warehouse.exists(TABLE):
        return []
    found: dict[str, Incident] = {}
    for row in warehouse.scan(TABLE, version).sort("at", maintain_order=True).collect().iter_rows(named=True):
        known = found.get(row["incident_id"])
        first = {name: row[name] for name in ("incident_id", "kind", "subject", "level", "detail", "run_id")}
        if known is None:
            found[row["incident_id"]] = Incident(**first, events=(row["event"],))
        else:
            found[row["incident_id"]] = Incident(**{**vars(known), "events": (*known.events, row["event"])})
    return list(found.values())


def move(warehouse: Warehouse, run_id: str | None, verdicts: Sequence[Verdict]) -> list[Incident]:
    """Opens an incident for each alarm that has none open, and ends those whose verdict is that nothing is wrong.

    One whose subject was not judged, as most are not in a run that failed, stays as it is. A check moves them beside a
    run that holds the warehouse's lock, so each commit follows what was read at once, or all is read again.

    Args:
        run_id: of the run it is found with; None when a check finds it.
    Returns:
        those that it opened.
    """
    while True:
        version = warehouse.version(TABLE) if warehouse.exists(TABLE) else None
        events = list(_events(every(warehouse, version) if version is not None else [], run_id, verdicts))
        if events and version is None:
            version = warehouse.append(TABLE, pl.DataFrame(schema=SCHEMA))
        try:
            _record(warehouse, run_id, events, after=version)
        except WarehouseInUse:
            continue
        return [incident for incident, event in events if event == "opened"]


def _events(known: list[Incident], run_id: str | None, verdicts: Sequence[Verdict]) -> Iterator[tuple[Incident, Event]]:
    is_open = {(each.kind, each.subject): each for each in known if each.is_open}
    finder = run_id or f"check-{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}"
    for verdict in verdicts:
        incident = is_open.get((verdict.kind, verdict.subject))
        if verdict.level and incident is None:
            name = f"{finder}/{verdict.kind}/{verdict.subject}"
            yield Incident(name, verdict.kind, verdict.subject, verdict.level, verdict.detail, run_id, ()), "opened"
        elif not verdict.level and incident is not None:
            yield incident, "recovered"


def untold(warehouse: Warehouse) -> list[Message]:
    """What nobody was told yet, oldest first."""
    messages = []
    for incident in every(warehouse):
        if incident.lacks("opened", "told"):
            messages.append(Message(incident, "told"))
        if incident.lacks("recovered", "recovery_told"):
            messages.append(Message(incident, "recovery_told"))
    return messages


def record_told(warehouse: Warehouse, run_id: str | None, messages: Iterable[Message]) -> None:
    _record(warehouse, run_id, [(message.incident, message.event) for message in messages])


def _record(
    warehouse: Warehouse, run_id: str | None, events: list[tuple[Incident, Event]], after: int | None = None
) -> None:
    if events:
        now = datetime.now(UTC)
        rows = [
            (each.incident_id, each.kind, each.subject, each.level, event, now, run_id, each.detail)
            for each, event in events
        ]
        warehouse.append(TABLE, pl.DataFrame(rows, schema=SCHEMA, orient="row"), after=after)
