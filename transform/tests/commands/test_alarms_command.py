"""Alarms as a user meets them: messages to a webhook from a real `moovitamix run`, `check`, and a settings file."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

# apprise looks for a module that Python 3.11 and 3.12 are about to lose, when its first channel is made.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")

Command = Callable[..., Any]
Write = Callable[[str], str]
NO_TRACKS = "user(7)\nfor stream in ('tracks', 'users', 'listen_history'):\n    status(stream, 'COMPLETE')"


class Webhook:
    """What was posted to it; it refuses all while `is_down`."""

    def __init__(self) -> None:
        self.posted: list[dict[str, Any]] = []
        self.is_down = False
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if not hook.is_down:
                    hook.posted.append(json.loads(body))
                self.send_response(500 if hook.is_down else 200)
                self.end_headers()

            def log_message(self, *_: object) -> None: ...

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
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


def test_check_lists_the_alarms_and_exits_1_on_an_error(moovitamix: Command, source: Write):
    moovitamix("run", "--source", source("sync()"))

    well = moovitamix("check", "--json")
    failed = moovitamix("run", "--source", source(NO_TRACKS))
    dead = moovitamix("check", "--json")
    allowed = moovitamix("run", "--source", source(NO_TRACKS), "--allow-empty")
    after = moovitamix("check", "--json")

    assert (well.code, failed.code, dead.code, allowed.code, after.code) == (0, 1, 1, 0, 0)
    assert [row["subject"] for row in json.loads(well.out) if row["check"] == "alarm"] == [
        *("zero_rows", "freshness", "volume", "nulls", "quarantine", "duration"),
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
