"""What every run did: each once, newest first; running only while it really is; found by a part of its id."""

import fcntl
import os
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from moovitamix_transform import run_history, runs
from moovitamix_transform.errors import NoSuchRun
from moovitamix_transform.recording import recorded
from moovitamix_transform.run_history import Difference
from moovitamix_transform.runs import NullCount, Run, StreamLedger, TableResult, WarningCount
from moovitamix_transform.warehouse import Warehouse

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)


def a_run(run_id: str = "20260105T120000Z-00000001", minute: int = 0, kind: runs.Kind = "run") -> Run:
    return Run(kind, run_id, NOON + timedelta(minutes=minute))


def ended(run: Run, status: runs.Status, seconds: float = 1.5) -> Run:
    run.end(status)
    run.ended_at = run.started_at + timedelta(seconds=seconds)
    return run


@pytest.fixture
def warehouse(tmp_path) -> Warehouse:
    house = Warehouse(str(tmp_path))
    with house.writing():
        return house


def statuses(warehouse: Warehouse) -> dict[str, str]:
    return {run.run_id: run.status for run in run_history.every(warehouse)}


def test_a_warehouse_in_which_nothing_ran_has_no_history(warehouse: Warehouse):
    assert run_history.every(warehouse) == []


def test_each_run_is_there_once_as_it_ended_newest_first(warehouse: Warehouse):
    for run_id, minute, status in (("a", 0, "succeeded"), ("c", 2, "failed"), ("b", 1, "interrupted")):
        runs.record(warehouse, a_run(run_id, minute))
        runs.record(warehouse, ended(a_run(run_id, minute), status))

    found = run_history.every(warehouse)

    assert [(run.run_id, run.status, run.seconds) for run in found] == [
        ("c", "failed", 1.5),
        ("b", "interrupted", 1.5),
        ("a", "succeeded", 1.5),
    ]


def test_the_newest_of_a_kind_or_a_status_are_those_of_the_whole_history(warehouse: Warehouse):
    kinds: tuple[runs.Kind, ...] = ("run", "build", "run", "land", "run")
    statuses: tuple[runs.Status, ...] = ("succeeded", "succeeded", "failed", "failed", "succeeded")
    for number, (kind, status) in enumerate(zip(kinds, statuses, strict=True)):
        runs.record(warehouse, a_run(str(number), number, kind))
        runs.record(warehouse, ended(a_run(str(number), number, kind), status))
    runs.record(warehouse, a_run("running", 9))

    found = {
        name: [run.run_id for run in runs.every(warehouse, **options)]
        for name, options in {
            "all": {},
            "two": {"limit": 2},
            "none": {"limit": 0},
            "runs": {"kind": "run"},
            "good": {"status": "succeeded"},
            "newest good run": {"kind": "run", "status": "succeeded", "limit": 1},
            "running": {"status": "running"},
        }.items()
    }

    assert found == {
        "all": ["running", "4", "3", "2", "1", "0"],
        "two": ["running", "4"],
        "none": [],
        "runs": ["running", "4", "2", "0"],
        "good": ["4", "1", "0"],
        "newest good run": ["4"],
        "running": ["running"],
    }


def test_the_newest_ones_alone_are_running_or_interrupted_as_in_the_whole_history(warehouse: Warehouse):
    runs.record(warehouse, a_run("killed", minute=0))
    runs.record(warehouse, a_run("build", minute=1, kind="build"))

    with warehouse.writing():
        whole = statuses(warehouse)
        newest = run_history.every(warehouse, limit=1)
        newest_sync = run_history.every(warehouse, kind="run", limit=1)

    assert whole == {"build": "running", "killed": "interrupted"}
    assert [(run.run_id, run.status) for run in newest + newest_sync] == [
        ("build", "running"),
        ("killed", "interrupted"),
    ]


