"""The token of each field, as the record carries it."""

from collections.abc import Callable

import msgspec
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from moovitamix_transform.staging.decoding import decode
from moovitamix_transform.staging.json_fields import as_token, json_fields

NAMES = ["id", "name", "other", "i.d", "é ]"]
VALUES = [
    "7",
    "-0",
    "1.5E-7",
    "null",
    "true",
    '""',
    '"a b,:{}[]"',
    '"null"',
    r'"\"\u00e9\\"',
    "[]",
    "[1, 2,null]",
    "[[1]]",
]
VALUES += [r'"\u00e9"', r'"\\"', '["id"]', '{"id":3}', "{}", '"é\u2028"']
SPACES = st.sampled_from(["", "", " ", "\t", " \r\n "])
LAYOUTS = st.lists(st.sampled_from(NAMES), max_size=6)  # a name may come twice


@st.composite
def batches(draw: st.DrawFn) -> list[list[tuple[str, str]]]:
    """Records as pairs of a name and the value as it is written; many are laid out alike."""
    layouts = draw(st.lists(LAYOUTS, min_size=1, max_size=5))
    records = draw(st.lists(st.sampled_from(layouts), max_size=12))
    return [[(name, draw(st.sampled_from(VALUES))) for name in names] for names in records]


def tokens(*texts: str | None) -> list[tuple]:
    """Of the fields `id` and `name`."""
    data = pl.LazyFrame({"data": texts}, schema={"data": pl.String})
    return data.select(json_fields(pl.col("data"), ["id", "name"]).alias("t")).unnest("t").collect().rows()


def at_depth(frames: int, call: Callable):
    """What the call returns from that many frames deeper than here."""
    return call() if frames == 0 else at_depth(frames - 1, call)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param('{"id":7,"name":"A"}', ("7", '"A"'), id="a_number_and_a_string"),
        pytest.param('{"id":"7","name":7.0}', ('"7"', "7.0"), id="a_string_keeps_its_quotes"),
        pytest.param('{"id":1E400,"name":-0}', ("1E400", "-0"), id="numbers_as_written"),
        pytest.param('{"name":"null"}', (None, '"null"'), id="an_absent_field_and_the_word_null"),
        pytest.param('{"id":null,"name":true}', (None, "true"), id="a_null_and_a_boolean"),
        pytest.param('{"id":[1, {"id":2}],"name":{}}', ('[1, {"id":2}]', "{}"), id="what_is_nested_stays_whole"),
        pytest.param(r'{"id":"a\"b\\n","name":"\ud83d\ude00"}', ('"a"b\\n"', '"😀"'), id="escapes_are_resolved"),
        pytest.param(r'{"\u0069d":7}', ("7", None), id="an_escaped_field_name"),
        pytest.param('{"id":1,"id":2}', ("2", None), id="a_field_twice_counts_by_its_last_value"),
        pytest.param('{"ID":1,"other":{"id":3}}', (None, None), id="other_fields"),
        pytest.param('{\n"id":\t7\n}', ("7", None), id="over_several_lines"),
        pytest.param("{}", (None, None), id="no_field"),
        pytest.param(None, (None, None), id="no_record"),
    ],
)
def test_tokens(text: str | None, expected: tuple):
    others = ['{"id":0}', '{"id":9}']

    alone, together = tokens(text), tokens(others[0], text, others[1])

    assert alone == [expected]
    assert together == [("0", None), expected, ("9", None)]


def test_nested_json_is_read_however_deep_its_reader_is_called():
    decoder = msgspec.json.Decoder(msgspec.Raw)
    text = "[" * 900 + "]" * 900

    read = at_depth(200, lambda: decode(decoder.decode, text))

    assert bytes(read) == text.encode()


@settings(max_examples=300, deadline=None)
@given(batches(), st.data())
def test_however_the_records_of_a_batch_are_laid_out_each_has_the_tokens_it_was_written_with(batch, data):
    space = st.tuples(*[SPACES] * 4)
    texts = []
    for record in batch:
        pairs = []
        for name, value in record:
            before, after_name, before_value, after = data.draw(space)
            pairs.append(f'{before}"{name}"{after_name}:{before_value}{value}{after}')
        texts.append("{" + ",".join(pairs) + "}")

    got = tokens(*texts)

    assert got == [tuple(as_token(dict(record).get(name, "null")) for name in ("id", "name")) for record in batch]
