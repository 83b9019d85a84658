"""JSON lines of one of Airbyte's destinations, raw or flattened → the records they were made of."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import BinaryIO

import msgspec

from moovitamix_transform.files.flat_rows import META, Batch, Row, fields_of, has_changes, joined
from moovitamix_transform.messages import OddLine

BLOCK_BYTES = 1024 * 1024
_BLANKS = b" \t\r\n"
_DIGITS = re.compile("[0-9]{1,19}")


class _Envelope(msgspec.Struct, gc=False, rename=lambda name: META + name):
    raw_id: str
    extracted_at: int | str
    generation_id: int | str
    meta: msgspec.Raw = msgspec.Raw(b"{}")
    data: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


_envelope: msgspec.json.Decoder[_Envelope] = msgspec.json.Decoder(_Envelope)


def read_lines(content: BinaryIO, stream: str) -> Iterator[Batch]:
    """Blank lines say nothing. Memory: a block, or the longest line."""
    read = 0
    while lines := content.readlines(BLOCK_BYTES):
        batch = Batch()
        for number, line in enumerate(lines, read + 1):
            if line.strip(_BLANKS):
                batch.take(number, read_line(line.rstrip(b"\n"), stream))
        read += len(lines)
        yield batch


def read_line(line: bytes, stream: str) -> Row | OddLine:
    try:
        text = line.decode()  # msgspec does not look into raw text
        envelope = _envelope.decode(line)
        data = _flattened(line) if isinstance(envelope.data, msgspec.UnsetType) else _raw(bytes(envelope.data))
        at, generation_id = _microseconds(envelope.extracted_at), _integer(envelope.generation_id)
        row = Row(envelope.raw_id, at, generation_id, data, has_changes(bytes(envelope.meta)))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError):
        return _odd(line, stream)
    return row if row.is_sound else OddLine("not_a_message", text, stream)


def _raw(data: bytes) -> bytes:
    """A record that was kept as a text is that text; one kept as an object is written without spaces."""
    if data[:1] == b'"':
        text = msgspec.json.decode(data, type=str)
        fields_of(text)
        return text.encode()
    fields_of(data)
    return msgspec.json.format(data, indent=-1)


def _flattened(line: bytes) -> bytes:
    return joined((name, bytes(value)) for name, value in fields_of(line).items() if not name.startswith(META))


def _microseconds(value: int | str) -> int:
    """Of milliseconds since 1970, as a number or a text of it, or of an ISO instant, without a zone in UTC."""
    if isinstance(value, int) or _DIGITS.fullmatch(value):
        return _integer(value) * 1000
    at = datetime.fromisoformat(value)
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return round(at.timestamp() * 1_000_000)


def _integer(value: int | str) -> int:
    """Airbyte's own examples have numbers as texts."""
    if isinstance(value, str) and not _DIGITS.fullmatch(value):
        raise ValueError(value)
    return int(value)


def _odd(line: bytes, stream: str) -> OddLine:
    try:
        text = line.decode()
        msgspec.json.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return OddLine("not_json", line.decode(errors="backslashreplace"), stream)
    return OddLine("not_a_message", text, stream)
