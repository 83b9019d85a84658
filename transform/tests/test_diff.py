"""`diff` counts what a comparison of the two tables row by row would count, and reads no more than it must."""

from datetime import UTC, datetime

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from moovitamix_transform.builds import Build
from moovitamix_transform.contracts import schema
from moovitamix_transform.diff import TableDiff, diff
from moovitamix_transform.errors import NoSuchBuild
from moovitamix_transform.graph import models
from moovitamix_transform.warehouse import Warehouse

AT = datetime(2026, 1, 5, tzinfo=UTC)
LISTENS, TRACKS = (models()[name] for name in ("stg_listen_history", "stg_tracks"))

# (user, day) → the tracks listened to: the rows of stg_listen_history.
libraries = st.dictionaries(
    st.tuples(st.integers(1, 4), st.integers(1, 3)), st.lists(st.integers(1, 3), max_size=3), max_size=12
)


def a_build(number: int, **tables: int) -> Build:
    return Build(number, f"run {number}", AT, "polars", False, tables)


def listens(library: dict[tuple[int, int], list[int]]) -> pl.DataFrame:
    rows = [
        {
            "user_id": user,
            "listened_at": AT.replace(day=day),
            "updated_at": AT,
            "plays": [{"track_id": track, "position": position} for position, track in enumerate(tracks, 1)],
        }
        for (user, day), tracks in library.items()
    ]
    return pl.DataFrame(rows, schema=schema(LISTENS.contract))


def tracks(*rows: dict[str, object]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=schema(TRACKS.contract))


def changed_by_hand(before: dict, after: dict) -> tuple[int, int, int]:
    """Added, removed, changed: as sets say."""
    return (
        len(after.keys() - before.keys()),
        len(before.keys() - after.keys()),
        sum(before[key] != after[key] for key in before.keys() & after.keys()),
    )


def only(results) -> TableDiff:
    (result,) = results
    return result


@settings(max_examples=25, deadline=None)
@given(before=libraries, after=libraries, rows_at_a_time=st.sampled_from([1, 3, 1000]))
def test_the_counts_are_those_of_sets(new_pipeline, before: dict, after: dict, rows_at_a_time: int):
    warehouse = new_pipeline().warehouse
    old = warehouse.overwrite(LISTENS.path, listens(before).lazy())
    new = warehouse.overwrite(LISTENS.path, listens(after).lazy())

    result = only(
        diff(
            warehouse,
            a_build(1, stg_listen_history=old),
            a_build(2, stg_listen_history=new),
            rows_at_a_time=rows_at_a_time,
        )
    )

    assert (result.added, result.removed, result.changed) == changed_by_hand(before, after)


@settings(max_examples=15, deadline=None)
@given(before=libraries, added=libraries)
def test_rows_added_in_a_file_of_their_own_are_counted_and_the_other_files_left_unread(
    new_pipeline, before: dict, added: dict
):
    warehouse = new_pipeline().warehouse
    fresh = {key: tracks for key, tracks in added.items() if key not in before}
    old = warehouse.overwrite(LISTENS.path, listens(before).lazy())
    new = warehouse.append(LISTENS.path, listens(fresh))

    forth = only(diff(warehouse, a_build(1, stg_listen_history=old), a_build(2, stg_listen_history=new)))
    back = only(diff(warehouse, a_build(2, stg_listen_history=new), a_build(1, stg_listen_history=old)))
    one, other = warehouse.scan_apart(LISTENS.path, old, new)

    assert (forth.added, forth.removed, forth.changed) == (len(fresh), 0, 0)
    assert (back.added, back.removed, back.changed) == (0, len(fresh), 0)
    assert (one.collect().height, other.collect().height) == (0, len(fresh))


def test_a_null_that_gets_a_value_and_a_value_that_gets_null_are_changes_and_a_null_that_stays_is_none(pipeline):
    row = {"created_at": AT, "updated_at": AT}
    old = pipeline.warehouse.overwrite(
        TRACKS.path,
        tracks(
            {"track_id": 1, "genre": None, **row},
            {"track_id": 2, "genre": "jazz", **row},
            {"track_id": 3, "genre": None, **row},
        ).lazy(),
    )
    new = pipeline.warehouse.overwrite(
        TRACKS.path,
        tracks(
            {"track_id": 3, "genre": None, **row},
            {"track_id": 2, "genre": None, **row},
            {"track_id": 1, "genre": "jazz", **row},
        ).lazy(),
    )

    result = only(diff(pipeline.warehouse, a_build(1, stg_tracks=old), a_build(2, stg_tracks=new)))

    assert result == TableDiff("stg_tracks", added=0, removed=0, changed=2)


def test_values_that_change_places_are_a_change(pipeline):
    row = {"track_id": 1, "created_at": AT, "updated_at": AT}
    old = pipeline.warehouse.overwrite(TRACKS.path, tracks({"genre": "a", "album_name": None, **row}).lazy())
    new = pipeline.warehouse.overwrite(TRACKS.path, tracks({"genre": None, "album_name": "a", **row}).lazy())

    result = only(diff(pipeline.warehouse, a_build(1, stg_tracks=old), a_build(2, stg_tracks=new)))

    assert result == TableDiff("stg_tracks", added=0, removed=0, changed=1)


