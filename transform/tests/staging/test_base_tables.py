"""What each base table makes of one record: its columns, and the rules the record breaks."""

import json
from datetime import UTC, datetime

import polars as pl
import pytest
from moovitamix_transform.sources import record_frame
from moovitamix_transform.staging.base_listen_history import base_listen_history
from moovitamix_transform.staging.base_tracks import base_tracks
from moovitamix_transform.staging.base_users import base_users

BASES = {"tracks": base_tracks, "users": base_users, "listen_history": base_listen_history}
TRACK = {
    "id": 7,
    "name": "Sorrow",
    "artist": "Ada",
    "songwriters": "Bo, Cy",
    "duration": "3:45",
    "genres": "Jazz",
    "album": "Blue",
    "created_at": "2026-01-02T03:04:05.678901",
    "updated_at": "2026-02-02T00:00:00",
}
USER = {
    "id": 8,
    "first_name": "Ada",
    "last_name": "Byron",
    "email": "Ada.Byron@Example.ORG",
    "gender": "female",
    "favorite_genres": "Jazz",
    "created_at": "2026-01-02T03:04:05.678901",
    "updated_at": "2026-02-02T00:00:00",
}
LISTENS = {
    "user_id": 8,
    "items": [7, 9, 7],
    "created_at": "2026-01-02T03:04:05.678901",
    "updated_at": "2026-02-02T00:00:00",
}
GOOD = {"tracks": TRACK, "users": USER, "listen_history": LISTENS}
CREATED_AT = datetime(2026, 1, 2, 3, 4, 5, 678901, UTC)
UPDATED_AT = datetime(2026, 2, 2, tzinfo=UTC)


def judge(stream: str, *texts: str) -> pl.DataFrame:
    landed = record_frame("run", 3, list(range(1, len(texts) + 1)), [1000] * len(texts), [t.encode() for t in texts])
    return BASES[stream](landed.lazy()).collect()


def judge_one(stream: str, **changes: object) -> dict[str, object]:
    return judge(stream, json.dumps(GOOD[stream] | changes)).row(0, named=True)


def test_a_track_becomes_typed_columns():
    row = judge_one("tracks")

    assert row == {
        "raw_id": "run-000000001",
        "run_id": "run",
        "extracted_at": datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC),
        "generation_id": 3,
        "track_id": 7,
        "track_name": "Sorrow",
        "artist_name": "Ada",
        "songwriters": "Bo, Cy",
        "album_name": "Blue",
        "genre": "Jazz",
        "duration_seconds": 225,
        "created_at": CREATED_AT,
        "updated_at": UPDATED_AT,
        "broken_rules": [],
    }


def test_a_user_becomes_typed_columns():
    row = judge_one("users")

    assert row == {
        "raw_id": "run-000000001",
        "run_id": "run",
        "extracted_at": datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC),
        "generation_id": 3,
        "user_id": 8,
        "first_name": "Ada",
        "last_name": "Byron",
        "email": "ada.byron@example.org",
        "gender": "female",
        "favorite_genre": "Jazz",
        "created_at": CREATED_AT,
        "updated_at": UPDATED_AT,
        "broken_rules": [],
    }


def test_a_list_of_listened_tracks_becomes_typed_columns():
    row = judge_one("listen_history")

    assert row == {
        "raw_id": "run-000000001",
        "run_id": "run",
        "extracted_at": datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC),
        "generation_id": 3,
        "user_id": 8,
        "listened_at": CREATED_AT,
        "updated_at": UPDATED_AT,
        "plays": [
            {"track_id": 7, "position": 1},
            {"track_id": 9, "position": 2},
            {"track_id": 7, "position": 3},
        ],
        "broken_rules": [],
    }


@pytest.mark.parametrize(
    ("stream", "field"),
    [
        pytest.param(stream, field, id=f"{stream}_{field}")
        for stream, field in [
            ("tracks", "id"), ("tracks", "created_at"), ("tracks", "updated_at"),
            ("users", "id"), ("users", "created_at"), ("users", "updated_at"),
            ("listen_history", "user_id"), ("listen_history", "created_at"), ("listen_history", "updated_at"),
        ]
    ],
)  # fmt: skip
def test_a_null_key_or_instant_breaks_a_rule_and_so_does_an_absent_one(stream: str, field: str):
    absent = {name: value for name, value in GOOD[stream].items() if name != field}

    rows = judge(stream, json.dumps(GOOD[stream] | {field: None}), json.dumps(absent))

    assert rows["broken_rules"].to_list() == [[f"{field}_null"], [f"{field}_null"]]


@pytest.mark.parametrize("stream", GOOD)
def test_any_other_null_or_absent_field_breaks_none(stream: str):
    keys_and_instants = {"id", "user_id", "created_at", "updated_at"}
    nulls = {name: value if name in keys_and_instants else None for name, value in GOOD[stream].items()}
    absent = {name: value for name, value in nulls.items() if value is not None}

    rows = judge(stream, json.dumps(nulls), json.dumps(absent))

    assert rows["broken_rules"].to_list() == [[], []]
    assert rows.drop("raw_id").row(0) == rows.drop("raw_id").row(1)


