"""`forget` as a user runs it: it asks, it refuses, it tells what was erased."""

import json
import os
import pty
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from moovitamix_transform.cli.app import run_command
from moovitamix_transform.erasing import unfinished

Command = Callable[..., Any]
BODY = """
track(1), user(7), user(8, email="bob@example.org")
listen(7, [1]), listen(7, [1], "2026-01-06T10:00:00"), listen(8, [1])
print("ada@example.org says hello")
for stream in ("tracks", "users", "listen_history"):
    status(stream, "COMPLETE")
"""


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory, saying: str) -> Path:
    """Two users in one build, user 7 with two listens and in a line that is no message."""
    folder = tmp_path_factory.mktemp("forget")
    (folder / "source.py").write_text(saying + BODY)
    command = f"{sys.executable} {folder / 'source.py'}"
    assert run_command(["run", "--source", command, "--warehouse", str(folder / "house")]) == 0
    return folder / "house"


@pytest.fixture
def house(untouched: Path, tmp_path: Path) -> Path:
    """A copy of it, to be changed."""
    shutil.copytree(untouched, tmp_path / "house")
    return tmp_path / "house"


def contents(root: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def test_forget_tells_what_it_erased_and_everything_goes_on(moovitamix: Command, source: Command, house: Path):
    def shown(table: str, *more: str) -> list[int]:
        return [row["user_id"] for row in json.loads(moovitamix("show", table, *more, "--json", "-w", house).out)]

    done = moovitamix("forget", "users", "7", "--yes", "--warehouse", house)
    users = shown("dim_users"), shown("dim_users", "--as-of", "1")
    checked = moovitamix("check", "--warehouse", house)
    pruned = moovitamix("prune", "--keep", "0h", "--apply", "--warehouse", house)
    later = "listen(8, [1], '2026-01-07T10:00:00'), status('listen_history', 'COMPLETE')"
    ran = moovitamix("run", "--source", source(later), "--warehouse", house)

    assert [each.code for each in (done, checked, pruned, ran)] == [0] * 4, done.err + pruned.err + ran.err
    lines = [line.split() for line in done.out.splitlines()]
    assert ["fct_listens", "2", "2", "1"] in lines
    assert ["_lines", "1", "1", "1"] in lines
    assert done.out.endswith("\nBuild 2 and all kept builds before it are without them.\n")
    assert users == ([8], [8])
    assert "3 landed = 1 kept + 0 superseded + 0 quarantined + 2 erased" in checked.out
    assert shown("fct_listens") == [8, 8]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        pytest.param(["users", "7"], 2, "forget users 7: expected --yes, or a terminal to ask on", id="no_terminal"),
        pytest.param(["users", "9", "--yes"], 1, "expected a user with the id 9, no record is of one", id="unknown"),
        pytest.param(["users", str(2**70), "--yes"], 1, "no record is of one. Nothing was changed.", id="too_long"),
        pytest.param(["tracks", "1", "--yes"], 2, "forget: expected users, got 'tracks': only a person", id="tracks"),
        pytest.param(["users", "ada", "--yes"], 2, "forget ID: expected an integer, got 'ada'", id="no_id"),
    ],
)
def test_what_forget_refuses_it_says_in_one_line_and_changes_nothing(
    moovitamix: Command, untouched: Path, arguments: list[str], code: int, message: str
):
    before = contents(untouched)

    done = moovitamix("forget", *arguments, "--warehouse", untouched)

    assert (done.code, done.out) == (code, "")
    assert message in done.err
    assert len(done.err.splitlines()) == 1
    assert contents(untouched) == before


def test_without_a_terminal_it_says_what_it_would_erase(moovitamix: Command, untouched: Path):
    done = moovitamix("forget", "users", "7", "--warehouse", untouched)

    assert "dim_users 1 (1), " in done.err
    assert "fct_listens 2 (2), " in done.err
    assert done.err.endswith("Nothing was changed.\n")


@pytest.mark.parametrize("answer", [pytest.param("n\n", id="no"), pytest.param("\x04", id="end_of_input")])
def test_on_a_terminal_it_asks_and_takes_a_no(start: Command, untouched: Path, answer: str):
    before = contents(untouched)
    ours, theirs = pty.openpty()

    asking = start("forget", "users", "7", "--warehouse", str(untouched), stdin=theirs, stderr=subprocess.PIPE)
    os.write(ours, answer.encode())
    out, err = asking.communicate(timeout=60)

    assert asking.returncode == 1, err
    assert "fct_listens" in out
    assert "Erase them for good? [y/N]" in err
    assert err.endswith("Nothing was changed.\n")
    assert contents(untouched) == before


def test_on_a_terminal_a_yes_erases(start: Command, moovitamix: Command, house: Path):
    ours, theirs = pty.openpty()

    asking = start("forget", "users", "7", "--warehouse", str(house), stdin=theirs)
    os.write(ours, b"y\n")
    out, err = asking.communicate(timeout=60)
    again = moovitamix("forget", "users", "7", "--warehouse", house)

    assert asking.returncode == 0, err
    assert out.count("fct_listens") == 2, "once before it asks, once when it is done"
    assert (again.code, "no record is of one" in again.err) == (1, True)


def test_an_unfinished_forget_is_told_to_who_forgets_next(moovitamix: Command, house: Path):
    unfinished.begin(house, 8)

    of_7 = moovitamix("forget", "users", "7", "--yes", "--json", "--warehouse", house)
    of_8 = moovitamix("forget", "users", "8", "--yes", "--json", "--warehouse", house)
    again = moovitamix("forget", "users", "8", "--yes", "--warehouse", house)

    told = [json.loads(done.out) for done in (of_7, of_8)]
    assert [(each["stream"], each["user_id"], each["build_id"]) for each in told] == [("users", 7, 2), ("users", 8, 3)]
    assert {"table": "dim_users", "rows": 1, "copies": 1, "files": 1} in told[0]["tables"]
    assert "A forget of another user was begun at " in of_7.err
    assert "A forget of this user was begun at " in of_8.err
    assert again.code == 1
    assert list(house.glob(".forgetting*")) == []
