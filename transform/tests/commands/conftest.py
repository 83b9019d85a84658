"""`moovitamix` as a user runs it: in this process, or as one of its own; and sources that say what a test wants."""

import fcntl
import os
import pty
import shlex
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from moovitamix_transform import builds
from moovitamix_transform.cli.app import run_command
from moovitamix_transform.graph import MARTS
from moovitamix_transform.tables import scan
from moovitamix_transform.warehouse import Warehouse

BIN = Path(sys.executable).parent

# What every test source starts with.
SAYING = """
import json, os, signal, subprocess, sys, time

MONDAY = "2026-01-05T10:00:00"

def say(**message):
    print(json.dumps(message), flush=True)

def record(stream, **data):
    say(type="RECORD", record={"stream": stream, "data": data, "emitted_at": 1767607200000})

def track(id, **more):
    record("tracks", **{"id": id, "name": f"track {id}", "created_at": MONDAY, "updated_at": MONDAY, **more})

def user(id, **more):
    record("users", **{"id": id, "email": "ada@example.org", "created_at": MONDAY, "updated_at": MONDAY, **more})

def listen(user_id, items, at=MONDAY):
    record("listen_history", user_id=user_id, items=items, created_at=at, updated_at=at)

def state(stream, **cursor):
    say(type="STATE", state={"type": "STREAM",
        "stream": {"stream_descriptor": {"name": stream}, "stream_state": cursor}})

def status(stream, status):
    say(type="TRACE", trace={"type": "STREAM_STATUS", "emitted_at": 1767607200000,
        "stream_status": {"stream_descriptor": {"name": stream}, "status": status}})

def error(message):
    say(type="TRACE", trace={"type": "ERROR", "emitted_at": 1767607200000, "error": {"message": message}})

def sync():
    "Two tracks, a user, a listen of both: a small sync that is complete."
    track(1), track(2), user(7), listen(7, [1, 2])
    state("listen_history", updated_at=MONDAY)
    for stream in ("tracks", "users", "listen_history"):
        status(stream, "COMPLETE")
"""


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str


@pytest.fixture(autouse=True)
def plain_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An empty folder, and no variable of the user's that changes what is printed."""
    for name in (
        "MOOVITAMIX_WAREHOUSE",
        "MOOVITAMIX_TRACEBACK",
        "FORCE_COLOR",
        "NO_COLOR",
        "COLUMNS",
        "TTY_COMPATIBLE",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def moovitamix(capsys: pytest.CaptureFixture[str]) -> Callable[..., Done]:
    """A command line in this process: `moovitamix("tables", "--json")`. Nothing is a terminal."""

    def run(*arguments: str | Path) -> Done:
        capsys.readouterr()
        code = run_command([str(each) for each in arguments])
        out, err = capsys.readouterr()
        return Done(code, out, err)

    return run


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """A command line as a process of its own; one still running when the test ends is killed."""
    started: list[subprocess.Popen[str]] = []

    def run(*arguments: str | Path, program: Path = BIN / "moovitamix", **options: object) -> subprocess.Popen[str]:
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        process: subprocess.Popen[str] = subprocess.Popen([program, *arguments], **(pipes | options))
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def source(tmp_path: Path) -> Callable[[str], str]:
    """The command line of a source that runs `body`, Python on top of SAYING."""
    written: list[Path] = []

    def write(body: str) -> str:
        script = tmp_path / f"source {len(written)}.py"  # a space, as a user's path may have
        script.write_text(SAYING + body)
        written.append(script)
        return shlex.join([sys.executable, str(script)])

    return write


@pytest.fixture(scope="session")
def until() -> Callable[..., object]:
    """Waits for what another process does: calls `look` until its answer is true, and returns that."""

    def wait(look: Callable[[], object], what: str, seconds: float = 20.0) -> object:
        end = time.monotonic() + seconds
        while not (found := look()):
            assert time.monotonic() < end, f"expected within {seconds:.0f} s: {what}"
            time.sleep(0.02)
        return found

    return wait


@pytest.fixture(scope="session")
def marts() -> Callable[[Path | str], dict[str, list[tuple[Any, ...]]]]:
    """Every mart of a warehouse's newest build, its rows sorted."""

    def read(root: Path | str) -> dict[str, list[tuple[Any, ...]]]:
        warehouse = Warehouse(str(root))
        newest = builds.newest(warehouse)
        assert newest is not None, f"{root}: nothing is built"
        return {name: sorted(scan(warehouse, name, newest.tables).collect().rows(), key=repr) for name in MARTS}

    return read


@pytest.fixture(scope="session")
def history() -> Callable[[Path | str], list[dict[str, Any]]]:
    """The runs of a warehouse, oldest first, each as its last row says."""

    def read(root: Path | str) -> list[dict[str, Any]]:
        rows = Warehouse(str(root)).scan("_meta/runs").collect()
        ended = rows.filter(pl.col("status") != "running")
        running = rows.join(ended, on="run_id", how="anti")
        return pl.concat([ended, running]).sort("started_at").to_dicts()

    return read


@pytest.fixture(scope="session")
def saying() -> str:
    return SAYING


@pytest.fixture
def on_terminal() -> Callable[..., Done]:
    """A command line on a terminal of so many columns: its exit code, and all that a person sees, escapes included."""

    def run(*arguments: str | Path, columns: int = 80) -> Done:
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        environment = {**os.environ, "TERM": "xterm-256color"}
        process = subprocess.Popen(
            [BIN / "moovitamix", *arguments], stdin=theirs, stdout=theirs, stderr=theirs, env=environment
        )
        os.close(theirs)
        seen = b""
        with suppress(OSError):  # EIO: the last one to hold the other end has gone
            while part := os.read(ours, 65536):
                seen += part
        os.close(ours)
        return Done(process.wait(30), seen.decode().replace("\r\n", "\n"), "")

    return run
