"""What every row of a destination's file has, whatever its format: a record, and what Airbyte put around it."""

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec

from moovitamix_transform.messages import EMITTED_AT_RANGE, OddLine

META = "_airbyte_"
DATA = "_airbyte_data"
_LARGEST = 2**62 - 1  # so that there is a number that no generation has: see `marts.deletions`


class _Meta(msgspec.Struct):
    changes: list[msgspec.Raw] | None = None


_meta: msgspec.json.Decoder[_Meta] = msgspec.json.Decoder(_Meta)
_object: msgspec.json.Decoder[dict[str, msgspec.Raw]] = msgspec.json.Decoder(dict[str, msgspec.Raw])


@dataclass(frozen=True)
class Row:
    """Attributes:
    extracted_at: microseconds since 1970.
    data: the record's JSON text.
    is_changed: Airbyte nulled or cut a value of it before it was written.
    """

    raw_id: str
    extracted_at: int
    generation_id: int
    data: bytes
    is_changed: bool = False

    @property
    def is_sound(self) -> bool:
        earliest, latest = EMITTED_AT_RANGE
        is_in_calendar = earliest <= self.extracted_at // 1000 <= latest
        return bool(self.raw_id) and is_in_calendar and 0 <= self.generation_id <= _LARGEST


@dataclass
class Batch:
    """Consecutive rows of a file: records as columns, and what is none. Numbers are the file's lines or rows, from 1.

    As columns, since a file has millions of them.
    """

    numbers: list[int] = field(default_factory=list)
    raw_ids: list[str] = field(default_factory=list)
    extracted_at: list[int] = field(default_factory=list)
    generation_ids: list[int] = field(default_factory=list)
    data: list[bytes] = field(default_factory=list)
    odd: list[tuple[int, OddLine]] = field(default_factory=list)
    changed_count: int = 0

    def take(self, number: int, row: Row | OddLine) -> None:
        if isinstance(row, OddLine):
            self.odd.append((number, row))
            return
        self.numbers.append(number)
        self.raw_ids.append(row.raw_id)
        self.extracted_at.append(row.extracted_at)
        self.generation_ids.append(row.generation_id)
        self.data.append(row.data)
        self.changed_count += row.is_changed

    def __len__(self) -> int:
        return len(self.numbers) + len(self.odd)

    @property
    def last_number(self) -> int:
        """0 where there is none."""
        return max(self.numbers[-1:] + [number for number, _ in self.odd[-1:]], default=0)

    def after(self, record: int, odd: int) -> "Batch":
        """The records and the odd lines with a higher number."""
        at = bisect_right(self.numbers, record)
        return Batch(
            self.numbers[at:],
            self.raw_ids[at:],
            self.extracted_at[at:],
            self.generation_ids[at:],
            self.data[at:],
            [each for each in self.odd if each[0] > odd],
        )

    def extend(self, other: "Batch") -> None:
        self.numbers += other.numbers
        self.raw_ids += other.raw_ids
        self.extracted_at += other.extracted_at
        self.generation_ids += other.generation_ids
        self.data += other.data
        self.odd += other.odd


def fields_of(text: bytes | str) -> dict[str, msgspec.Raw]:
    """A JSON object's fields in their order. Raises MsgspecError when the text is none."""
    return _object.decode(text)


def has_changes(meta: bytes) -> bool:
    """Of an `_airbyte_meta`, an object or a text of one; one that says nothing we know of tells no change."""
    if meta.find(b'"changes":[]') > 0:
        return False
    try:
        text = msgspec.json.decode(meta, type=str).encode() if meta[:1] == b'"' else meta
        return bool(_meta.decode(text).changes)
    except msgspec.MsgspecError:
        return False


def joined(fields: Iterable[tuple[str, bytes]]) -> bytes:
    """The JSON object of a flattened record. Nulls are left out, as the source leaves them out: absent is null."""
    return (
        b"{" + b",".join(msgspec.json.encode(name) + b":" + value for name, value in fields if value != b"null") + b"}"
    )
