"""Airbyte messages → source tables: every line ends up in exactly one of them, states move only with their data."""

import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

import polars as pl

from moovitamix_transform import origins
from moovitamix_transform.blocks import IDLE
from moovitamix_transform.masking import mask
from moovitamix_transform.messages import Entry, OddLine, Records, StateLine, read_block, state_stream_name
from moovitamix_transform.protocol import LogMessage, StreamStatus, Trace, TraceError, TraceMessage
from moovitamix_transform.sources import GENERATIONS, LINES, path
from moovitamix_transform.stream_read import StreamRead
from moovitamix_transform.streams import STREAMS
from moovitamix_transform.warehouse import Metadata, Warehouse

FLUSH_BYTES = 32 * 1024 * 1024
FLUSH_SECONDS = 5.0
IDLE_SECONDS = 0.5
# What the CDK tells at the end, of no stream, with the exceptions of those it has told of before.
_CDK_SUMMARY = "During the sync, the following streams did not sync successfully"
ENTRY_BYTES = 200  # what a buffered record or line costs beyond its text: a million empty ones are not small


class Listener(Protocol):
    """Who is told how the read goes."""

    def received(self, counts: Counter[str | None]) -> None:
        """Lines received so far, per stream; None counts the lines that name no stream."""

    def estimate(self, stream: str, rows: int) -> None: ...

    def log(self, level: str, message: str) -> None: ...

    def failed(self) -> None:
        """The source says why it fails, as its LOG messages before may have said: no need to tell both."""