def test_a_new_column_changes_the_rows_that_have_a_value_in_it(pipeline):
    rows = tracks(*({"track_id": number, "created_at": AT, "updated_at": AT} for number in (1, 2, 3)))
    wider = rows.with_columns(mood=pl.Series([None, "blue", None], dtype=pl.String))
    old = pipeline.warehouse.overwrite(TRACKS.path, rows.lazy())
    new = pipeline.warehouse.overwrite(TRACKS.path, wider.lazy())

    forth = only(diff(pipeline.warehouse, a_build(1, stg_tracks=old), a_build(2, stg_tracks=new)))
    back = only(diff(pipeline.warehouse, a_build(2, stg_tracks=new), a_build(1, stg_tracks=old)))

    assert forth == back == TableDiff("stg_tracks", added=0, removed=0, changed=1)


def test_a_column_of_another_type_changes_the_rows_that_have_a_value_in_it(pipeline):
    row = {"created_at": AT, "updated_at": AT}
    rows = tracks({"track_id": 1, "duration_seconds": 5, **row}, {"track_id": 2, "duration_seconds": None, **row})
    old = pipeline.warehouse.overwrite(TRACKS.path, rows.lazy())
    new = pipeline.warehouse.overwrite(TRACKS.path, rows.with_columns(pl.col("duration_seconds").cast(pl.Int64)).lazy())

    result = only(diff(pipeline.warehouse, a_build(1, stg_tracks=old), a_build(2, stg_tracks=new)))

    assert result == TableDiff("stg_tracks", added=0, removed=0, changed=1)


def test_a_key_of_another_type_makes_every_row_a_new_one(pipeline):
    rows = tracks(*({"track_id": number, "created_at": AT, "updated_at": AT} for number in (1, 2, 3)))
    old = pipeline.warehouse.overwrite(TRACKS.path, rows.with_columns(pl.col("track_id").cast(pl.String)).lazy())
    new = pipeline.warehouse.overwrite(TRACKS.path, rows.head(2).lazy())

    result = only(diff(pipeline.warehouse, a_build(1, stg_tracks=old), a_build(2, stg_tracks=new)))

    assert result == TableDiff("stg_tracks", added=2, removed=3, changed=0)


def test_a_table_that_one_build_does_not_have_is_added_or_removed_whole(pipeline):
    version = pipeline.warehouse.overwrite(TRACKS.path, tracks({"track_id": 1}, {"track_id": 2}).lazy())

    added = only(diff(pipeline.warehouse, a_build(1), a_build(2, stg_tracks=version)))
    removed = only(diff(pipeline.warehouse, a_build(2, stg_tracks=version), a_build(3)))

    assert added == TableDiff("stg_tracks", added=2, removed=0, changed=0)
    assert removed == TableDiff("stg_tracks", added=0, removed=2, changed=0)


def test_a_table_with_the_same_version_is_not_even_opened(tmp_path):
    nothing_there = Warehouse(str(tmp_path))

    result = only(diff(nothing_there, a_build(1, stg_tracks=7), a_build(2, stg_tracks=7)))

    assert result == TableDiff("stg_tracks", added=0, removed=0, changed=0)


def test_a_version_that_is_not_kept_is_told_with_its_build(pipeline):
    version = pipeline.warehouse.overwrite(TRACKS.path, tracks({"track_id": 1}).lazy())

    with pytest.raises(NoSuchBuild, match="stg_tracks of build 2: its version 8 is no longer kept whole"):
        list(diff(pipeline.warehouse, a_build(1, stg_tracks=version), a_build(2, stg_tracks=8)))


def test_real_builds_differ_by_what_landed_in_between(pipeline, record):
    monday, tuesday = "2026-01-05T00:00:00", "2026-01-06T00:00:00"
    track = {"id": 1, "name": "old", "created_at": monday, "updated_at": monday}
    day = 86_400_000
    pipeline.land(
        [
            record("tracks", track, emitted_at=day),
            record("listen_history", {"user_id": 7, "items": [1, 1], "created_at": monday, "updated_at": monday}),
        ]
    )
    first = pipeline.build().build
    pipeline.land(
        [
            record("tracks", track | {"name": "new", "updated_at": tuesday}, emitted_at=2 * day),
            record("listen_history", {"user_id": 7, "items": [1], "created_at": monday, "updated_at": tuesday}),
            record("listen_history", {"user_id": 8, "items": [1], "created_at": tuesday, "updated_at": tuesday}),
        ]
    )
    second = pipeline.build().build

    found = {each.table: (each.added, each.removed, each.changed) for each in diff(pipeline.warehouse, first, second)}

    assert list(found) == list(models())
    assert {table: counts for table, counts in found.items() if any(counts)} == {
        "base_tracks": (1, 0, 0),
        "base_listen_history": (2, 0, 0),
        "stg_tracks": (0, 0, 1),
        "stg_listen_history": (1, 0, 1),
        "dim_tracks": (0, 0, 1),
        "dim_tracks_history": (1, 0, 1),
        "fct_listens": (1, 1, 0),
        "user_track_interactions": (1, 0, 1),
        "track_popularity": (0, 0, 1),
        "user_profiles": (1, 0, 1),
    }


@settings(max_examples=15, deadline=None)
@given(before=libraries, after=libraries)
def test_rows_replaced_in_place_as_an_incremental_build_does_are_counted_alike(new_pipeline, before: dict, after: dict):
    warehouse = new_pipeline().warehouse
    key = list(LISTENS.contract.primary_key())
    stale = {each: tracks for each, tracks in before.items() if after.get(each) != tracks}
    fresh = {each: tracks for each, tracks in after.items() if before.get(each) != tracks}
    old = warehouse.overwrite(LISTENS.path, listens(before).lazy())
    new = warehouse.replace(LISTENS.path, old, listens(stale).select(key), listens(fresh))

    result = list(diff(warehouse, a_build(1, stg_listen_history=old), a_build(2, stg_listen_history=new)))

    assert [(each.added, each.removed, each.changed) for each in result] == [changed_by_hand(before, after)]
