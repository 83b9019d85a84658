"""How a JSON token is read as a typed value: null where it cannot be, and never something near it."""

import msgspec
import polars as pl

from moovitamix_transform.staging.json_fields import as_token

_ONLY_DIGITS = r"^-?[0-9]+$"
_OFFSET = r"[+-](?:[01][0-9]|2[0-3])(?::?[0-5][0-9])?"
_INSTANT = rf"^[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}[T ][0-9]{{2}}:[0-9]{{2}}:[0-5][0-9](?:\.[0-9]{{1,6}})?(?:Z|{_OFFSET})?$"
_PLAIN_ITEMS = r"^\[\s*(?:-?[0-9]+\s*(?:,\s*-?[0-9]+\s*)*)?\]$"
_FIRST_INSTANT = pl.datetime(1, 1, 1, time_unit="us", time_zone="UTC")
_LAST_INSTANT = pl.datetime(9999, 12, 31, 23, 59, 59, 999_999, time_unit="us", time_zone="UTC")
_LAST_SECOND = 2**31 - 1
PLAYS = pl.List(pl.Struct({"track_id": pl.Int64, "position": pl.Int32}))


def integer(token: pl.Expr) -> pl.Expr:
    """i64: a JSON integer, or a string of digits with an optional minus, spaces around it allowed."""
    digits = pl.when(_is_string(token)).then(_content(token).str.strip_chars()).otherwise(token)
    return pl.when(digits.str.contains(_ONLY_DIGITS)).then(digits).cast(pl.Int64, strict=False)


def text(token: pl.Expr) -> pl.Expr:
    """String: a JSON string's content, trimmed; a number is its text. May be empty: see `empty_to_null`."""
    is_number = token.str.contains(r"^[-0-9]")
    return pl.when(_is_string(token)).then(_content(token).str.strip_chars()).when(is_number).then(token)


def instant(token: pl.Expr) -> pl.Expr:
    """datetime[us, UTC]: an ISO date, `T` or a space, a time with seconds and at most six fraction digits, an
    optional `Z` or offset. Without a zone it is UTC, as the API's are. Years 1 to 9999."""
    content = pl.when(_is_string(token)).then(_content(token))
    shaped = pl.when(content.str.contains(_INSTANT)).then(content)
    local = (
        shaped.str.replace(rf"(?:Z|{_OFFSET})$", "")
        .str.replace(" ", "T", literal=True)
        .str.to_datetime("%Y-%m-%dT%H:%M:%S%.f", time_unit="us", strict=False)
    )
    offset = shaped.str.extract(rf"({_OFFSET})$").str.replace(":", "", literal=True)
    hours, minutes = (offset.str.slice(at, 2).cast(pl.Int64, strict=False).fill_null(0) for at in (1, 3))
    sign = pl.when(offset.str.starts_with("-")).then(-1).otherwise(1)
    utc = local.dt.replace_time_zone("UTC") - pl.duration(minutes=sign * (hours * 60 + minutes))
    return pl.when(utc.is_between(_FIRST_INSTANT, _LAST_INSTANT)).then(utc)


def duration_seconds(token: pl.Expr) -> pl.Expr:
    """i32, seconds: a string `minutes:seconds`, any number of minutes, seconds 00 to 59."""
    content = pl.when(_is_string(token)).then(_content(token))
    part = content.str.extract_groups(r"^([0-9]+):([0-5][0-9])$")
    minutes, seconds = part.struct[0].cast(pl.Int64, strict=False), part.struct[1].cast(pl.Int64)
    # The product is judged only where it cannot have wrapped around.
    total = pl.when(minutes <= _LAST_SECOND).then(minutes * 60 + seconds)
    return pl.when(total <= _LAST_SECOND).then(total).cast(pl.Int32)


def plays(token: pl.Expr) -> pl.Expr:
    """list[struct{track_id i64, position i32}]: a JSON array of integers, positions from 1. Null elements, and
    elements that are no integers, make the whole list unreadable."""
    is_plain = token.str.contains(_PLAIN_ITEMS)
    inside = pl.when(is_plain).then(token.str.replace_all(r"[\[\]\s]", ""))
    plain = pl.when(inside == "").then(pl.lit([], dtype=pl.List(pl.String))).otherwise(inside.str.split(","))
    mixed = (
        pl.when(token.str.starts_with("[") & ~is_plain)
        .then(token)
        .map_batches(_elements, return_dtype=pl.List(pl.String), is_elementwise=True)
    )
    ids = (
        pl.when(is_plain)
        .then(plain.cast(pl.List(pl.Int64), strict=False))
        .otherwise(mixed.list.eval(integer(pl.element())))
    )
    readable = pl.when(ids.list.eval(pl.element().is_null()).list.any() == False).then(ids)  # noqa: E712
    return readable.list.eval(
        pl.struct(
            pl.element().alias("track_id"),
            pl.element().cum_count().cast(pl.Int32).alias("position"),
        )
    )


def empty_to_null(value: pl.Expr) -> pl.Expr:
    return pl.when(value != "").then(value)


def _is_string(token: pl.Expr) -> pl.Expr:
    return token.str.starts_with('"')


def _content(token: pl.Expr) -> pl.Expr:
    """What is between a string token's quotes; its escapes are resolved already."""
    return token.str.slice(1, token.str.len_chars() - 2)


def _elements(arrays: pl.Series) -> pl.Series:
    """The token of each element of JSON arrays."""
    decoder = msgspec.json.Decoder(list[msgspec.Raw])
    elements = [None if array is None else [as_token(raw) for raw in decoder.decode(array)] for array in arrays]
    return pl.Series(arrays.name, elements, pl.List(pl.String))
