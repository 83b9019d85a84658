"""How far a build read is a version of each source table: when that is gone, the next build is a full one."""

import shutil
from collections.abc import Callable

import pytest
from moovitamix_transform import builds, fields_seen, runs, sources
from moovitamix_transform.graph import SOURCES, models
from polars.testing import assert_frame_equal

Line = Callable[..., bytes]
AT = {"created_at": "2026-01-01T00:00:00", "updated_at": "2026-01-01T00:00:00"}


def sync(pipeline, record: Line, *ids: int, **more: object) -> None:
    """Lands one read of tracks with these ids, and a list of each; recorded as a run."""
    run = runs.Run("land")
    with pipeline.warehouse.writing():
        runs.record(pipeline.warehouse, run)
    tracks = [record("tracks", {"id": number, **AT, **more}) for number in ids]
    lists = [record("listen_history", {"user_id": number, "items": [number], **AT}) for number in ids]
    pipeline.land([*tracks, *lists, b"no line"], run_id=run.run_id)
    run.end("succeeded")
    with pipeline.warehouse.writing():
        runs.record(pipeline.warehouse, run)


@pytest.fixture(scope="module")
def synced(new_pipeline, record: Line):
    """Two syncs, which a build has read, and a third one, which none has."""
    pipeline = new_pipeline()
    sync(pipeline, record, 1, isrc="US-1")
    sync(pipeline, record, 1, 2)
    pipeline.build()
    sync(pipeline, record, 1, 2, 3)
    return pipeline


def lose_old_versions(pipeline, *names: str) -> None:
    """What another program's OPTIMIZE and VACUUM do."""
    for name in names:
        pipeline.warehouse.compact(sources.path(name))
        pipeline.warehouse.vacuum(sources.path(name), set(), is_dry=False)


@pytest.mark.parametrize("lost", [*((name,) for name in SOURCES if name != "users"), SOURCES], ids=" ".join)
def test_a_watermark_that_is_gone_becomes_a_full_rebuild_said_aloud(pipeline, synced, lost: tuple[str, ...]):
    shutil.copytree(synced.warehouse.root, pipeline.warehouse.root)
    lose_old_versions(pipeline, *lost)

    result = pipeline.build()

    built = {name: pipeline.rows(name) for name in models()}
    assert result.build.full_refresh
    told = [notice for notice in result.notices if "no longer readable" in notice]
    names = ", ".join(name for name in lost if name != "users")  # which no sync had a record of
    assert told == [f"{names}: how far build 1 read is no longer readable: full rebuild"]
    assert built["dim_tracks"]["track_id"].to_list() == [1, 2, 3]
    assert built["fct_listens"]["track_id"].to_list() == [1, 2, 3]
    assert built["quarantine"].height == 3
    pipeline.build(full_refresh=True)
    for name, rows in built.items():
        assert_frame_equal(pipeline.rows(name), rows)


def test_no_field_is_told_again_because_a_watermark_is_gone(pipeline, record: Line):
    sync(pipeline, record, 1, isrc="US-1")
    sync(pipeline, record, 1)
    pipeline.build()
    sync(pipeline, record, 1, 2, bpm=120)
    lose_old_versions(pipeline, "tracks")

    pipeline.build()

    newest = builds.newest(pipeline.warehouse)
    noticed = fields_seen.rows(pipeline.warehouse, newest.tables["fields"])
    told = [(row["build_id"], row["field"], row["change"]) for row in noticed if row["stream"] == "tracks"]
    assert [row for row in told if row[0] == 2] == [(2, "bpm", "appeared")]
