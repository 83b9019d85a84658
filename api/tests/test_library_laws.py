"""What holds for every seed, size and instant."""

from functools import lru_cache
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from moovitamix_api.instants import DAY, FIRST, START, YEAR, to_microseconds
from moovitamix_api.library import Library

STREAMS = ["tracks", "users", "listen_history"]
HORIZON = START + 3 * YEAR
SEEDS = st.integers(0, 3)
INSTANTS = st.integers(FIRST - YEAR, HORIZON)

Row = dict[str, Any]
library = lru_cache(Library)


def everything(stream: str, now: int, *, seed: int, **window: int) -> list[Row]:
    return getattr(library(seed, 15, 40, HORIZON), stream).page(now, 0, 10**9, **window)[1]


def key(row: Row) -> tuple[Any, ...]:
    return (row["id"],) if "id" in row else (row["user_id"], row["created_at"])


@pytest.mark.parametrize("stream", STREAMS)
@settings(max_examples=15, deadline=None)
@given(seed=SEEDS, now=INSTANTS, asked_before=st.lists(INSTANTS, max_size=3), ahead=st.integers(0, 400 * DAY))
def test_the_rows_depend_on_seed_size_listens_and_now_alone(
    stream: str, seed: int, now: int, asked_before: list[int], ahead: int
):
    just_built = getattr(Library(seed, 15, 40, now + ahead), stream)

    for instant in asked_before:
        everything(stream, instant, seed=seed)

    assert everything(stream, now, seed=seed) == just_built.page(now, 0, 10**9)[1]


@pytest.mark.parametrize("stream", STREAMS)
@settings(max_examples=40, deadline=None)
@given(seed=SEEDS, now=INSTANTS)
def test_keys_are_unique_and_in_order(stream: str, seed: int, now: int):
    keys = [key(row) for row in everything(stream, now, seed=seed)]

    assert keys == sorted(set(keys))


@pytest.mark.parametrize("stream", STREAMS)
@settings(max_examples=40, deadline=None)
@given(seed=SEEDS, now=INSTANTS, offset=st.integers(0, 400), limit=st.integers(1, 100))
def test_a_page_is_a_slice_of_everything(stream: str, seed: int, now: int, offset: int, limit: int):
    rows = everything(stream, now, seed=seed)

    page = getattr(library(seed, 15, 40, HORIZON), stream).page(now, offset, limit)

    assert page == (len(rows), rows[offset : offset + limit])


@pytest.mark.parametrize("stream", STREAMS)
@settings(max_examples=40, deadline=None)
@given(seed=SEEDS, now=INSTANTS, since=INSTANTS, until=INSTANTS)
def test_a_window_is_a_filter_of_everything(stream: str, seed: int, now: int, since: int, until: int):
    expected = [
        row for row in everything(stream, now, seed=seed) if since <= to_microseconds(row["updated_at"]) <= until
    ]

    assert everything(stream, now, seed=seed, since=since, until=until) == expected


@settings(max_examples=40, deadline=None)
@given(seed=SEEDS, now=INSTANTS)
def test_no_listen_was_updated_before_it_was_created_or_after_now(seed: int, now: int):
    for row in everything("listen_history", now, seed=seed):
        assert to_microseconds(row["created_at"]) <= to_microseconds(row["updated_at"]) <= now


@settings(max_examples=15, deadline=None)
@given(seed=SEEDS, now=INSTANTS)
def test_a_listen_becomes_visible_exactly_at_its_updated_at(seed: int, now: int):
    for row in everything("listen_history", now, seed=seed)[::7]:
        instant = to_microseconds(row["updated_at"])

        assert row in everything("listen_history", instant, seed=seed, since=instant, until=instant)
        assert row not in everything("listen_history", instant - 1, seed=seed)


@settings(max_examples=40, deadline=None)
@given(seed=SEEDS, instants=st.lists(INSTANTS, min_size=2, max_size=6).map(sorted))
def test_listens_never_vanish(seed: int, instants: list[int]):
    keys = [{key(row) for row in everything("listen_history", now, seed=seed)} for now in instants]

    assert all(earlier <= later for earlier, later in pairwise(keys))


@settings(max_examples=40, deadline=None)
@given(seed=SEEDS, instants=st.lists(INSTANTS, min_size=1, max_size=6).map(sorted))
def test_incremental_reads_together_are_the_full_content(seed: int, instants: list[int]):
    read: dict[tuple[Any, ...], Row] = {}
    cursor = 0

    for now in instants:
        for row in everything("listen_history", now, seed=seed, since=cursor + 1):
            read[key(row)] = row
        cursor = max((to_microseconds(row["updated_at"]) for row in read.values()), default=0)

    full = everything("listen_history", instants[-1], seed=seed)
    assert [read[each] for each in sorted(read)] == full


@pytest.mark.parametrize("stream", ["tracks", "users"])
@settings(max_examples=40, deadline=None)
@given(seed=SEEDS, now=INSTANTS)
def test_tracks_and_users_say_nothing_of_the_future(stream: str, seed: int, now: int):
    for row in everything(stream, now, seed=seed):
        assert to_microseconds(row["created_at"]) <= now
        assert to_microseconds(row["updated_at"]) <= now
