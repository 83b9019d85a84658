"""One judgement of an alarm: of what, how bad, and the numbers behind it."""

from dataclasses import dataclass
from typing import Literal, get_args

from moovitamix_transform.runs import Alarm, Level

Kind = Literal["run", "zero_rows", "freshness", "volume", "nulls", "quarantine", "duration", "check"]
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True)
class Verdict:
    """`subject` is a stream, a column (`table.column`), `run`, `lines`, or what a check failed of; `level` is None when
    nothing is wrong."""

    kind: Kind
    subject: str
    level: Level | None
    detail: str

    @property
    def alarm(self) -> Alarm | None:
        return Alarm(self.kind, self.subject, self.level, self.detail) if self.level else None
