"""`explain` is right for every key: each record once, what became of it, and exactly the rows made of it."""

import json
from collections import Counter
from collections.abc import Callable
from datetime import datetime

import polars as pl
import pytest
from moovitamix_transform import builds, ledger
from moovitamix_transform.cli.app import run_command
from moovitamix_transform.engines.on_polars import OnPolars
from moovitamix_transform.errors import NoSuchTable, UsageError
from moovitamix_transform.explain import explain

Line = Callable[..., bytes]
DAY = "2026-01-0{}T00:00:00"


@pytest.fixture(scope="module")
def built(new_pipeline, record: Line, status: Line):
    """Three syncs with corrections, bad records, a track that leaves, listens of unknown tracks and of none."""
    pipeline = new_pipeline()
    for sync in (1, 2, 3):
        at = {"created_at": DAY.format(1), "updated_at": DAY.format(sync)}
        tracks = [{"id": number, "name": f"track {number} {sync // 2}", "genres": "rock", **at} for number in range(9)]
        tracks += [{"id": "3", "duration": "99:99", **at}, {"id": None, **at}, {"id": 77, "duration": "x", **at}]
        users = [{"id": number, "email": f"{sync}@example.org", **at} for number in (1, 2, 3)]
        listens = [
            {
                "user_id": 1 + number % 3,
                "items": items,
                "created_at": DAY.format(number + 1),
                "updated_at": DAY.format(9),
            }
            for number, items in enumerate(([1, 2, 2], [], [55], [3, 4] if sync < 3 else [4], None, [1, "x"]))
        ]
        lines = [record("tracks", each) for each in tracks[sync - 1 :]]
        lines += [record("users", each) for each in users] + [record("listen_history", each) for each in listens]
        pipeline.land([*lines, *(status(stream, "COMPLETE") for stream in ledger.KEYS)])
        pipeline.build()
    return pipeline


def keys(pipeline, stream: str) -> list[str]:
    rows = pipeline.rows(f"base_{stream}").select(ledger.KEYS[stream]).drop_nulls().unique(maintain_order=True).rows()
    return [",".join(str(value) if isinstance(value, int) else value.isoformat() for value in row) for row in rows]


@pytest.mark.parametrize("stream", list(ledger.KEYS))
def test_over_all_keys_the_outcomes_are_the_ledgers(built, stream: str):
    found = [explain(built.warehouse, stream, key) for key in keys(built, stream)]

    assert all(each.found for each in found)
    outcomes = Counter(record["outcome"] for each in found for record in each.records)
    expected = ledger.of_stream(OnPolars(built.warehouse), builds.newest(built.warehouse).tables, stream)
    without_key = built.rows(f"base_{stream}").filter(pl.any_horizontal(pl.col(ledger.KEYS[stream]).is_null())).height
    assert {name: outcomes[name] for name in ("kept", "superseded", "quarantined")} == {
        "kept": expected.kept,
        "superseded": expected.superseded,
        "quarantined": expected.quarantined - without_key,
    }
    raw_ids = [record["raw_id"] for each in found for record in each.records]
    assert len(raw_ids) == len(set(raw_ids))


def test_the_rows_of_a_track_are_its_own_and_the_profiles_of_who_played_it(built):
    plays = built.rows("fct_listens")
    for key in keys(built, "tracks"):
        rows = explain(built.warehouse, "tracks", key).rows

        track_id = int(key)
        for table in ("stg_tracks", "dim_tracks", "dim_tracks_history"):
            assert rows[table] == built.rows(table).filter(pl.col("track_id") == track_id).to_dicts(), (key, table)
        listeners = sorted(plays.filter(pl.col("track_id") == track_id)["user_id"].unique())
        known = built.rows("dim_tracks").filter(pl.col("track_id") == track_id).height
        assert [row["user_id"] for row in rows["user_profiles"]] == (listeners if known else [])
        assert list(rows) == ["stg_tracks", "quarantine", "dim_tracks", "dim_tracks_history", "user_profiles"]


