"""A record's JSON text → the raw JSON token of each field, so that a type is judged before it is cast."""

import sys
from collections.abc import Callable, Sequence
from functools import lru_cache
from operator import attrgetter
from threading import Lock
from typing import Any, TypeVar

import msgspec
import polars as pl

LANDED_DEPTH = 1000  # Python's default limit, under which landing reads
T = TypeVar("T")
_recursion_lock = Lock()
_string = msgspec.json.Decoder(str)


def json_fields(data: pl.Expr, fields: Sequence[str]) -> pl.Expr:
    """A struct of one String per field: its token as `as_token` gives it, null for a field that is absent or null,
    and for a null text. A field that appears twice counts by its last value, as in most JSON readers.

    The casts of Polars' own JSON readers lose what must be judged: `1.5` becomes 1, `true` 1, `5` becomes `[5]`.
    """
    dtype = pl.Struct(dict.fromkeys(fields, pl.String))
    names = tuple(fields)
    return data.map_batches(lambda texts: _tokens(texts, names), return_dtype=dtype, is_elementwise=True)


def as_token(value: str) -> str | None:
    """The value as the record carries it, null for null. A string keeps its quotes, so that `"7"` is not `7`, but its
    escapes are resolved: its content is all that is between them."""
    if value == "null":
        return None
    if value[0] == '"' and "\\" in value:
        return f'"{_string.decode(value)}"'
    return value


def _tokens(texts: pl.Series, fields: tuple[str, ...]) -> pl.Series:
    rows = _decode(texts.fill_null("{}"), fields)
    columns = [pl.Series(field, list(map(bytes, map(attrgetter(field), rows))), pl.Binary) for field in fields]
    return pl.DataFrame([_as_tokens(column) for column in columns]).to_struct(texts.name)


def _as_tokens(values: pl.Series) -> pl.Series:
    """`as_token` of each, called only where there is an escape: a Python call a value costs as much as reading it."""
    texts = values.cast(pl.String)
    tokens = texts.to_frame().select(pl.when(texts != "null").then(texts)).to_series()
    escaped = (texts.str.contains("\\", literal=True) & texts.str.starts_with('"')).arg_true()
    if escaped.is_empty():
        return tokens
    return tokens.scatter(escaped, [as_token(text) for text in texts.gather(escaped)])


def _decode(texts: pl.Series, fields: tuple[str, ...]) -> list[Any]:
    decoder = _decoder(fields)
    if texts.str.contains("\n", literal=True).any():  # a line break between tokens is JSON, but no JSON line
        return [decode(decoder.decode, text) for text in texts]
    return decode(decoder.decode_lines, "\n".join(texts.to_list()))


def decode(decoder: Callable[[str], T], text: str) -> T:
    """What the decoder makes of JSON that landing has read already, however deep it is nested: Python's limit counts
    the caller's own frames, and landing may have had fewer."""
    try:
        return decoder(text)
    except RecursionError:
        with _recursion_lock:
            limit = sys.getrecursionlimit()
            sys.setrecursionlimit(limit + LANDED_DEPTH)
            try:
                return decoder(text)
            finally:
                sys.setrecursionlimit(limit)


@lru_cache
def _decoder(fields: tuple[str, ...]) -> msgspec.json.Decoder[Any]:
    absent = msgspec.Raw(b"null")
    row = msgspec.defstruct("Fields", [(field, msgspec.Raw, absent) for field in fields], gc=False)
    return msgspec.json.Decoder(row)