@pytest.mark.parametrize(
    ("stream", "field", "value"),
    [
        pytest.param("tracks", "id", 1.5, id="a_float_as_an_id"),
        pytest.param("tracks", "id", True, id="a_boolean_as_an_id"),
        pytest.param("tracks", "id", 2**63, id="an_id_beyond_64_bits"),
        pytest.param("tracks", "id", [7], id="an_array_as_an_id"),
        pytest.param("tracks", "name", True, id="a_boolean_as_a_text"),
        pytest.param("tracks", "artist", ["Ada"], id="an_array_as_a_text"),
        pytest.param("tracks", "songwriters", {"name": "Bo"}, id="an_object_as_a_text"),
        pytest.param("tracks", "album", [], id="an_empty_array_as_a_text"),
        pytest.param("tracks", "genres", ["Jazz"], id="a_list_of_genres"),
        pytest.param("tracks", "duration", "99:99", id="99_seconds"),
        pytest.param("tracks", "duration", "", id="no_duration_but_a_text"),
        pytest.param("tracks", "duration", 225, id="a_number_as_a_duration"),
        pytest.param("tracks", "created_at", "2026-02-30T00:00:00", id="30_february"),
        pytest.param("tracks", "updated_at", "2026-02-03", id="a_date_alone"),
        pytest.param("users", "id", "x", id="letters_as_an_id"),
        pytest.param("users", "first_name", {}, id="an_object_as_a_first_name"),
        pytest.param("users", "last_name", False, id="a_boolean_as_a_last_name"),
        pytest.param("users", "email", ["a@b"], id="an_array_as_an_email"),
        pytest.param("users", "gender", True, id="a_boolean_as_a_gender"),
        pytest.param("users", "favorite_genres", ["Jazz"], id="a_list_of_favorite_genres"),
        pytest.param("users", "created_at", 1767225600, id="a_unix_time"),
        pytest.param("users", "updated_at", "", id="an_empty_instant"),
        pytest.param("listen_history", "user_id", "", id="an_empty_id"),
        pytest.param("listen_history", "created_at", "2026-01-01T00:00:00.1234567", id="7_fraction_digits"),
        pytest.param("listen_history", "updated_at", True, id="a_boolean_as_an_instant"),
        pytest.param("listen_history", "items", [7, None], id="a_null_among_the_items"),
        pytest.param("listen_history", "items", [7, 1.5], id="a_float_among_the_items"),
        pytest.param("listen_history", "items", 7, id="an_item_without_its_list"),
        pytest.param("listen_history", "items", "[7]", id="a_text_as_items"),
    ],
)
def test_a_value_that_cannot_be_read_breaks_its_rule_alone(stream: str, field: str, value: object):
    good = judge_one(stream)

    row = judge_one(stream, **{field: value})

    assert row["broken_rules"] == [f"{field}_unreadable"]
    changed = {name for name in row if row[name] != good[name]} - {"broken_rules"}
    assert len(changed) == 1, f"{field} unreadable must empty its own column only, changed: {changed}"


def test_a_record_can_break_several_rules():
    row = judge_one("tracks", id=None, duration="x", updated_at="x")

    assert row["broken_rules"] == ["id_null", "duration_unreadable", "updated_at_unreadable"]


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        pytest.param("  Sorrow\n", "Sorrow", id="trimmed"),
        pytest.param("   ", None, id="only_spaces_is_null"),
        pytest.param("", None, id="empty_is_null"),
        pytest.param(1999, "1999", id="a_number_is_its_text"),
        pytest.param('"null"', '"null"', id="quotes_are_kept"),
        pytest.param("null", "null", id="the_word_null_is_a_text"),
        pytest.param("Sørrow 😀", "Sørrow 😀", id="any_character"),
    ],
)
def test_texts(sent: object, kept: str | None):
    row = judge_one("tracks", name=sent)

    assert (row["track_name"], row["broken_rules"]) == (kept, [])


@pytest.mark.parametrize("items", [pytest.param("null", id="null"), pytest.param("[]", id="empty")])
def test_a_record_without_items_is_kept_without_plays(items: str):
    row = judge("listen_history", json.dumps(LISTENS | {"items": "?"}).replace('"?"', items)).row(0, named=True)

    assert (row["plays"], row["broken_rules"]) == ([], [])


def test_a_field_nobody_knows_changes_nothing():
    row = judge_one("users", nickname={"deep": [1, None, "x"]}, ID=9)

    assert row == judge_one("users")


@pytest.mark.parametrize("stream", GOOD)
def test_records_are_judged_alike_alone_and_together(stream: str):
    texts = [
        json.dumps(GOOD[stream] | {field: value})
        for field in GOOD[stream]
        for value in (None, True, 1.5, "\u00e9\n", [], [None], {"a": 1}, 7, "7", "2026-01-01 00:00:00+01:00")
    ]

    together = judge(stream, *texts).drop("raw_id")

    alone = pl.concat([judge(stream, text).drop("raw_id") for text in texts])
    assert together.rows() == alone.rows()


def test_a_record_written_over_several_lines_is_read():
    row = judge("tracks", json.dumps(TRACK, indent=2), json.dumps(TRACK)).drop("raw_id")

    assert row.row(0) == row.row(1)


@pytest.mark.parametrize("stream", GOOD)
def test_no_record_makes_an_empty_table_of_the_same_types(stream: str):
    none = judge(stream)

    assert none.height == 0
    assert none.schema == judge(stream, json.dumps(GOOD[stream])).schema
