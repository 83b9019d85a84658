"""Lines of a connector's stdout → messages: what each line is, whatever block it comes in."""

import json
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from moovitamix_transform.messages import OddLine, Records, StateLine, read_block, state_stream_name
from moovitamix_transform.protocol import Trace, TraceError, TraceMessage
from moovitamix_transform.streams import STREAMS

STATE = b'{"type":"STATE","state":{"type":"STREAM","stream":{"stream_descriptor":{"name":"users"},"stream_state":{}}}}'
LOG = b'{"type":"LOG","log":{"level":"INFO","message":"hello"}}'
GOOD = b'{"type":"RECORD","record":{"stream":"tracks","data":{"id":7},"emitted_at":1600000000000}}'


def one_by_one(block: bytes) -> list[object]:
    """What a block says, each record by itself: how records are grouped is no promise."""
    said: list[object] = []
    for entry in read_block(block, STREAMS):
        if isinstance(entry, Records):
            said.extend((entry.stream, *pair) for pair in zip(entry.emitted_at, entry.data, strict=True))
        else:
            said.append(entry)
    return said


def test_a_record_is_its_stream_its_time_and_its_text():
    line = b'{"record": {"data" :\t{ "id": 7.10 } ,"emitted_at":5,"stream":"tracks", "meta":{}}, "type": "RECORD"}'

    said = one_by_one(line)

    assert said == [("tracks", 5, b'{ "id": 7.10 }')]


@pytest.mark.parametrize(
    ("line", "stream"),
    [
        pytest.param(b"Traceback (most recent call last):", None, id="a_print"),
        pytest.param(GOOD[:-20], None, id="cut_off"),
        pytest.param(GOOD + GOOD, None, id="two_messages"),
        pytest.param(GOOD + b" " + GOOD, None, id="two_messages_apart"),
        pytest.param(GOOD + b"\r" + GOOD, None, id="two_messages_with_a_carriage_return_between"),
        pytest.param(b"\xef\xbb\xbf" + GOOD, None, id="byte_order_mark"),
        pytest.param(b"\x0c", None, id="form_feed"),
        pytest.param(GOOD.replace(b"7", b"NaN"), None, id="nan"),
        pytest.param(GOOD.replace(b"7", b"Infinity"), None, id="infinity"),
        pytest.param(GOOD.replace(b"7", b"07"), None, id="leading_zero"),
        pytest.param(GOOD.replace(b"7", b'"\t"'), None, id="control_character"),
        pytest.param(GOOD.replace(b"7", b'"\\ud800"'), None, id="half_a_surrogate_pair"),
        pytest.param(GOOD.replace(b"7", b"[" * 100_000), None, id="deep_and_cut_off"),
        pytest.param(GOOD.replace(b"7", b"[" * 100_000 + b"]" * 100_000), None, id="deep"),
        pytest.param(b"[" * 100_000, None, id="brackets"),
    ],
)
def test_a_line_that_is_not_one_json_object_is_not_json(line: bytes, stream: None):
    said = one_by_one(line)

    assert said == [OddLine("not_json", line.decode(), stream)]


def test_a_line_that_is_not_utf8_keeps_its_bytes_as_escapes():
    said = one_by_one(GOOD.replace(b"7", b'"\xff\xc3\xa9"'))

    assert said == [OddLine("not_json", GOOD.decode().replace("7", '"\\xffé"'))]


@pytest.mark.parametrize(
    ("line", "stream"),
    [
        pytest.param(b"{}", None, id="no_type"),
        pytest.param(b"7", None, id="a_number"),
        pytest.param(b"[]", None, id="an_array"),
        pytest.param(b"null", None, id="null"),
        pytest.param(b'{"type":"PARCEL"}', None, id="unknown_type"),
        pytest.param(b'{"type":"RECORD"}', None, id="no_record"),
        pytest.param(b'{"type":"RECORD","record":{"data":{},"emitted_at":1}}', None, id="no_stream"),
        pytest.param(b'{"type":"RECORD","record":{"stream":7,"data":{},"emitted_at":1}}', None, id="stream_a_number"),
        pytest.param(GOOD.replace(b'{"id":7}', b'[{"id":7}]'), "tracks", id="data_an_array"),
        pytest.param(GOOD.replace(b'{"id":7}', b'"{}"'), "tracks", id="data_a_text"),
        pytest.param(GOOD.replace(b'{"id":7}', b"null"), "tracks", id="data_null"),
        pytest.param(GOOD.replace(b'"data":{"id":7},', b""), "tracks", id="no_data"),
        pytest.param(GOOD.replace(b',"emitted_at":1600000000000', b""), "tracks", id="no_emitted_at"),
        pytest.param(GOOD.replace(b"1600000000000", b'"1600000000000"'), "tracks", id="emitted_at_a_text"),
        pytest.param(GOOD.replace(b"1600000000000", b"253402300800000"), "tracks", id="year_10000"),
        pytest.param(GOOD.replace(b"1600000000000", b"-62135596800001"), "tracks", id="before_year_1"),
        pytest.param(GOOD.replace(b"1600000000000", b"9" * 400), "tracks", id="emitted_at_of_400_digits"),
        pytest.param(b'{"type":"STATE"}', None, id="state_without_a_state"),
        pytest.param(b'{"type":"LOG","log":{"level":"INFO"}}', None, id="log_without_a_message"),
    ],
)
def test_json_that_is_no_message_is_not_a_message(line: bytes, stream: str | None):
    said = one_by_one(line)

    assert said == [OddLine("not_a_message", line.decode(), stream)]


