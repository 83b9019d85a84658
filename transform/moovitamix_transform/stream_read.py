"""One stream in one read: what is buffered of it, and what is known of its end."""

from dataclasses import dataclass, field
from datetime import UTC, datetime

import polars as pl

from moovitamix_transform.messages import Records, StateLine
from moovitamix_transform.protocol import StreamStatus
from moovitamix_transform.sources import record_frame


@dataclass
class StreamRead:
    generation_id: int
    is_new_generation: bool  # and nothing of it is committed yet
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    completed_at: datetime | None = None  # of its status COMPLETE, whatever else is known of the read
    is_ended: bool = False
    odd_count: int = 0  # lines that name the stream but are no record of it
    state: StateLine | None = None  # accepted, not committed yet
    _ordinals: list[int] = field(default_factory=list)
    _emitted_at: list[int] = field(default_factory=list)
    _data: list[bytes] = field(default_factory=list)
    _since_state: int = 0  # records, and lines that name the stream, since its last STATE
    _unreadable_at_state: int = 0  # the read's unreadable lines at its last STATE
    _is_distrusted: bool = False  # a STATE claimed more records than came: no later one is taken either

    @property
    def has_news(self) -> bool:
        return bool(self._data or self.state)

    def take_records(self, first_ordinal: int, records: Records) -> None:
        self._ordinals.extend(range(first_ordinal, first_ordinal + len(records.data)))
        self._emitted_at.extend(records.emitted_at)
        self._data.extend(records.data)
        self._since_state += len(records.data)

    def take_odd(self) -> None:
        self.odd_count += 1
        self._since_state += 1

    def take_state(self, line: StateLine, unreadable: int) -> str | None:
        """Accepts the state, or says why not.

        Args:
            unreadable: lines of the read so far that name no stream; each may have been a record of this one.
        """
        came = self._since_state + unreadable - self._unreadable_at_state
        claimed = line.state.source_stats.record_count if line.state.source_stats else None
        self._since_state, self._unreadable_at_state = 0, unreadable
        if claimed is not None and claimed > came:
            self._is_distrusted = True
            return (
                f"expected the {claimed:.0f} records its STATE claims, got {came} since the STATE before; "
                "that STATE was not committed, nor any after it; the records that came are landed"
            )
        if not self._is_distrusted:
            self.state = line
        return None

    def take_status(self, status: StreamStatus, at: datetime) -> None:
        self.is_ended = self.is_ended or status.status in ("COMPLETE", "INCOMPLETE")
        if status.status == "COMPLETE":
            self.completed_at = at

    def committed(self) -> None:
        self._ordinals, self._emitted_at, self._data, self.state = [], [], [], None
        self.is_new_generation = False

    def frame(self, run_id: str) -> pl.DataFrame:
        """The buffered records as rows of the source table."""
        return record_frame(run_id, self.generation_id, self._ordinals, self._emitted_at, self._data)
