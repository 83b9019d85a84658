"""Prune takes out what repeats itself, and every table, now and after a full rebuild, has the rows it had."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from moovitamix_transform import builds, ledger, prune, sources, upkeep
from moovitamix_transform.catalog import load_table
from moovitamix_transform.engines.on_polars import OnPolars
from moovitamix_transform.errors import NoSuchBuild, WarehouseError, WarehouseInUse
from moovitamix_transform.graph import models
from moovitamix_transform.progress import RunProgress
from moovitamix_transform.streams import STREAMS
from moovitamix_transform.warehouse import DataFile, Warehouse
from polars.testing import assert_frame_equal
from rich.console import Console

Line = Callable[..., bytes]
FIRST = datetime(2026, 1, 1, tzinfo=UTC)
AT = {"created_at": "2026-01-01T00:00:00", "updated_at": "2026-01-01T00:00:00"}
EVERYTHING = datetime(2100, 1, 1, tzinfo=UTC)


@pytest.fixture
def days(pipeline, record: Line, status: Line) -> Callable[..., None]:
    """One complete read of tracks a day, from FIRST on: `days({1: "old", 2: "b"}, {1: "new"})`, names by id."""
    following = count()

    def read(*catalogues: dict[int, str]) -> None:
        for catalogue in catalogues:
            at = int((FIRST + timedelta(days=next(following))).timestamp() * 1000)
            lines = [record("tracks", {"id": each, "name": name, **AT}, at) for each, name in catalogue.items()]
            pipeline.land([*lines, status("tracks", "COMPLETE", at)])

    return read


def apply(pipeline, before: datetime = EVERYTHING) -> prune.Plan:
    with pipeline.warehouse.writing():
        planned = prune.plan(pipeline.warehouse, before)
        prune.take_out(pipeline.warehouse, planned, lambda: pipeline.build_locked().build)
        prune.reclaim(pipeline.warehouse, builds.every(pipeline.warehouse), is_dry=False)
    return planned


def pruned_generations(planned: prune.Plan) -> list[int]:
    return sorted(planned.records["tracks"]["_airbyte_generation_id"].to_list())


def tables(pipeline) -> dict[str, pl.DataFrame]:
    return {name: pipeline.rows(name) for name in models() if not name.startswith("base_")}


def test_observations_in_the_middle_go_and_the_first_of_each_value_and_the_newest_stay(pipeline, days):
    days({1: "a"}, {1: "a"}, {1: "a"}, {1: "b"}, {1: "b"}, {1: "a"}, {1: "a"})
    pipeline.build()
    before = tables(pipeline)

    planned = apply(pipeline)

    assert pruned_generations(planned) == [2, 3, 5]
    after = tables(pipeline)
    for name in before:
        assert_frame_equal(after[name], before[name])
    entry = ledger.of_stream(OnPolars(pipeline.warehouse), builds.newest(pipeline.warehouse).tables, "tracks")
    assert entry.parts() == {"kept": 1, "superseded": 3, "quarantined": 0, "pruned": 3}
    assert entry.landed_total == 7


def test_a_generation_that_shows_a_departure_or_a_return_stays_whole(pipeline, days):
    days({1: "a", 2: "x"}, {1: "a"}, {1: "a"}, {1: "a", 2: "x"}, {1: "a", 2: "x"}, {1: "a", 2: "x"})
    pipeline.build()

    planned = apply(pipeline)

    ids = planned.records["tracks"].sort("_airbyte_generation_id")["_airbyte_generation_id"].to_list()
    assert ids == [3, 5, 5]
    history = pipeline.rows("dim_tracks_history").filter(pl.col("track_id") == 2)
    assert history.select("valid_from", "valid_to").rows() == [
        (FIRST, FIRST + timedelta(days=1)),
        (FIRST + timedelta(days=3), None),
    ]


def test_what_is_younger_stays(pipeline, days):
    days({1: "a"}, {1: "a"}, {1: "a"}, {1: "a"}, {1: "a"})
    pipeline.build()

    planned = apply(pipeline, FIRST + timedelta(days=2))

    assert pruned_generations(planned) == [2]


def test_a_quarantined_record_stays(pipeline, record: Line):
    for _ in range(4):
        pipeline.land([record("tracks", {"id": 1, "duration": "99:99", **AT})])
    pipeline.build()

    planned = apply(pipeline)

    assert planned.records["tracks"].is_empty()
    assert pipeline.rows("quarantine").height == 4


def test_listens_read_again_go_and_corrections_stay(pipeline, record: Line):
    def listen(items: list[int], day: int) -> bytes:
        more = {"created_at": "2026-01-01T00:00:00", "updated_at": f"2026-01-0{day}T00:00:00"}
        return record("listen_history", {"user_id": 7, "items": items, **more})

    pipeline.land([listen([1], 1), listen([1], 1), listen([1, 2], 2), listen([1, 2], 3), listen([1, 2], 4)])
    pipeline.build()

    planned = apply(pipeline)

    left = pipeline.texts("listen_history")
    assert planned.records["listen_history"].height == 2
    assert [('"items": [1]' in text, "02T" in text, "04T" in text) for text in left] == [
        (True, False, False),
        (False, True, False),
        (False, False, True),
    ]
    assert pipeline.rows("fct_listens")["track_id"].to_list() == [1, 2]


def test_old_builds_are_forgotten_and_kept_ones_stay_readable(pipeline, days):
    days({1: "a"})
    pipeline.build()
    days({1: "a"})
    boundary = pipeline.build().build.built_at
    days({1: "b"})
    pipeline.build()

    with pipeline.warehouse.writing():
        planned = prune.plan(pipeline.warehouse, boundary)
        prune.take_out(pipeline.warehouse, planned, lambda: pipeline.build_locked().build)
        prune.reclaim(pipeline.warehouse, builds.every(pipeline.warehouse), is_dry=False)

    assert [build.build_id for build in planned.old_builds] == [1]
    kept = [build.build_id for build in builds.every(pipeline.warehouse)]
    assert kept[-2:] == [3, 2]
    for build_id in kept:
        for name in [*models(), "tracks"]:
            load_table(pipeline.warehouse.root, name, build_id).collect()
    with pytest.raises(NoSuchBuild, match="expected build 1, there is none"):
        load_table(pipeline.warehouse.root, "dim_tracks", 1)


def test_the_bytes_that_it_says_are_those_of_the_files_that_go_and_a_dry_one_changes_none(pipeline, days):
    days(*({1: name} for name in "aaabbb"))
    pipeline.build()
    days({1: "c"})
    pipeline.build()
    planned = prune.plan(pipeline.warehouse, EVERYTHING)
    files = _files(pipeline.warehouse.root)

    said = prune.reclaim(pipeline.warehouse, planned.kept_builds, is_dry=True)

    tables = [*map(sources.path, (*STREAMS, "_lines", "generations")), *(model.path for model in models().values())]
    of_tables = {name: size for name, size in files.items() if any(f"/{each}/part-" in name for each in tables)}
    needed = {f"{pipeline.warehouse.uri(each)}/{file.path}" for each in tables for file in newest_files(pipeline, each)}
    assert said == sum(size for name, size in of_tables.items() if name not in needed) > 0
    assert _files(pipeline.warehouse.root) == files
    with pipeline.warehouse.writing():
        prune.take_out(pipeline.warehouse, planned, lambda: pipeline.build_locked().build)
        files = _files(pipeline.warehouse.root)
        freed = prune.reclaim(pipeline.warehouse, builds.every(pipeline.warehouse), is_dry=False)
    left = _files(pipeline.warehouse.root)
    assert freed == sum(size for name, size in files.items() if name not in left) > said


def newest_files(pipeline, table: str) -> list[DataFile]:
    return pipeline.warehouse.data_files(table, pipeline.warehouse.version(table))


@pytest.mark.system
def test_on_a_store_the_bytes_are_those_of_the_objects(pipeline, bucket: Path, days):
    on_store = replace(pipeline, warehouse=Warehouse("s3://songs/my house"))
    on_store.land([])
    orphan = bucket / "my house" / "source" / "tracks" / "part 1.parquet"  # listed as written long ago
    orphan.write_bytes(b"twelve bytes")

    said = on_store.warehouse.vacuum("source/tracks", set(), is_dry=True)

    assert said == 12


def test_the_builds_that_it_says_stay_are_those_that_do(pipeline, days):
    progress = RunProgress(Console(quiet=True), "ERROR")
    days({1: "a"}, {1: "a"}, {1: "a"})
    pipeline.build()
    days({1: "a"})
    pipeline.build()

    dry = upkeep.prune(pipeline.warehouse, EVERYTHING, progress, apply=False)
    applied = upkeep.prune(pipeline.warehouse, EVERYTHING, progress, apply=True)

    there = len(builds.every(pipeline.warehouse))
    assert (dry.old_builds, dry.kept_builds) == (applied.old_builds, applied.kept_builds) == (2, there)


def test_what_a_killed_build_on_spark_had_written_is_removed(pipeline, days):
    days({1: "a"})
    pipeline.build()
    table = Path(pipeline.warehouse.root, "marts", "dim_tracks")
    litter = [
        table / "spark-1" / name for name in ("part-0.parquet", "_temporary/0/task/part-1.parquet", ".part-0.crc")
    ]
    for file in litter:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"rows of nobody")

    with pipeline.warehouse.writing():
        prune.reclaim(pipeline.warehouse, builds.every(pipeline.warehouse), is_dry=False)

    assert [file for file in litter if file.exists()] == []


def test_a_sync_after_a_prune_goes_on_incrementally(pipeline, days, record: Line, state: Line):
    days({1: "a"}, {1: "a"}, {1: "a"})
    pipeline.land([record("listen_history", {"user_id": 1, "items": [1], **AT}), state("listen_history", "2026-01-01")])
    pipeline.build()
    apply(pipeline)
    cursors = pipeline.cursors()
    days({1: "a", 2: "new"})

    went_on = pipeline.build()

    assert cursors == {"listen_history": "2026-01-01"}
    assert not went_on.build.full_refresh
    assert went_on.notices == []
    assert pipeline.rows("dim_tracks")["track_id"].to_list() == [1, 2]


def test_a_prune_that_was_killed_after_its_deletion_is_made_good_by_the_next_build(pipeline, days):
    days({1: "a"}, {1: "a"}, {1: "a"})
    pipeline.build()
    before = tables(pipeline)

    def dies() -> builds.Build:
        raise KeyboardInterrupt

    with pipeline.warehouse.writing(), pytest.raises(KeyboardInterrupt):
        prune.take_out(pipeline.warehouse, prune.plan(pipeline.warehouse, EVERYTHING), dies)
    days({1: "a"})
    result = pipeline.build()

    assert any("pruned" in notice for notice in result.notices)
    assert_frame_equal(pipeline.rows("dim_tracks_history"), before["dim_tracks_history"])
    assert result.streams["tracks"].parts()["pruned"] == 1


def test_a_table_that_would_change_puts_everything_back(pipeline, days, monkeypatch):
    days({1: "a"}, {1: "b"}, {1: "b"})
    pipeline.build()
    records = pipeline.landed("tracks").select("_airbyte_raw_id", "_airbyte_generation_id")
    first = records.filter(pl.col("_airbyte_generation_id") == 1)  # the only one that shows "a"
    planned = prune.plan(pipeline.warehouse, EVERYTHING)
    wrong = prune.Plan({**planned.records, "tracks": first}, planned.text_bytes, planned.kept_builds, [])

    with pipeline.warehouse.writing(), pytest.raises(WarehouseError, match="dim_tracks_history would have other rows"):
        prune.take_out(pipeline.warehouse, wrong, lambda: pipeline.build_locked().build)

    assert pipeline.landed("tracks").height == 3
    assert pipeline.rows("dim_tracks_history").height == 2
    entry = ledger.of_stream(OnPolars(pipeline.warehouse), builds.newest(pipeline.warehouse).tables, "tracks")
    assert entry.parts() == {"kept": 1, "superseded": 2, "quarantined": 0}


def test_without_a_build_nothing_is_pruned(pipeline, days):
    days({1: "a"}, {1: "a"})

    with pytest.raises(NoSuchBuild, match="Nothing was pruned"):
        prune.plan(pipeline.warehouse, EVERYTHING)


def test_a_prune_beside_a_writer_leaves_everything_to_it(pipeline, days):
    days({1: "a"}, {1: "a"}, {1: "a"})
    pipeline.build()
    files = _files(pipeline.warehouse.root)

    with pipeline.warehouse.writing(), pytest.raises(WarehouseInUse):
        upkeep.prune(pipeline.warehouse, EVERYTHING, RunProgress(Console(quiet=True), "ERROR"), apply=True)

    assert _files(pipeline.warehouse.root) == files


CATALOGUES = st.dictionaries(st.integers(1, 3), st.sampled_from(["a", "b"]), max_size=3)
READS = st.lists(st.tuples(CATALOGUES, st.sampled_from(["COMPLETE", "COMPLETE", "INCOMPLETE"])), min_size=4, max_size=6)


@settings(max_examples=4, deadline=None)
@given(reads=READS, kept_days=st.integers(0, 9), late=st.integers(0, 2))
def test_pruning_changes_no_table(new_pipeline, record: Line, status: Line, reads, kept_days: int, late: int):
    pipeline = new_pipeline()
    for number, (catalogue, end) in enumerate(reads):
        # a clock that may go back by hours, and never a reset: track 0 is always there, with two others
        at = int((FIRST + timedelta(hours=24 * number - 30 * (number % 3 == 1) * late)).timestamp() * 1000)
        names = {**dict.fromkeys((100, 101, 102, 103), "always"), **catalogue}
        lines = [record("tracks", {"id": each, "name": name, **AT}, at + each) for each, name in names.items()]
        pipeline.land([*lines, status("tracks", end, at)])
    pipeline.build()
    before = tables(pipeline)

    apply(pipeline, FIRST + timedelta(days=len(reads) - kept_days))
    pipeline.build(full_refresh=True)

    after = tables(pipeline)
    for name in before:
        assert_frame_equal(after[name], before[name])


def _files(root: str) -> dict[str, int]:
    return {str(path): path.stat().st_size for path in Path(root).rglob("*.parquet")}
