"""Any kept build can be read again, by its number or by its day, whatever was built since."""

import subprocess
import sys
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest
from deltalake import DeltaTable
from moovitamix_transform import builds, load_table
from moovitamix_transform.builds import Build
from moovitamix_transform.catalog import resolve
from moovitamix_transform.errors import NoSuchBuild, NoSuchTable, NoWarehouse, UsageError
from moovitamix_transform.graph import models
from moovitamix_transform.warehouse import Warehouse

MONDAY, TUESDAY = date(2026, 1, 5), date(2026, 1, 6)


def published(warehouse: Warehouse, build_id: int, built_at: datetime, tables: dict[str, int] | None = None) -> None:
    builds.publish(warehouse, Build(build_id, f"run {build_id}", built_at, "polars", False, tables or {}), {})


@pytest.fixture(scope="module")
def dated(new_pipeline) -> Warehouse:
    """Build 1 on Monday morning, 2 in its last microsecond, 3 at midnight, 5 on Friday: 4 is not kept."""
    warehouse = new_pipeline().warehouse
    published(warehouse, 1, datetime(2026, 1, 5, 8, tzinfo=UTC))
    published(warehouse, 2, datetime(2026, 1, 5, 23, 59, 59, 999_999, tzinfo=UTC))
    published(warehouse, 3, datetime(2026, 1, 6, tzinfo=UTC))
    published(warehouse, 5, datetime(2026, 1, 9, 12, tzinfo=UTC))
    return warehouse


@pytest.fixture(scope="module")
def grown(new_pipeline, record):
    """Three builds: track 1; then track 2 too; then track 1 under another name."""
    pipeline = new_pipeline()
    for number, catalogue in enumerate(({1: "old"}, {1: "old", 2: "other"}, {1: "new", 2: "other"}), 1):
        at = {"created_at": f"2026-01-0{number}T00:00:00", "updated_at": f"2026-01-0{number}T00:00:00"}
        pipeline.land([record("tracks", {"id": track_id, "name": name, **at}) for track_id, name in catalogue.items()])
        pipeline.build()
    return pipeline


def names(frame: pl.LazyFrame) -> list[tuple[int, str]]:
    return frame.select("track_id", "track_name").sort("track_id").collect().rows()


@pytest.mark.parametrize(
    ("as_of", "build_id"),
    [
        pytest.param(1, 1, id="number"),
        pytest.param("3", 3, id="number_as_text"),
        pytest.param("5", 5, id="number_after_a_gap"),
        pytest.param(MONDAY, 2, id="day_with_two_builds_has_its_last"),
        pytest.param("2026-01-05", 2, id="day_as_text"),
        pytest.param(" 2026-01-05 ", 2, id="day_with_spaces"),
        pytest.param(TUESDAY, 3, id="midnight_is_of_the_day_it_begins"),
        pytest.param("2026-01-08", 3, id="day_without_a_build"),
        pytest.param("9999-12-31", 5, id="the_last_day_there_is"),
    ],
)
def test_a_build_is_found_by_number_or_as_the_last_before_a_days_end(dated: Warehouse, as_of: object, build_id: int):
    found = builds.find(dated, as_of)

    assert found.build_id == build_id


@pytest.mark.parametrize(
    ("as_of", "expected"),
    [
        pytest.param(4, "expected build 4, there is none", id="not_kept"),
        pytest.param(0, "expected build 0, there is none", id="zero"),
        pytest.param("-1", "expected build -1, there is none", id="negative"),
        pytest.param("20260105", "expected build 20260105, there is none", id="day_without_dashes"),
        pytest.param("2026-01-04", "expected a build of 2026-01-04 or earlier, there is none", id="before_the_first"),
    ],
)
def test_a_build_that_is_not_there_is_told_with_those_that_are(dated: Warehouse, as_of: object, expected: str):
    with pytest.raises(NoSuchBuild) as error:
        builds.find(dated, as_of)

    assert str(error.value) == f"{dated.root}: {expected}; published: 1 to 3, 5 (2026-01-05 to 2026-01-09)"


@pytest.mark.parametrize(
    "as_of",
    [
        "yesterday",
        "",
        "1.5",
        "2026-02-30",
        "2026-1-5",
        "2026-01-05T10:00:00",
        "٣",
        True,
        1.0,
        datetime(2026, 1, 5, tzinfo=UTC),
    ],
)
def test_what_is_neither_a_number_nor_a_day_is_a_usage_error(dated: Warehouse, as_of: object):
    with pytest.raises(UsageError, match=r"expected .* got"):
        builds.find(dated, as_of)


