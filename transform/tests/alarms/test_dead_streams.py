"""A stream read whole without a record, where there were some: an error, unless it is allowed; and how fresh one is."""

import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from moovitamix_transform import builds, connector, run_history
from moovitamix_transform.alarms import freshness, incidents, watch
from moovitamix_transform.alarms.settings import Ages, Freshness, Settings
from moovitamix_transform.errors import ApiReset, ReadFailed
from moovitamix_transform.progress import RunProgress
from moovitamix_transform.run import sync_and_build
from moovitamix_transform.runs import Alarm
from moovitamix_transform.warehouse import Warehouse
from rich.console import Console

Sync = Callable[..., None]
SAYING = """
import json, sys
AT = "2026-01-05T10:00:00"
def say(**message):
    print(json.dumps(message))
def record(stream, **data):
    say(type="RECORD", record={"stream": stream, "emitted_at": 1767607200000,
        "data": {"created_at": AT, "updated_at": AT, **data}})
def complete(*streams):
    for stream in streams:
        say(type="TRACE", trace={"type": "STREAM_STATUS", "emitted_at": 1767607200000,
            "stream_status": {"stream_descriptor": {"name": stream}, "status": "COMPLETE"}})
def state(stream):
    say(type="STATE", state={"type": "STREAM",
        "stream": {"stream_descriptor": {"name": stream}, "stream_state": {"updated_at": AT}}})
"""
ALL = "('tracks', 'users', 'listen_history')"
BOTH = f"record('tracks', id=1), record('users', id=7), complete(*{ALL})"
NO_TRACKS = f"record('users', id=7), complete(*{ALL})"


@pytest.fixture
def house(tmp_path: Path) -> Warehouse:
    return Warehouse(str(tmp_path / "house"))


@pytest.fixture
def sync(house: Warehouse, tmp_path: Path) -> Sync:
    """One `run` of a source that runs a body of Python."""

    def run(body: str, **options: object) -> None:
        (tmp_path / "source.py").write_text(SAYING + body)
        source = connector.source_of(None, None, f"{sys.executable} '{tmp_path / 'source.py'}'")
        sync_and_build(house, source, RunProgress(Console(quiet=True), "ERROR"), **options)  # type: ignore[arg-type]

    return run


def alarms(house: Warehouse) -> list[Alarm]:
    return run_history.every(house)[0].alarms


def is_deleted(house: Warehouse) -> list[bool]:
    build = builds.newest(house)
    assert build is not None
    return house.scan("marts/dim_tracks", build.tables["dim_tracks"]).collect()["is_deleted"].to_list()


@pytest.mark.parametrize(
    "body", [pytest.param(NO_TRACKS, id="complete"), pytest.param("record('users', id=7)", id="never_heard_of")]
)
def test_a_stream_that_had_records_and_has_none_fails_the_run_and_deletes_nothing(
    sync: Sync, house: Warehouse, body: str
):
    sync(BOTH)

    with pytest.raises(ReadFailed) as error:
        sync(body)
    found = alarms(house)
    sync(BOTH)

    assert str(error.value).startswith(
        "tracks: expected records, as in the reads before, got none, though it was read whole. Its tables stay as they "
        "were, no key counts as gone; if the API has none left, `moovitamix run --allow-empty` takes"
    )
    assert [(each.kind, each.subject, each.level) for each in found] == [("zero_rows", "tracks", "error")]
    assert is_deleted(house) == [False]
    history = builds.newest(house)
    assert history is not None
    periods = house.scan("marts/dim_tracks_history", history.tables["dim_tracks_history"]).collect()
    assert periods["is_current"].to_list() == [True], "the empty read left no gap"
    assert alarms(house) == []


def test_where_dead_streams_raise_no_alarm_the_run_that_they_fail_does(sync: Sync, house: Warehouse):
    sync(BOTH)

    with pytest.raises(ReadFailed):
        sync(NO_TRACKS, settings=Settings(off=("zero_rows",)))

    assert [(each.kind, each.subject, each.level, each.detail) for each in alarms(house)] == [
        ("run", "run", "error", "it failed")
    ]


def test_a_stream_that_a_source_leaves_out_is_not_dead_and_keeps_its_rows(sync: Sync, house: Warehouse):
    sync(BOTH)

    sync("record('users', id=7), complete('users')")

    assert is_deleted(house) == [False]
    assert [run.status for run in run_history.every(house)] == ["succeeded", "succeeded"]


