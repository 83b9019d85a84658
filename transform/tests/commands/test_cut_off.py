"""Ctrl-C, SIGTERM, SIGHUP and SIGKILL of a run: what becomes of the source, the lock, the record and the tables."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from moovitamix_transform.warehouse import Warehouse

Start = Callable[..., subprocess.Popen[str]]
Command = Callable[..., Any]

# A source with a child in a session of its own, which both say where they are; neither ends by being asked to.
PIDS = """
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import signal, time; signal.signal(15, signal.SIG_IGN); "
    "print(1, flush=True); time.sleep(1000)"], stdout=subprocess.PIPE, start_new_session=True)
child.stdout.readline()
open("pids.new", "w").write(f"{os.getpid()} {child.pid}")
os.rename("pids.new", "pids")
"""
SILENT = PIDS + "time.sleep(1000)"
# A STATE lets the records before it be committed as soon as nothing more comes.
COMMITTED = "for id in range(50): track(id)\nstate('tracks', done=50)\n" + SILENT
FLOWING = PIDS + "for id in range(10**9): listen(id, [1], '2026-01-05T10:00:00')"
SYNC = "sync()\nfor id in range(50): track(id)"


def is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def landed(stream: str) -> int:
    table = f"source/{stream}"
    return Warehouse("warehouse").count(table) if Warehouse("warehouse").exists(table) else 0


def pids(until: Command) -> list[int]:
    until(lambda: Path("pids").exists(), "the source's file 'pids'")
    return [int(pid) for pid in Path("pids").read_text().split()]


@pytest.mark.parametrize(
    ("number", "to_group"),
    [
        pytest.param(signal.SIGINT, True, id="ctrl_c_in_a_terminal"),
        pytest.param(signal.SIGINT, False, id="sigint_to_the_process"),
        pytest.param(signal.SIGTERM, False, id="sigterm"),
        pytest.param(signal.SIGHUP, False, id="a_closed_terminal"),
    ],
)
def test_an_interrupted_run_ends_its_source_says_so_and_is_recorded(
    start: Start, source: Command, until: Command, history: Command, number: signal.Signals, to_group: bool
):
    run = start("run", "--source", source(COMMITTED), start_new_session=True)
    until(lambda: landed("tracks") == 50, "50 landed tracks")

    (os.killpg if to_group else os.kill)(run.pid, number)
    out, err = run.communicate(timeout=20)

    assert run.returncode == 1
    assert err.splitlines()[-1] == (
        "moovitamix: interrupted; what was committed stays, the next run goes on from there"
    )
    assert "Traceback" not in err
    assert out == ""
    assert [pid for pid in pids(until) if is_alive(pid)] == []
    (recorded,) = history("warehouse")
    assert (recorded["kind"], recorded["status"], recorded["build_id"]) == ("run", "interrupted", None)
    assert recorded["message"] == "interrupted; what was committed stays"
    assert recorded["ended_at"] is not None
    assert [(each["stream"], each["received"], each["landed"]) for each in recorded["streams"]] == [
        ("tracks", 50, 50),
        ("users", 0, 0),
        ("listen_history", 0, 0),
    ]


def test_a_signal_while_the_program_is_still_loading_leaves_no_traceback(start: Start, until: Command):
    run = start("tables")
    until(lambda: catches_sigterm(run.pid), "its first handler")

    run.send_signal(signal.SIGINT)
    _, err = run.communicate(timeout=20)

    assert (run.returncode, err) == (1, "moovitamix: interrupted before anything began\n")


def catches_sigterm(pid: int) -> bool:
    caught = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("SigCgt"))
    return bool(int(caught.split()[1], 16) & 1 << signal.SIGTERM - 1)


@pytest.mark.parametrize(
    "body", [pytest.param(COMMITTED, id="while_the_source_is_silent"), pytest.param(FLOWING, id="while_records_flow")]
)
def test_after_sigkill_nothing_runs_on_and_a_rerun_gives_the_tables_of_an_undisturbed_one(
    start: Start,
    source: Command,
    until: Command,
    moovitamix: Command,
    marts: Command,
    history: Command,
    body: str,
):
    run = start("run", "--source", source(body))
    source_pids = pids(until)
    if body == COMMITTED:
        until(lambda: landed("tracks") == 50, "50 landed tracks")

    run.kill()
    run.wait(20)

    until(lambda: not any(map(is_alive, source_pids)), f"the end of the source's processes {source_pids}", 5)
    committed = landed("tracks"), landed("listen_history")
    again = moovitamix("run", "--source", source(SYNC))
    assert again.code == 0, again.err
    killed, good = history("warehouse")
    assert (killed["status"], killed["message"]) == ("interrupted", "killed; what was committed stays")
    assert [each["landed"] for each in killed["streams"]] == [committed[0], 0, committed[1]]
    assert good["status"] == "succeeded"
    assert landed("tracks") == committed[0] + 52
    if body == COMMITTED:
        undisturbed = moovitamix("run", "--source", source(SYNC), "--warehouse", "undisturbed")
        assert undisturbed.code == 0, undisturbed.err
        assert marts("warehouse") == marts("undisturbed")


def test_a_killed_run_leaves_no_config_behind(start: Start, source: Command, until: Command):
    folder = Path("tmp").absolute()
    folder.mkdir()
    command = source(SILENT) + " {config}"
    run = start(
        *("run", "--source", command, "--api-url", "http://ada:canary@127.0.0.1:9"),
        env={**os.environ, "TMPDIR": str(folder)},
    )
    pids(until)
    assert ["canary" in config.read_text() for config in folder.glob("*/config.json")] == [True]

    run.kill()
    run.wait(20)

    until(lambda: not [*folder.iterdir()], "the end of the folder with the source's config", 5)


def test_one_warehouse_has_one_writer_and_a_killed_one_leaves_no_lock(
    start: Start, source: Command, until: Command, moovitamix: Command, history: Command
):
    first = start("run", "--source", source(SILENT))
    pids(until)

    second = moovitamix("run", "--source", "true")
    build = moovitamix("build")
    reader = moovitamix("tables")
    first.kill()
    first.wait(20)
    third = moovitamix("run", "--source", "true")

    for refused in (second, build):
        assert refused.code == 1
        assert refused.err == (
            "moovitamix: warehouse: expected to be its only writer, but another moovitamix command writes to it now; "
            "wait for it or end it. Nothing was changed.\n"
        )
    assert reader.code == 0, reader.err
    assert third.code == 0, third.err
    assert [each["status"] for each in history("warehouse")] == ["interrupted", "succeeded"]


def test_a_supervisor_killed_by_itself_takes_its_command_along(start: Start, source: Command, until: Command):
    alone = "open('pids.new', 'w').write(str(os.getpid())); os.rename('pids.new', 'pids'); time.sleep(1000)"
    run = start("run", "--source", source(alone))
    (command,) = pids(until)
    supervisor = psutil.Process(command).parent()
    assert supervisor is not None

    supervisor.kill()
    _, err = run.communicate(timeout=20)

    assert not is_alive(command)
    assert run.returncode == 1
    assert "ended with signal SIGKILL" in err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl_c", "sigterm"])
def test_make_run_interrupted_ends_the_api_it_started(start: Start, until: Command, number: signal.Signals):
    script = Path(__file__).parents[3] / "scripts" / "run.py"
    run = start(script, program=Path(sys.executable), start_new_session=True)
    found = until(lambda: api_of(run.pid), "the API that scripts/run.py starts")

    os.killpg(run.pid, number)
    _, err = run.communicate(timeout=30)

    assert run.returncode == 1
    assert "Traceback" not in err
    assert not is_alive(int(str(found)))


def test_make_run_killed_ends_the_api_it_started(start: Start, until: Command):
    script = Path(__file__).parents[3] / "scripts" / "run.py"
    run = start(script, program=Path(sys.executable))
    found = until(lambda: api_of(run.pid), "the API that scripts/run.py starts")

    run.kill()
    run.wait(20)

    until(lambda: not is_alive(int(str(found))), f"the end of the API, process {found}", 5)


def api_of(script: int) -> int | None:
    """The process of the API below `make run`'s script, once there is one."""
    for process in psutil.Process(script).children(recursive=True):
        try:
            words = process.cmdline()
        except psutil.Error:
            continue
        if any(word.endswith("moovitamix-api") for word in words) and not any("supervise" in word for word in words):
            return process.pid
    return None
