"""`moovitamix land`: what goes in on stdin, out on stdout and stderr, and what its end leaves behind."""

import os
import pty
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
from moovitamix_transform import sources
from moovitamix_transform.cli.app import run_command
from moovitamix_transform.warehouse import Warehouse

Line = Callable[..., bytes]
Command = Callable[..., Any]
MOOVITAMIX = Path(sys.executable).with_name("moovitamix")
GLOBAL = b'{"type":"STATE","state":{"type":"GLOBAL","global":{"stream_states":[]}}}'


@dataclass(frozen=True)
class Done:
    returncode: int
    stdout: bytes
    stderr: bytes


@pytest.fixture
def land(tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch) -> Command:
    """A `land` in this process, with a file for its stdin: `land(warehouse, b"...", "--log-level", "WARN")`."""

    def run(warehouse: Path, sent: bytes, *options: str) -> Done:
        file = tmp_path.with_name(f"{tmp_path.name}.stdin")  # beside the warehouse, which is all that is in its folder
        file.write_bytes(sent)
        capfdbinary.readouterr()
        with file.open() as stdin:
            monkeypatch.setattr(sys, "stdin", stdin)
            code = run_command(["land", "--warehouse", str(warehouse), *options])
        return Done(code, *capfdbinary.readouterr())

    return run


def started(warehouse: Path) -> subprocess.Popen[bytes]:
    """A `land` with a pipe at each end."""
    pipe = subprocess.PIPE
    return subprocess.Popen(
        [MOOVITAMIX, "land", "--warehouse", warehouse], stdin=pipe, stdout=pipe, stderr=pipe, bufsize=0
    )


def send(process: subprocess.Popen[bytes], *lines: bytes) -> None:
    assert process.stdin is not None
    process.stdin.write(b"".join(line + b"\n" for line in lines))


def heard(process: subprocess.Popen[bytes]) -> bytes:
    """The next line of its stdout."""
    assert process.stdout is not None
    return process.stdout.readline()


def landed(warehouse: Path, stream: str) -> list[str]:
    rows = Warehouse(str(warehouse)).scan(f"source/{stream}").sort("_airbyte_raw_id").collect()
    return rows["_airbyte_data"].to_list()


def odd_lines(warehouse: Path) -> list[tuple[str, str]]:
    rows = Warehouse(str(warehouse)).scan("source/_lines").sort("raw_id").select("rule", "text")
    return rows.collect().rows()


def test_a_state_is_echoed_while_the_input_is_still_open(tmp_path: Path, record: Line, state: Line):
    first, second = state("users", "1", 1) + b"\r", state("users", "2", 1).replace(b": ", b" :\t")

    with started(tmp_path) as process:
        send(process, record("users", {"id": 1}), first)
        echoed = [heard(process)]
        at_first_echo = landed(tmp_path, "users")
        send(process, record("users", {"id": 2}), second)
        echoed.append(heard(process))
        rest, _ = process.communicate(timeout=60)

    assert echoed == [first + b"\n", second + b"\n"]
    assert at_first_echo == ['{"id": 1}']
    assert (rest, process.returncode) == (b"", 0)


@pytest.mark.parametrize("moment", ["at_once", "when_its_commit_is_seen"])
def test_a_land_that_is_killed_leaves_a_state_with_exactly_its_records(
    land: Command, tmp_path: Path, record: Line, state: Line, moment: str
):
    log = tmp_path / "source" / "tracks" / "_delta_log"

    with started(tmp_path) as process:
        send(process, record("tracks", {"id": 1}), state("tracks", "1", 1))
        echoed = heard(process)
        commits = len(list(log.glob("*.json")))
        send(process, record("tracks", {"id": 2}), state("tracks", "2", 1))
        while moment == "when_its_commit_is_seen" and len(list(log.glob("*.json"))) == commits:
            assert process.poll() is None
        process.kill()
    after = land(tmp_path, record("tracks", {"id": 3}))

    assert echoed == state("tracks", "1", 1) + b"\n"
    rows = Warehouse(str(tmp_path)).scan("source/tracks").select("_airbyte_generation_id", "_airbyte_data").collect()
    old = sorted(text for generation, text in rows.rows() if generation == 1)
    cursor = sources.states(Warehouse(str(tmp_path)))["tracks"]
    assert (old, f'"updated_at": "{len(old)}"' in cursor) in (
        (['{"id": 1}'], True),
        (['{"id": 1}', '{"id": 2}'], True),
    )
    assert after.returncode == 0
    complete = Warehouse(str(tmp_path)).scan("_meta/generations").select("stream", "generation_id").collect().rows()
    assert complete == [("tracks", 2)], "the killed generation 1 is not complete, nor used again"