def test_without_a_build_there_is_none_to_find(pipeline, record):
    pipeline.land([record("tracks", {"id": 1})])

    with pytest.raises(NoSuchBuild, match="none is published yet; `moovitamix build` makes one"):
        resolve(pipeline.warehouse, "tracks", 1)


def test_every_build_still_has_the_rows_it_was_published_with(grown):
    seen = [names(load_table(grown.warehouse.root, "dim_tracks", number)) for number in (1, 2, 3)]

    assert seen == [[(1, "old")], [(1, "old"), (2, "other")], [(1, "new"), (2, "other")]]


def test_by_default_the_newest_build_is_read(grown):
    assert names(load_table(grown.warehouse.root, "dim_tracks")) == [(1, "new"), (2, "other")]


def test_a_frame_stays_with_its_build_while_the_next_ones_are_published(pipeline, record):
    track = {"id": 1, "name": "old", "created_at": "2026-01-01T00:00:00", "updated_at": "2026-01-01T00:00:00"}
    pipeline.land([record("tracks", track)])
    pipeline.build()
    frame = load_table(pipeline.warehouse.root, "dim_tracks")

    pipeline.land([record("tracks", track | {"name": "new"})])
    pipeline.build()

    assert names(frame) == [(1, "old")]


def test_a_source_table_is_read_as_far_as_the_build_read_it(grown):
    landed = [load_table(grown.warehouse.root, "tracks", number).collect().height for number in (1, 2, 3)]
    generations = [load_table(grown.warehouse.root, "generations", number).collect().height for number in (1, 2, 3)]

    assert landed == [1, 3, 5]
    assert generations == [1, 2, 3]


@pytest.mark.parametrize("table", ["runs", "builds"])
def test_a_table_no_build_reads_has_no_earlier_form(dated: Warehouse, table: str):
    with pytest.raises(UsageError, match=f"{table}: expected a table that builds read or make"):
        resolve(dated, table, 1)


def test_a_table_younger_than_the_build_says_so(dated: Warehouse):
    with pytest.raises(NoSuchTable, match="dim_tracks: build 1 does not have it; it was added to moovitamix after"):
        resolve(dated, "dim_tracks", 1)


def test_rows_that_were_pruned_are_a_message_and_not_a_crash(pipeline, record):
    at = "2026-01-01T00:00:00"
    for ids in ((1,), (1, 2)):
        pipeline.land([record("tracks", {"id": number, "created_at": at, "updated_at": at}) for number in ids])
        pipeline.build()
    uri = pipeline.warehouse.uri("marts/dim_tracks")
    first, second = (set(DeltaTable(uri, version=version).file_uris()) for version in (0, 1))
    for file in first - second or first:
        Path(file).unlink()

    with pytest.raises(NoSuchBuild) as error:
        resolve(pipeline.warehouse, "dim_tracks", 1)

    assert str(error.value).startswith("dim_tracks of build 1: its version 0 is no longer kept whole: ")
    assert str(error.value).endswith("found none")


def test_a_version_that_never_was_is_a_message_and_not_a_crash(grown, new_pipeline):
    newest = builds.newest(grown.warehouse)
    other = new_pipeline().warehouse
    other.append("marts/dim_tracks", pl.DataFrame({"track_id": [1]}))
    builds.publish(other, replace(newest, tables=newest.tables | {"dim_tracks": 99}), {})

    with pytest.raises(NoSuchBuild, match="dim_tracks of build 3: its version 99 is no longer kept whole: "):
        resolve(other, "dim_tracks", 3)


def test_an_unknown_table_and_a_missing_warehouse_are_told_apart(grown, tmp_path: Path):
    with pytest.raises(NoSuchTable, match=r"expected one of tracks, users, .*, got 'dim_podcasts'"):
        load_table(grown.warehouse.root, "dim_podcasts", 1)
    with pytest.raises(NoWarehouse):
        load_table(str(tmp_path / "nowhere"), "dim_tracks")


def test_the_package_is_imported_without_polars_and_delta_until_a_table_is_loaded():
    code = (
        "import sys, moovitamix_transform as package\n"
        "heavy = {'polars', 'deltalake', 'dataframely', 'narwhals', 'pydantic', 'typer'}\n"
        "print(sorted(heavy & set(sys.modules)), hasattr(package, 'load_tables'), package.__all__)\n"
        "print(package.load_table.__name__, 'polars' in sys.modules)\n"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)

    assert (done.stdout, done.stderr) == ("[] False ['load_table']\nload_table True\n", "")


def test_every_model_can_be_read_as_of_every_build(grown):
    for number in (1, 2, 3):
        for name in models():
            rows = resolve(grown.warehouse, name, number).collect()
            assert rows.schema == models()[name].contract.create_empty().schema, (name, number)
