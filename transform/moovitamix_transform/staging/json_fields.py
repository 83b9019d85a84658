"""A record's JSON text → the raw JSON token of each field, so that a type is judged before it is cast."""

import sys
from collections.abc import Callable, Sequence
from functools import lru_cache
from operator import attrgetter
from threading import Lock
from typing import Any, TypeVar

import msgspec
import polars as pl

MOST_LAYOUTS = 3  # looked for in a batch; what has none of them is taken apart record by record
LONGEST_LAYOUT = 5_000  # characters of a pattern, which is some fifty fields
LANDED_DEPTH = 1000  # Python's default limit, under which landing reads
T = TypeVar("T")
_recursion_lock = Lock()
_string = msgspec.json.Decoder(str)
_object = msgspec.json.Decoder(dict[str, msgspec.Raw])
_SPACE = r"[ \t\n\r]*"
# In what is known to be JSON: a string without escapes, an array of numbers and words, a number or a word.
_VALUE = r"""(?:"[^"\\]*"|\[[^\[\]{}"]*\]|[^ \t\n\r,"\[\]{}]+)"""


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
    return _table(texts.fill_null("{}"), fields, MOST_LAYOUTS).to_struct(texts.name)


def _table(texts: pl.Series, fields: tuple[str, ...], layouts: int) -> pl.DataFrame:
    """The tokens, a column a field. The records of a read are laid out alike, but for the nulls left out: those that
    are as the first of them are taken apart together, then those that are as the first of the others."""
    layout = _layout(texts[0], fields) if layouts and texts.len() else None
    if layout is None:
        return _of_any_layout(texts, fields)
    tokens = _of_layout(texts, fields, layout)
    others = tokens["is_other"].arg_true()
    tokens = tokens.select(fields)
    if others.is_empty():
        return tokens
    theirs = _table(texts.gather(others), fields, layouts - 1)
    return tokens.with_columns(column.scatter(others, theirs[column.name]) for column in tokens.iter_columns())


def _layout(text: str, fields: tuple[str, ...]) -> str | None:
    """A pattern for the records with this one's names in this order, and values in which nothing is escaped or nested:
    one group a field. None for a record without the fields, or with so many names that a pattern does not pay."""
    names = list(decode(_object.decode, text))
    if not set(fields) & {*names}:
        return None
    values = {name: f"(?P<f{at}>{_VALUE})" for at, name in enumerate(fields)}
    parts = (f'{_SPACE}"{pl.escape_regex(name)}"{_SPACE}:{_SPACE}{values.get(name, _VALUE)}{_SPACE}' for name in names)
    layout = rf"^{_SPACE}\{{{','.join(parts)}\}}{_SPACE}$"
    return layout if len(layout) <= LONGEST_LAYOUT else None


def _of_layout(texts: pl.Series, fields: tuple[str, ...], layout: str) -> pl.DataFrame:
    """The tokens of the records that are laid out so, null for the others, and `is_other`. One expression, without
    Python's lock: a third of the time that msgspec takes."""
    groups = texts.to_frame().select(pl.first().str.extract_groups(layout)).to_series().struct.unnest()
    tokens = [
        pl.when(pl.col(f"f{at}") != "null").then(f"f{at}").alias(name)
        if f"f{at}" in groups.columns
        else pl.lit(None, pl.String).alias(name)
        for at, name in enumerate(fields)
    ]
    return groups.select(*tokens, is_other=pl.nth(0).is_null())


def _of_any_layout(texts: pl.Series, fields: tuple[str, ...]) -> pl.DataFrame:
    rows = _decode(texts, fields)
    columns = [pl.Series(field, list(map(bytes, map(attrgetter(field), rows))), pl.Binary) for field in fields]
    return pl.DataFrame([_as_tokens(column) for column in columns])


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
