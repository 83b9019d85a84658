"""One line of a connector's stdout → one Airbyte message, or an odd line with the rule it breaks."""

from collections.abc import Container, Iterable
from dataclasses import dataclass
from itertools import groupby

import msgspec

from moovitamix_transform.protocol import Message, RecordMessage, State, StateMessage, StreamState
from moovitamix_transform.staging.odd_rules import OddRule

# emitted_at is milliseconds; Python's datetime, and so every reader of the tables, ends with the year 9999.
EMITTED_AT_RANGE = (-62_135_596_800_000, 253_402_300_799_999)

_BLANKS = b" \t\r"  # JSON's; a form feed is no blank there


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


@dataclass(frozen=True)
class Records:
    """Consecutive records of one of the streams, as columns: `data` is each record's JSON text."""

    stream: str
    emitted_at: list[int]
    data: list[bytes]


Entry = Records | Message | OddLine | StateLine
_decoder: msgspec.json.Decoder[Message] = msgspec.json.Decoder(Message)
_state_stream: msgspec.json.Decoder[StreamState] = msgspec.json.Decoder(StreamState)


def read_block(block: bytes, streams: Container[str]) -> list[Entry]:
    """What the lines of a block say, in their order, records of a stream together; blank lines say nothing.

    One call for the whole block; only a block with an odd line or a STATE in it is gone through line by line.
    """
    messages = _decode_at_once(block)
    if messages is not None:
        entries = _together(messages)
        if all(_is_sound(entry, streams) for entry in entries if isinstance(entry, Records)):
            return entries
    return _together(read_line(line, streams) for line in block.split(b"\n") if line.strip(_BLANKS))


def _decode_at_once(block: bytes) -> list[Message] | None:
    """None when a line is not exactly one message, or when the line itself is needed, as it is of a STATE."""
    try:
        if not block.isascii():
            block.decode()  # msgspec does not look into raw text
        messages = _decoder.decode_lines(block)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    # It reads `{}{}` as two and an object over two lines as one. No object has `}` before `{`, so when every line
    # break is between those, and there is a message for each, then no line holds more or less than one.
    breaks = block.count(b"\n") - block.endswith(b"\n")
    if breaks != len(messages) - 1 or breaks != block.count(b"}\n{"):
        return None
    return None if StateMessage in set(map(type, messages)) else messages


def _together(messages: Iterable[Message | OddLine | StateLine]) -> list[Entry]:
    entries: list[Entry] = []
    for stream, group in groupby(messages, _record_stream):
        if stream is None:
            entries.extend(group)
        else:
            records = [message.record for message in group if isinstance(message, RecordMessage)]
            # bytes() copies: a raw text would keep its whole block alive
            data = [bytes(record.data) for record in records]
            entries.append(Records(stream, [record.emitted_at for record in records], data))
    return entries


def _record_stream(message: Message | OddLine | StateLine) -> str | None:
    return message.record.stream if type(message) is RecordMessage else None


def _is_sound(records: Records, streams: Container[str]) -> bool:
    return (
        records.stream in streams
        and EMITTED_AT_RANGE[0] <= min(records.emitted_at)
        and max(records.emitted_at) <= EMITTED_AT_RANGE[1]
        and {text[0] for text in records.data} == {ord("{")}
    )


def read_line(line: bytes, streams: Container[str]) -> Message | OddLine | StateLine:
    try:
        text = line.decode()
        message = _decoder.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return _odd(line)
    if type(message) is StateMessage:
        return StateLine(line, message.state)
    if type(message) is RecordMessage:
        record = message.record
        if not _is_sound(Records(record.stream, [record.emitted_at], [bytes(record.data)]), {record.stream}):
            return OddLine("not_a_message", text, record.stream)
        if record.stream not in streams:
            return OddLine("unknown_stream", text, record.stream)
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
