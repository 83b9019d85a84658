"""What the library holds: counts, growth, change, and the structure a recommender can learn from."""

from collections import Counter
from collections.abc import Callable
from datetime import datetime
from statistics import mean
from typing import Any

import pytest
from moovitamix_api.instants import DAY, FIRST, START, to_microseconds
from moovitamix_api.library import Library
from moovitamix_api.library.collection import Collection
from moovitamix_api.library.pools import GENDERS, GENRES

TEN_YEARS_ON = START + 3650 * DAY


@pytest.fixture(scope="module")
def library() -> Library:
    return Library(seed=0, size=1000, listens=1000, horizon=TEN_YEARS_ON)


def rows(collection: Collection, now: int) -> list[dict[str, Any]]:
    return collection.page(now, 0, 10**9)[1]


def totals(library: Library, now: int) -> tuple[int, int, int]:
    return tuple(rows_of.page(now, 0, 1)[0] for rows_of in (library.tracks, library.users, library.listen_history))


def test_at_the_start_there_are_exactly_as_many_rows_as_asked_for(library: Library):
    assert totals(library, START) == (1000, 1000, 1000)


def test_before_the_start_there_is_only_what_existed_then(library: Library):
    assert totals(library, FIRST) == (0, 0, 0)
    assert totals(library, START - 365 * DAY) == (500, 500, 133)


def test_an_empty_library_stays_empty():
    empty = Library(seed=0, size=0, listens=0, horizon=TEN_YEARS_ON)

    assert totals(empty, TEN_YEARS_ON) == (0, 0, 0)
    assert empty.tracks.page(START, 0, 100) == (0, [])


def test_growth_is_linear_one_percent_of_the_listens_a_day(library: Library):
    counts = [totals(library, START + days * DAY)[2] for days in (100, 200, 300, 3650)]

    assert counts == pytest.approx([2000, 3000, 4000, 37500], abs=10)


def test_the_same_seed_gives_these_rows_on_every_platform():
    library = Library(seed=7, size=10, listens=10, horizon=START)

    users, tracks, listens = (rows(each, START) for each in (library.users, library.tracks, library.listen_history))

    assert [row["id"] for row in users] == [15555, 21530, 36517, 39524, 43525, 59423, 74279, 88463, 89383, 95741]
    assert [row["id"] for row in tracks] == [588, 14860, 26973, 32610, 47538, 66526, 70463, 72963, 88850, 95909]
    assert listens[0] == {
        "user_id": 15555,
        "items": [88850],
        "created_at": datetime(2025, 12, 10, 8, 1, 19, 132200),
        "updated_at": datetime(2025, 12, 11, 2, 2, 11, 993119),
    }


def test_a_new_seed_is_a_new_library(library: Library):
    other = Library(seed=1, size=1000, listens=1000, horizon=START)

    ids = [{row["id"] for row in rows(each.tracks, START)} for each in (library, other)]

    assert len(ids[0] & ids[1]) < 50


def test_ids_are_scattered_over_the_clients_range(library: Library):
    ids = [row["id"] for row in rows(library.tracks, START)]

    assert 1 <= min(ids) < 1000
    assert 99_000 < max(ids) <= 100_000
    assert 40_000 < mean(ids) < 60_000


@pytest.mark.parametrize("years", [0, 1, 10])
def test_a_quarter_of_tracks_and_users_was_updated_before_it_was_created(library: Library, years: int):
    for collection in (library.tracks, library.users):
        members = rows(collection, START + years * 365 * DAY)

        assert mean(row["updated_at"] < row["created_at"] for row in members) == pytest.approx(0.25, abs=0.05)


