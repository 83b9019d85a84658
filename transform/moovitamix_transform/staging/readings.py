"""How a JSON token is read as a typed value: null where it cannot be, and never something near it."""

from collections.abc import Callable

import msgspec
import polars as pl

from moovitamix_transform.staging.decoding import decode
from moovitamix_transform.staging.json_fields import as_token

_ONLY_DIGITS = r"^-?[0-9]+$"
_OFFSET = r"[+-](?:[01][0-9]|2[0-3])(?::?[0-5][0-9])?"
_INSTANT = rf"^[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}[T ][0-9]{{2}}:[0-9]{{2}}:[0-5][0-9](?:\.[0-9]{{1,6}})?(?:Z|{_OFFSET})?$"
_USUAL_INSTANT = r'^"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-5][0-9]\.[0-9]{6}"$'  # as the API writes them
_ANY_FORMAT = "%Y-%m-%dT%H:%M:%S%.f"
_USUAL_FORMAT = '"%Y-%m-%dT%H:%M:%S.%6f"'
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
    return token.map_batches(_instants, return_dtype=pl.Datetime("us", "UTC"), is_elementwise=True)


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
    return token.map_batches(_plays, return_dtype=PLAYS, is_elementwise=True)


def empty_to_null(value: pl.Expr) -> pl.Expr:
    return pl.when(value != "").then(value)


def _is_string(token: pl.Expr) -> pl.Expr:
    return token.str.starts_with('"')


def _content(token: pl.Expr) -> pl.Expr:
    """What is between a string token's quotes; its escapes are resolved already."""
    return token.str.slice(1, token.str.len_chars() - 2)


# What follows goes step by step, over frames: as one expression, each step is computed anew wherever it is used.


def _instants(tokens: pl.Series) -> pl.Series:
    token = pl.col("token")
    usual = pl.when(token.str.contains(_USUAL_INSTANT)).then(token)
    read = usual.str.to_datetime(_USUAL_FORMAT, time_unit="us", time_zone="UTC", strict=False)
    utc = _filled(pl.DataFrame({"token": tokens}).select(read).to_series(), tokens, _of_any_form)
    in_range = pl.col("utc").is_between(_FIRST_INSTANT, _LAST_INSTANT)
    return pl.DataFrame({"utc": utc}).select(pl.when(in_range).then("utc")).to_series()


def _filled(read: pl.Series, tokens: pl.Series, read_others: Callable[[pl.Series], pl.Series]) -> pl.Series:
    """Nearly all values are in the form that is read fast: only those that it gave none for are read again."""
    is_other = read.is_null() & tokens.is_not_null()
    if not is_other.any():
        return read
    places = pl.when(is_other).then(is_other.cum_sum() - 1)
    others = read_others(tokens.filter(is_other)).alias("others")
    return pl.select(pl.when(is_other).then(pl.lit(others).gather(places)).otherwise(read)).to_series()


def _of_any_form(tokens: pl.Series) -> pl.Series:
    token, text, local, offset = (pl.col(name) for name in ("token", "text", "local", "offset"))
    hours, minutes = (offset.str.slice(at, 2).cast(pl.Int64, strict=False).fill_null(0) for at in (1, 3))
    sign = pl.when(offset.str.starts_with("-")).then(-1).otherwise(1)
    return (
        pl.DataFrame({"token": tokens})
        .select(text=pl.when(_is_string(token)).then(_content(token)))
        .select(text=pl.when(text.str.contains(_INSTANT)).then(text))
        .select(
            local=text.str.replace(rf"(?:Z|{_OFFSET})$", "").str.replace(" ", "T", literal=True),
            offset=text.str.extract(rf"({_OFFSET})$").str.replace(":", "", literal=True),
        )
        .select("offset", local=local.str.to_datetime(_ANY_FORMAT, time_unit="us", time_zone="UTC", strict=False))
        .select(utc=local - pl.duration(minutes=sign * (hours * 60 + minutes)))
        .to_series()
    )


def _plays(tokens: pl.Series) -> pl.Series:
    token = pl.col("token")
    between = token.str.replace_all(" ", "", literal=True).str.strip_prefix("[").str.strip_suffix("]")
    ids = pl.when(token.str.starts_with("[")).then(between).str.split(",").cast(pl.List(pl.Int64), strict=False)
    numbers = pl.DataFrame({"token": tokens}).select(ids).to_series()
    return _numbered(_filled(_all_there(numbers), tokens, lambda others: _all_there(_any_items(others))))


def _all_there(ids: pl.Series) -> pl.Series:
    """Null for a list with a null in it."""
    has_null = pl.col("ids").list.eval(pl.element().is_null()).list.any()
    return pl.DataFrame({"ids": ids}).select(pl.when(~has_null).then("ids")).to_series()


def _any_items(tokens: pl.Series) -> pl.Series:
    """The ids of any array; null for what is none."""
    arrays = pl.DataFrame({"token": tokens}).select(pl.when(pl.col("token").str.starts_with("[")).then("token"))
    return (
        _elements(arrays.to_series()).to_frame("ids").select(pl.col("ids").list.eval(integer(pl.element()))).to_series()
    )


def _numbered(ids: pl.Series) -> pl.Series:
    """The ids of each list with their places in it."""
    count = pl.col("count")
    lists = pl.DataFrame({"ids": ids}).with_row_index("row").with_columns(count=pl.col("ids").list.len())
    # Through one flat column, where a list without ids is a row too: list by list it takes five times as long.
    places = pl.int_ranges(1, count + 1, dtype=pl.Int32)
    flat = lists.select("row", "ids", position=places).explode("ids", "position", empty_as_null=True)
    plays = flat.select(pl.col("row").set_sorted(), play=pl.struct(track_id="ids", position="position"))
    made = plays.group_by("row", maintain_order=True).agg("play")
    numbered = pl.when(count > 0).then(made["play"]).when(count == 0).then(pl.lit([], dtype=PLAYS))
    return lists.select(numbered.alias(ids.name)).to_series()


def _elements(arrays: pl.Series) -> pl.Series:
    """The token of each element of JSON arrays."""
    decoder = msgspec.json.Decoder(list[msgspec.Raw])
    elements = [
        None if array is None else [as_token(str(raw, "utf-8")) for raw in decode(decoder.decode, array)]
        for array in arrays
    ]
    return pl.Series(arrays.name, elements, pl.List(pl.String))
