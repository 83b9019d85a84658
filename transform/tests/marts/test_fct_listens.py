"""fct_listens: one row per track in each list."""

import polars as pl
from moovitamix_transform import contracts
from moovitamix_transform.staging.stg_listen_history import StgListenHistory


def history(*lists: tuple) -> pl.DataFrame:
    """`(user, instant, [track, …])`: their stg_listen_history."""
    rows = [
        (user, at, at, [{"track_id": track, "position": place} for place, track in enumerate(tracks, 1)])
        for user, at, tracks in lists
    ]
    return pl.DataFrame(rows, schema=contracts.schema(StgListenHistory), orient="row")


def test_a_list_becomes_a_row_per_track_with_its_place(run, day):
    played = history((7, day(5), [30, 10, 20]))

    listens = run("fct_listens", stg_listen_history=played)

    assert listens.rows() == [(7, 30, day(5), 1), (7, 10, day(5), 2), (7, 20, day(5), 3)]


def test_a_track_twice_in_a_list_is_two_listens(run, day):
    played = history((7, day(5), [10, 10]))

    listens = run("fct_listens", stg_listen_history=played)

    assert listens.rows() == [(7, 10, day(5), 1), (7, 10, day(5), 2)]


def test_a_list_without_tracks_is_no_listen(run, day):
    played = history((7, day(5), []), (8, day(5), [10]), (9, day(5), []))

    listens = run("fct_listens", stg_listen_history=played)

    assert listens.rows() == [(8, 10, day(5), 1)]


def test_only_empty_lists_make_an_empty_table(run, day):
    played = history((7, day(5), []))

    listens = run("fct_listens", stg_listen_history=played)

    assert listens.rows() == []
