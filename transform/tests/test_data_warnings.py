"""What is odd but true: each check finds its rows, and only those."""

from datetime import UTC, datetime

import narwhals as nw
import polars as pl
import pytest
from moovitamix_transform import contracts
from moovitamix_transform.data_warnings import all_warnings
from moovitamix_transform.graph import models

EARLY, LATE = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)
CHECKS = {warning.name: warning for warning in all_warnings()}


def table(name: str, *rows: dict[str, object]) -> nw.LazyFrame:
    return nw.from_native(pl.LazyFrame(rows, schema=contracts.schema(models()[name].contract)))


def odd_rows(check: str, tables: dict[str, nw.LazyFrame]) -> int:
    return CHECKS[check].check(**tables).collect().item() or 0


@pytest.mark.parametrize(
    ("check", "tables", "count"),
    [
        pytest.param(
            "tracks_updated_before_created",
            {"stg_tracks": [{"created_at": LATE, "updated_at": EARLY}, {"created_at": EARLY, "updated_at": EARLY}]},
            1,
            id="a_track_updated_before_it_was_created",
        ),
        pytest.param(
            "users_updated_before_created",
            {"stg_users": [{"created_at": LATE, "updated_at": EARLY}, {"created_at": EARLY, "updated_at": LATE}]},
            1,
            id="a_user_updated_before_they_were_created",
        ),
        pytest.param(
            "listens_updated_before_created",
            {"stg_listen_history": [{"listened_at": LATE, "updated_at": EARLY}]},
            1,
            id="a_list_updated_before_it_was_listened_to",
        ),
        pytest.param(
            "users_email_without_at",
            {"stg_users": [{"email": "nobody"}, {"email": "a@b"}, {"email": None}]},
            1,
            id="an_email_without_an_at_but_not_a_missing_one",
        ),
        pytest.param(
            "listens_of_unknown_tracks",
            {
                "track_popularity": [{"track_id": 1, "listen_count": 3}, {"track_id": 9, "listen_count": 2}],
                "dim_tracks": [{"track_id": 1}],
            },
            2,
            id="each_listen_of_a_track_that_is_in_no_catalogue",
        ),
        pytest.param(
            "listens_of_unknown_users",
            {
                "user_profiles": [{"user_id": 7, "listen_count": 2}, {"user_id": 8, "listen_count": 3}],
                "dim_users": [{"user_id": 7}],
            },
            3,
            id="each_listen_of_a_user_who_is_in_no_table",
        ),
    ],
)
def test_a_check_counts_the_odd_rows(check: str, tables: dict, count: int):
    frames = {name: table(name, *rows) for name, rows in tables.items()}

    assert odd_rows(check, frames) == count


@pytest.mark.parametrize("check", CHECKS)
def test_a_check_finds_nothing_in_empty_tables(check: str):
    frames = {name: table(name) for name in CHECKS[check].reads}

    assert odd_rows(check, frames) == 0


def test_odd_rows_are_kept(pipeline, record):
    backwards = {"created_at": "2026-01-02T00:00:00", "updated_at": "2026-01-01T00:00:00"}
    pipeline.land(
        [
            record("tracks", {"id": 1} | backwards),
            record("users", {"id": 7, "email": "nobody"} | backwards),
            record("listen_history", {"user_id": 8, "items": [9]} | backwards),
        ]
    )

    result = pipeline.build()

    assert {warning.name: warning.count for warning in result.warnings} == dict.fromkeys(CHECKS, 1)
    assert {table.table: table.rows for table in result.tables if table.table.startswith("stg_")} == {
        "stg_tracks": 1,
        "stg_users": 1,
        "stg_listen_history": 1,
    }
    assert pipeline.rows("quarantine").height == 0
