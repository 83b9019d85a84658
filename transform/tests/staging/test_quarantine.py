"""What the quarantine says of a record or a line: which rule, what was expected, what came."""

import json
from datetime import UTC, datetime

import polars as pl
import pytest
from moovitamix_transform.graph import models
from moovitamix_transform.sources import LINES, RECORDS, record_frame

INSTANTS = {"created_at": "2026-01-01T00:00:00", "updated_at": "2026-01-01T00:00:00"}


def quarantined(lines: pl.DataFrame | None = None, **records: list[str]) -> pl.DataFrame:
    """The quarantine of these records' texts, by stream, and these lines."""
    tables = {"_lines": (pl.DataFrame(schema=LINES) if lines is None else lines).lazy()}
    for stream in ("tracks", "users", "listen_history"):
        texts = [text.encode() for text in records.get(stream, [])]
        rows = record_frame(f"run-{stream}", 1, list(range(1, len(texts) + 1)), [1000] * len(texts), texts)
        tables[stream] = rows.select(RECORDS.names()).lazy()
        tables[f"base_{stream}"] = models()[f"base_{stream}"].frame(tables)
    return models()["quarantine"].frame(tables).collect()


@pytest.mark.parametrize(
    ("stream", "fields", "rule", "detail"),
    [
        pytest.param("tracks", {"id": 1.5}, "id_unreadable", "id: expected a 64-bit integer, got 1.5", id="a_float"),
        pytest.param("users", {"id": None}, "id_null", "id: expected a 64-bit integer, got null", id="a_null_id"),
        pytest.param(
            "tracks",
            {"id": 7, "duration": "99:99"},
            "duration_unreadable",
            'duration: expected minutes:seconds, such as 3:45, got "99:99"',
            id="99_seconds",
        ),
        pytest.param(
            "users",
            {"id": 7, "created_at": "2026-02-30T00:00:00"},
            "created_at_unreadable",
            "created_at: expected an ISO date and time with seconds and at most 6 fraction digits, "
            'got "2026-02-30T00:00:00"',
            id="30_february",
        ),
        pytest.param(
            "listen_history",
            {"user_id": 8, "items": [7, None]},
            "items_unreadable",
            "items: expected an array of 64-bit integers without nulls, got [7, null]",
            id="a_null_item",
        ),
        pytest.param(
            "tracks",
            {"id": 7, "genres": ["Jazz"]},
            "genres_unreadable",
            'genres: expected a text, got ["Jazz"]',
            id="a_list_of_genres",
        ),
    ],
)
def test_a_broken_record_is_there_with_its_reason_and_its_text(stream: str, fields: dict, rule: str, detail: str):
    text = json.dumps(INSTANTS | fields)

    rows = quarantined(**{stream: [text]})

    assert rows.to_dicts() == [
        {
            "stream": stream,
            "rule": rule,
            "raw_id": f"run-{stream}-000000001",
            "run_id": f"run-{stream}",
            "extracted_at": datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC),
            "data": text,
            "detail": detail,
        }
    ]


def test_a_record_that_breaks_four_rules_has_four_rows():
    rows = quarantined(users=['{"id": true, "created_at": "x", "email": []}'])

    assert rows.select("rule", "detail").sort("rule").rows() == [
        (
            "created_at_unreadable",
            'created_at: expected an ISO date and time with seconds and at most 6 fraction digits, got "x"',
        ),
        ("email_unreadable", "email: expected a text, got []"),
        ("id_unreadable", "id: expected a 64-bit integer, got true"),
        (
            "updated_at_null",
            "updated_at: expected an ISO date and time with seconds and at most 6 fraction digits, got null",
        ),
    ]


def test_a_long_value_is_cut_in_the_detail_but_whole_in_the_data():
    text = json.dumps(INSTANTS | {"id": "9" * 500})

    rows = quarantined(tracks=[text])

    assert rows["detail"].to_list() == ["id: expected a 64-bit integer, got " + '"' + "9" * 79 + "…"]
    assert rows["data"].to_list() == [text]


@pytest.mark.parametrize(
    ("stream", "rule", "detail"),
    [
        pytest.param(None, "not_json", "expected one JSON object in UTF-8 a line", id="not_json"),
        pytest.param(
            "tracks", "not_a_message", "expected an Airbyte message with its required fields", id="not_a_message"
        ),
        pytest.param(
            "albums", "unknown_stream", "expected one of the streams tracks, users, listen_history", id="unknown"
        ),
    ],
)
def test_a_line_that_is_no_record_is_there_with_its_reason(stream: str | None, rule: str, detail: str):
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    line = pl.DataFrame([("run-1", "run", moment, stream, rule, "{oops")], schema=LINES, orient="row")

    rows = quarantined(lines=line)

    assert rows.rows() == [(stream, rule, "run-1", "run", moment, "{oops", detail)]


def test_good_records_are_not_there():
    rows = quarantined(tracks=[json.dumps(INSTANTS | {"id": 7})])

    assert rows.height == 0
