"""How a JSON token is read as a typed value: null where it cannot be, and never something near it."""

import msgspec
import polars as pl

_ONLY_DIGITS = r"^-?[0-9]+$"
_INSTANT = (
    r"^(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2}:[0-5]\d(?:\.\d{1,6})?)"
    r"(?:Z|([+-])([01]\d|2[0-3]):?([0-5]\d))?$"
)
_PLAIN_ITEMS = r"^\[\s*(?:-?[0-9]+\s*(?:,\s*-?[0-9]+\s*)*)?\]$"
_FIRST_INSTANT = pl.datetime(1, 1, 1, time_unit="us", time_zone="UTC")
_LAST_INSTANT = pl.datetime(9999, 12, 31, 23, 59, 59, 999_999, time_unit="us", time_zone="UTC")
PLAYS = pl.List(pl.Struct({"track_id": pl.Int64, "position": pl.Int32}))
_INT64 = range(-(2**63), 2**63)


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
    part = content.str.extract_groups(_INSTANT)
    local = pl.concat_str(part.struct[0], pl.lit("T"), part.struct[1]).str.to_datetime(
        "%Y-%m-%dT%H:%M:%S%.f", time_unit="us", strict=False
    )
    minutes = part.struct[3].cast(pl.Int64) * 60 + part.struct[4].cast(pl.Int64)
    offset = pl.when(part.struct[2] == "-").then(-minutes).otherwise(minutes).fill_null(0)
    utc = local.dt.replace_time_zone("UTC") - pl.duration(minutes=offset)
    return pl.when(utc.is_between(_FIRST_INSTANT, _LAST_INSTANT)).then(utc)


def duration_seconds(token: pl.Expr) -> pl.Expr:
    """i32, seconds: a string `minutes:seconds`, any number of minutes, seconds 00 to 59."""
    content = pl.when(_is_string(token)).then(_content(token))
    part = content.str.extract_groups(r"^([0-9]+):([0-5][0-9])$")
    minutes, seconds = part.struct[0].cast(pl.Int64, strict=False), part.struct[1].cast(pl.Int64)
    fits = minutes <= (2**31 - 1) // 60 - 1
    return pl.when(fits).then(minutes * 60 + seconds).cast(pl.Int32)


def plays(token: pl.Expr) -> pl.Expr:
    """list[struct{track_id i64, position i32}]: a JSON array of integers, positions from 1. Null elements, and
    elements that are no integers, make the whole list unreadable."""
    is_plain = token.str.contains(_PLAIN_ITEMS)
    inside = pl.when(is_plain).then(token.str.replace_all(r"[\[\]\s]", ""))
    plain = pl.when(inside == "").then(pl.lit([], dtype=pl.List(pl.String))).otherwise(inside.str.split(","))
    plain_ids = plain.list.eval(pl.element().cast(pl.Int64, strict=False))
    mixed_ids = (
        pl.when(token.str.starts_with("[") & ~is_plain)
        .then(token)
        .map_batches(_mixed_items, return_dtype=pl.List(pl.Int64), is_elementwise=True)
    )
    ids = pl.when(is_plain).then(plain_ids).otherwise(mixed_ids)
    readable = pl.when(ids.list.eval(pl.element().is_null()).list.any() == False).then(ids)  # noqa: E712
    return readable.list.eval(
        pl.struct(
            pl.element().alias("track_id"),
            pl.int_range(1, pl.len() + 1, dtype=pl.Int32).alias("position"),
        )
    )


def empty_to_null(value: pl.Expr) -> pl.Expr:
    return pl.when(value != "").then(value)


def _is_string(token: pl.Expr) -> pl.Expr:
    return token.str.starts_with('"')


def _content(token: pl.Expr) -> pl.Expr:
    """A string token's content; escapes are resolved by a JSON reader, for the few tokens that have one."""
    inside = token.str.slice(1, token.str.len_chars() - 2)
    has_escape = _is_string(token) & token.str.contains("\\", literal=True)
    resolved = pl.when(has_escape).then(token).map_batches(_unescaped, return_dtype=pl.String, is_elementwise=True)
    return pl.when(has_escape).then(resolved).otherwise(inside)


def _unescaped(tokens: pl.Series) -> pl.Series:
    values = [None if token is None else msgspec.json.decode(token, type=str) for token in tokens]
    return pl.Series(tokens.name, values, pl.String)


def _mixed_items(tokens: pl.Series) -> pl.Series:
    return pl.Series(tokens.name, [None if token is None else _item_ids(token) for token in tokens], pl.List(pl.Int64))


def _item_ids(token: str) -> list[int | None]:
    """The elements that are integers or strings of digits; null for each other one."""
    ids: list[int | None] = []
    for raw in msgspec.json.decode(token, type=list[msgspec.Raw]):
        element = bytes(raw)
        digits = msgspec.json.decode(element, type=str).strip() if element.startswith(b'"') else element.decode()
        is_integer = digits.isascii() and digits.removeprefix("-").isdecimal()
        ids.append(number if is_integer and (number := int(digits)) in _INT64 else None)
    return ids
