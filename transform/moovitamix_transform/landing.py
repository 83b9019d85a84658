"""Airbyte messages → source tables: every line ends up in exactly one of them, states move only with their data."""

import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

import polars as pl

from moovitamix_transform.blocks import IDLE
from moovitamix_transform.masking import mask
from moovitamix_transform.messages import (
    LogMessage,
    Message,
    OddLine,
    Record,
    RecordMessage,
    StateLine,
    Trace,
    TraceMessage,
    read_block,
    state_stream_name,
)
from moovitamix_transform.sources import GENERATIONS, LINES, RECORDS, path, record_frame
from moovitamix_transform.streams import STREAMS
from moovitamix_transform.warehouse import Warehouse

FLUSH_BYTES = 32 * 1024 * 1024
FLUSH_SECONDS = 5.0
IDLE_SECONDS = 0.5


class Listener(Protocol):
    """Who is told how the read goes."""

    def received(self, counts: Counter[str | None]) -> None:
        """Lines received so far, per stream; None counts the lines that name no stream."""

    def estimate(self, stream: str, rows: int) -> None: ...

    def log(self, level: str, message: str) -> None: ...


@dataclass
class StreamRead:
    """One stream in one read: what is buffered of it, and what is known of its end."""

    generation_id: int
    is_new_generation: bool
    started_at: datetime
    completed_at: datetime | None = None
    is_ended: bool = False
    ordinals: list[int] = field(default_factory=list)
    emitted_at: list[int] = field(default_factory=list)
    data: list[bytes] = field(default_factory=list)
    odd_count: int = 0  # lines that name the stream but are no record of it
    since_state: int = 0  # records, and lines that name the stream, since its last STATE
    unreadable_at_state: int = 0  # the read's unreadable lines at its last STATE
    state: StateLine | None = None  # accepted, not committed yet
    is_distrusted: bool = False  # a STATE claimed more records than came: no later one is taken either


