"""Records laid out alike, the same names in the same order: one pattern, without Python's lock, for all of them.

What is matched is known to be JSON: landing has read it. So a pattern need not tell JSON from what looks like it, only
where each value begins and ends.
"""

from collections.abc import Mapping

import msgspec
import polars as pl

from moovitamix_transform.staging.decoding import decode

LONGEST = 5_000  # characters of a pattern, which is some fifty fields: beyond, it does not pay
_SPACE = r"[ \t\n\r]*"
_END = r' \t\n\r,"\[\]{}'
_TEXT_OR_ARRAY = r'"[^"\\]*"|\[[^\[\]{}"]*\]'  # a string without escapes, an array of numbers and words
VALUE = rf"(?:{_TEXT_OR_ARRAY}|[^{_END}]+)"
NOT_NULL = rf"(?:{_TEXT_OR_ARRAY}|[-0-9tf][^{_END}]*)"
_object = msgspec.json.Decoder(dict[str, msgspec.Raw])


def fields_of(text: str) -> dict[str, str]:
    """The values of a record as they are written, by name and in their order."""
    return {name: str(value, "utf-8") for name, value in decode(_object.decode, text).items()}


def pattern(values: Mapping[str, str]) -> str | None:
    """Of the records with these names in this order, and values of these patterns. None when it would be too long."""
    parts = (f'{_SPACE}"{pl.escape_regex(name)}"{_SPACE}:{_SPACE}{value}{_SPACE}' for name, value in values.items())
    text = rf"^{_SPACE}\{{{','.join(parts)}\}}{_SPACE}$"
    return text if len(text) <= LONGEST else None