def test_the_rows_of_a_user_are_its_own(built):
    rows = explain(built.warehouse, "users", "2").rows

    assert list(rows) == ["stg_users", "quarantine", "dim_users", "dim_users_history"]
    assert [[row["user_id"] for row in rows[name]] for name in rows if name != "quarantine"] == [[2], [2], [2]]


def test_the_rows_of_a_list_are_its_plays_and_what_is_counted_of_them(built):
    for key in keys(built, "listen_history"):
        rows = explain(built.warehouse, "listen_history", key).rows

        user_id, listened_at = int(key.split(",")[0]), datetime.fromisoformat(key.split(",")[1])
        mine = built.rows("fct_listens").filter(pl.col("user_id") == user_id, pl.col("listened_at") == listened_at)
        assert rows["fct_listens"] == mine.to_dicts()
        pairs = {(row["user_id"], row["track_id"]) for row in mine.to_dicts()}
        assert {(row["user_id"], row["track_id"]) for row in rows["user_track_interactions"]} == pairs
        assert {row["track_id"] for row in rows["track_popularity"]} == {track_id for _, track_id in pairs}
        assert {row["user_id"] for row in rows["user_profiles"]} == {user for user, _ in pairs}


@pytest.mark.parametrize(
    "at", ["2026-01-01 00:00:00", "2026-01-01T01:00:00+01:00", "2026-01-01T00:00:00.0Z", " 2026-01-01T00:00:00 "]
)
def test_any_readable_instant_finds_the_list(built, at: str):
    assert explain(built.warehouse, "listen_history", f"1,{at}").found


@pytest.mark.parametrize(
    ("stream", "key", "message"),
    [
        pytest.param("podcasts", "1", "expected one of tracks, users, listen_history, got 'podcasts'", id="stream"),
        pytest.param("tracks", "1.5", "explain tracks: expected a number, such as 7, got '1.5'", id="no_integer"),
        pytest.param("tracks", "1,2", "explain tracks: expected a number", id="too_many"),
        pytest.param("listen_history", "1", "expected USER_ID,CREATED_AT, such as 7,2026-11-24T12:00:00", id="too_few"),
        pytest.param("listen_history", "1,2026-01-01", "expected USER_ID,CREATED_AT", id="a_day_alone"),
        pytest.param("listen_history", "1,monday", "expected USER_ID,CREATED_AT", id="no_instant"),
    ],
)
def test_what_is_no_key_is_a_usage_error(built, stream: str, key: str, message: str):
    with pytest.raises(UsageError) as error:
        explain(built.warehouse, stream, key)

    assert message in str(error.value)


def test_without_a_build_there_is_nothing_to_explain(pipeline, record: Line):
    pipeline.land([record("tracks", {"id": 1})])

    with pytest.raises(NoSuchTable):
        explain(pipeline.warehouse, "tracks", "1")


def test_the_command_tells_a_person_and_a_program(built, capsys: pytest.CaptureFixture[str]):
    house = ["--warehouse", built.warehouse.root]

    assert run_command(["explain", "tracks", "3", *house]) == 0
    person = capsys.readouterr().out
    assert run_command(["explain", "tracks", "77", *house]) == 0
    why = capsys.readouterr().out
    assert run_command(["explain", "tracks", "3", "--json", *house]) == 0
    program = json.loads(capsys.readouterr().out)
    assert run_command(["explain", "tracks", "404", "--json", *house]) == 1
    missing = json.loads(capsys.readouterr().out)
    assert run_command(["explain", "tracks", "404", *house]) == 1

    assert "tracks 3: 6 records" in person
    assert "duration_unreadable" in person
    assert "stg_tracks: no row: every record with this key is quarantined (duration_unreadable)" in why
    assert list(program) == ["stream", "key", "found", "records", "rows"]
    assert program["records"][0]["extracted_at"] == "2026-01-01T00:00:00.000000Z"
    assert missing == {"stream": "tracks", "key": "404", "found": False, "records": [], "rows": missing["rows"]}
    assert not any(missing["rows"].values())
    assert "expected a record with this key, the newest build has none" in capsys.readouterr().err