def test_a_long_history_lies_in_few_files_and_stays_as_it_was(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(runs, "MOST_FILES", 8)
    recorded_runs = [ended(a_run(f"{number:02}", number), "succeeded") for number in range(20)]
    counts = []
    for run in recorded_runs:
        runs.record(warehouse, a_run(run.run_id, run.started_at.minute))
        runs.record(warehouse, run)
        counts.append(warehouse.file_count(runs.TABLE))

    assert max(counts) < 8, "two files a run, until they are made one"
    assert run_history.every(warehouse) == recorded_runs[::-1]


def test_its_ledger_its_tables_and_its_warnings_come_back_as_they_were(warehouse: Warehouse):
    run = ended(a_run(), "succeeded")
    run.build_id = 4
    run.streams = [StreamLedger("tracks", 3, 2, 1, 2, 9, 5, 3, 1), StreamLedger(None, received=1, quarantined_lines=1)]
    run.tables = [TableResult("stg_tracks", 5, 0.25)]
    run.warnings = [WarningCount("users_email_without_at", "stg_users", 2)]
    runs.record(warehouse, run)

    (found,) = run_history.every(warehouse)

    assert found == run


def test_a_run_is_running_while_its_process_holds_the_lock(warehouse: Warehouse):
    with warehouse.writing(), recorded(warehouse, "build") as run:
        during = statuses(warehouse)
    after = statuses(warehouse)

    assert during == {run.run_id: "running"}
    assert after == {run.run_id: "succeeded"}


def test_a_run_without_an_end_and_without_the_lock_was_interrupted(warehouse: Warehouse):
    runs.record(warehouse, a_run("killed"))

    (found,) = run_history.every(warehouse)

    assert (found.status, found.ended_at, found.seconds) == ("interrupted", None, None)


def test_beside_a_run_that_holds_the_lock_the_killed_ones_are_interrupted(warehouse: Warehouse):
    runs.record(warehouse, a_run("killed", minute=0))
    runs.record(warehouse, a_run("running", minute=1))

    with warehouse.writing():
        found = statuses(warehouse)

    assert found == {"running": "running", "killed": "interrupted"}


def test_looking_at_the_history_writes_nothing_and_makes_no_lock(tmp_path):
    house = Warehouse(str(tmp_path))
    runs.record(house, a_run("killed"))
    before = sorted(tmp_path.rglob("*"))

    statuses(house)

    assert sorted(tmp_path.rglob("*")) == before


def test_a_reader_that_looks_for_the_lock_does_not_stand_in_a_writers_way(warehouse: Warehouse):
    looking = os.open(Path(warehouse.root) / ".lock", os.O_RDONLY)
    fcntl.flock(looking, fcntl.LOCK_SH)  # as `is_being_written` does, here for longer than it takes
    end = threading.Timer(0.02, os.close, [looking])
    end.start()

    with warehouse.writing():
        is_seen = warehouse.is_being_written()

    end.join()
    assert is_seen
    assert not warehouse.is_being_written()


def test_a_killed_landing_has_the_ledger_that_the_next_run_will_record(pipeline, record):
    landing = pipeline.land([record("tracks", {"id": 1}), b"what?"], is_killed=True)
    runs.record(pipeline.warehouse, a_run(landing.run_id, kind="land"))

    (before,) = run_history.every(pipeline.warehouse)
    with pipeline.warehouse.writing(), recorded(pipeline.warehouse, "build"):
        pass
    after = run_history.find(run_history.every(pipeline.warehouse), landing.run_id)

    assert before.streams[0] == StreamLedger("tracks", received=1, landed=1)
    assert before.streams[-1] == StreamLedger(None, received=1, quarantined_lines=1)
    assert (before.streams, before.status) == (after.streams, after.status)


@pytest.mark.parametrize(
    ("text", "run_id"),
    [
        pytest.param("20260105T120000Z-00000001", "20260105T120000Z-00000001", id="whole"),
        pytest.param("20260106", "20260106T120000Z-abcdef12", id="beginning"),
        pytest.param("abc", "20260106T120000Z-abcdef12", id="beginning_of_the_tail"),
        pytest.param("by-hand", "by-hand", id="an_id_that_begins_another"),
    ],
)
def test_a_run_is_found_by_its_id_or_a_part_of_it(text: str, run_id: str):
    names = (
        "20260106T120000Z-abcdef12",
        "20260105T120000Z-00000001",
        "20260105T130000Z-00000002",
        "by-hand",
        "by-hand-2",
    )

    found = run_history.find([a_run(name) for name in names], text)

    assert found.run_id == run_id


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(
            "2026", "expected the beginning of one run's id, 2 begin so: 20260106T1-aa, 20260105T1-bb", id="two"
        ),
        pytest.param(
            "2027", "expected a run's id or its beginning, none begins so; the newest is 20260106T1-aa", id="none"
        ),
        pytest.param(
            "", "expected a run's id or its beginning, none begins so; the newest is 20260106T1-aa", id="empty"
        ),
    ],
)
def test_a_part_of_several_ids_or_of_none_is_told(text: str, message: str):
    with pytest.raises(NoSuchRun) as error:
        run_history.find([a_run("20260106T1-aa"), a_run("20260105T1-bb")], text)

    assert str(error.value) == f"run {text!r}: {message}"


