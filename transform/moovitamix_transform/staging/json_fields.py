"""A record's JSON text → the raw JSON token of each field, so that a type is judged before it is cast."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import msgspec
import polars as pl


def json_fields(data: pl.Expr, fields: Sequence[str]) -> pl.Expr:
    """A struct of one String per field: the token as the record carries it (`"3:45"` with its quotes), null for
    a field that is absent or null. A field that appears twice counts by its last value, as in most JSON readers.

    The casts of Polars' own JSON readers lose what must be judged: `1.5` becomes 1, `true` 1, `5` becomes `[5]`.
    """
    dtype = pl.Struct(dict.fromkeys(fields, pl.String))
    names = tuple(fields)
    return data.map_batches(lambda texts: _tokens(texts, names), return_dtype=dtype, is_elementwise=True)


def _tokens(texts: pl.Series, fields: tuple[str, ...]) -> pl.Series:
    rows = _decode(texts, fields)
    columns = [pl.Series(field, [_token(getattr(row, field)) for row in rows], pl.String) for field in fields]
    return pl.DataFrame(columns).to_struct(texts.name)


def _decode(texts: pl.Series, fields: tuple[str, ...]) -> list[Any]:
    decoder = _decoder(fields)
    if texts.str.contains("\n", literal=True).any():  # a line break between tokens is JSON, but no JSON line
        return [decoder.decode(text) for text in texts]
    return decoder.decode_lines("\n".join(texts.to_list()))


def _token(raw: msgspec.Raw | msgspec.UnsetType) -> str | None:
    if raw is msgspec.UNSET:
        return None
    token = str(raw, "utf-8")
    return None if token == "null" else token  # noqa: S105 - a JSON token


@lru_cache
def _decoder(fields: tuple[str, ...]) -> msgspec.json.Decoder[Any]:
    row = msgspec.defstruct("Fields", [(field, msgspec.Raw | msgspec.UnsetType, msgspec.UNSET) for field in fields])
    return msgspec.json.Decoder(row)
