"""One line of a connector's stdout → one Airbyte message, or an odd line with the rule it breaks."""

from collections.abc import Container
from dataclasses import dataclass
from typing import Literal

import msgspec

OddRule = Literal["not_json", "not_a_message", "unknown_stream"]

# What each rule expects, for the quarantine's `detail`.
ODD_RULES: dict[OddRule, str] = {
    "not_json": "expected one JSON object in UTF-8 a line",
    "not_a_message": "expected an Airbyte message with its required fields",
    "unknown_stream": "expected one of the streams tracks, users, listen_history",
}

# emitted_at is milliseconds; Python's datetime, and so every reader of the tables, ends with the year 9999.
EMITTED_AT_RANGE = (-62_135_596_800_000, 253_402_300_799_999)


class Record(msgspec.Struct):
    stream: str
    data: msgspec.Raw
    emitted_at: int


class RecordMessage(msgspec.Struct, tag_field="type", tag="RECORD"):
    record: Record


class StreamDescriptor(msgspec.Struct):
    name: str


class StreamState(msgspec.Struct):
    stream_descriptor: StreamDescriptor


class StateStats(msgspec.Struct, rename="camel"):
    record_count: float | None = None


class State(msgspec.Struct):
    """`type` is absent in the oldest form of a state, which is LEGACY."""

    type: str = "LEGACY"
    stream: msgspec.Raw = msgspec.Raw(b"null")
    source_stats: StateStats | None = msgspec.field(default=None, name="sourceStats")


class StateMessage(msgspec.Struct, tag_field="type", tag="STATE"):
    state: State


class Log(msgspec.Struct):
    message: str
    level: str = "INFO"


class LogMessage(msgspec.Struct, tag_field="type", tag="LOG"):
    log: Log


class TraceError(msgspec.Struct):
    message: str
    internal_message: str | None = None
    failure_type: str | None = None


class StreamStatus(msgspec.Struct):
    stream_descriptor: StreamDescriptor
    status: str


class Estimate(msgspec.Struct):
    name: str
    row_estimate: int | None = None


class Trace(msgspec.Struct):
    type: str
    emitted_at: float | None = None
    error: TraceError | None = None
    stream_status: StreamStatus | None = None
    estimate: Estimate | None = None


class TraceMessage(msgspec.Struct, tag_field="type", tag="TRACE"):
    trace: Trace


class ControlMessage(msgspec.Struct, tag_field="type", tag="CONTROL"):
    pass


class SpecMessage(msgspec.Struct, tag_field="type", tag="SPEC"):
    pass


class CatalogMessage(msgspec.Struct, tag_field="type", tag="CATALOG"):
    pass


class ConnectionStatusMessage(msgspec.Struct, tag_field="type", tag="CONNECTION_STATUS"):
    pass


@dataclass(frozen=True)
class OddLine:
    """A line that is no message we can land. `stream` is None when the line does not name one."""

    rule: OddRule
    text: str
    stream: str | None = None


@dataclass(frozen=True)
class StateLine:
    """A STATE message with the bytes it came in, which are what is echoed."""

    line: bytes
    state: State


# A line that is read to its end and has no consequence: CONTROL, SPEC, CATALOG, CONNECTION_STATUS.
Message = (
    RecordMessage
    | StateMessage
    | LogMessage
    | TraceMessage
    | ControlMessage
    | SpecMessage
    | CatalogMessage
    | ConnectionStatusMessage
)
_decoder: msgspec.json.Decoder[Message] = msgspec.json.Decoder(Message)
_state_stream: msgspec.json.Decoder[StreamState] = msgspec.json.Decoder(StreamState)


def read_block(block: bytes, streams: Container[str]) -> list[Message | OddLine | StateLine]:
    """The messages of a block of whole lines, in their order; blank lines are no messages.

    One call for the whole block; only a block with an odd line or a STATE in it is gone through line by line.
    """
    try:
        if not block.isascii():
            block.decode()  # msgspec does not look into raw text
        messages = _decoder.decode_lines(block)
        if all(_is_plain(message, streams) for message in messages):
            return list(messages)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        pass
    return [read_line(line, streams) for line in block.split(b"\n") if line.strip()]


def _is_plain(message: Message, streams: Container[str]) -> bool:
    """The line it came in is not needed any more."""
    if type(message) is RecordMessage:
        return message.record.stream in streams and _is_sound(message.record)
    return type(message) is not StateMessage


def _is_sound(record: Record) -> bool:
    return bytes(record.data).startswith(b"{") and EMITTED_AT_RANGE[0] <= record.emitted_at <= EMITTED_AT_RANGE[1]


def read_line(line: bytes, streams: Container[str]) -> Message | OddLine | StateLine:
    try:
        text = line.decode()
        message = _decoder.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return _odd(line)
    if type(message) is StateMessage:
        return StateLine(line, message.state)
    if type(message) is RecordMessage:
        if not _is_sound(message.record):
            return OddLine("not_a_message", text, message.record.stream)
        if message.record.stream not in streams:
            return OddLine("unknown_stream", text, message.record.stream)
    return message


def _odd(line: bytes) -> OddLine:
    try:
        text = line.decode()
        content = msgspec.json.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return OddLine("not_json", line.decode(errors="backslashreplace"))
    record = content.get("record") if isinstance(content, dict) else None
    stream = record.get("stream") if isinstance(record, dict) else None
    return OddLine("not_a_message", text, stream if isinstance(stream, str) else None)


def state_stream_name(state: State) -> str | None:
    """The stream a STREAM state belongs to; None when it does not say."""
    try:
        return _state_stream.decode(state.stream).stream_descriptor.name
    except msgspec.MsgspecError:
        return None
