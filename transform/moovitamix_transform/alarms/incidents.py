"""_meta/incidents: alarms that last, from the run that found them to the run that found them gone; who was told of it.

Each row is something that happened to an incident, and is committed before anyone is told, then once more when they
were. So a message is sent at least once: killed in between, the next run sends it; killed between the message and its
row, the next run sends it again. At most once would be the other order, and would lose the message that matters.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

import polars as pl

from moovitamix_transform.alarms.verdict import Verdict
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
    """`run_id` is that of the run that found it. `detail` says what it found; no row of the data is quoted in it."""

    incident_id: str
    kind: str
    subject: str
    level: str
    detail: str
    run_id: str
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


def every(warehouse: Warehouse) -> list[Incident]:
    """Each incident once, oldest first."""
    if not warehouse.exists(TABLE):
        return []
    found: dict[str, Incident] = {}
    for row in warehouse.scan(TABLE).sort("at", maintain_order=True).collect().iter_rows(named=True):
        known = found.get(row["incident_id"])
        first = {name: row[name] for name in ("incident_id", "kind", "subject", "level", "detail", "run_id")}
        if known is None:
            found[row["incident_id"]] = Incident(**first, events=(row["event"],))
        else:
            found[row["incident_id"]] = Incident(**{**vars(known), "events": (*known.events, row["event"])})
    return list(found.values())


def move(warehouse: Warehouse, run_id: str, verdicts: Sequence[Verdict]) -> None:
    """Opens an incident for each alarm that has none open, and ends those whose verdict is that nothing is wrong.

    One whose subject was not judged, as most are not in a run that failed, stays as it is.
    """
    known = {(each.kind, each.subject): each for each in every(warehouse) if each.is_open}
    events: list[tuple[Incident, Event]] = []
    for verdict in verdicts:
        incident = known.get((verdict.kind, verdict.subject))
        if verdict.level and incident is None:
            name = f"{run_id}/{verdict.kind}/{verdict.subject}"
            made = Incident(name, verdict.kind, verdict.subject, verdict.level, verdict.detail, run_id, ())
            events.append((made, "opened"))
        elif not verdict.level and incident is not None:
            events.append((incident, "recovered"))
    _record(warehouse, run_id, events)


def untold(warehouse: Warehouse) -> list[Message]:
    """What nobody was told yet, oldest first."""
    messages = []
    for incident in every(warehouse):
        if incident.lacks("opened", "told"):
            messages.append(Message(incident, "told"))
        if incident.lacks("recovered", "recovery_told"):
            messages.append(Message(incident, "recovery_told"))
    return messages


def record_told(warehouse: Warehouse, run_id: str, messages: Iterable[Message]) -> None:
    _record(warehouse, run_id, [(message.incident, message.event) for message in messages])


def _record(warehouse: Warehouse, run_id: str, events: list[tuple[Incident, Event]]) -> None:
    if events:
        now = datetime.now(UTC)
        rows = [
            (each.incident_id, each.kind, each.subject, each.level, event, now, run_id, each.detail)
            for each, event in events
        ]
        warehouse.append(TABLE, pl.DataFrame(rows, schema=SCHEMA, orient="row"))