@dataclass
class Landing:
    """One read of a source: all that `read` is given is in the source tables when it returns.

    Args:
        full_refresh: the incremental streams that are read as a new generation.
        echo: is given each STATE line, byte for byte, once its records are committed.
    Attributes:
        received: lines per stream; None counts those that name no stream.
        failures: why the read is not a good one; empty when it is. What came is committed all the same.
    """

    warehouse: Warehouse
    run_id: str
    listener: Listener
    echo: Callable[[bytes], None]
    full_refresh: frozenset[str] = frozenset()
    received: Counter[str | None] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    _streams: dict[str, StreamRead] = field(default_factory=dict)
    _lines: list[tuple[str, str, datetime, str | None, str, str]] = field(default_factory=list)
    _states: list[tuple[str, StateLine]] = field(default_factory=list)
    _ordinal: int = 0
    _unreadable: int = 0
    _buffered_bytes: int = 0
    _buffered_since: float | None = None
    _has_statuses: bool = False

    def read(self, blocks: Iterable[bytes]) -> None:
        """Lands every block, committing by size, by time, and as soon as nothing more comes."""
        for block in blocks:
            if block == IDLE:
                self._flush()
                continue
            for message in read_block(block, STREAMS):
                self._take(message)
            self.listener.received(self.received)
            if self._is_due():
                self._flush()
        self._finish()

    def _take(self, message: Message | OddLine | StateLine) -> None:
        self._ordinal += 1
        if type(message) is RecordMessage:
            self._take_record(message.record)
        elif isinstance(message, StateLine):
            self._take_state(message)
        elif isinstance(message, OddLine):
            self._take_odd(message)
        elif isinstance(message, LogMessage):
            self.listener.log(message.log.level.upper(), mask(message.log.message))
        elif isinstance(message, TraceMessage):
            self._take_trace(message.trace)

    def _take_record(self, record: Record) -> None:
        stream = self._stream(record.stream)
        data = bytes(record.data)  # a copy: the raw one keeps its whole block alive
        stream.ordinals.append(self._ordinal)
        stream.emitted_at.append(record.emitted_at)
        stream.data.append(data)
        stream.since_state += 1
        self.received[record.stream] += 1
        self._buffer(len(data))

    def _take_odd(self, odd: OddLine) -> None:
        raw_id = f"{self.run_id}-{self._ordinal:09}"
        self._lines.append((raw_id, self.run_id, datetime.now(UTC), odd.stream, odd.rule, odd.text))
        self.received[odd.stream] += 1
        if odd.stream is None:
            self._unreadable += 1
        elif odd.stream in STREAMS:
            self._stream(odd.stream).since_state += 1
            self._stream(odd.stream).odd_count += 1
        self._buffer(len(odd.text))

    def _take_state(self, line: StateLine) -> None:
        name = state_stream_name(line.state)
        if line.state.type != "STREAM" or name is None:
            self.failures.append(
                f"expected STATE messages of type STREAM, got {line.state.type}; it was not committed, "
                "what came with it is landed"
            )
            return
        if name not in STREAMS:
            self._take_odd(OddLine("unknown_stream", line.line.decode(), name))
            return
        stream = self._stream(name)
        came = stream.since_state + self._unreadable - stream.unreadable_at_state
        claimed = line.state.source_stats.record_count if line.state.source_stats else None
        if claimed is not None and claimed > came:
            stream.is_distrusted = True
            self.failures.append(
                f"{name}: expected the {claimed:.0f} records its STATE claims, got {came} since the STATE before; "
                "that STATE was not committed, the records that came are landed"
            )
        stream.since_state, stream.unreadable_at_state = 0, self._unreadable
        if not stream.is_distrusted:
            stream.state = line
            self._states.append((name, line))
            self._buffer(len(line.line))

    def _take_trace(self, trace: Trace) -> None:
        if trace.error is not None:
            self.failures.append(mask(trace.error.message))
        elif trace.estimate is not None and trace.estimate.row_estimate is not None:
            self.listener.estimate(trace.estimate.name, trace.estimate.row_estimate)
        elif trace.stream_status is not None:
            self._has_statuses = True
            name, status = trace.stream_status.stream_descriptor.name, trace.stream_status.status
            if status == "INCOMPLETE":
                self.failures.append(f"{name}: the source ended it INCOMPLETE; what came of it is landed")
            if name in STREAMS:
                stream = self._stream(name)
                stream.is_ended = stream.is_ended or status in ("COMPLETE", "INCOMPLETE")
                if status == "COMPLETE":
                    stream.completed_at = _instant(trace.emitted_at)

    def _stream(self, name: str) -> StreamRead:
        """The stream's read; its generation is decided when it is first heard of."""
        if name not in self._streams:
            last = int(self.warehouse.metadata(path(name)).get("generation_id") or 0)
            is_new = last == 0 or not STREAMS[name].incremental or name in self.full_refresh
            self._streams[name] = StreamRead(last + is_new, is_new, started_at=datetime.now(UTC))
        return self._streams[name]

    def _buffer(self, size: int) -> None:
        self._buffered_bytes += size
        if self._buffered_since is None:
            self._buffered_since = time.monotonic()

    def _is_due(self) -> bool:
        if self._buffered_since is None:
            return False
        return self._buffered_bytes >= FLUSH_BYTES or time.monotonic() - self._buffered_since >= FLUSH_SECONDS

    def _flush(self) -> None:
        """Commits all that is buffered: lines first, then each stream's records with its state, then echoes."""
        if self._buffered_since is None:
            return
        if self._lines:
            self.warehouse.append(path("_lines"), pl.DataFrame(self._lines, schema=LINES, orient="row"))
            self._lines = []
        for name, stream in self._streams.items():
            if stream.data or stream.state:
                self._commit(name, stream)
        states, self._states = self._states, []
        for _, line in states:
            self.echo(line.line)
        self._buffered_bytes, self._buffered_since = 0, None

    def _commit(self, name: str, stream: StreamRead) -> None:
        before = self.warehouse.metadata(path(name))
        rows = pl.DataFrame(schema=RECORDS)
        if stream.data:
            rows = record_frame(self.run_id, stream.generation_id, stream.ordinals, stream.emitted_at, stream.data)
        state = bytes(stream.state.state.stream).decode() if stream.state else before.get("state")
        self.warehouse.append(
            path(name), rows, {"run_id": self.run_id, "generation_id": stream.generation_id, "state": state}
        )
        stream.ordinals, stream.emitted_at, stream.data, stream.state = [], [], [], None
        stream.is_new_generation = False

    def _finish(self) -> None:
        self._flush()
        if self._has_statuses:
            for name, stream in self._streams.items():
                if not stream.is_ended:
                    self.failures.append(
                        f"{name}: expected the status COMPLETE, but the input ended without it; "
                        "what came of it is landed"
                    )
        reads = []
        for name, stream in self._streams.items():
            if stream.is_new_generation:  # not one record: the generation is opened all the same
                self._commit(name, stream)
            completed_at = stream.completed_at
            if not self._has_statuses and not self.failures:
                completed_at = datetime.now(UTC)
            unreadable = self._unreadable + stream.odd_count
            reads.append((name, stream.generation_id, self.run_id, stream.started_at, completed_at, unreadable))
        if reads:
            self.warehouse.append("_meta/generations", pl.DataFrame(reads, schema=GENERATIONS, orient="row"))


def _instant(milliseconds: float | None) -> datetime:
    """A TRACE's emitted_at; now, when it has none."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC) if milliseconds else datetime.now(UTC)