def test_odd_lines_are_kept_whole_and_the_exit_code_is_0(land: Command, tmp_path: Path, record: Line, state: Line):
    long_text = '{"id": 1, "name": "' + "é" * 5_000_000 + '"}'
    good = record("users", {"id": 1})
    lines = [
        good + b"\r",
        b"",
        b"x" * 50_000_000,
        record("users", long_text),
        record("users", '{"id": NaN}'),
        b"\xef\xbb\xbf" + good,
        b"[" * 100_000,
        record("users", '"' + "\\ud83d\\ude00" + '"'),
        record("artists", "{}"),
        b"caf\xe9",
        state("users", "1", 2) + b"\r",
        good[:-5],  # cut off, and without a line's end
    ]

    done = land(tmp_path, b"\n".join(lines))

    assert (done.returncode, done.stdout) == (0, state("users", "1", 2) + b"\r\n")
    assert landed(tmp_path, "users") == ['{"id": 1}', long_text]
    assert odd_lines(tmp_path) == [
        ("not_json", lines[2].decode()),
        ("not_json", lines[4].decode()),
        ("not_json", lines[5].decode()),
        ("not_json", lines[6].decode()),
        ("not_a_message", lines[7].decode()),
        ("unknown_stream", lines[8].decode()),
        ("not_json", "caf\\xe9"),
        ("not_json", lines[11].decode()),
    ]
    assert "users: 3 received, 2 landed, 1 quarantined lines" in done.stderr.decode()
    assert "lines without a stream: 6 received, 0 landed, 6 quarantined lines" in done.stderr.decode()
    assert "quarantined: 8 lines that are no records; `moovitamix show _lines" in done.stderr.decode()


def test_an_empty_input_is_a_good_one(land: Command, tmp_path: Path):
    done = land(tmp_path, b"")

    assert (done.returncode, done.stdout) == (0, b"")
    assert Warehouse(str(tmp_path)).count("_meta/generations") == 0


def test_a_last_state_without_a_lines_end_is_echoed_with_one(land: Command, tmp_path: Path, state: Line):
    done = land(tmp_path, state("users", "1"))

    assert (done.returncode, done.stdout) == (0, state("users", "1") + b"\n")


def test_a_failed_read_lands_what_came_and_says_why_without_a_traceback(
    land: Command, tmp_path: Path, record: Line, state: Line
):
    error = (
        b'{"type":"TRACE","trace":{"type":"ERROR","emitted_at":1,"error":{"message":"no rights for a.b@example.org"}}}'
    )
    lines = [record("users", {"id": 1}), GLOBAL, error, error, state("users", "1", 5), record("users", {"id": 2})]

    done = land(tmp_path, b"\n".join(lines))

    assert (done.returncode, done.stdout) == (1, b"")
    assert landed(tmp_path, "users") == ['{"id": 1}', '{"id": 2}']
    told, _, why = done.stderr.decode().partition("moovitamix: ")
    assert "users: 2 received, 2 landed, 0 quarantined lines\n" in told
    assert why.splitlines() == [
        "expected STATE messages of type STREAM, got GLOBAL; it was not committed, what came with it is landed",
        "no rights for a***@example.org",
        "users: expected the 5 records its STATE claims, got 1 since the STATE before; "
        "that STATE was not committed, nor any after it; the records that came are landed",
    ]


def test_the_sources_log_is_on_stderr_by_level_and_without_addresses(land: Command, tmp_path: Path):
    log = '{"type":"LOG","log":{"level":"%s","message":"%s for Jane.Doe+x@example.org"}}'
    sent = "\n".join(log % (level, level.lower()) for level in ("DEBUG", "INFO", "WARN", "ERROR", "FATAL")).encode()

    shown = land(tmp_path, sent, "--log-level", "WARN").stderr.decode().splitlines()

    lines = [f"{level} {level.lower()} for J***@example.org" for level in ("WARN", "ERROR", "FATAL")]
    assert shown[:3] == lines
    assert [line for line in shown if "info" in line or "debug" in line] == []


def test_full_refresh_of_listens_is_a_new_generation(land: Command, tmp_path: Path, record: Line):
    listens = record("listen_history", {"user_id": 1})

    land(tmp_path, listens)
    land(tmp_path, listens, "--full-refresh", "listen_history")

    rows = Warehouse(str(tmp_path)).scan("source/listen_history").select("_airbyte_generation_id").collect()
    assert rows["_airbyte_generation_id"].sort().to_list() == [1, 2]


def test_full_refresh_of_an_unknown_stream_is_a_usage_error(land: Command, tmp_path: Path):
    done = land(tmp_path / "warehouse", b"", "--full-refresh", "artists")

    assert done.returncode == 2
    assert done.stderr.decode() == (
        "moovitamix: land --full-refresh: expected one of tracks, users, listen_history, got 'artists'\n"
    )
    assert not (tmp_path / "warehouse").exists()


