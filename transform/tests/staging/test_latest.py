"""Which of the records with one key is kept: generation, then updated_at, then extraction, then the record's text."""

import json
from itertools import count

import polars as pl
import pytest
from moovitamix_transform.graph import models
from moovitamix_transform.sources import record_frame

RUNS = count(1)
EARLY, LATE = "2026-01-01T00:00:00", "2026-01-02T00:00:00"


def landed(generation_id: int, updated_at: str, emitted_at: int, **fields: object) -> pl.DataFrame:
    """One record of track 7 as a row of the source table, in a run of its own."""
    data = json.dumps({"id": 7, "created_at": EARLY, "updated_at": updated_at} | fields, ensure_ascii=False)
    return record_frame(f"run-{next(RUNS)}", generation_id, [1], [emitted_at], [data.encode()])


def staged(*records: pl.DataFrame) -> pl.DataFrame:
    tables = {"tracks": pl.concat(records).lazy()}
    tables["base_tracks"] = models()["base_tracks"].frame(tables)
    return models()["stg_tracks"].frame(tables).collect()


@pytest.mark.parametrize(
    ("winner", "loser"),
    [
        pytest.param((2, EARLY, 1000, "A"), (1, LATE, 2000, "Z"), id="the_newest_generation_whatever_it_says"),
        pytest.param((1, LATE, 1000, "A"), (1, EARLY, 2000, "Z"), id="then_the_latest_updated_at"),
        pytest.param((1, EARLY, 2000, "A"), (1, EARLY, 1000, "Z"), id="then_the_latest_extraction"),
        pytest.param((1, EARLY, 1000, "Z"), (1, EARLY, 1000, "A"), id="then_the_last_text"),
        pytest.param((1, EARLY, 1000, "é"), (1, EARLY, 1000, "z"), id="then_the_last_text_by_its_bytes"),
    ],
)
def test_the_latest_record_wins_in_any_order(winner: tuple, loser: tuple):
    records = [landed(*fields, name=name) for *fields, name in (winner, loser)]

    forward, backward = staged(*records), staged(*reversed(records))

    assert forward["track_name"].to_list() == [winner[-1]]
    assert backward.rows() == forward.rows()


def test_the_same_record_twice_is_one_row():
    rows = staged(landed(1, EARLY, 1000, name="A"), landed(1, EARLY, 1000, name="A"))

    assert rows["track_name"].to_list() == ["A"]


def test_updated_at_is_compared_as_an_instant_not_as_a_text():
    later = landed(1, "2026-01-01T23:00:00-02:00", 1000, name="later")
    earlier = landed(1, "2026-01-02T00:30:00", 2000, name="earlier")

    rows = staged(later, earlier)

    assert rows["track_name"].to_list() == ["later"]


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param({"duration": "99:99"}, id="an_unreadable_field"),
        pytest.param({"created_at": None}, id="no_created_at"),
        pytest.param({"created_at": "yesterday"}, id="an_unreadable_instant"),
    ],
)
def test_a_quarantined_record_supersedes_nothing(broken: dict):
    good = landed(1, EARLY, 1000, name="good")

    rows = staged(good, landed(2, LATE, 2000, **({"name": "broken"} | broken)))

    assert rows["track_name"].to_list() == ["good"]


def test_a_key_of_only_quarantined_records_has_no_row():
    rows = staged(landed(1, EARLY, 1000, duration="x"), landed(2, LATE, 1000, duration="y"))

    assert rows.height == 0


def test_keys_do_not_compete_with_each_other():
    rows = staged(landed(1, EARLY, 1000, id=1), landed(2, LATE, 1000, id=2), landed(2, EARLY, 1000, id=1))

    assert sorted(rows["track_id"].to_list()) == [1, 2]


def test_a_record_of_nulls_replaces_one_with_values():
    rows = staged(landed(1, EARLY, 1000, name="A", duration="3:45"), landed(1, LATE, 1000))

    assert rows.select("track_name", "duration_seconds").rows() == [(None, None)]