def test_what_has_no_consequence_may_be_anything():
    said = one_by_one(
        b'{"type":"TRACE","trace":{"type":"ERROR","error":{"message":"boom","internal_message":["boom"]}}}'
    )

    assert said == [TraceMessage(Trace("ERROR", error=TraceError("boom")))]


def test_a_record_of_another_stream_is_unknown():
    line = GOOD.replace(b"tracks", b"artists")

    said = one_by_one(line)

    assert said == [OddLine("unknown_stream", line.decode(), "artists")]


def test_a_record_of_another_stream_with_data_that_is_no_object_is_not_a_message():
    line = GOOD.replace(b"tracks", b"artists").replace(b'{"id":7}', b"7")

    said = one_by_one(line)

    assert said == [OddLine("not_a_message", line.decode(), "artists")]


@pytest.mark.parametrize("blank", [b"", b" ", b"\t", b"\r", b" \t \r"])
def test_blank_lines_say_nothing(blank: bytes):
    said = one_by_one(b"\n".join([blank, GOOD, blank, GOOD, blank]))

    assert said == [("tracks", 1600000000000, b'{"id":7}')] * 2


def test_an_object_over_two_lines_is_two_odd_lines():
    said = one_by_one(GOOD.replace(b":7", b":\n7"))

    first, second = GOOD.decode().split("7", 1)
    assert said == [OddLine("not_json", first), OddLine("not_json", "7" + second)]


def test_two_messages_in_a_line_are_odd_beside_one_over_two_lines():
    two, split = GOOD + GOOD, GOOD.replace(b'{"type"', b'{\n"type"')  # as many messages as lines

    said = one_by_one(two + b"\n" + split)

    assert said == [OddLine("not_json", text.decode()) for text in (two, b"{", GOOD[1:])]


def test_a_state_keeps_the_bytes_of_its_line():
    line = b"  " + STATE.replace(b'"stream_state":{}', '"stream_state":{ "updated_at":"é" }'.encode()) + b"\r"

    said = one_by_one(GOOD + b"\n" + line + b"\n" + GOOD)

    record = ("tracks", 1600000000000, b'{"id":7}')
    assert isinstance(said[1], StateLine)
    assert [said[0], said[1].line, said[2]] == [record, line, record]
    assert state_stream_name(said[1].state) == "users"


LINES = [
    GOOD,
    GOOD.replace(b"tracks", b"users").replace(b"7", '[8, "é\\u2028"]'.encode()),
    GOOD + b"\r",
    GOOD + GOOD,
    GOOD.replace(b"tracks", b"artists"),
    GOOD.replace(b"7", b'"\xff"'),
    STATE,
    LOG,
    b'{"type":"CONTROL","control":{}}',
    b"{",
    b'"type"}',
    b"}",
    b"{}",
    b"not json",
    b"",
    b" ",
]


@settings(deadline=None, max_examples=300)
@given(lines=st.lists(st.sampled_from(LINES), max_size=8), ends_with_a_break=st.booleans())
def test_what_a_line_is_does_not_depend_on_its_neighbours(lines: list[bytes], ends_with_a_break: bool):
    alone = [said for line in lines for said in one_by_one(line)]

    together = one_by_one(b"\n".join(lines) + b"\n" * ends_with_a_break)

    assert together == alone


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=3)
    ),
    max_leaves=8,
)


@st.composite
def json_objects(draw: Callable[..., object]) -> str:
    """A JSON object's text as some serializer might write it: spaces, key order, escapes, numbers in any form."""
    content = draw(st.dictionaries(st.text(st.characters(codec="utf-8")), JSON_VALUES, max_size=4))
    space = st.sampled_from(["", " ", "\t", "\r"])
    separators = (draw(space) + "," + draw(space), draw(space) + ":" + draw(space))
    text = json.dumps(content, separators=separators, ensure_ascii=draw(st.booleans()))
    number = draw(st.sampled_from(["1e400", "-0", "1.10", "1E+2", str(10**40), '"\\u0041\\/"']))
    return text[:-1] + ("," if content else "") + draw(space) + f'"number":{number}' + draw(space) + "}"


@settings(deadline=None, max_examples=300)
@given(text=json_objects())
def test_a_records_text_is_the_bytes_of_the_message(text: str):
    line = b'{"type":"RECORD","record":{"stream":"users","data":' + text.encode() + b',"emitted_at":1}}'

    said = one_by_one(line + b"\n" + line)

    assert said == [("users", 1, text.encode())] * 2
