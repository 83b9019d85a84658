"""Spark and a warehouse on S3: all but Hadoop's S3A classes, which a cluster brings and no Python package does.

In their place a class of Hadoop's own finds s3a:// paths in the folder that the server serves.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from moovitamix_transform import incremental
from moovitamix_transform.build import build
from moovitamix_transform.warehouse import Warehouse

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]

MONDAY, TUESDAY = "2026-01-05T10:00:00", "2026-01-06T10:00:00.123456"


@pytest.fixture
def pipeline(bucket: Path, new_pipeline):
    return replace(new_pipeline(), warehouse=Warehouse("s3://songs/house"))


@contextmanager
def found_in(folder: Path, spark) -> Iterator[None]:
    """Hadoop's paths of the bucket lead into the folder."""
    hadoop = spark._jsc.hadoopConfiguration()
    implementation = hadoop.get("fs.s3a.impl")
    hadoop.set("fs.s3a.impl", "org.apache.hadoop.fs.viewfs.ViewFileSystemOverloadScheme")
    hadoop.set("fs.viewfs.overload.scheme.target.file.impl", "org.apache.hadoop.fs.LocalFileSystem")
    hadoop.set(f"fs.viewfs.mounttable.{folder.name}.linkFallback", folder.as_uri())
    yield
    hadoop.set("fs.s3a.impl", implementation)


def test_full_and_incremental_builds_on_a_store_are_those_of_polars(
    pipeline, bucket: Path, spark, record, status, monkeypatch: pytest.MonkeyPatch
):
    from moovitamix_transform.engines.spark.on_spark import OnSpark

    monkeypatch.setattr(incremental, "LARGEST_PART", 1e9)  # small tables too are replaced in part
    day = {"created_at": MONDAY, "updated_at": MONDAY}
    pipeline.land(
        [
            *(record("tracks", {"id": at, "genres": "jazz", "duration": "3:45", **day}) for at in (1, 2)),
            record("users", {"id": 7, "email": "Ada@Example.org", **day}),
            *(record("listen_history", {"user_id": user, "items": [1, 2, 1], **day}) for user in (7, 8)),
            *(status(stream, "COMPLETE") for stream in ("tracks", "users", "listen_history")),
        ]
    )
    house: Warehouse = pipeline.warehouse

    with found_in(bucket, spark):
        engine = OnSpark(house, spark)
        engine.require_file_system()
        first = build(house, "spark", engine=engine).build
        pipeline.land(
            [record("listen_history", {"user_id": 7, "items": [2], "created_at": MONDAY, "updated_at": TUESDAY})]
        )
        second = build(house, "spark", engine=engine).build
        engine.clear()
    by_polars = build(house, "polars", full_refresh=True).build

    assert (first.engine, second.build_id, second.full_refresh) == ("spark", 2, False)
    assert by_polars == second, "a full rebuild finds every table as it is, and publishes nothing"
    assert pipeline.rows("fct_listens").select("user_id", "track_id").rows() == [(7, 2), (8, 1), (8, 1), (8, 2)]
    assert [*bucket.glob("house/marts/fct_listens/spark-*/*.parquet")], "the executors write to the store"
    assert not [*bucket.glob("house/_meta/scratch/*")]


def test_the_keys_of_a_store_are_in_no_log(pipeline, record, spark, tmp_path: Path):
    """The file system is missing here, which Spark is asked of once it has said with what it works."""
    pipeline.land([record("users", {"id": 7, "created_at": MONDAY, "updated_at": MONDAY})])
    log = tmp_path / "log"
    log.mkdir()
    settings = {"enabled": "true", "compress": "false", "rolling.enabled": "false", "dir": log.as_uri()}
    given = [text for name, value in settings.items() for text in ("--conf", f"spark.eventLog.{name}={value}")]

    built = subprocess.run(
        [Path(sys.executable).with_name("moovitamix"), "build", "--engine", "spark", "--master", "local[1]", *given],
        env={**os.environ, "MOOVITAMIX_WAREHOUSE": "s3://songs/house"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert "expected a Hadoop file system for s3a:" in built.stderr
    (logged,) = (each.read_text() for each in log.iterdir())
    (told,) = (each for each in map(json.loads, logged.splitlines()) if "Hadoop Properties" in each)
    hadoop = dict(told["Hadoop Properties"])
    for name in ("access.key", "secret.key", "session.token"):
        assert hadoop[f"fs.s3a.{name}"] == "*********(redacted)"
    assert hadoop["fs.s3a.endpoint"] == os.environ["AWS_ENDPOINT_URL"]
    assert hadoop["fs.s3a.path.style.access"] == "true"
    assert "canary" not in logged + built.stderr + built.stdout
