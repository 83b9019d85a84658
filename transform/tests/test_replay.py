"""The quarantine can be emptied: after a rule changed, what passes now enters the tables as if it always had."""

import shutil
from collections.abc import Callable
from dataclasses import replace

import polars as pl
import pytest
from moovitamix_transform import graph, upkeep
from moovitamix_transform.errors import NoSuchTable
from moovitamix_transform.progress import RunProgress
from polars.testing import assert_frame_equal
from rich.console import Console

Line = Callable[..., bytes]
EMITTED_AT = 1_767_225_600_000  # as `record` has it
AT = {"created_at": "2026-01-01T00:00:00", "updated_at": "2026-01-01T00:00:00"}


@pytest.fixture
def spoiled(pipeline, record: Line):
    """Track 1 is good, tracks 2 and 3 have durations that are none, one line is no JSON; built."""
    durations = {1: "3:45", 2: "99:99", 3: "4.5"}
    lines = [record("tracks", {"id": number, "duration": text, **AT}) for number, text in durations.items()]
    pipeline.land([*lines, b"no line"])
    pipeline.build()
    return pipeline


@pytest.fixture
def any_seconds_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on a duration may have any number of seconds: a rule changed, as a new release would change it."""
    model = graph.models()["base_tracks"]

    def lenient(tracks: pl.LazyFrame) -> pl.LazyFrame:
        is_lenient = pl.col("_airbyte_data").str.contains('"99:99"', literal=True)
        data = pl.when(is_lenient).then(pl.col("_airbyte_data").str.replace("99:99", "100:39", literal=True))
        return model.function(tracks.with_columns(data.otherwise("_airbyte_data").alias("_airbyte_data")))

    lenient.__annotations__ = model.function.__annotations__
    changed = replace(model, function=lenient, fingerprint="another")
    models = {**graph.models(), "base_tracks": changed}
    for name in ("build", "tables", "catalog", "graph"):
        monkeypatch.setattr(f"moovitamix_transform.{name}.models", lambda: models)


def replay(pipeline) -> upkeep.Replay:
    return upkeep.replay(pipeline.warehouse, RunProgress(Console(quiet=True), "ERROR"))


def test_replay_says_what_was_released_and_what_is_held(spoiled, any_seconds_pass):
    replayed = replay(spoiled)

    assert replayed.rows.rows() == [("tracks", "duration_unreadable", 1, 1, 0), (None, "not_json", 0, 1, 0)]
    assert replayed.result.is_published
    assert spoiled.rows("dim_tracks").select("track_id", "duration_seconds").rows() == [(1, 225), (2, 6039)]
    assert replayed.result.streams["tracks"].parts() == {"kept": 2, "superseded": 0, "quarantined": 1}


def test_replay_without_a_changed_rule_holds_everything_and_publishes_nothing(spoiled):
    replayed = replay(spoiled)

    assert replayed.rows.rows() == [("tracks", "duration_unreadable", 0, 2, 0), (None, "not_json", 0, 1, 0)]
    assert not replayed.result.is_published


def test_a_plain_build_after_a_changed_rule_is_a_full_one_says_so_and_is_as_if_there_had_been_no_other_rule(
    spoiled, new_pipeline, any_seconds_pass, record: Line
):
    later = EMITTED_AT + 86_400_000
    renamed = {"id": 2, "name": "B", "duration": "99:99", **AT}
    spoiled.land([record("tracks", {"id": 1, "duration": "3:45", **AT}, later), record("tracks", renamed, later)])
    spoiled.land([record("users", {"id": 7, **AT}), record("listen_history", {"user_id": 7, "items": [1, 2, 3], **AT})])
    fresh = new_pipeline()
    built = shutil.ignore_patterns("staging", "marts", "builds", "fields")
    shutil.copytree(spoiled.warehouse.root, fresh.warehouse.root, ignore=built)

    result = spoiled.build()
    fresh.build()

    assert result.build.full_refresh
    assert "the contracts of base_tracks changed since build 1: full rebuild" in result.notices
    assert spoiled.rows("dim_tracks")["track_id"].to_list() == [1, 2]
    assert spoiled.rows("dim_tracks_history").filter(track_id=2)["track_name"].to_list() == [None, "B"]
    for name in graph.models():
        assert_frame_equal(spoiled.rows(name), fresh.rows(name), check_row_order=False)


def test_without_a_build_there_is_nothing_to_replay(pipeline, record: Line):
    pipeline.land([record("tracks", {"id": 1, **AT})])

    with pytest.raises(NoSuchTable):
        replay(pipeline)
