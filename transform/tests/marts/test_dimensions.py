"""dim_* and dim_*_history: what is there, what is gone, what was when. Real landings, one a day."""

from collections.abc import Callable
from datetime import UTC, datetime

import polars as pl
import pytest

Line = Callable[..., bytes]
DAY_MS = 86_400_000
DAY_1_MS = 1_767_225_600_000  # 2026-01-01


def day(number: int) -> datetime:
    return datetime(2026, 1, number, tzinfo=UTC)


@pytest.fixture
def sync(pipeline, record: Line, status: Line) -> Callable[..., None]:
    """`sync(2, {7: "A"})`: on day 2 the catalogue holds track 7, named A. A name of 5 makes the record a bad one."""

    def land(number: int, tracks: dict[int | None, object], *odd: bytes, ends: str = "COMPLETE") -> None:
        at = DAY_1_MS + (number - 1) * DAY_MS
        data = [
            {"id": key, "name": name, "created_at": "2025-01-01T00:00:00", "updated_at": "2025-01-01T00:00:00"}
            for key, name in tracks.items()
        ]
        lines = [record("tracks", each, at) for each in data]
        pipeline.land([*lines, *odd, status("tracks", ends, at + 1000)])

    return land


def deleted(pipeline) -> dict[int, datetime | None]:
    """When each track was deleted; None while it is there."""
    rows = pipeline.rows("dim_tracks").select("track_id", "is_deleted", "deleted_at").rows()
    assert all(is_deleted == (at is not None) for _, is_deleted, at in rows)
    return {key: at for key, _, at in rows}


def periods(pipeline, key: int) -> list[tuple[str | None, datetime, datetime | None, bool]]:
    rows = pipeline.rows("dim_tracks_history").filter(pl.col("track_id") == key).sort("valid_from")
    return rows.select("track_name", "valid_from", "valid_to", "is_current").rows()


def test_a_track_that_a_complete_read_lacks_is_deleted_when_that_read_began(pipeline, sync):
    sync(1, {7: "A", 8: "B"})
    sync(2, {8: "B"})
    sync(3, {8: "B"})

    pipeline.build()

    assert deleted(pipeline) == {7: day(2), 8: None}
    assert periods(pipeline, 7) == [("A", day(1), day(2), False)]


def test_a_read_without_one_record_deletes_all_at_the_time_of_its_status(pipeline, sync):
    sync(1, {7: "A"})
    pipeline.build()
    sync(2, {})

    result = pipeline.build()

    assert result.is_published
    assert deleted(pipeline) == {7: datetime(2026, 1, 2, 0, 0, 1, tzinfo=UTC)}


def test_a_track_that_comes_back_is_there_again_and_its_absence_is_a_gap(pipeline, sync):
    sync(1, {7: "A", 8: "B"})
    sync(2, {8: "B"})
    sync(3, {7: "A", 8: "B"})

    pipeline.build()

    assert deleted(pipeline) == {7: None, 8: None}
    assert periods(pipeline, 7) == [("A", day(1), day(2), False), ("A", day(3), None, True)]


@pytest.mark.parametrize(
    "absence",
    [
        pytest.param({"ends": "INCOMPLETE"}, id="an_incomplete_read"),
        pytest.param({"odd": b"not a line of JSON"}, id="a_read_with_an_unreadable_line"),
        pytest.param({"bad_key": True}, id="a_read_with_an_unreadable_key"),
    ],
)
def test_absence_from_this_proves_nothing(pipeline, sync, absence: dict[str, object]):
    sync(1, {7: "A", 8: "B"})
    tracks = {8: "B"} | ({None: "C"} if absence.get("bad_key") else {})
    odd = [absence["odd"]] if "odd" in absence else []
    sync(2, tracks, *odd, ends=absence.get("ends", "COMPLETE"))

    pipeline.build()

    assert deleted(pipeline) == {7: None, 8: None}
    assert periods(pipeline, 7) == [("A", day(1), None, True)]


def test_a_track_that_is_there_only_as_a_bad_record_keeps_its_last_good_row(pipeline, sync):
    sync(1, {7: "A"})
    sync(2, {7: True})  # a boolean is no name

    pipeline.build()

    assert deleted(pipeline) == {7: None}
    assert periods(pipeline, 7) == [("A", day(1), None, True)]


def test_a_later_incomplete_read_that_has_the_track_keeps_it_alive(pipeline, sync):
    sync(1, {7: "A", 8: "B"})
    sync(2, {8: "B"})
    sync(3, {7: "A"}, ends="INCOMPLETE")

    pipeline.build()

    assert deleted(pipeline) == {7: None, 8: None}


def test_a_period_ends_where_an_attribute_changes_and_not_where_none_does(pipeline, sync):
    sync(1, {7: "A"})
    sync(2, {7: "A"})
    sync(3, {7: None})
    sync(4, {7: None})
    sync(5, {7: "A"})

    pipeline.build()

    assert periods(pipeline, 7) == [
        ("A", day(1), day(3), False),
        (None, day(3), day(5), False),
        ("A", day(5), None, True),
    ]


def test_the_same_messages_landed_twice_add_no_period(pipeline, sync):
    sync(1, {7: "A"})
    sync(1, {7: "A"})

    pipeline.build()

    assert periods(pipeline, 7) == [("A", day(1), None, True)]


def test_two_values_observed_at_one_instant_leave_the_later_one(pipeline, sync):
    sync(1, {7: "A"})
    sync(1, {7: "B"})

    pipeline.build()

    assert periods(pipeline, 7) == [("B", day(1), None, True)]


def test_a_clock_that_went_back_makes_no_overlap(pipeline, sync):
    sync(3, {7: "A"})
    sync(2, {7: "B"})
    sync(5, {7: "C"})

    pipeline.build()

    assert periods(pipeline, 7) == [("B", day(3), day(5), False), ("C", day(5), None, True)]


def test_a_user_has_a_row_for_each_period_with_unchanged_attributes(pipeline, record: Line, status: Line):
    ada = {"id": 7, "first_name": "Ada", "email": "Ada@b.org", "gender": "F", "favorite_genres": "Jazz"}
    bob = {"id": 8}
    reads = [
        [ada, bob],
        [ada | {"email": "ada@B.org"}, bob],  # its case alone is no change
        [ada | {"last_name": "L"}, bob],
        [ada | {"last_name": "L", "favorite_genres": "Rock"}, bob],
        [bob],
        [ada, bob],
    ]
    for number, users in enumerate(reads):
        at = DAY_1_MS + number * DAY_MS
        instants = {"created_at": "2025-01-01T00:00:00", "updated_at": f"2025-01-0{1 + number}T00:00:00"}
        pipeline.land([*(record("users", each | instants, at) for each in users), status("users", "COMPLETE", at)])

    pipeline.build()

    rows = pipeline.rows("dim_users_history").sort("user_id", "valid_from")
    assert rows.columns[1:6] == ["first_name", "last_name", "email", "gender", "favorite_genre"]
    assert rows.rows() == [
        (7, "Ada", None, "ada@b.org", "F", "Jazz", day(1), day(3), False),
        (7, "Ada", "L", "ada@b.org", "F", "Jazz", day(3), day(4), False),
        (7, "Ada", "L", "ada@b.org", "F", "Rock", day(4), day(5), False),
        (7, "Ada", None, "ada@b.org", "F", "Jazz", day(6), None, True),
        (8, None, None, None, None, None, day(1), None, True),
    ]