def test_a_terminal_on_stdin_is_a_usage_error(tmp_path: Path):
    ours, theirs = pty.openpty()

    done = subprocess.run(
        [MOOVITAMIX, "land", "--warehouse", tmp_path], stdin=theirs, capture_output=True, timeout=60, check=False
    )
    os.close(ours)
    os.close(theirs)

    assert done.returncode == 2
    assert done.stderr.decode() == "moovitamix: land: expected Airbyte messages on stdin, got a terminal\n"


@pytest.mark.parametrize(
    ("redirection", "code", "message"),
    [
        pytest.param("<&-", 2, "land: expected Airbyte messages on stdin, got a closed stdin", id="no_stdin"),
        pytest.param(">&-", 1, "got: a closed stdout; what was committed stays", id="no_stdout"),
        pytest.param(
            "> /dev/full",
            1,
            "got: No space left on device; what was committed stays",
            id="full_disk",
            marks=pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has it"),
        ),
    ],
)
def test_a_missing_end_is_told_without_a_traceback(
    tmp_path: Path, record: Line, state: Line, redirection: str, code: int, message: str
):
    script = f'exec "$0" land --warehouse "$1" {redirection}'
    sent = record("users", {"id": 1}) + b"\n" + state("users", "1")

    done = subprocess.run(
        ["sh", "-c", script, MOOVITAMIX, tmp_path], input=sent, capture_output=True, timeout=60, check=False
    )

    assert done.returncode == code
    assert done.stderr.decode().endswith(message + "\n")
    assert "Traceback" not in done.stderr.decode()


def test_a_reader_that_has_gone_is_told_and_the_states_stay_committed(tmp_path: Path, record: Line, state: Line):
    with started(tmp_path) as process:
        assert process.stdout is not None
        process.stdout.close()
        send(process, record("users", {"id": 1}), state("users", "1"))
        assert process.stderr is not None
        told = process.stderr.read().decode()

    assert process.returncode == 1
    assert told.endswith("got: Broken pipe; what was committed stays\n")
    assert "Traceback" not in told
    assert "Exception ignored" not in told
    assert list(sources.states(Warehouse(str(tmp_path)))) == ["users"]


def test_a_second_land_at_the_same_moment_changes_nothing(land: Command, tmp_path: Path, record: Line, state: Line):
    with started(tmp_path) as first:
        send(first, record("users", {"id": 1}), state("users", "1"))
        heard(first)

        second = land(tmp_path, record("users", {"id": 2}) + b"\n" + state("users", "2"))

        send(first, record("users", {"id": 3}))
        first.communicate(timeout=60)

    assert (second.returncode, second.stdout) == (1, b"")
    assert "expected to be its only writer" in second.stderr.decode()
    assert first.returncode == 0
    assert sorted(landed(tmp_path, "users")) == ['{"id": 1}', '{"id": 3}']


def test_an_interrupted_land_says_so_and_keeps_what_was_committed(tmp_path: Path, record: Line, state: Line):
    with started(tmp_path) as process:
        send(process, record("users", {"id": 1}), state("users", "1"))
        heard(process)
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=60)

    assert process.returncode == 1
    assert told.decode().endswith(
        "moovitamix: interrupted; what was committed stays, the next run goes on from there\n"
    )
    runs = Warehouse(str(tmp_path)).scan("_meta/runs").sort("ended_at", nulls_last=False)
    assert runs.select("kind", "status").collect().rows() == [("land", "running"), ("land", "interrupted")]


ITEMS = b",".join(b"%d" % number for number in range(400))
LISTENS = b'{"user_id":1,"items":[%s],"created_at":"2026-01-01T00:00:00","updated_at":"2026-01-01T00:00:00"}' % ITEMS


@pytest.mark.parametrize(
    ("line", "count"),
    [
        pytest.param(
            b'{"type":"RECORD","record":{"stream":"listen_history","data":%s,"emitted_at":1}}\n' % LISTENS,
            300_000,
            id="records",
        ),
        pytest.param(b"x" * 1_500 + b"\n", 300_000, id="odd_lines"),
    ],
)
def test_memory_does_not_grow_with_the_input(tmp_path: Path, line: bytes, count: int):
    with started(tmp_path) as process:
        watched, peak = psutil.Process(process.pid), 0
        assert process.stdin is not None
        for _ in range(count // 1_000):
            process.stdin.write(line * 1_000)
            peak = max(peak, watched.memory_info().rss)
        _, told = process.communicate(timeout=100)

    assert process.returncode == 0
    assert f"{count:,} received" in told.decode()
    tables = ("source/listen_history", "source/_lines")
    assert sum(Warehouse(str(tmp_path)).count(table) for table in tables) == count
    assert peak < 450 * 1024**2, f"expected less than 450 MiB at its most, got {peak / 1024**2:.0f} MiB"
