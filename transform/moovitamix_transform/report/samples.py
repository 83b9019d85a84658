"""Quarantined records as examples, without anything in them that could be of a person."""

import json
import re
from dataclasses import dataclass
from typing import Any

from moovitamix_transform import catalog
from moovitamix_transform.streams import STREAMS
from moovitamix_transform.warehouse import Warehouse

PER_RULE = 3
_SHOWN_CHARACTERS = 32
_SHOWN_LENGTH = 400
_FIELD_NAME = re.compile("[A-Za-z_][A-Za-z0-9_]{0,40}")
_INSTANT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:.]{5,15}Z?")
_GOT = ", got "


@dataclass(frozen=True)
class Sample:
    """One quarantined record or line. `data` and `detail` are masked."""

    stream: str | None
    rule: str
    raw_id: str
    detail: str
    data: str


def of_newest_build(warehouse: Warehouse) -> list[Sample]:
    """The newest few per stream and rule."""
    rows = (
        catalog.resolve(warehouse, "quarantine")
        .sort("extracted_at", "raw_id", descending=True)
        .group_by("stream", "rule", maintain_order=True)
        .head(PER_RULE)
        .sort("stream", "rule", nulls_last=True, maintain_order=True)
        .collect()
    )
    return [
        Sample(
            row["stream"],
            row["rule"],
            row["raw_id"],
            _masked_detail(row["detail"]),
            masked(row["stream"], row["data"]),
        )
        for row in rows.iter_rows(named=True)
    ]


def masked(stream: str | None, text: str) -> str:
    """The record with its fields' names and its key as they are, and the shape of everything else.

    `{"id": 7, "email": "ada@example.org"}` → `{"id": 7, "email": "xxx@xxxxxxx.xxx"}`. What is no JSON is a shape.
    """
    try:
        record = json.loads(text)
    except (ValueError, RecursionError):
        return _shape(text)
    key = STREAMS[stream].key if stream in STREAMS else ()
    if isinstance(record, dict):
        shown = {_name(name): value if _is_key(name, value, key) else _masked(value) for name, value in record.items()}
        return _cut(json.dumps(shown, ensure_ascii=False), _SHOWN_LENGTH)
    return _cut(json.dumps(_masked(record), ensure_ascii=False), _SHOWN_LENGTH)


def _is_key(name: str, value: object, key: tuple[str, ...]) -> bool:
    """Only what reads as a key: an address in the place of an id is what a sample must not show."""
    if name not in key or isinstance(value, bool):
        return False
    return isinstance(value, int) or (isinstance(value, str) and _INSTANT.fullmatch(value) is not None)


def _masked(value: Any) -> Any:  # noqa: ANN401 - what JSON holds
    if isinstance(value, dict):
        return {_name(name): _masked(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_masked(each) for each in value]
    if value is None:
        return None
    return f"({type(value).__name__})" if isinstance(value, bool) else _shape(str(value))


def _masked_detail(detail: str) -> str:
    """`duration: expected minutes:seconds, such as 3:45, got "00:00"`."""
    expected, got, value = detail.partition(_GOT)
    return f"{expected}{got}{value if value == 'null' else _shape(value)}" if got else detail


def _name(name: str) -> str:
    """A field's name; what cannot be one (an address as the key of a map) is a value."""
    return name if _FIELD_NAME.fullmatch(name) else _shape(name)


def _shape(text: str) -> str:
    """Letters as x, digits as 0: enough to see what is wrong with a date, nothing to read."""
    return _cut("".join("x" if c.isalpha() else "0" if c.isnumeric() else c for c in text), _SHOWN_CHARACTERS)


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[:length] + "…"
