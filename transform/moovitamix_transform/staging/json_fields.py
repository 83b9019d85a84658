"""A record's JSON text → the raw JSON token of each field, so that a type is judged before it is cast."""

from collections.abc import Sequence
from functools import lru_cache
from operator import attrgetter
from typing import Any

import msgspec
import polars as pl

from moovitamix_transform.staging import layouts
from moovitamix_transform.staging.decoding import decode

MOST_LAYOUTS = 3  # looked for in a batch; what has none of them is taken apart record by record
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
    return _table(texts.fill_null("{}"), fields, MOST_LAYOUTS).to_struct(texts.name)


def _table(texts: pl.Series, fields: tuple[str, ...], tries: int, sample: int = 0) -> pl.DataFrame:
    """The tokens, a column a field. The records of a read are laid out alike, but for the nulls left out: those that
    are as the first of them are taken apart together, then those that are as the first of the others.

    Args:
        sample: those before it are known to be laid out as no pattern says.
    """
    layout = _layout(texts[sample], fields) if tries and sample < texts.len() else None
    if layout is None:
        return _of_any_layout(texts, fields)
    tokens = _of_layout(texts, fields, layout)
    others = tokens["is_other"].arg_true()
    sample += tokens["is_other"][sample]
    tokens = tokens.select(fields)
    if others.is_empty():
        return tokens
    theirs = _table(texts.gather(others), fields, tries - 1, sample)
    return tokens.with_columns(column.scatter(others, theirs[column.name]) for column in tokens.iter_columns())


def _layout(text: str, fields: tuple[str, ...]) -> str | None:
    """A pattern for the records laid out as this one, with a group for each field; None for one without the fields."""
    groups = {field: f"(?P<f{at}>{layouts.VALUE})" for at, field in enumerate(fields)}
    names = layouts.fields_of(text)
    if not groups.keys() & names:
        return None
    return layouts.pattern({name: groups.get(name, layouts.VALUE) for name in names})


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


@lru_cache
def _decoder(fields: tuple[str, ...]) -> msgspec.json.Decoder[Any]:
    absent = msgspec.Raw(b"null")
    row = msgspec.defstruct("Fields", [(field, msgspec.Raw, absent) for field in fields], gc=False)
    return msgspec.json.Decoder(row)