def test_where_nothing_ran_no_run_is_found():
    with pytest.raises(NoSuchRun, match="nothing ran in this warehouse"):
        run_history.find([], "2026")


def test_two_runs_are_compared_number_by_number():
    one, other = ended(a_run("a"), "succeeded", 10), ended(a_run("b"), "succeeded", 8.5)
    one.streams = [StreamLedger("tracks", 3, 2, 1)]
    other.streams = [StreamLedger("tracks", 5, 5, 0, 0, 7, 6, 1, 0), StreamLedger(None, 1, 0, 1)]
    one.tables = [TableResult("stg_tracks", 2, 0.1), TableResult("quarantine", 1, 0.3)]
    other.tables = [TableResult("stg_tracks", 6, 0.4)]
    one.peak_memory_bytes, other.peak_memory_bytes = 100, 150
    one.child_peak_memory_bytes = other.child_peak_memory_bytes = 0
    one.nulls, other.nulls = [NullCount("stg_tracks", "genre", 1, 2)], [NullCount("stg_tracks", "genre", 3, 6)]
    one.warnings, other.warnings = [WarningCount("odd", "stg_tracks", 1)], [WarningCount("odd", "stg_tracks", 0)]

    found = list(run_history.compare(one, other))

    assert found[0] == Difference("run", None, "seconds", 10.0, 8.5)
    assert found[0].difference == -1.5
    assert found[1:3] == [
        Difference("run", None, "peak_memory_bytes", 100, 150),
        Difference("run", None, "child_peak_memory_bytes", 0, 0),
    ]
    assert [(each.measure, each.a, each.b, each.difference) for each in found if each.subject == "tracks"] == [
        ("received", 3, 5, 2),
        ("landed", 2, 5, 3),
        ("quarantined_lines", 1, 0, -1),
        ("landed_total", None, 7, None),
        ("kept", None, 6, None),
        ("superseded", None, 1, None),
        ("quarantined", None, 0, None),
    ]
    assert [(each.kind, each.subject, each.measure, each.a, each.b, each.difference) for each in found[10:]] == [
        ("stream", None, "received", None, 1, None),
        ("stream", None, "landed", None, 0, None),
        ("stream", None, "quarantined_lines", None, 1, None),
        ("stream", None, "landed_total", None, None, None),
        ("stream", None, "kept", None, None, None),
        ("stream", None, "superseded", None, None, None),
        ("stream", None, "quarantined", None, None, None),
        ("table", "stg_tracks", "rows", 2, 6, 4),
        ("table", "stg_tracks", "seconds", 0.1, 0.4, 0.3),
        ("table", "quarantine", "rows", 1, None, None),
        ("table", "quarantine", "seconds", 0.3, None, None),
        ("warning", "odd", "count", 1, 0, -1),
        ("column", "stg_tracks.genre", "nulls", 1, 3, 2),
    ]
