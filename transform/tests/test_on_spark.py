"""The Spark engine by itself, in a session on this machine."""

import time
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import narwhals as nw
import polars as pl
import pytest
from deltalake import DeltaTable
from moovitamix_transform import incremental
from moovitamix_transform.build import build
from moovitamix_transform.engines.on_polars import OnPolars
from moovitamix_transform.engines.spark import session
from moovitamix_transform.erasing.forget import forget
from moovitamix_transform.errors import ContractBroken, EngineFailed
from moovitamix_transform.graph import models
from moovitamix_transform.warehouse import Warehouse

pytestmark = [pytest.mark.spark, pytest.mark.timeout(300)]

MONDAY, TUESDAY = "2026-01-05T10:00:00", "2026-01-06T10:00:00.123456"


@pytest.fixture
def landed(pipeline, record, status):
    """Nulls, texts beyond ASCII, two instants, a correction, a bad record."""
    day = {"created_at": MONDAY, "updated_at": TUESDAY}
    tracks = [{"id": 1, "name": "Émile", "duration": "3:45"}, {"id": 2, "genres": "jazz"}, {"id": 3, "duration": "x"}]
    listens = [{"user_id": 7, "items": [1, 2, 1]}, {"user_id": 8, "items": []}, {"user_id": 7, "items": [2]}]
    lines = [record("tracks", track | day) for track in tracks]
    lines += [record("users", {"id": 7, "email": "Ada@Example.org"} | day)]
    lines += [
        record("listen_history", listen | day, emitted_at=1_767_607_200_000 + at) for at, listen in enumerate(listens)
    ]
    lines += [b"no record", *(status(stream, "COMPLETE") for stream in ("tracks", "users", "listen_history"))]
    pipeline.land(lines)
    return pipeline


