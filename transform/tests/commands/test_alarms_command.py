"""Alarms as a user meets them: messages to a webhook from a real `moovitamix run`, `check`, and a settings file."""

import json
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from moovitamix_transform import run_history
from moovitamix_transform.alarms import incidents
from moovitamix_transform.warehouse import Warehouse

# apprise looks for a module that Python 3.11 and 3.12 are about to lose, when its first channel is made.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")

Command = Callable[..., Any]
Write = Callable[[str], str]
NO_TRACKS = "user(7)\nfor stream in ('tracks', 'users', 'listen_history'):\n    status(stream, 'COMPLETE')"


class Webhook:
    """What was posted to it; it refuses all while `is_down`, and answers none while `may_answer` is not set."""

    def __init__(self) -> None:
        self.posted: list[dict[str, Any]] = []
        self.is_down = False
        self.was_asked, self.may_answer = threading.Event(), threading.Event()
        self.may_answer.set()
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                hook.was_asked.set()
                hook.may_answer.wait(60)
                if not hook.is_down:
                    hook.posted.append(json.loads(body))
                with suppress(OSError):  # who asked was killed meanwhile
                    self.send_response(500 if hook.is_down else 200)
                    self.end_headers()

            def log_message(self, *_: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"json://ada:pa55word@127.0.0.1:{self.server.server_port}/hook"

    @property
    def titles(self) -> list[str]:
        return [each["title"] for each in self.posted]


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    hook = Webhook()
    thread = threading.Thread(target=hook.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    yield hook
    hook.server.shutdown()
    hook.server.server_close()


@pytest.fixture
def run(moovitamix: Command, source: Write) -> Callable[..., tuple[int, str]]:
    """One `moovitamix run`: its exit code, and all that it printed."""

    def once(body: str, *arguments: str) -> tuple[int, str]:
        done = moovitamix("run", "--source", source(body), *arguments)
        return done.code, done.out + done.err

    return once


def test_an_incident_is_one_message_and_its_recovery_another(
    run: Callable[..., tuple[int, str]], webhook: Webhook, tmp_path: Path, moovitamix: Command
):
    (tmp_path / "moovitamix.toml").write_text(f'[notify]\nurls = ["{webhook.url}"]\n')

    done = [run(body) for body in ("sync()", NO_TRACKS, NO_TRACKS, "sync()", "sync()")]

    assert [code for code, _ in done] == [0, 1, 1, 0, 0], done
    assert webhook.titles == [
        "moovitamix: error: zero_rows tracks",
        "moovitamix: recovered: zero_rows tracks",
    ]
    assert webhook.posted[0]["message"].startswith(
        "expected records, as in the reads before, got none, though it was read whole\nRun 20"
    )
    printed = "".join(text for _, text in done) + moovitamix("show", "incidents", "--json").out
    assert "pa55word" not in printed
    stored = [path for path in (tmp_path / "warehouse").rglob("*") if path.is_file() and b"pa55" in path.read_bytes()]
    assert stored == []


def test_a_channel_that_is_down_fails_no_run_is_told_and_gets_the_message_later(
    run: Callable[..., tuple[int, str]], webhook: Webhook, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("MOOVITAMIX_NOTIFY", webhook.url)
    webhook.is_down = True
    run("sync()")

    failed = run("error('the API is gone')\nsys.exit(1)")
    code, printed = run("sync()")
    webhook.is_down = False
    run("sync()")

    assert failed[0] == 1
    assert code == 0, printed
    assert "alarms: channel 1 (json): expected it to take the message, it did not" in printed
    assert "alarms: 2 messages were not taken by any channel; the next run sends them" in printed
    assert webhook.titles == ["moovitamix: error: run run", "moovitamix: recovered: run run"]


def test_a_run_killed_while_it_sends_its_message_leaves_it_to_the_next_run(
    run: Callable[..., tuple[int, str]],
    start: Callable[..., Any],
    source: Write,
    webhook: Webhook,
    monkeypatch: pytest.MonkeyPatch,
):
    run("sync()")
    monkeypatch.setenv("MOOVITAMIX_NOTIFY", webhook.url)
    webhook.may_answer.clear()
    process = start("run", "--source", source(NO_TRACKS))
    assert webhook.was_asked.wait(60), "the run sends no message"

    before = [each.events for each in incidents.every(Warehouse("warehouse"))]
    process.kill()
    process.wait()
    killed = [each.events for each in incidents.every(Warehouse("warehouse"))]
    webhook.posted.clear()  # who was killed never knew that it was taken
    webhook.may_answer.set()
    code, _ = run(NO_TRACKS)

    assert before == killed == [("opened",)], "committed before it is told, and told only once somebody took it"
    assert code == 1
    assert "moovitamix: error: zero_rows tracks" in webhook.titles
    assert [each.events for each in incidents.every(Warehouse("warehouse"))] == [("opened", "told")]


@pytest.fixture
def kill_one(start: Callable[..., Any], source: Write, until: Callable[..., object]) -> Callable[[], str]:
    """A run that is killed while it syncs; gives its id."""

    def kill() -> str:
        Path("reached").unlink(missing_ok=True)
        process = start("run", "--source", source("track(3)\nopen('reached', 'w').close()\ntime.sleep(1000)"))
        until(Path("reached").exists, "the source runs")
        process.kill()
        process.wait()
        return run_history.every(Warehouse("warehouse"))[0].run_id

    return kill


def test_a_killed_run_is_told_of_once_when_the_next_one_begins_and_its_recovery_with_the_next_good_one(
    run: Callable[..., tuple[int, str]], kill_one: Callable[[], str], webhook: Webhook, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("MOOVITAMIX_NOTIFY", webhook.url)
    run("sync()")
    first = kill_one()

    kill_one()  # this one tells of the first, though it has no end either
    told_by_one_that_is_killed = list(webhook.titles)
    code, printed = run("sync()")
    again = run("sync()")

    assert told_by_one_that_is_killed == ["moovitamix: error: run run"]
    assert webhook.posted[0]["message"].startswith(f"it was killed: it has no end\nRun {first}, warehouse warehouse: ")
    assert (code, again[0]) == (0, 0), printed
    assert webhook.titles == ["moovitamix: error: run run", "moovitamix: recovered: run run"]


def test_without_a_channel_the_output_of_the_next_run_tells_of_a_killed_one(
    run: Callable[..., tuple[int, str]], kill_one: Callable[[], str]
):
    run("sync()")
    killed = kill_one()

    code, printed = run("sync()")
    _, again = run("sync()")

    assert code == 0
    assert f"WARN alarms: run {killed}: it was killed: it has no end" in printed
    assert "killed" not in again


def test_a_run_ended_by_ctrl_c_is_no_alarm(
    run: Callable[..., tuple[int, str]],
    start: Callable[..., Any],
    source: Write,
    until: Callable[..., object],
):
    run("sync()")
    process = start("run", "--source", source("open('reached', 'w').close()\ntime.sleep(1000)"))
    until(Path("reached").exists, "the source runs")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)

    code, printed = run("sync()")

    assert code == 0
    assert "alarms:" not in printed
    assert not Warehouse("warehouse").exists(incidents.TABLE)


def test_check_warns_of_a_run_that_was_killed_or_failed_for_the_build_stands(
    moovitamix: Command, source: Write, kill_one: Callable[[], str]
):
    moovitamix("run", "--source", source("sync()"))
    outcomes = []
    for end in (kill_one, lambda: moovitamix("run", "--source", source("sys.exit(1)"))):
        end()
        done = moovitamix("check", "--json")
        outcomes += [
            (done.code, row["outcome"], row["detail"]) for row in json.loads(done.out) if row["subject"] == "run run"
        ]

    assert outcomes == [(0, "warned", "it was killed: it has no end"), (0, "warned", "it failed")]


def test_check_notify_tells_once_that_nothing_runs_any_more_and_once_that_it_is_over(
    moovitamix: Command, source: Write, webhook: Webhook, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    moovitamix("run", "--source", source("sync()"))
    monkeypatch.setenv("MOOVITAMIX_NOTIFY", webhook.url)
    (tmp_path / "old.toml").write_text("[freshness]\nwarn_hours = 1e-9\nerror_hours = 1e-9\n")
    before = moovitamix("check", "--notify")

    old = [moovitamix("check", "--notify", "--settings", tmp_path / "old.toml") for _ in range(2)]
    fresh = [moovitamix("check", "--notify") for _ in range(2)]

    assert [done.code for done in (before, *old, *fresh)] == [0, 1, 1, 0, 0]
    assert sorted(webhook.titles) == [
        *(f"moovitamix: error: freshness {stream}" for stream in ("listen_history", "tracks", "users")),
        *(f"moovitamix: recovered: freshness {stream}" for stream in ("listen_history", "tracks", "users")),
    ]
    assert webhook.posted[0]["message"].endswith("\nWarehouse warehouse: `moovitamix check`")


def test_check_notify_tells_of_a_broken_table_without_a_row_of_it(
    moovitamix: Command, source: Write, webhook: Webhook, monkeypatch: pytest.MonkeyPatch
):
    moovitamix("run", "--source", source("sync()"))
    monkeypatch.setenv("MOOVITAMIX_NOTIFY", webhook.url)
    (file,) = Path("warehouse/marts/dim_users").glob("*.parquet")
    content = file.read_bytes()

    file.write_bytes(b"")
    broken = moovitamix("check", "--notify")
    file.write_bytes(content)
    mended = moovitamix("check", "--notify")

    assert (broken.code, mended.code) == (1, 0), mended.out
    assert webhook.titles == [
        "moovitamix: error: check contract dim_users",
        "moovitamix: recovered: check contract dim_users",
    ]
    assert webhook.posted[0]["message"].startswith("it failed; `moovitamix check` says why\n")


def test_a_check_beside_a_run_tells_what_it_finds(
    moovitamix: Command, source: Write, webhook: Webhook, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    moovitamix("run", "--source", source("sync()"))
    monkeypatch.setenv("MOOVITAMIX_NOTIFY", webhook.url)
    (tmp_path / "old.toml").write_text("[freshness]\nerror_hours = 1e-9\n")

    with Warehouse("warehouse").writing():  # as a run that hangs does
        done = moovitamix("check", "--notify", "--settings", tmp_path / "old.toml")

    assert done.code == 1
    assert len(webhook.titles) == 3


def test_check_notify_without_a_channel_is_a_usage_error(moovitamix: Command, source: Write):
    moovitamix("run", "--source", source("sync()"))

    done = moovitamix("check", "--notify")

    assert (done.code, done.out) == (2, "")
    assert "expected channels in [notify] urls of the settings or in MOOVITAMIX_NOTIFY, got none" in done.err


def test_check_lists_the_alarms_and_exits_1_on_an_error(moovitamix: Command, source: Write):
    moovitamix("run", "--source", source("sync()"))

    well = moovitamix("check", "--json")
    failed = moovitamix("run", "--source", source(NO_TRACKS))
    dead = moovitamix("check", "--json")
    allowed = moovitamix("run", "--source", source(NO_TRACKS), "--allow-empty")
    after = moovitamix("check", "--json")

    assert (well.code, failed.code, dead.code, allowed.code, after.code) == (0, 1, 1, 0, 0)
    assert [row["subject"] for row in json.loads(well.out) if row["check"] == "alarm"] == [
        *("run", "zero_rows", "freshness", "volume", "nulls", "quarantine", "duration"),
    ]
    assert [row for row in json.loads(dead.out) if row["outcome"] == "failed"] == [
        {
            "check": "alarm",
            "subject": "zero_rows tracks",
            "outcome": "failed",
            "detail": "expected records, as in the reads before, got none, though it was read whole",
        }
    ]


def test_ages_of_the_settings_file_make_check_warn_or_fail(moovitamix: Command, source: Write, tmp_path: Path):
    moovitamix("run", "--source", source("sync()"))
    warn, fail = tmp_path / "warn.toml", tmp_path / "fail.toml"
    warn.write_text("[freshness]\nwarn_hours = 1e-9\n")
    fail.write_text("[freshness.tables.dim_users]\nerror_hours = 1e-9\n")

    strict = moovitamix("check", "--strict", "--settings", warn)
    warned = moovitamix("check", "--settings", warn)
    failed = moovitamix("check", "--settings", fail)

    assert (strict.code, warned.code, failed.code) == (3, 0, 1)
    assert "freshness users" in failed.out
    assert "too old for dim_users" in failed.out


def test_a_settings_file_with_an_unknown_key_is_a_usage_error(moovitamix: Command, tmp_path: Path):
    (tmp_path / "moovitamix.toml").write_text("[volume]\nshares = 0.5\n")

    done = moovitamix("run", "--source", "true")

    assert (done.code, done.out) == (2, "")
    assert done.err == "moovitamix: moovitamix.toml: [volume] shares: expected share, got an unknown key\n"


def test_without_an_incident_the_table_of_them_is_empty(moovitamix, source):
    moovitamix("run", "--source", source("sync()"))

    shown = moovitamix("show", "incidents", "--json")

    assert (shown.code, shown.out.strip()) == (0, "[]")
