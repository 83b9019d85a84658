"""`check` judges the newest build again, and finds what was damaged since."""

import shutil
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from deltalake import DeltaTable
from moovitamix_transform import builds
from moovitamix_transform.check import check
from moovitamix_transform.errors import NoSuchTable
from moovitamix_transform.graph import models

AT = "2026-01-01T00:00:00"


@pytest.fixture(scope="module")
def sound(new_pipeline, record):
    """Two tracks, one updated before it was created; an email without @; a list of a known and an unknown track."""
    pipeline = new_pipeline()
    pipeline.land(
        [
            record("tracks", {"id": 1, "created_at": AT, "updated_at": AT}),
            record("tracks", {"id": 2, "created_at": AT, "updated_at": "2025-01-01T00:00:00"}),
            record("users", {"id": 7, "email": "nobody", "created_at": AT, "updated_at": AT}),
            record("listen_history", {"user_id": 7, "items": [1, 9], "created_at": AT, "updated_at": AT}),
            record("listen_history", {"user_id": 8, "items": [None], "created_at": AT, "updated_at": AT}),
        ]
    )
    pipeline.build()
    return pipeline


@pytest.fixture
def built(sound, new_pipeline):
    """A copy of it, to be damaged."""
    pipeline = new_pipeline()
    shutil.copytree(sound.warehouse.root, pipeline.warehouse.root)
    return pipeline


def outcomes(pipeline, kind: str) -> dict[str, str]:
    return {each.subject: each.outcome for each in check(pipeline.warehouse) if each.check == kind}


def data_files(pipeline, table: str) -> list[Path]:
    """The Parquet files of a table as the newest build has it."""
    uri = pipeline.warehouse.uri(models()[table].path)
    version = builds.newest(pipeline.warehouse).tables[table]
    return [Path(file) for file in DeltaTable(uri, version=version).file_uris()]


def test_a_sound_build_passes(sound):
    results = check(sound.warehouse)

    assert {each.outcome for each in results if each.check != "warning"} == {"passed"}
    assert [each.subject for each in results if each.check == "contract"] == list(models())
    assert [(each.subject, each.detail) for each in results if each.check == "ledger"] == [
        ("tracks", "2 landed = 2 kept + 0 superseded + 0 quarantined"),
        ("users", "1 landed = 1 kept + 0 superseded + 0 quarantined"),
        ("listen_history", "2 landed = 1 kept + 0 superseded + 1 quarantined"),
        ("quarantine", "each quarantined record and line is in it"),
        ("dimensions", "dim_tracks has all 2 of stg_tracks, dim_users has all 1 of stg_users"),
        ("listens", "2 plays: all in fct_listens, all counted by the marts"),
    ]


def test_warnings_are_counted_with_their_table(sound):
    results = [each for each in check(sound.warehouse) if each.check == "warning"]

    assert [(each.subject, each.outcome, each.detail) for each in results] == [
        ("stg_tracks", "warned", "tracks_updated_before_created: 1 row"),
        ("stg_users", "passed", "users_updated_before_created: 0 rows"),
        ("stg_listen_history", "passed", "listens_updated_before_created: 0 rows"),
        ("stg_users", "warned", "users_email_without_at: 1 row"),
        ("fct_listens", "warned", "listens_of_unknown_tracks: 1 row"),
        ("fct_listens", "passed", "listens_of_unknown_users: 0 rows"),
    ]


def test_without_a_build_there_is_nothing_to_check(pipeline, record):
    pipeline.land([record("tracks", {"id": 1})])

    with pytest.raises(NoSuchTable, match="none is published yet; run `moovitamix build`"):
        check(pipeline.warehouse)


@pytest.mark.parametrize(
    ("table", "damage"),
    [
        pytest.param("stg_tracks", lambda file: file.unlink(), id="deleted"),
        pytest.param("base_listen_history", lambda file: file.write_bytes(file.read_bytes()[:100]), id="cut_off"),
        pytest.param("quarantine", lambda file: file.write_bytes(b""), id="emptied"),
        pytest.param("user_profiles", lambda file: file.write_bytes(b"x" * file.stat().st_size), id="scribbled_over"),
    ],
)
def test_a_damaged_file_fails_its_table_and_no_other_contract(built, table: str, damage):
    for file in data_files(built, table):
        damage(file)

    found = outcomes(built, "contract")

    assert [name for name, outcome in found.items() if outcome == "failed"] == [table]


def test_a_row_changed_by_hand_breaks_its_contract(built):
    newest = builds.newest(built.warehouse)
    version = built.warehouse.overwrite(
        "marts/fct_listens", built.rows("fct_listens").lazy().with_columns(pl.col("position") - 5)
    )
    tampered = replace(newest, build_id=2, tables=newest.tables | {"fct_listens": version})
    builds.publish(built.warehouse, tampered, builds.fingerprints(built.warehouse))

    failed = [each for each in check(built.warehouse) if each.outcome == "failed"]

    assert [(each.check, each.subject) for each in failed] == [("contract", "fct_listens"), ("ledger", "listens")]
    assert failed[0].detail.startswith("fct_listens: 2 rows break 'position|min'")


def test_a_row_taken_out_by_hand_breaks_the_ledger_of_its_stream_and_its_dimension(built):
    newest = builds.newest(built.warehouse)
    version = built.warehouse.overwrite("staging/stg_tracks", built.rows("stg_tracks").head(1).lazy())
    tampered = replace(newest, build_id=2, tables=newest.tables | {"stg_tracks": version})
    builds.publish(built.warehouse, tampered, builds.fingerprints(built.warehouse))

    found = outcomes(built, "ledger")

    assert [subject for subject, outcome in found.items() if outcome == "failed"] == ["tracks", "dimensions"]
    assert found.keys() == {"tracks", "users", "listen_history", "quarantine", "dimensions", "listens"}


def test_listens_that_are_others_than_the_lists_have_are_found(built):
    """As many, so that every count is as it should be."""
    newest = builds.newest(built.warehouse)
    others = built.rows("fct_listens").lazy().with_columns(pl.col("track_id") + 1)
    version = built.warehouse.overwrite("marts/fct_listens", others)
    tampered = replace(newest, build_id=2, tables=newest.tables | {"fct_listens": version})
    builds.publish(built.warehouse, tampered, builds.fingerprints(built.warehouse))

    failed = [each for each in check(built.warehouse) if each.outcome == "failed"]

    assert [(each.check, each.subject) for each in failed] == [("ledger", "listens")]
    assert failed[0].detail.startswith("fct_listens: expected the plays of stg_listen_history, got as many other rows;")

    built.build(full_refresh=True)

    assert [each for each in check(built.warehouse) if each.outcome == "failed"] == []


def test_a_file_with_other_rows_than_were_committed_is_found(built):
    (file,) = data_files(built, "fct_listens")
    built.rows("fct_listens").head(1).write_parquet(file)

    failed = {each.subject: each.detail for each in check(built.warehouse) if each.outcome == "failed"}

    assert list(failed) == ["fct_listens", "listens"]
    assert failed["fct_listens"].startswith(f"{file}: expected ")
