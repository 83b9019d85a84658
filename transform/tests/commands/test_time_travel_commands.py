"""`show --as-of`, `builds`, `diff` and `history` as a user runs them."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from moovitamix_transform import builds
from moovitamix_transform.cli.app import run_command
from moovitamix_transform.warehouse import Warehouse

Command = Callable[..., Any]
HISTORY_KEYS = [
    *("run_id", "kind", "started_at", "ended_at", "status", "build_id", "streams", "tables", "warnings"),
    *("message", "started_by", "versions", "config", "config_sha256", "peak_memory_bytes", "child_peak_memory_bytes"),
    *("nulls", "alarms"),
]
STREAM_KEYS = [
    "stream",
    "received",
    "landed",
    "quarantined_lines",
    "landed_total",
    "kept",
    "superseded",
    "quarantined",
    "quarantined_records",
    "sync_mode",
    "state_before",
    "state_after",
]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, saying: str) -> str:
    """Two builds and three runs: track 1 and a line that is none; track 1 under another name and track 2; a failure."""
    folder = tmp_path_factory.mktemp("time travel")
    for number, body in enumerate(
        (
            "track(1)\nprint('what?')",
            "track(1, name='new', updated_at='2026-01-06T10:00:00'), track(2)",
            "error('the API is gone')\nsys.exit(1)",
        )
    ):
        (folder / f"{number}.py").write_text(f"{saying}\n{body}\n")
        command = f"{sys.executable} '{folder / f'{number}.py'}'"
        expected = 1 if "error" in body else 0
        assert run_command(["run", "--source", command, "--warehouse", str(folder / "house")]) == expected
    return str(folder / "house")


@pytest.fixture
def look(house: str, moovitamix: Command) -> Command:
    """A command on that warehouse that must succeed."""

    def run(*arguments: str) -> Any:  # noqa: ANN401 - the conftest's Done
        done = moovitamix(*arguments, "--warehouse", house)
        assert done.code == 0, done.err
        return done

    return run


def test_show_gives_a_table_as_an_earlier_build_had_it(look: Command):
    today = datetime.now(UTC).date().isoformat()

    shown = {
        as_of: [(row["track_id"], row["track_name"]) for row in json.loads(look("show", "dim_tracks", *option).out)]
        for as_of, option in {
            "1": ("--as-of", "1", "--json"),
            "2": ("--as-of", "2", "--json"),
            "today": ("--as-of", today, "--json"),
            "now": ("--json",),
        }.items()
    }

    newest = [(1, "new"), (2, "track 2")]
    assert {as_of: sorted(rows) for as_of, rows in shown.items()} == {
        "1": [(1, "track 1")],
        "2": newest,
        "today": newest,
        "now": newest,
    }


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        pytest.param(
            ["show", "dim_tracks", "--as-of", "9"],
            1,
            "expected build 9, there is none; published: 1 to 2 (",
            id="number",
        ),
        pytest.param(
            ["show", "dim_tracks", "--as-of", "2026-01-01"], 1, "expected a build of 2026-01-01 or earlier", id="day"
        ),
        pytest.param(
            ["show", "dim_tracks", "--as-of", "monday"], 2, "expected the number of a build, such as 3, or", id="word"
        ),
        pytest.param(["show", "runs", "--as-of", "1"], 2, "runs: expected a table that builds read or make", id="runs"),
        pytest.param(["diff", "1", "9"], 1, "expected build 9, there is none", id="diff"),
        pytest.param(["diff", "1"], 2, "diff B: expected a value, got none", id="diff_of_one"),
        pytest.param(
            ["history", "show", "x"], 1, "run 'x': expected a run's id or its beginning, none begins so", id="run"
        ),
        pytest.param(
            ["history", "compare", "2", "2"], 1, "expected the beginning of one run's id, 3 begin so", id="runs_2"
        ),
    ],
)
def test_what_is_not_there_is_one_line_on_stderr(
    moovitamix: Command, house: str, arguments: list[str], code: int, message: str
):
    done = moovitamix(*arguments, "--warehouse", house)

    assert (done.code, done.out) == (code, "")
    assert message in done.err
    assert len(done.err.splitlines()) == 1


def test_builds_are_listed_newest_first_with_how_many_of_their_tables_are_new(look: Command, house: str):
    rows = json.loads(look("builds", "--json").out)

    made = builds.every(Warehouse(house))
    assert [list(row) for row in rows] == [
        ["build_id", "run_id", "built_at", "engine", "full_refresh", "new_version_count"]
    ] * 2
    assert [(row["build_id"], row["run_id"], row["engine"], row["full_refresh"]) for row in rows] == [
        (2, made[0].run_id, "polars", False),
        (1, made[1].run_id, "polars", True),
    ]
    assert [row["built_at"] for row in rows] == [build.built_at.strftime("%Y-%m-%dT%H:%M:%S.%fZ") for build in made]
    assert [row["new_version_count"] for row in rows] == [4, 15]  # base_, stg_, dim_tracks and its history


def test_a_person_sees_as_many_builds_and_runs_as_limit_says(look: Command):
    builds_seen, runs_seen = look("builds", "--limit", "1"), look("history", "--limit", "2")

    assert (len(builds_seen.out.splitlines()), builds_seen.err) == (3, "1 of 2 rows; --limit shows more, --json all\n")
    assert (len(runs_seen.out.splitlines()), runs_seen.err) == (4, "2 of 3 rows; --limit shows more, --json all\n")


def test_before_the_first_build_and_run_the_lists_are_empty(moovitamix: Command, tmp_path: Path):
    with Warehouse(str(tmp_path / "new")).writing():
        pass

    outs = [
        moovitamix(*command, "--json", "--warehouse", tmp_path / "new").out for command in (["builds"], ["history"])
    ]

    assert outs == ["[]\n", "[]\n"]


def test_diff_counts_per_table_and_leaves_out_what_kept_its_version_unless_told(look: Command):
    rows = json.loads(look("diff", "1", "2", "--json").out)
    every = json.loads(look("diff", "1", "2", "--all", "--json").out)
    person = look("diff", "1", "2")

    assert rows == [
        {"table": "base_tracks", "added": 2, "removed": 0, "changed": 0},
        {"table": "stg_tracks", "added": 1, "removed": 0, "changed": 1},
        {"table": "dim_tracks", "added": 1, "removed": 0, "changed": 1},
        {"table": "dim_tracks_history", "added": 1, "removed": 0, "changed": 1},
    ]
    assert len(every) == 15
    assert [row for row in every if row["added"] or row["removed"] or row["changed"]] == rows
    assert person.out.startswith("From build 1 (")
    assert len(person.out.splitlines()) == 3 + 4


def test_a_build_compared_to_itself_is_the_same(look: Command):
    done = look("diff", "2", "2")

    assert done.err == "every table has the same version in both; --all lists them\n"
    assert json.loads(look("diff", "2", "2", "--json").out) == []


def test_history_has_exactly_the_keys_that_are_promised(look: Command):
    rows = json.loads(look("history", "--json").out)

    assert [list(row) for row in rows] == [HISTORY_KEYS] * 3
    assert {tuple(entry) for row in rows for entry in row["streams"]} == {tuple(STREAM_KEYS)}
    assert {tuple(entry) for row in rows for entry in row["tables"]} == {("table", "rows", "seconds")}


def test_history_says_of_each_run_how_it_ended_and_what_came(look: Command):
    rows = json.loads(look("history", "--json").out)

    assert [(row["kind"], row["status"], row["build_id"]) for row in rows] == [
        ("run", "failed", None),
        ("run", "succeeded", 2),
        ("run", "succeeded", 1),
    ]
    assert all(row["started_at"] < row["ended_at"] and row["ended_at"].endswith("Z") for row in rows)
    first = {entry["stream"]: list(entry.values())[1:8] for entry in rows[2]["streams"]}
    assert first == {
        "tracks": [1, 1, 0, 1, 1, 0, 0],
        "users": [0, 0, 0, 0, 0, 0, 0],
        "listen_history": [0, 0, 0, 0, 0, 0, 0],
        None: [1, 0, 1, None, None, None, None],
    }
    second = {entry["stream"]: list(entry.values())[1:8] for entry in rows[1]["streams"]}
    assert second["tracks"] == [2, 2, 0, 3, 2, 1, 0]
    assert {entry["table"] for entry in rows[1]["tables"]} >= {"base_tracks", "stg_tracks", "dim_tracks"}


def test_history_show_gives_one_run_to_a_program_and_its_error_to_a_person(look: Command):
    newest = json.loads(look("history", "--json").out)[0]

    program = json.loads(look("history", "show", newest["run_id"], "--json").out)
    person = look("history", "show", newest["run_id"][-8:])

    assert program == newest
    lines = person.out.splitlines()
    assert lines[0] == f"run_id      {newest['run_id']}"
    assert "status      failed" in lines
    assert any(line.startswith("message     ") and "the API is gone" in line for line in lines), person.out


def test_history_show_prints_streams_tables_and_warnings(look: Command):
    first = json.loads(look("history", "--json").out)[2]

    out = look("history", "show", first["run_id"]).out

    for text in (
        "received = landed",
        "landed_total = kept",
        "(names no stream)",
        "user_profiles",
        "users_email_without_at",
    ):
        assert text in out


@pytest.mark.parametrize("command", ["land", "build"])
def test_history_show_prints_what_has_no_source_of_its_own(
    moovitamix: Command, house: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
):
    copy = str(tmp_path / "house")
    shutil.copytree(house, copy)

    with Path(os.devnull).open() as nothing, monkeypatch.context() as patch:
        patch.setattr(sys, "stdin", nothing)
        done = moovitamix(command, "--warehouse", copy)
    newest = json.loads(moovitamix("history", "--json", "--warehouse", copy).out)[0]
    shown = moovitamix("history", "show", newest["run_id"], "--warehouse", copy)

    assert (done.code, newest["kind"], newest["child_peak_memory_bytes"]) == (0, command, None)
    assert shown.code == 0, shown.err
    assert re.search(r"^memory      at most [0-9,]+ bytes$", shown.out, re.M)


def test_history_compare_gives_the_numbers_that_differ(look: Command):
    failed, second, first = (row["run_id"] for row in json.loads(look("history", "--json").out))

    rows = json.loads(look("history", "compare", first, second, "--json").out)
    every = json.loads(look("history", "compare", first, second, "--all", "--json").out)
    person = look("history", "compare", first, failed)

    assert {tuple(row) for row in rows} == {("kind", "subject", "measure", "a", "b", "difference")}
    numbers = {(row["kind"], row["subject"], row["measure"]): (row["a"], row["b"], row["difference"]) for row in rows}
    assert numbers["stream", "tracks", "received"] == (1, 2, 1)
    assert numbers["table", "dim_tracks", "rows"] == (1, 2, 1)
    assert ("stream", "users", "received") not in numbers
    assert numbers["stream", None, "received"] == (1, None, None)
    differing = [row for row in every if row["a"] != row["b"]]
    assert [
        row for row in differing if row["kind"] not in ("table", "column") or None not in (row["a"], row["b"])
    ] == rows
    assert ("table", "base_users", "rows") in {(row["kind"], row["subject"], row["measure"]) for row in differing}
    assert ("table", "base_users", "rows") not in numbers, "the second run had no need to build it"
    assert person.out.startswith(f"a = {first} (succeeded), b = {failed} (failed)\n")


def test_the_warehouse_of_history_may_stand_before_or_behind_its_command(moovitamix: Command, house: str):
    newest = moovitamix("history", "--limit", "1", "--json", "--warehouse", house)
    run_id = json.loads(newest.out)[0]["run_id"]

    before = moovitamix("history", "--warehouse", house, "--json", "show", run_id)
    behind = moovitamix("history", "show", run_id, "--json", "--warehouse", house)

    assert (before.code, behind.code) == (0, 0)
    assert before.out == behind.out


@pytest.mark.parametrize("command", ["builds", "diff 1 2", "history", "history compare"])
def test_what_is_listed_fits_a_terminal_of_80_columns(on_terminal: Command, look: Command, house: str, command: str):
    arguments = command.split()
    if command == "history compare":
        arguments += [row["run_id"] for row in json.loads(look("history", "--json").out)[1:]]

    seen = on_terminal(*arguments, "--warehouse", house, columns=80)

    assert seen.code == 0, seen.out
    assert "── row" not in seen.out


def test_a_land_is_running_until_it_is_killed(
    start: Callable[..., subprocess.Popen[str]], moovitamix: Command, until: Command, tmp_path: Path
):
    def history() -> list[tuple[str, str, str | None]]:
        done = moovitamix("history", "--json", "--warehouse", tmp_path / "house")
        rows = json.loads(done.out) if done.code == 0 else []
        return [(row["kind"], row["status"], row["ended_at"]) for row in rows]

    landing = start("land", "--warehouse", str(tmp_path / "house"), stdin=subprocess.PIPE)
    until(history, "the landing is in the history")
    during = history()
    landing.send_signal(signal.SIGKILL)
    landing.wait(20)
    after = history()

    assert during == [("land", "running", None)]
    assert after == [("land", "interrupted", None)]