@pytest.fixture
def far_from_utc(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def engine(landed, spark):
    from moovitamix_transform.engines.spark.on_spark import OnSpark

    return OnSpark(landed.warehouse, spark)


def test_the_log_says_of_sparks_files_what_it_says_of_polars(landed, engine):
    warehouse: Warehouse = landed.warehouse
    with warehouse.writing():
        by_polars = build(warehouse, "polars", full_refresh=True).build.tables
        versions = {name: engine.overwrite(model, engine.table(name, by_polars)) for name, model in models().items()}

    for name, model in models().items():
        assert warehouse.count(model.path, versions[name]) == warehouse.count(model.path, by_polars[name])
        by_spark, expected = (told_of_files(warehouse, model.path, each[name]) for each in (versions, by_polars))
        assert by_spark.equals(expected), name


def test_a_build_of_spark_is_one_of_polars_and_leaves_nothing_behind(landed, engine):
    with landed.warehouse.writing():
        by_spark = build(landed.warehouse, "spark", engine=engine).build
        by_polars = build(landed.warehouse, "polars", full_refresh=True).build
    engine.clear()

    assert (by_spark.engine, by_spark.build_id) == ("spark", 1)
    assert by_polars == by_spark, "a full rebuild by the other engine finds every table as it is, and publishes nothing"
    assert [*Path(landed.warehouse.root).glob("_meta/scratch/*")] == []


def test_a_later_build_of_spark_takes_in_what_landed_since(landed, engine, record, monkeypatch):
    monkeypatch.setattr(incremental, "LARGEST_PART", 1e9)  # small tables too are not made anew
    warehouse: Warehouse = landed.warehouse
    with warehouse.writing():
        first = build(warehouse, "first", engine=engine).build
    corrected = {"user_id": 7, "items": [2, 3], "created_at": MONDAY, "updated_at": "2026-01-07T10:00:00"}
    landed.land([record("listen_history", corrected), record("listen_history", corrected | {"user_id": 9})])

    with warehouse.writing():
        second = build(warehouse, "second", engine=engine).build
        by_polars = build(warehouse, "polars", full_refresh=True).build

    before, after = (
        {file.path for file in warehouse.data_files("staging/base_listen_history", each.tables["base_listen_history"])}
        for each in (first, second)
    )
    assert before < after, "files of the first build stay: the table was not made anew"
    assert landed.rows("fct_listens").select("user_id", "track_id").rows() == [(7, 2), (7, 3), (9, 2), (9, 3)]
    assert by_polars == second, "a full rebuild by the other engine finds every table as it is"


def test_executors_read_what_has_landed_from_its_files(landed, engine, record):
    """Through the driver's memory would be a wall."""
    warehouse, path = landed.warehouse, "source/users"
    known = warehouse.version(path)
    landed.land([record("users", {"id": 8, "created_at": MONDAY, "updated_at": TUESDAY})])
    newest = warehouse.version(path)

    news = engine.appended(path, known, newest)

    (file,) = warehouse.added_files(path, known, newest)
    assert [Path(each).name for each in news.rows.to_native().inputFiles()] == [file.path]
    assert engine.collect(news.rows).equals(warehouse.added_since(path, known, newest))
    assert news.count == 1


def test_a_person_is_erased_from_files_that_spark_wrote(landed, engine):
    with landed.warehouse.writing():
        build(landed.warehouse, "spark", engine=engine)
    root = Path(landed.warehouse.root)
    assert any("spark-" in path.as_posix() for path in root.rglob("*.parquet"))

    forget(landed.warehouse, 7)

    assert landed.rows("dim_users").is_empty()
    assert landed.rows("fct_listens").is_empty(), "user 8 played nothing"
    assert landed.rows("stg_listen_history")["user_id"].to_list() == [8]
    for path in (path for path in root.rglob("*.parquet")):
        rows = pl.read_parquet(path)
        assert "user_id" not in rows.columns or 7 not in rows["user_id"].to_list(), path


def test_what_a_killed_build_held_is_gone_with_the_next_writer(landed, engine):
    engine.hold(engine.table("users", {"users": landed.warehouse.version("source/users")}))
    scratch = Path(landed.warehouse.root, "_meta", "scratch")
    assert scratch.exists()

    with landed.warehouse.writing():
        pass

    assert not scratch.exists()


def test_a_table_with_two_rows_of_one_key_breaks_its_contract(landed, engine):
    model = models()["fct_listens"]
    twice = pl.DataFrame(
        [{"user_id": 7, "track_id": 1, "listened_at": None, "position": 1}] * 2,
        schema=engine_schema(model),
    ).with_columns(listened_at=pl.lit("2026-01-05").str.to_datetime(time_unit="us", time_zone="UTC"))
    version = landed.warehouse.overwrite(model.path, twice.lazy())

    messages = []
    for each in (OnPolars(landed.warehouse), engine):
        with pytest.raises(ContractBroken) as broken:
            each.require(model, each.scan(model.path, version))
        messages.append(str(broken.value))

    assert messages[0] == messages[1]
    assert "fct_listens: 2 rows share values of (user_id, listened_at, position)" in messages[0]


def test_a_row_that_breaks_a_rule_is_shown(landed, engine):
    model = models()["track_popularity"]
    bad = pl.DataFrame(
        [{"track_id": 1, "listen_count": 0, "listener_count": 1, "rank": 1}], schema=engine_schema(model)
    ).with_columns(last_listened_at=pl.lit("2026-01-05").str.to_datetime(time_unit="us", time_zone="UTC"))
    version = landed.warehouse.overwrite(model.path, bad.lazy())

    with pytest.raises(ContractBroken, match=r"track_popularity: 1 rows break 'listen_count\|min'"):
        engine.overwrite(model, engine.scan(model.path, version))


def told_of_files(warehouse: Warehouse, path: str, version: int) -> pl.DataFrame:
    """The ends and the nulls of each column, whatever the number of files, as the log has them."""
    actions = pl.DataFrame(DeltaTable(warehouse.uri(path), version=version).get_add_actions(flatten=True))
    return actions.select(
        pl.col("^min.*$").min(), pl.col("^max.*$").max(), pl.col("^null_count.*$", "num_records").sum()
    ).select(sorted(name for name in actions.columns if name.startswith(("min.", "max.", "n"))))


def engine_schema(model) -> pl.Schema:
    from moovitamix_transform import contracts

    return contracts.schema(model.contract)


def test_executors_with_another_version_of_a_model_end_the_build(landed, engine, spark):
    from moovitamix_transform.engines.spark import executors
    from pyspark.sql.pandas.types import to_arrow_schema

    tracks = engine.table("tracks", {"tracks": landed.warehouse.version("source/tracks")}).to_native()
    schema = to_arrow_schema(tracks.schema, timezone="UTC")
    work = partial(executors.made, "base_tracks", "tracks")
    made = tracks.mapInArrow(partial(executors.done, work, "another", schema), tracks.schema)

    with pytest.raises(EngineFailed, match="expected the driver's moovitamix on the executors"), session.explained("X"):
        made.collect()


def test_a_driver_whose_java_has_ended_says_so(spark):
    expected = "Spark at local: its Java process here has ended"

    with pytest.raises(EngineFailed, match=expected), session.explained("local"):
        raise ConnectionRefusedError(111, "Connection refused")


def test_without_hadoops_s3a_it_says_which_package_to_add(spark):
    from moovitamix_transform.engines.spark.on_spark import OnSpark

    with pytest.raises(EngineFailed, match=r"add the package org\.apache\.hadoop:hadoop-aws:[0-9.]+,"):
        OnSpark(Warehouse("s3://bucket/warehouse"), spark).require_file_system()


def test_a_folder_with_marks_that_hadoop_would_read_as_a_pattern(new_pipeline, record, spark, tmp_path: Path):
    from moovitamix_transform.engines.spark.on_spark import OnSpark

    odd = Warehouse(str(tmp_path / "a {b,c} d?*" / "e & ü"))
    with odd.writing():
        odd.overwrite("marts/t", pl.LazyFrame({"a": [1, 2]}))

    found = OnSpark(odd, spark).scan("marts/t", 0)

    assert found.select(nw.col("a").sum()).collect("polars").item() == 3


def test_instants_of_any_year_are_those_of_polars(landed, engine, record, far_from_utc):
    """Spark has had two calendars, and its Python rows have the machine's time zone."""
    years = ["0001", "1582", "1899", "9999"]
    for year in years:
        at = f"{year}-01-01T00:00:00.000001"
        landed.land([record("listen_history", {"user_id": 7, "items": [1], "created_at": at, "updated_at": at})])

    with landed.warehouse.writing():
        by_spark = build(landed.warehouse, "spark", engine=engine).build
        by_polars = build(landed.warehouse, "polars", full_refresh=True).build

    assert by_polars == by_spark
    instants = landed.rows("fct_listens")["listened_at"]
    assert {datetime(int(year), 1, 1, microsecond=1, tzinfo=UTC) for year in years} <= {*instants}
    log = Path(landed.warehouse.uri("marts/fct_listens"), "_delta_log")
    assert '"listened_at\\": \\"0001-01-01T00:00:00.000001Z' in "".join(each.read_text() for each in log.glob("*.json"))


def test_rows_of_other_columns_or_types_are_not_the_same(engine):
    one, wider, narrower = (
        nw.from_native(engine._here(rows))
        for rows in (
            pl.DataFrame({"a": [1]}),
            pl.DataFrame({"a": [1], "b": ["x"]}),
            pl.DataFrame({"a": [1]}, schema={"a": pl.Int32}),
        )
    )

    assert engine.has_same_rows(one, one)
    assert not engine.has_same_rows(one, wider)
    assert not engine.has_same_rows(one, narrower)
