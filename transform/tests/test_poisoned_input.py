"""Everything wrong at once: every line is accounted for, each reason named, the good rows' marts unchanged."""

import json
from threading import Thread

import polars as pl
import pytest
from moovitamix_transform.graph import MARTS

AT = "2026-01-01T00:00:00"
LATER = "2026-01-02T00:00:00"


def track(**changes: object) -> dict[str, object]:
    return {"id": 1, "name": "A", "genres": "Jazz", "duration": "3:45", "created_at": AT, "updated_at": AT} | changes


def user(**changes: object) -> dict[str, object]:
    return {"id": 1, "first_name": "Ada", "email": "ada@b.org", "created_at": AT, "updated_at": AT} | changes


def listens(**changes: object) -> dict[str, object]:
    return {"user_id": 1, "items": [1, 2], "created_at": AT, "updated_at": AT} | changes


GOOD = [
    ("tracks", track()),
    ("tracks", track(id=2, name="B", genres="Rock", updated_at=LATER)),
    ("users", user()),
    ("listen_history", listens()),
    ("listen_history", listens(items=[2], created_at=LATER)),
]

# What is superseded: good, but older than the good record of its key.
OLDER = [
    ("tracks", track(id=2, name="old", duration="9:00")),
    ("listen_history", listens(items=[9], updated_at="2025-12-31T00:00:00")),
]

# A record that cannot be trusted, the rules it breaks, and what the quarantine's detail must tell of each.
POISON = [
    ("tracks", track(id=1.5, updated_at=LATER), {"id_unreadable": "1.5"}),
    ("tracks", track(id=True), {"id_unreadable": "true"}),
    ("tracks", track(id=2**63), {"id_unreadable": "9223372036854775808"}),
    ("tracks", track(id="1e0"), {"id_unreadable": '"1e0"'}),
    ("tracks", track(id=None), {"id_null": "null"}),
    ("tracks", track(id=1, duration="99:99", updated_at=LATER), {"duration_unreadable": '"99:99"'}),
    ("tracks", track(id=1, name={"en": "A"}, updated_at=LATER), {"name_unreadable": '{"en": "A"}'}),
    ("tracks", track(id=1, genres=["Jazz"], updated_at=LATER), {"genres_unreadable": '["Jazz"]'}),
    ("tracks", track(id=[], duration=1), {"id_unreadable": "[]", "duration_unreadable": "1"}),
    ("tracks", track(created_at=""), {"created_at_unreadable": '""'}),
    ("users", user(created_at="2026-02-30T00:00:00"), {"created_at_unreadable": '"2026-02-30T00:00:00"'}),
    ("users", user(updated_at="2026-01-01"), {"updated_at_unreadable": '"2026-01-01"'}),
    ("users", user(email=["ada@b.org"], updated_at=LATER), {"email_unreadable": '["ada@b.org"]'}),
    ("users", {"first_name": "nobody"}, {"id_null": "null", "created_at_null": "null", "updated_at_null": "null"}),
    ("listen_history", listens(items=[1, None, 3], updated_at=LATER), {"items_unreadable": "[1, null, 3]"}),
    ("listen_history", listens(items=[1.5], updated_at=LATER), {"items_unreadable": "[1.5]"}),
    ("listen_history", listens(items=["9" * 5000], updated_at=LATER), {"items_unreadable": '["999'}),
    ("listen_history", listens(user_id=-(2**63) - 1), {"user_id_unreadable": "-9223372036854775809"}),
    ("listen_history", listens(created_at="2026-01-01T00:00:00+00:3٣"), {"created_at_unreadable": "+00:3٣"}),
]  # fmt: skip

# Lines that are no record of ours: the line, its rule, the stream it names.
ODD_LINES = [
    (b'{"type": "RECORD", "record": {"stream": "tracks", "data": {"id": 1', "not_json", None),
    (b"Traceback (most recent call last):", "not_json", None),
    (b"\xff\xfe{}", "not_json", None),
    (b"[1, 2]", "not_a_message", None),
    (b'{"type": "RECORD", "record": {"stream": "users", "data": [1], "emitted_at": 1}}', "not_a_message", "users"),
    (b'{"type": "RECORD", "record": {"stream": "users", "emitted_at": 1}}', "not_a_message", "users"),
    (b'{"type": "RECORD", "record": {"stream": "albums", "data": {}, "emitted_at": 1}}', "unknown_stream", "albums"),
]


