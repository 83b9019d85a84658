"""One judgement of an alarm: of what, how bad, and the numbers behind it."""

from dataclasses import dataclass
from typing import Literal

from moovitamix_transform.runs import Alarm, Level

Kind = Literal["run", "zero_rows", "freshness", "volume", "nulls", "quarantine", "duration"]
KINDS: tuple[Kind, ...] = ("run", "zero_rows", "freshness", "volume", "nulls", "quarantine", "duration")


@dataclass(frozen=True)
class Verdict:
    """`subject` is a stream, a column (`table.column`), or `run`; `level` is None when nothing is wrong."""

    kind: Kind
    subject: str
    level: Level | None
    detail: str

    @property
    def alarm(self) -> Alarm | None:
        return Alarm(self.kind, self.subject, self.level, self.detail) if self.level else None
