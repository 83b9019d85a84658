"""Law 1 for a read: each line is in exactly one table, as it came. Real Delta tables."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from moovitamix_transform import landing as landing_module
from moovitamix_transform import ledger, sources
from moovitamix_transform.blocks import IDLE
from moovitamix_transform.errors import LedgerMismatch
from moovitamix_transform.landing import Landing
from moovitamix_transform.progress import RunProgress
from moovitamix_transform.streams import STREAMS
from rich.console import Console

Line = Callable[..., bytes]


def test_a_record_lands_with_its_text_its_time_in_utc_its_generation_and_its_run(pipeline, record: Line):
    landing = pipeline.land([record("tracks", '{ "b":1.0,"a":"\\u00e9é" }', emitted_at=1_767_225_600_123)])

    rows = pipeline.landed("tracks")
    assert rows.schema == sources.RECORDS
    assert rows.rows() == [
        (
            f"{landing.run_id}-000000001",
            datetime(2026, 1, 1, 0, 0, 0, 123_000, tzinfo=UTC),
            1,
            landing.run_id,
            '{ "b":1.0,"a":"\\u00e9é" }',
        )
    ]


def test_an_odd_line_lands_whole_in_lines(pipeline, record: Line):
    lines = [b"not json\r", record("artists", {"id": 1}), record("users", "[1]"), record("users", {"id": 1})]

    landing = pipeline.land(lines)

    rows = pipeline.warehouse.scan("source/_lines").sort("raw_id").collect()
    assert rows.schema == sources.LINES
    assert rows.select("raw_id", "run_id", "stream", "rule", "text").rows() == [
        (f"{landing.run_id}-000000001", landing.run_id, None, "not_json", "not json\r"),
        (f"{landing.run_id}-000000002", landing.run_id, "artists", "unknown_stream", lines[1].decode()),
        (f"{landing.run_id}-000000003", landing.run_id, "users", "not_a_message", lines[2].decode()),
    ]
    assert pipeline.texts("users") == ['{"id": 1}']
    assert landing.failures == []


def test_messages_without_a_consequence_land_nowhere(pipeline):
    kinds = ["CONTROL", "SPEC", "CATALOG", "CONNECTION_STATUS"]

    landing = pipeline.land([json.dumps({"type": kind, kind.lower(): {"a": [1]}}).encode() for kind in kinds])

    assert (landing.received, landing.failures) == (Counter(), [])
    assert pipeline.warehouse.count("source/_lines") == 0
    assert pipeline.generations() == []


STATE = b'{"type":"STATE","state":{"type":"STREAM","stream":{"stream_descriptor":{"name":"users"}}}}'
STATUS = b'{"stream_descriptor":{"name":"tracks"},"status":"COMPLETE"}'
COMPLETE = b'{"type":"TRACE","trace":{"type":"STREAM_STATUS","emitted_at":1.0,"stream_status":%s}}' % STATUS
GOOD = [b'{"type":"RECORD","record":{"stream":"%s","data":{"id":1},"emitted_at":1}}' % s.encode() for s in STREAMS]
ODD = [
    GOOD[0].replace(b"tracks", b"artists"),
    GOOD[1].replace(b'{"id":1}', b"1"),
    GOOD[2][:30],
    b"{}",
    STATE.replace(b"users", b"artists"),
]
QUIET = [b"", STATE, COMPLETE, b'{"type":"CONTROL"}']


@settings(deadline=None, max_examples=20)
@given(batches=st.lists(st.lists(st.sampled_from(GOOD + ODD + QUIET), max_size=6), min_size=1, max_size=3))
def test_law_1_each_line_is_in_exactly_one_table_in_its_order(new_pipeline: Callable, batches: list[list[bytes]]):
    pipeline = new_pipeline()
    lines = [line for batch in batches for line in batch]

    landing = pipeline.land(*batches)

    landed = {stream: pipeline.landed(stream) for stream in STREAMS}
    odd = pipeline.warehouse.scan("source/_lines").sort("raw_id").collect()
    for stream, good in zip(STREAMS, GOOD, strict=True):
        assert landed[stream].height == lines.count(good)
    assert odd["text"].to_list() == [line.decode() for line in lines if line in ODD]
    ordinals = {int(raw_id[-9:]): stream for stream in STREAMS for raw_id in landed[stream]["_airbyte_raw_id"]}
    assert [ordinals[at] for at in sorted(ordinals)] == [
        json.loads(line)["record"]["stream"] for line in lines if line in GOOD
    ]
    assert ordinals.keys().isdisjoint(int(raw_id[-9:]) for raw_id in odd["raw_id"])
    assert sum(landing.received.values()) == sum(line in GOOD + ODD for line in lines)


JSON_OBJECTS = st.dictionaries(
    st.text(st.characters(codec="utf-8")),
    st.none() | st.integers() | st.floats(allow_nan=False) | st.text(st.characters(codec="utf-8")) | st.just([{}, 1]),
    max_size=4,
)


@settings(deadline=None, max_examples=15)
@given(
    objects=st.lists(JSON_OBJECTS, min_size=1, max_size=20),
    separators=st.sampled_from([(",", ":"), (", ", ": "), (" ,\t", " :\r")]),
    is_escaped=st.booleans(),
)
def test_a_record_lands_as_the_bytes_its_message_carried(
    new_pipeline: Callable,
    record: Line,
    objects: list[dict[str, object]],
    separators: tuple[str, str],
    is_escaped: bool,
):
    pipeline = new_pipeline()
    sent = [json.dumps(each, separators=separators, ensure_ascii=is_escaped) for each in objects]
    sent = [text.replace("Infinity", "1e999") for text in sent]  # what json writes for a number that is none

    pipeline.land([record("users", text) for text in sent])

    assert pipeline.texts("users") == sent


def test_a_difference_of_one_names_the_stream_and_the_number(pipeline, record: Line):
    landing = pipeline.land([record("users", {"id": 1}), record("tracks", {"id": 1}), b"odd"])
    landing.received["users"] += 1

    with pytest.raises(LedgerMismatch) as caught:
        ledger.of_run(pipeline.warehouse, landing.run_id, landing.received)

    assert str(caught.value) == (
        "users: received 2, expected as many landed and quarantined, got 1 landed and 0 quarantined lines: "
        f"+1 unaccounted for in run {landing.run_id}"
    )


def test_the_ledger_of_a_run_counts_that_run_alone(pipeline, record: Line):
    pipeline.land([record("users", {"id": 1}), b"odd"])
    landing = pipeline.land([record("users", {"id": 1})] * 2 + [b"odd", record("users", "1"), record("artists", "{}")])

    entries = ledger.of_run(pipeline.warehouse, landing.run_id, landing.received)

    assert [(each.stream, each.received, each.landed, each.quarantined_lines) for each in entries] == [
        ("tracks", 0, 0, 0),
        ("users", 3, 2, 1),
        ("listen_history", 0, 0, 0),
        ("artists", 1, 0, 1),
        (None, 1, 0, 1),
    ]


def test_what_waits_for_no_state_is_committed_five_seconds_after_its_first_record_came(
    pipeline, record: Line, monkeypatch: pytest.MonkeyPatch
):
    now = 1_000.0
    monkeypatch.setattr(landing_module, "time", SimpleNamespace(monotonic=lambda: now))
    sources.make_missing(pipeline.warehouse)
    landing = Landing(pipeline.warehouse, "run", RunProgress(Console(quiet=True), "ERROR"), lambda _: None)
    landed = []

    def blocks() -> Iterator[bytes]:
        nonlocal now
        for block, seconds in ((record("tracks", {"id": 1}), 4.9), (record("tracks", {"id": 2}), 0.1), (IDLE, 0)):
            yield block
            landed.append(pipeline.warehouse.count("source/tracks"))
            now += seconds

    landing.read(blocks())

    assert landed == [0, 0, 2]


@pytest.mark.parametrize(
    ("line", "table"),
    [
        pytest.param(b"x", "source/_lines", id="lines"),
        pytest.param(GOOD[1].replace(b'{"id":1}', b"{}"), "source/users", id="records"),
    ],
)
def test_small_records_and_lines_are_committed_before_they_fill_the_memory(
    pipeline, monkeypatch: pytest.MonkeyPatch, line: bytes, table: str
):
    sources.make_missing(pipeline.warehouse)
    empty = pipeline.warehouse.version(table)
    monkeypatch.setattr(landing_module, "FLUSH_BYTES", 100_000)
    landing = Landing(pipeline.warehouse, "run", RunProgress(Console(quiet=True), "ERROR"), pipeline.echoed.append)

    landing.read([(line + b"\n") * 500] * 3)

    assert pipeline.warehouse.count(table) == 1500
    assert pipeline.warehouse.version(table) - empty == 3, "expected a commit for each 500 lines, 200 bytes each"