@dataclass
class Landing:
    """One read of a source: all that `read` is given is in the source tables when it returns; then `finish`.

    Args:
        full_refresh: the incremental streams that are read as a new generation.
        echo: is given each STATE line, byte for byte, once its records are committed.
    Attributes:
        received: lines per stream; None counts those that name no stream.
        failures: why the read is not a good one; empty when it is. What came is committed all the same.
        failure_type: Airbyte's, of the first error that the source told: it is the precise one.
    """

    warehouse: Warehouse
    run_id: str
    listener: Listener
    echo: Callable[[bytes], None]
    full_refresh: frozenset[str] = frozenset()
    received: Counter[str | None] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    failure_type: str | None = None
    _streams: dict[str, StreamRead] = field(default_factory=dict)
    _lines: list[tuple[str, str, datetime, str | None, str, str]] = field(default_factory=list)
    _states: list[StateLine] = field(default_factory=list)
    _ordinal: int = 0
    _unreadable: int = 0
    _buffered_bytes: int = 0
    _buffered_since: float | None = None
    _has_statuses: bool = False
    _distrusted: set[str] = field(default_factory=set)  # streams that may have lost records, whatever their status says
    _broken: dict[str, int] = field(default_factory=dict)  # by stream, the place of its error in `failures`
    _newest: dict[str, tuple[int, Metadata]] = field(default_factory=dict)  # each source table's version, what it says

    def __post_init__(self) -> None:
        # Before the source is asked: what others commit from now on, a state of this read knows nothing of. So each
        # commit follows these at once, or fails.
        for name in STREAMS:
            version = self.warehouse.version(path(name))
            self._newest[name] = version, self.warehouse.metadata(path(name), version)

    def read(self, blocks: Iterable[bytes]) -> None:
        """Lands blocks, committing by size, by time, and, when nothing comes, what a STATE waits for."""
        for block in blocks:
            for entry in read_block(block, STREAMS):
                self._take(entry)
            self.listener.received(self.received)
            if self._is_due() or (block == IDLE and self._states):
                self._flush()
        self._flush()

    def finish(self, failure: str | None = None) -> None:
        """Says of each generation whether it is complete.

        Args:
            failure: why the end of the input is no good one.
        """
        if failure and not self.failures:
            self.failures.append(failure)
        self._require_ends()
        for name, stream in self._streams.items():
            if stream.is_new_generation:  # not one record: the generation is opened all the same
                self._commit(name, stream)
            if not self._has_statuses and not self.failures:
                stream.completed_at = datetime.now(UTC)
            if name in self._distrusted:
                stream.completed_at = None
        if self._streams:
            reads = [
                (name, each.generation_id, self.run_id, each.started_at, each.completed_at, each.odd_count)
                for name, each in self._streams.items()
            ]
            frame = pl.DataFrame(reads, schema=GENERATIONS, orient="row")
            rows = frame.with_columns(pl.col("unreadable_count") + self._unreadable)
            self.warehouse.append("_meta/generations", rows, run_id=self.run_id)

    def was_left_out(self, name: str) -> bool:
        """The source says how each stream that it read ended, and says nothing of this one."""
        return self._has_statuses and name not in self._streams

    def distrust(self, name: str, why: str) -> None:
        """Before `finish`: a stream's read is no good one, whatever its status says: it shows no key to be gone."""
        self.failures.append(why)
        self._distrusted.add(name)

    @property
    def generations(self) -> dict[str, int]:
        """The generation each stream of this read belongs to."""
        return {name: stream.generation_id for name, stream in self._streams.items()}

    def _take(self, entry: Entry) -> None:
        if isinstance(entry, Records):
            self._take_records(entry)
            return
        self._ordinal += 1
        if isinstance(entry, StateLine):
            self._take_state(entry)
        elif isinstance(entry, OddLine):
            self._take_odd(entry)
        elif isinstance(entry, LogMessage):
            self.listener.log(entry.log.level.upper(), mask(entry.log.message))
        elif isinstance(entry, TraceMessage):
            self._take_trace(entry.trace)

    def _take_records(self, records: Records) -> None:
        self._stream(records.stream).take_records(self._ordinal + 1, records)
        count = len(records.data)
        self._ordinal += count
        self.received[records.stream] += count
        self._buffer(sum(map(len, records.data)) + count * ENTRY_BYTES)

    def _take_odd(self, odd: OddLine) -> None:
        raw_id = f"{self.run_id}-{self._ordinal:09}"
        self._lines.append((raw_id, self.run_id, datetime.now(UTC), odd.stream, odd.rule, odd.text))
        self.received[odd.stream] += 1
        if odd.stream is None:
            self._unreadable += 1
        elif odd.stream in STREAMS:
            self._stream(odd.stream).take_odd()
        self._buffer(len(odd.text) + ENTRY_BYTES)

    def _take_state(self, line: StateLine) -> None:
        name = state_stream_name(line.state)
        if line.state.type != "STREAM" or name is None:
            got = line.state.type if line.state.type != "STREAM" else "one that names no stream"
            self.failures.append(
                f"expected STATE messages of type STREAM, got {got}; it was not committed, what came with it is landed"
            )
        elif name not in STREAMS:
            self._take_odd(OddLine("unknown_stream", line.line.decode(), name))
        else:
            stream = self._stream(name)
            refusal = stream.take_state(line, self._unreadable)
            if refusal is not None:
                self.distrust(name, f"{name}: {refusal}")
            if stream.state is line:
                self._states.append(line)
                self._buffer(len(line.line) + ENTRY_BYTES)

    def _take_trace(self, trace: Trace) -> None:
        if trace.error is not None:
            self._take_error(trace.error)
        elif trace.estimate is not None and trace.estimate.row_estimate is not None:
            self.listener.estimate(trace.estimate.name, trace.estimate.row_estimate)
        elif trace.stream_status is not None:
            self._take_status(trace.stream_status, _instant(trace.emitted_at))

    def _take_error(self, error: TraceError) -> None:
        self.listener.failed()
        self.failure_type = self.failure_type or error.failure_type
        if self._broken and error.message.startswith(_CDK_SUMMARY):
            return
        if error.stream_descriptor is not None:
            self._broken.setdefault(error.stream_descriptor.name, len(self.failures))
            self._distrusted.add(error.stream_descriptor.name)
        else:
            self._distrusted.update(STREAMS)
        self.failures.append(mask(error.message))

    def _take_status(self, status: StreamStatus, at: datetime) -> None:
        self._has_statuses = True
        name = status.stream_descriptor.name
        if status.status == "INCOMPLETE" and name in self._broken:
            came = f"What came of {name} is landed" if self.received[name] else f"Nothing came of {name}"
            self.failures[self._broken[name]] += f" {came}."
        elif status.status == "INCOMPLETE":
            self.distrust(name, f"{name}: the source ended it INCOMPLETE; what came of it is landed")
        if name in STREAMS:
            self._stream(name).take_status(status, at)

    def _stream(self, name: str) -> StreamRead:
        """The stream's read; its generation is decided when it is first heard of.

        Raises WrongOrigin, before anything of it is written, when it is fed by files.
        """
        if name not in self._streams:
            origins.require(self.warehouse, name, "messages")
            last = int(self._newest[name][1].get("generation_id") or 0)
            is_new = last == 0 or not STREAMS[name].incremental or name in self.full_refresh
            self._streams[name] = StreamRead(last + is_new, is_new)
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
            rows = pl.DataFrame(self._lines, schema=LINES, orient="row")
            self.warehouse.append(path("_lines"), rows, run_id=self.run_id)
            self._lines = []
        for name, stream in self._streams.items():
            if stream.has_news:
                self._commit(name, stream)
        states, self._states = self._states, []
        for line in states:
            self.echo(line.line)
        self._buffered_bytes, self._buffered_since = 0, None

    def _commit(self, name: str, stream: StreamRead) -> None:
        version, before = self._newest[name]
        state = bytes(stream.state.state.stream).decode() if stream.state else before.get("state")
        moved = {"run_id": self.run_id, "generation_id": stream.generation_id, "state": state, "origin": "messages"}
        metadata = {**before, **moved}
        rows = stream.frame(self.run_id)
        version = self.warehouse.append(path(name), rows, metadata, after=version, run_id=self.run_id)
        self._newest[name] = version, metadata
        stream.committed()

    def _require_ends(self) -> None:
        """A source that speaks of statuses at all ends each stream with one."""
        for name, stream in self._streams.items():
            if self._has_statuses and not stream.is_ended:
                self.failures.append(
                    f"{name}: expected the status COMPLETE, but the input ended without it; what came of it is landed"
                )


def _instant(milliseconds: float | None) -> datetime:
    """A TRACE's emitted_at; now, when it has none that a calendar knows."""
    try:
        return datetime.fromtimestamp((milliseconds or 0) / 1000, UTC) if milliseconds else datetime.now(UTC)
    except (OverflowError, ValueError, OSError):
        return datetime.now(UTC)
