"""Each reading of a JSON token against a slow oracle written with Python's own json, re and datetime."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from moovitamix_transform.staging import readings
from moovitamix_transform.staging.json_fields import json_fields

INT64 = range(-(2**63), 2**63)
BOUNDED = settings(max_examples=60, deadline=None)

# What Unicode calls white space: neither Python's `strip` (which adds four separators) nor ASCII's.
WHITE_SPACE = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))

# What JSON writers make of odd numbers, and what looks like JSON but is the inside of a text.
NUMBERS = [
    "0",
    "-0",
    "7",
    "-7",
    "1.5",
    "7.0",
    "1e3",
    "1E400",
    "-1.0E-7",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775808",
]
LOOKALIKES = ["null", "true", "[1]", '{"id":7}', '"7"', "1,2", "\\", '"', "\\u0041", "]", "7]", "-", "--7", "+7", "٧"]
SPACED = [
    "",
    " ",
    " 7 ",
    "\t7\n",
    "\u00a07\u2003",
    "\x1c7",
    "007",
    "-007",
    "1_000",
    "7.0",
    "1e3",
    "9" * 5000,
    "0" * 5000,
]

characters = st.characters(codec="utf-8")
strings = st.one_of(
    st.text(characters, max_size=12),
    st.sampled_from(LOOKALIKES + SPACED),
    st.integers(-(2**65), 2**65).map(str),
    st.text("0123456789:T-+Z. ", max_size=30),
)


def string_tokens(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """A string as different writers escape it: raw UTF-8, ASCII only, every character as \\uXXXX."""
    ways: list[Callable[[str], str]] = [lambda value: json.dumps(value, ensure_ascii=False), json.dumps, _all_escaped]
    return st.tuples(st.sampled_from(ways), values).map(lambda pair: pair[0](pair[1]))


def _all_escaped(value: str) -> str:
    units = value.encode("utf-16-be").hex()
    return '"' + "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4)) + '"'


number_tokens = st.one_of(st.sampled_from(NUMBERS), st.integers(-(2**65), 2**65).map(str))
array_tokens = st.lists(
    st.one_of(number_tokens, string_tokens(strings), st.sampled_from(["null", "true", "[]", "{}", "[7]"])), max_size=4
).flatmap(lambda items: st.sampled_from([f"[{','.join(items)}]", f"[ {' , '.join(items)}\t]"]))
plain_arrays = st.lists(st.integers(*(INT64[0], INT64[-1])), max_size=6).map(json.dumps)
other_tokens = st.sampled_from(["true", "false", "{}", '{"id":7}', '{"a":[1]}'])
tokens = st.one_of(number_tokens, string_tokens(strings), array_tokens, plain_arrays, other_tokens)


def read(reading: Callable[[pl.Expr], pl.Expr], *tokens: str) -> list[object]:
    """What records with these tokens for their only field are read as, in one batch."""
    data = pl.LazyFrame({"data": [f'{{"field":{token}}}' for token in tokens]}, schema={"data": pl.String})
    fields = data.select(json_fields(pl.col("data"), ["field"]).alias("tokens"))
    return fields.select(reading(pl.col("tokens").struct.field("field"))).collect().to_series().to_list()


def integer_of(token: str) -> int | None:
    value = json.loads(token, parse_int=str, parse_float=lambda _: None)
    found = re.fullmatch(r"(-?)0*([0-9]+)", value.strip(WHITE_SPACE)) if isinstance(value, str) else None
    if found is None or len(found[2]) > 19:
        return None
    number = int(found[1] + found[2])
    return number if number in INT64 else None


def text_of(token: str) -> str | None:
    if token[0] == '"':
        return json.loads(token).strip(WHITE_SPACE)
    return token if token[0] in "-0123456789" else None


def instant_of(token: str) -> datetime | None:
    value = json.loads(token)
    day, clock = r"\d{4}-\d\d-\d\d", r"\d\d:\d\d:\d\d(\.\d{1,6})?"
    if not isinstance(value, str) or not re.fullmatch(rf"{day}[T ]{clock}(Z|[+-]\d\d(:?\d\d)?)?", value, re.ASCII):
        return None
    try:
        local, zone = re.fullmatch(r"(.{19}(?:\.\d+)?)(.*)", value).groups()  # type: ignore[union-attr]
        naive = datetime.fromisoformat(local)
        offset = timedelta()
        if zone not in ("", "Z"):
            hours, minutes = int(zone[1:3]), int(zone[-2:]) if len(zone) > 3 else 0
            if hours > 23 or minutes > 59:
                return None
            offset = timedelta(hours=hours, minutes=minutes) * (-1 if zone[0] == "-" else 1)
        return (naive - offset).replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def duration_of(token: str) -> int | None:
    value = json.loads(token)
    found = re.fullmatch(r"([0-9]+):([0-5][0-9])", value) if isinstance(value, str) else None
    if found is None:
        return None
    seconds = int(found[1].lstrip("0")[:20] or "0") * 60 + int(found[2])
    return seconds if seconds < 2**31 else None


def plays_of(token: str) -> list[dict[str, int]] | None:
    if token[0] != "[":
        return None
    items = json.loads(token, parse_int=str, parse_float=lambda _: None)
    ids = [integer_of(json.dumps(item)) for item in items]
    if None in ids:
        return None
    return [{"track_id": track_id, "position": at} for at, track_id in enumerate(ids, 1)]


# A date in any shape: right, nearly right, with any offset, at both ends of the calendar.
instants = st.builds(
    "{}-{}-{}{}{}:{}:{}{}{}".format,
    st.sampled_from(["0001", "1969", "1970", "2024", "2023", "9999", "0000", "24", "٢٠٢٤"]),
    st.sampled_from(["01", "02", "12", "00", "13", "1"]),
    st.sampled_from(["01", "28", "29", "30", "31", "00", "32"]),
    st.sampled_from(["T", "T", " ", "t", "", "  "]),
    st.sampled_from(["00", "12", "23", "24", "9"]),
    st.sampled_from(["00", "59", "60", "5"]),
    st.sampled_from(["00", "59", "60", "61"]),
    st.sampled_from(["", ".0", ".5", ".123456", ".1234567", ".", ",5"]),
    st.sampled_from(["", "Z", "z", "+00:00", "+02:00", "-05:30", "+0530", "+05", "-23:59", "+24:00", "+01:60", "+1:00",
                     "+00:3٣", " +02:00", "UTC"]),
)  # fmt: skip


durations = st.builds(
    "{}:{}".format, st.integers(0, 2**40), st.sampled_from(["00", "07", "08", "59", "60", "5", "0٣", "000", "-1"])
)


@BOUNDED
@given(st.lists(tokens, max_size=30))
def test_integers_are_read_as_python_reads_them(batch: list[str]):
    values = read(readings.integer, *batch)

    assert values == [integer_of(token) for token in batch]


@BOUNDED
@given(st.lists(tokens, max_size=30))
def test_texts_are_read_as_python_reads_them(batch: list[str]):
    values = read(readings.text, *batch)

    assert values == [text_of(token) for token in batch]


@BOUNDED
@given(st.lists(st.one_of(string_tokens(instants), string_tokens(instants), tokens), max_size=60))
def test_instants_are_read_as_python_reads_them(batch: list[str]):
    values = read(readings.instant, *batch)

    assert values == [instant_of(token) for token in batch]


@BOUNDED
@given(st.lists(st.datetimes(), max_size=60), st.sampled_from("T "))
def test_every_instant_of_python_comes_back(moments: list[datetime], separator: str):
    values = read(readings.instant, *(json.dumps(moment.isoformat(separator)) for moment in moments))

    assert values == [moment.replace(tzinfo=UTC) for moment in moments]


@BOUNDED
@given(st.lists(st.one_of(string_tokens(durations), tokens), max_size=30))
def test_durations_are_read_as_python_reads_them(batch: list[str]):
    values = read(readings.duration_seconds, *batch)

    assert values == [duration_of(token) for token in batch]


@BOUNDED
@given(st.lists(st.one_of(array_tokens, plain_arrays, tokens), max_size=30))
def test_lists_of_plays_are_read_as_python_reads_them(batch: list[str]):
    values = read(readings.plays, *batch)

    assert values == [plays_of(token) for token in batch]


@pytest.mark.parametrize(
    ("token", "expected"),
    [
        pytest.param("9223372036854775807", 2**63 - 1, id="the_largest"),
        pytest.param("-9223372036854775808", -(2**63), id="the_smallest"),
        pytest.param("9223372036854775808", None, id="one_too_large"),
        pytest.param("-0", 0, id="minus_zero"),
        pytest.param("7.0", None, id="a_whole_float"),
        pytest.param("1e3", None, id="an_exponent"),
        pytest.param("true", None, id="a_boolean"),
        pytest.param('" 007\\n"', 7, id="a_string_of_digits_with_zeros_and_space"),
        pytest.param('"+7"', None, id="a_plus"),
        pytest.param('""', None, id="an_empty_string"),
        pytest.param('"\\u0037"', 7, id="an_escaped_digit"),
        pytest.param('"٧"', None, id="a_digit_of_another_script"),
        pytest.param("[7]", None, id="an_array"),
    ],
)
def test_integers(token: str, expected: int | None):
    (value,) = read(readings.integer, token)

    assert value == expected


@pytest.mark.parametrize(
    ("token", "expected"),
    [
        pytest.param('"2026-09-27T16:15:38.367321"', datetime(2026, 9, 27, 16, 15, 38, 367321, UTC), id="as_the_api"),
        pytest.param('"2026-09-27 16:15:38"', datetime(2026, 9, 27, 16, 15, 38, tzinfo=UTC), id="a_space"),
        pytest.param('"2026-09-27T16:15:38.5Z"', datetime(2026, 9, 27, 16, 15, 38, 500000, UTC), id="zulu"),
        pytest.param('"2026-09-27T16:15:38+02:00"', datetime(2026, 9, 27, 14, 15, 38, tzinfo=UTC), id="an_offset"),
        pytest.param('"0001-01-01T00:00:00"', datetime(1, 1, 1, tzinfo=UTC), id="the_first"),
        pytest.param('"0001-01-01T00:00:00+00:01"', None, id="before_the_first"),
        pytest.param('"9999-12-31T23:59:59.999999"', datetime(9999, 12, 31, 23, 59, 59, 999999, UTC), id="the_last"),
        pytest.param('"9999-12-31T23:59:59-00:01"', None, id="after_the_last"),
        pytest.param('"2026-09-27"', None, id="a_date_alone"),
        pytest.param('"2026-02-30T00:00:00"', None, id="30_february"),
        pytest.param('"2024-02-29T00:00:00"', datetime(2024, 2, 29, tzinfo=UTC), id="29_february_of_a_leap_year"),
        pytest.param('"2026-09-27T16:15"', None, id="no_seconds"),
        pytest.param('"2026-09-27T16:15:38.1234567"', None, id="7_digits"),
        pytest.param('"2026-09-27T24:00:00"', None, id="hour_24"),
        pytest.param('"2026-09-27T23:59:60"', None, id="a_leap_second"),
        pytest.param("1767225600", None, id="a_unix_time"),
        pytest.param('"2026-09-27T16:15:38+00:3\\u0663"', None, id="a_digit_of_another_script"),
    ],
)
def test_instants(token: str, expected: datetime | None):
    (value,) = read(readings.instant, token)

    assert value == expected


@pytest.mark.parametrize(
    ("token", "expected"),
    [
        pytest.param('"3:45"', 225, id="as_the_api"),
        pytest.param('"0:00"', 0, id="nothing"),
        pytest.param('"90:00"', 5400, id="more_than_an_hour"),
        pytest.param('"99:99"', None, id="99_seconds"),
        pytest.param('"3:5"', None, id="one_digit_of_seconds"),
        pytest.param('"1:02:03"', None, id="hours"),
        pytest.param('":30"', None, id="no_minutes"),
        pytest.param('"-3:45"', None, id="negative"),
        pytest.param('" 3:45"', None, id="a_space"),
        pytest.param("225", None, id="a_number"),
        pytest.param('"35791394:07"', 2**31 - 1, id="the_longest"),
        pytest.param('"35791394:08"', None, id="a_second_too_long"),
    ],
)
def test_durations(token: str, expected: int | None):
    (value,) = read(readings.duration_seconds, token)

    assert value == expected


@pytest.mark.parametrize(
    ("token", "expected"),
    [
        pytest.param("[]", [], id="no_items"),
        pytest.param("[ ]", [], id="no_items_but_a_space"),
        pytest.param("[5,5]", [5, 5], id="one_track_twice"),
        pytest.param('["5", 6]', [5, 6], id="a_string_of_digits"),
        pytest.param("[5,null]", None, id="a_null"),
        pytest.param("[null]", None, id="only_a_null"),
        pytest.param("[1.5]", None, id="a_float"),
        pytest.param("[true]", None, id="a_boolean"),
        pytest.param("[[5]]", None, id="a_list_in_the_list"),
        pytest.param("[[5,6]]", None, id="a_list_of_two_in_the_list"),
        pytest.param("[5,\t6]", [5, 6], id="a_tab"),
        pytest.param("[9223372036854775808]", None, id="one_too_large"),
        pytest.param(f'["{"9" * 5000}"]', None, id="digits_beyond_what_python_reads"),
        pytest.param("5", None, id="no_list"),
        pytest.param('"[5]"', None, id="a_text_that_looks_like_a_list"),
        pytest.param('["]","["]', None, id="texts_that_look_like_brackets"),
        pytest.param("{}", None, id="an_object"),
    ],
)
def test_plays(token: str, expected: list[int] | None):
    (value,) = read(readings.plays, token)

    played = expected and [{"track_id": track_id, "position": at} for at, track_id in enumerate(expected, 1)]
    assert value == played


def test_a_huge_text_is_read_whole():
    huge = "é" * 3_000_000

    (value,) = read(readings.text, json.dumps(huge))

    assert value == huge