def test_in_a_month_members_join_change_and_leave(library: Library):
    for collection in (library.tracks, library.users):
        before, after = ({row["id"]: row for row in rows(collection, START + days * DAY)} for days in (300, 330))
        changed = [(before[each], after[each]) for each in before.keys() & after.keys() if before[each] != after[each]]

        assert 5 <= len(after.keys() - before.keys()) <= 20
        assert 1 <= len(before.keys() - after.keys()) <= 15
        assert 25 <= len(changed) <= 70
        for old, new in changed:
            assert old["created_at"] == new["created_at"]
            assert START + 300 * DAY < to_microseconds(new["updated_at"]) <= START + 330 * DAY
            assert len([field for field in old if old[field] != new[field]]) <= 2  # updated_at, and one more


def test_some_listens_are_corrected_with_other_items_under_the_same_key(library: Library):
    before, after = (
        {(row["user_id"], row["created_at"]): row for row in rows(library.listen_history, START + days * DAY)}
        for days in (300, 330)
    )

    corrected = [(before[key], after[key]) for key in before if before[key] != after[key]]

    assert 5 <= len(corrected) <= 40
    for old, new in corrected:
        assert old["updated_at"] < new["updated_at"]
        assert old["items"] == new["items"][:-1]


def test_lists_hold_one_to_eleven_tracks_five_on_average_none_twice(library: Library):
    lists = [row["items"] for row in rows(library.listen_history, START + 300 * DAY)]

    assert mean(map(len, lists)) == pytest.approx(5, abs=0.5)
    assert mean(1 <= len(items) <= 11 for items in lists) > 0.99
    assert all(len(set(items)) == len(items) for items in lists)


def test_a_few_tracks_are_played_most_and_many_a_little(library: Library):
    plays = Counter(track for row in rows(library.listen_history, START + 300 * DAY) for track in row["items"])

    counts = sorted(plays.values(), reverse=True)
    assert sum(counts[:100]) / sum(counts) > 0.35
    assert len(counts) > 800


def test_users_play_their_favorite_genre_four_times_as_often_as_chance_would(library: Library):
    genre = {row["id"]: row["genres"] for row in rows(library.tracks, START)}
    favorite = {row["id"]: row["favorite_genres"] for row in rows(library.users, START)}

    plays = [
        genre[track] == favorite[row["user_id"]]
        for row in rows(library.listen_history, START)
        for track in row["items"]
    ]

    assert mean(plays) > 0.25  # by chance: 1 in 17


def test_whoever_listens_and_whatever_is_played_was_there(library: Library):
    for row in rows(library.listen_history, START + 400 * DAY)[::40]:
        heard_at = to_microseconds(row["created_at"])

        assert row["user_id"] in {user["id"] for user in rows(library.users, heard_at)}
        assert set(row["items"]) <= {track["id"] for track in rows(library.tracks, heard_at)}


def test_tracks_last_two_to_seven_minutes_and_have_a_real_genre_but_for_a_few(library: Library):
    tracks = rows(library.tracks, START)
    minutes = [int(row["duration"][:2]) + int(row["duration"][3:]) / 60 for row in tracks]

    assert 2 <= min(minutes) <= max(minutes) <= 7
    assert 0.95 < mean(row["genres"] in GENRES for row in tracks) < 1


def test_users_have_the_clients_genders_genres_and_mail_hosts(library: Library):
    users = rows(library.users, START)

    assert {row["gender"] for row in users} == set(GENDERS)
    assert {row["favorite_genres"] for row in users} == set(GENRES)
    assert {row["email"].partition("@")[2] for row in users} == {"example.com", "example.net", "example.org"}


def test_the_pools_are_the_clients(recorded: Callable[[str], Any]):
    users = [row for page in range(1, 11) for row in recorded(f"users.page-{page}")["items"]]

    assert sorted({row["favorite_genres"] for row in users}) == list(GENRES)
    assert sorted({row["gender"] for row in users}) == list(GENDERS)


def test_instants_are_naive_datetimes(library: Library):
    first = rows(library.users, START)[0]

    assert isinstance(first["created_at"], datetime)
    assert first["created_at"].tzinfo is None