@pytest.fixture(scope="module")
def pure(new_pipeline, record):
    """The good records alone."""
    pipeline = new_pipeline()
    pipeline.land([record(stream, data) for stream, data in GOOD])
    pipeline.build()
    return pipeline


@pytest.fixture(scope="module")
def poisoned(new_pipeline, record):
    """The good records with all that is wrong before, between and after them, over several commits."""
    pipeline = new_pipeline()
    broken = [record(stream, data) for stream, data, _ in POISON]
    odd = [line for line, _, _ in ODD_LINES]
    good = [record(stream, data | {"field_nobody_knows": {"deep": [None]}}) for stream, data in GOOD]
    older = [record(stream, data) for stream, data in OLDER]
    pipeline.land([*odd[:3], *broken[:9], *good[:3]], [*older, *odd[3:]], [*good[3:], *broken[9:], b"", b"  "])
    pipeline.build()
    return pipeline


@pytest.mark.parametrize("table", MARTS)
def test_the_marts_are_those_of_the_good_records(poisoned, pure, table: str):
    with_poison = poisoned.rows(table)

    without = pure.rows(table)

    assert with_poison.rows() == without.rows()


@pytest.mark.parametrize("stream", ["tracks", "users", "listen_history"])
def test_every_record_is_kept_superseded_or_quarantined(poisoned, stream: str):
    sent = {
        "kept": sum(name == stream for name, _ in GOOD),
        "superseded": sum(name == stream for name, _ in OLDER),
        "quarantined": sum(name == stream for name, _, _ in POISON),
    }

    ledger = poisoned.build().streams[stream]

    assert {outcome: getattr(ledger, outcome) for outcome in sent} == sent
    assert ledger.landed_total == sum(sent.values())


def test_each_broken_record_is_in_the_quarantine_once_per_rule_with_its_text(poisoned):
    expected = sorted(
        (stream, rule, json.dumps(data, ensure_ascii=False)) for stream, data, rules in POISON for rule in rules
    )

    records = poisoned.rows("quarantine").filter(~pl.col("rule").is_in([rule for _, rule, _ in ODD_LINES]))

    assert sorted(records.select("stream", "rule", "data").rows()) == expected


def test_each_reason_tells_the_field_what_was_expected_and_what_came(poisoned):
    details = {(row["rule"], row["data"]): row["detail"] for row in poisoned.rows("quarantine").to_dicts()}

    for _, data, rules in POISON:
        for rule, came in rules.items():
            detail = details[rule, json.dumps(data, ensure_ascii=False)]
            field = rule.removesuffix("_unreadable").removesuffix("_null")
            assert detail.startswith(f"{field}: expected "), detail
            assert came in detail.partition(", got ")[2], f"{detail!r} does not show {came}"


def test_each_odd_line_is_in_the_quarantine_as_it_came(poisoned):
    odd = poisoned.rows("quarantine").filter(pl.col("rule").is_in([rule for _, rule, _ in ODD_LINES]))

    found = sorted(odd.select("data", "rule", "stream").rows(), key=str)
    assert found == sorted(
        ((line.decode(errors="backslashreplace"), rule, stream) for line, rule, stream in ODD_LINES), key=str
    )
    assert all(detail.startswith("expected ") for detail in odd["detail"])


@pytest.mark.parametrize("field", ["items", "field_nobody_knows"])
def test_no_depth_of_nesting_that_lands_ends_the_build(pipeline, record, field: str):
    depths = range(900, 1010)
    deep = [
        record("listen_history", json.dumps(listens(user_id=depth))[:-1] + f', "{field}": {"[" * depth}{"]" * depth}}}')
        for depth in depths
    ]
    reader = Thread(target=pipeline.land, args=(deep,))  # its stack is shallow: it reads deeper than most
    reader.start()
    reader.join()

    streams = pipeline.build().streams

    landed = streams["listen_history"].landed_total
    assert 0 < landed < len(depths), "the depths must straddle what landing reads"
    assert (streams["listen_history"].quarantined, streams["listen_history"].kept) == (
        (landed, 0) if field == "items" else (0, landed)
    )
    assert pipeline.rows("quarantine").filter(pl.col("rule") == "not_json").height == len(depths) - landed