def test_allowed_to_be_empty_its_keys_are_gone(sync: Sync, house: Warehouse):
    sync(BOTH)

    sync(NO_TRACKS, allow_empty=True)

    assert is_deleted(house) == [True]
    assert alarms(house) == []


def test_a_stream_that_never_had_a_record_may_have_none(sync: Sync, house: Warehouse):
    sync(NO_TRACKS)
    sync(NO_TRACKS)

    assert [run.status for run in run_history.every(house)] == ["succeeded", "succeeded"]


def test_an_incremental_stream_with_a_state_may_have_no_news_but_read_whole_it_is_dead(sync: Sync, house: Warehouse):
    listens = f"record('listen_history', user_id=7, items=[1]), state('listen_history'), {BOTH}"
    sync(listens)

    sync(BOTH)
    without_news = alarms(house)
    with pytest.raises(ReadFailed, match="listen_history: expected records"):
        sync(BOTH, full_refresh=frozenset({"listen_history"}))

    assert without_news == []


def test_a_source_that_fails_is_an_alarm_of_the_run_not_of_its_streams(sync: Sync, house: Warehouse):
    sync(BOTH)

    with pytest.raises(ReadFailed):
        sync("sys.exit(1)")

    assert alarms(house) == [Alarm("run", "run", "error", "it failed")]


def test_a_reset_is_an_alarm_once_and_over_when_it_was_accepted(sync: Sync, house: Warehouse):
    sync(f"[record('users', id=id) for id in range(10)], record('tracks', id=1), complete(*{ALL})")

    other = f"[record('users', id=id) for id in range(90, 99)], record('tracks', id=1), complete(*{ALL})"
    for _ in range(2):
        with pytest.raises(ApiReset):
            sync(other)
    during = incidents.every(house)
    sync(other, accept_reset=True)

    assert [(each.kind, each.level, each.is_open) for each in during] == [("run", "error", True)]
    assert [each.is_open for each in incidents.every(house)] == [False]


def test_a_table_is_as_old_as_the_oldest_of_its_streams():
    now = datetime(2026, 1, 5, 12, tzinfo=UTC)
    extracted = {"tracks": now - timedelta(hours=1), "users": now - timedelta(hours=40)}
    settings = Freshness(tables={"dim_users": Ages(warn_hours=10, error_hours=20), "stg_users": Ages(warn_hours=50)})

    found = {each.subject: each for each in freshness.of_extractions(extracted, settings, now)}

    assert (found["tracks"].level, found["tracks"].detail) == (None, "its newest extraction is 1 h old")
    assert found["users"].level == "error"
    assert "users that the build saw is 40 h old, too old for dim_users, base_users, " in found["users"].detail
    assert "stg_users" not in found["users"].detail
    assert "dim_users_history" in found["users"].detail, "warned of, beside the errors"
    assert "dim_tracks" not in found["users"].detail


def test_a_read_to_the_end_makes_the_tables_fresh_unless_it_brought_what_is_not_built(pipeline, record, status):
    long_ago = 1_000_000_000_000  # 2001, by the source's clock
    seen = {}
    for name, end in (("users", "COMPLETE"), ("tracks", "INCOMPLETE")):
        pipeline.land([record(name, {"id": 7}, long_ago), status(name, end, long_ago)])
    build = pipeline.build().build
    began = pipeline.warehouse.scan("_meta/generations").sort("started_at").collect()["started_at"].to_list()

    for name in ("users", "tracks", "listen_history"):
        seen[name] = freshness.last_extraction(pipeline.warehouse, build, name)
    pipeline.land([record("users", {"id": 8}, long_ago), status("users", "COMPLETE", long_ago)])
    not_built = freshness.last_extraction(pipeline.warehouse, build, "users")

    assert seen == {"users": began[0], "tracks": datetime(2001, 9, 9, 1, 46, 40, tzinfo=UTC), "listen_history": None}
    assert not_built == began[0], "the build knows nothing of the later read"


def test_a_stream_that_a_source_no_longer_speaks_of_grows_old(sync: Sync, house: Warehouse):
    sync(f"record('listen_history', user_id=7, items=[1]), state('listen_history'), {BOTH}")

    (verdict,) = [
        each
        for each in watch.of_tables(house, Settings(freshness=Freshness(warn_hours=1e-9, error_hours=1e-8)))
        if each.subject == "listen_history"
    ]

    assert verdict.level == "error"
    assert "fct_listens" in verdict.detail
