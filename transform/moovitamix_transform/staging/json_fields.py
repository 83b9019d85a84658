"""A record's JSON text → the raw JSON token of each field, so that a type is judged before it is cast."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import msgspec
import polars as pl

_string = msgspec.json.Decoder(str)


def json_fields(data: pl.Expr, fields: Sequence[str]) -> pl.Expr:
    """A struct of one String per field: its token as `as_token` gives it, null for a field that is absent or null,
    and for a null text. A field that appears twice counts by its last value, as in most JSON readers.

    The casts of Polars' own JSON readers lose what must be judged: `1.5` becomes 1, `true` 1, `5` becomes `[5]`.
    """
    dtype = pl.Struct(dict.fromkeys(fields, pl.String))
    names = tuple(fields)
    return data.map_batches(lambda texts: _tokens(texts, names), return_dtype=dtype, is_elementwise=True)


def as_token(raw: msgspec.Raw | msgspec.UnsetType) -> str | None:
    """The value as the record carries it, null for null. A string keeps its quotes, so that `"7"` is not `7`, but its
    escapes are resolved: its content is all that is between them."""
    if raw is msgspec.UNSET:
        return None
    token = str(raw, "utf-8")
    if token == "null":  # noqa: S105 - a JSON token
        return None
    if token[0] == '"' and "\\" in token:
        return f'"{_string.decode(token)}"'
    return token


def _tokens(texts: pl.Series, fields: tuple[str, ...]) -> pl.Series:
    rows = _decode(texts.fill_null("{}"), fields)
    columns = [pl.Series(field, [as_token(getattr(row, field)) for row in rows], pl.String) for field in fields]
    return pl.DataFrame(columns).to_struct(texts.name)


def _decode(texts: pl.Series, fields: tuple[str, ...]) -> list[Any]:
    decoder = _decoder(fields)
    if texts.str.contains("\n", literal=True).any():  # a line break between tokens is JSON, but no JSON line
        return [decoder.decode(text) for text in texts]
    return decoder.decode_lines("\n".join(texts.to_list()))


@lru_cache
def _decoder(fields: tuple[str, ...]) -> msgspec.json.Decoder[Any]:
    row = msgspec.defstruct("Fields", [(field, msgspec.Raw | msgspec.UnsetType, msgspec.UNSET) for field in fields])
    return msgspec.json.Decoder(row)
