"""`run --source CMD`: what the command is given, how it may end, and what is left of it."""

import json
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from moovitamix_transform import connector
from moovitamix_transform.cli.app import with_optional_values
from moovitamix_transform.streams import STREAMS
from moovitamix_transform.warehouse import Warehouse

Command = Callable[..., Any]
Write = Callable[[str], str]
Read = Callable[[Path | str], Any]

SEEN = """
files = {arg.partition("=")[0]: json.load(open(arg.partition("=")[2])) for arg in sys.argv[1:] if "=" in arg}
with open("seen.json", "w") as seen:
    json.dump({"argv": sys.argv[1:], "stdin": sys.stdin.read(), **files}, seen)
"""


def seen() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(Path("seen.json").read_text())
    return content


def test_the_command_is_split_as_a_shell_would_but_run_without_one(moovitamix: Command, source: Write):
    command = source(SEEN) + " '$HOME and `date`' \"a b\" ; | & > out * ~ {other} '' é"

    done = moovitamix("run", "--source", command)

    assert done.code == 0, done.err
    assert seen()["argv"] == ["$HOME and `date`", "a b", ";", "|", "&", ">", "out", "*", "~", "{other}", "", "é"]
    assert not Path("out").exists()


def test_the_placeholders_are_paths_of_the_config_the_catalog_and_the_last_committed_state(
    moovitamix: Command, source: Write
):
    Path("my config.json").write_text('{"api_url": "http://127.0.0.1:1", "api_key": "k"}')
    command = source(SEEN + "sync()") + " config={config} catalog={catalog} state={state}"

    first = moovitamix("run", "--config", "my config.json", "--source", command)
    first_state = seen()["state"]
    second = moovitamix("run", "--config", "my config.json", "--source", command)

    assert (first.code, second.code) == (0, 0), first.err + second.err
    assert first_state == []
    assert seen()["state"] == [
        {
            "type": "STREAM",
            "stream": {
                "stream_descriptor": {"name": "listen_history"},
                "stream_state": {"updated_at": "2026-01-05T10:00:00"},
            },
        }
    ]
    assert seen()["config"] == {"api_url": "http://127.0.0.1:1", "api_key": "k"}
    modes = {each["stream"]["name"]: each["sync_mode"] for each in seen()["catalog"]["streams"]}
    assert modes == {"tracks": "full_refresh", "users": "full_refresh", "listen_history": "incremental"}


def test_an_api_url_beside_a_command_becomes_its_config(moovitamix: Command, source: Write):
    command = source(SEEN) + " config={config}"

    done = moovitamix("run", "--api-url", "http://127.0.0.1:1/v1", "--source", command)

    assert done.code == 0, done.err
    assert seen()["config"] == {"api_url": "http://127.0.0.1:1/v1"}


@pytest.mark.parametrize(
    ("options", "value"),
    [
        pytest.param(["--full-refresh"], "all", id="alone_at_the_end"),
        pytest.param(["--full-refresh", "--strict"], "all", id="alone_before_another_option"),
        pytest.param(["--full-refresh", "users"], "users", id="the_stream"),
    ],
)
def test_full_refresh_stands_alone_or_names_a_stream(options: list[str], value: str):
    arguments = with_optional_values(["run", "--source", "true", *options])

    assert arguments[:5] == ["run", "--source", "true", "--full-refresh", value]


def test_a_full_refresh_reads_every_stream_whole_as_a_new_generation(moovitamix: Command, source: Write):
    command = source(SEEN + "sync()") + " catalog={catalog} state={state}"
    moovitamix("run", "--source", command)

    done = moovitamix("run", "--source", command, "--full-refresh", "--json")

    assert done.code == 0, done.err
    assert seen()["state"] == []
    assert {each["sync_mode"] for each in seen()["catalog"]["streams"]} == {"full_refresh"}
    generations = Warehouse("warehouse").scan("source/listen_history").collect()["_airbyte_generation_id"]
    assert sorted(generations) == [1, 2]


def test_a_full_refresh_of_tracks_leaves_the_listens_incremental(moovitamix: Command, source: Write):
    command = source(SEEN + "sync()") + " catalog={catalog} state={state}"
    moovitamix("run", "--source", command)

    done = moovitamix("run", "--source", command, "--full-refresh", "tracks")

    assert done.code == 0, done.err
    assert len(seen()["state"]) == 1
    generations = Warehouse("warehouse").scan("source/listen_history").collect()["_airbyte_generation_id"]
    assert sorted(generations) == [1, 1]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        pytest.param("sys.exit(1)", "ended with exit code 1", id="silent"),
        pytest.param("sys.exit('no such host')", "exit code 1, expected exit code 0: no such host", id="last_words"),
        pytest.param("raise ValueError('odd')", "ValueError: odd", id="a_traceback"),
        pytest.param("os.kill(os.getpid(), signal.SIGKILL)", "ended with signal SIGKILL", id="killed"),
        pytest.param("print('garbage'); sys.exit(2)", "ended with exit code 2", id="garbage"),
        pytest.param("error('GET /tracks: got HTTP 500')", "GET /tracks: got HTTP 500", id="trace_error"),
        pytest.param("status('tracks', 'INCOMPLETE')", "tracks: the source ended it INCOMPLETE", id="incomplete"),
        pytest.param(
            "os.close(1); time.sleep(1000)", "closed its stdout but went on running", id="closes_stdout_and_lives_on"
        ),
    ],
)
def test_a_bad_end_exits_1_keeps_what_came_and_builds_nothing(
    moovitamix: Command, source: Write, history: Read, monkeypatch: pytest.MonkeyPatch, body: str, message: str
):
    if "os.close(1)" in body:
        monkeypatch.setattr(connector, "END_SECONDS", 1.0)  # ten seconds of patience would be ten seconds of test

    done = moovitamix("run", "--source", source("track(3)\n" + body))

    assert done.code == 1
    assert message in done.err
    assert "Traceback" not in done.err
    assert done.out == ""
    tracks = Warehouse("warehouse").scan("source/tracks").collect()
    assert [json.loads(text)["id"] for text in tracks["_airbyte_data"]] == [3]
    assert not Warehouse("warehouse").exists("_meta/builds")
    (recorded,) = history("warehouse")
    assert (recorded["kind"], recorded["status"], recorded["build_id"]) == ("run", "failed", None)
    assert message in recorded["message"]
    ledger = {entry["stream"]: (entry["received"], entry["landed"]) for entry in recorded["streams"]}
    assert ledger["tracks"] == (1, 1)


def test_after_a_failed_sync_the_build_before_stays_and_the_next_good_one_takes_in_what_came(
    moovitamix: Command, source: Write
):
    good, bad = source("sync()"), source("track(3)\nsys.exit(1)")
    moovitamix("run", "--source", good)

    failed = moovitamix("run", "--source", bad)
    between = moovitamix("show", "dim_tracks", "--json")
    built = moovitamix("build")
    after = moovitamix("show", "dim_tracks", "--json")

    assert (failed.code, built.code) == (1, 0)
    assert sorted(row["track_id"] for row in json.loads(between.out)) == [1, 2]
    assert sorted(row["track_id"] for row in json.loads(after.out)) == [1, 2, 3]


@pytest.mark.parametrize(
    ("command", "message"),
    [
        pytest.param("no-such-program {catalog}", "no-such-program could not be started", id="no_such_program"),
        pytest.param("/", "could not be started: /: Permission denied", id="a_folder"),
    ],
)
def test_a_command_that_cannot_be_started_exits_1_and_says_so(
    moovitamix: Command, history: Read, command: str, message: str
):
    done = moovitamix("run", "--source", command)

    assert done.code == 1
    assert message in done.err
    assert "Traceback" not in done.err
    assert [each["status"] for each in history("warehouse")] == ["failed"]


def test_a_source_that_says_nothing_and_exits_0_is_no_error_but_is_told(moovitamix: Command):
    done = moovitamix("run", "--source", "true")

    assert done.code == 0, done.err
    assert "note: the source true sent no record of any stream" in done.out


def test_lines_that_are_no_records_are_quarantined_and_the_rest_counts(moovitamix: Command, source: Write):
    command = source("print('Downloading 3 of 4 ...')\nprint()\nsync()\nrecord('podcasts', id=1)")

    done = moovitamix("run", "--source", command, "--json")
    listed = moovitamix("quarantine", "list", "--json")

    assert done.code == 0, done.err
    streams = {
        each["stream"]: (each["received"], each["landed"], each["quarantined_lines"])
        for each in json.loads(done.out)["streams"]
    }
    assert streams == {
        "tracks": (2, 2, 0),
        "users": (1, 1, 0),
        "listen_history": (1, 1, 0),
        "podcasts": (1, 0, 1),
        None: (1, 0, 1),
    }
    rules = [(each["stream"], each["rule"], each["count"]) for each in json.loads(listed.out)]
    assert rules == [("podcasts", "unknown_stream", 1), (None, "not_json", 1)]


def test_a_flood_on_stderr_neither_blocks_the_source_nor_reaches_the_screen(moovitamix: Command, source: Write):
    flood = "for _ in range(2000): sys.stderr.write('x' * 999 + '\\n')\nsys.stderr.write('y' * 3_000_000)\nsync()"

    done = moovitamix("run", "--source", source(flood))

    assert done.code == 0, done.err[-500:]
    assert len(done.err) < 1000


@pytest.mark.parametrize(
    "session",
    [pytest.param("", id="in_its_group"), pytest.param("start_new_session=True", id="in_a_session_of_its_own")],
)
def test_what_the_source_leaves_running_ends_with_it(moovitamix: Command, source: Write, until: Command, session: str):
    body = f"""
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"], {session})
open("child", "w").write(str(child.pid))
sync()
"""

    done = moovitamix("run", "--source", source(body))

    assert done.code == 0, done.err
    child = int(Path("child").read_text())
    until(lambda: not psutil.pid_exists(child), f"the end of process {child}, which the source left behind", 5)


def test_a_secret_of_the_config_that_the_source_repeats_reaches_no_message_and_no_table(
    moovitamix: Command, source: Write
):
    secrets = ("canary@s3cret", "hunter2!", "t0ken-Q")
    config = {"api_key": secrets[0], "db": {"password": secrets[1]}, "more": [{"accessToken": secrets[2]}], "size": 5}
    Path("config.json").write_text(json.dumps(config))
    body = """
config = "with " + open(sys.argv[1]).read()
sync()
print(config, file=sys.stderr)
say(type="LOG", log={"level": "ERROR", "message": config})
error(config)
"""

    done = moovitamix("run", "--config", "config.json", "--source", source(body) + " {config}", "--log-level", "TRACE")

    assert done.code == 1
    assert done.err.count("****") == 9, "expected three secrets each from stderr, the log and the error"
    written = b"".join(file.read_bytes() for file in Path("warehouse").rglob("*") if file.is_file())
    for secret in secrets:
        assert secret not in done.out + done.err
        assert secret.encode() not in written


def test_email_addresses_are_masked_in_logs_and_messages(moovitamix: Command, source: Write, history: Read):
    body = """
print("user ada@example.org failed", file=sys.stderr)
say(type="LOG", log={"level": "WARN", "message": "user bob@example.org is odd"})
error("user cleo@example.org is broken")
"""

    done = moovitamix("run", "--source", source(body), "--log-level", "INFO")

    assert done.code == 1
    assert "a***@example.org" in done.err
    assert "WARN user b***@example.org is odd" in done.err
    assert "user c***@example.org is broken" in done.err
    assert history("warehouse")[0]["message"] == "user c***@example.org is broken"
    for name in ("ada@", "bob@", "cleo@"):
        assert name not in done.err


# As the CDK ends a sync of which two streams failed.
CDK_FAILURE = """
def failed(stream, message):
    say(type="LOG", log={"level": "ERROR", "message": "Exception while syncing stream " + stream})
    say(type="TRACE", trace={"type": "ERROR", "emitted_at": 1767607200000, "error": {
        "message": message, "failure_type": "transient_error", "stream_descriptor": {"name": stream}}})
    status(stream, "INCOMPLETE")

record("tracks", id=1)
failed("tracks", "GET /tracks: expected a page, got HTTP 500.")
failed("users", "GET /users: expected a page, got HTTP 404.")
summary = "During the sync, the following streams did not sync successfully: tracks: odd, users: odd"
say(type="LOG", log={"level": "FATAL", "message": summary})
error(summary)
sys.exit(1)
"""
CDK_FAILURE_TOLD = """\
tracks: 1 record
moovitamix: GET /tracks: expected a page, got HTTP 500. What came of tracks is landed.
GET /users: expected a page, got HTTP 404. Nothing came of users.
"""


def test_a_failure_of_the_source_is_told_once_a_line_a_stream(moovitamix: Command, source: Write, history: Read):
    done = moovitamix("run", "--source", source(CDK_FAILURE))
    asked = moovitamix("run", "--source", source(CDK_FAILURE), "--log-level", "INFO")

    assert (done.code, done.err) == (1, CDK_FAILURE_TOLD)
    assert [each["message"] for each in history("warehouse")] == [
        CDK_FAILURE_TOLD.partition("moovitamix: ")[2].rstrip()
    ] * 2
    assert asked.err.count("ERROR Exception while syncing stream") == 2
    assert asked.err.endswith(CDK_FAILURE_TOLD.partition("\n")[2])


@pytest.mark.parametrize(
    ("end", "code"),
    [
        pytest.param("sync()", 0, id="a_good_end"),
        pytest.param("sys.exit(1)", 1, id="an_end_without_a_trace"),
        pytest.param("os.kill(os.getpid(), signal.SIGKILL)", 1, id="killed"),
    ],
)
def test_an_error_in_the_log_that_no_failure_tells_is_shown(moovitamix: Command, source: Write, end: str, code: int):
    logged = 'say(type="LOG", log={"level": "ERROR", "message": "page 7 is odd"})'

    done = moovitamix("run", "--source", source(f"{logged}\n{end}"))

    assert done.code == code
    assert done.err.count("ERROR page 7 is odd") == 1


def test_a_traceback_in_a_log_message_is_shown_only_to_who_asks_for_it(moovitamix: Command, source: Write):
    body = """
text = "Exception while syncing" + chr(10) + "Traceback (most recent call last):" + chr(10) + "  File x"
say(type="LOG", log={"level": "ERROR", "message": text})
sync()
"""

    plain = moovitamix("run", "--source", source(body))
    asked = moovitamix("run", "--source", source(body), "--log-level", "DEBUG")

    assert "ERROR Exception while syncing" in plain.err
    assert "Traceback" not in plain.err
    assert "Traceback (most recent call last):\n  File x" in asked.err


CONFIGS: dict[str, dict[str, object]] = {
    "empty": {},
    "large": {"api_url": "http://x", "page_size": 500},
    "type": {"api_url": "http://x", "page_size": "x"},
    "null": {"api_url": "http://x", "page_size": None},
    "date": {"api_url": "http://x", "start_date": "2026-02-30"},
    "line": {"api_url": "http://x", "api_key": "pa55\n"},
    "typo": {"api_url": "http://x", "strat_date": "2026-01-01"},
    "later": {"api_url": "http://x", "start_date": "2062-01-01"},
    "user": {"api_url": "http://ada:pa55@x"},
    "key": {"api_url": "http://x", "api_key": 4711},
}
USAGE = {
    "none_of_the_three": ([], "--api-url URL, --config F, --source CMD"),
    "two_configs": (["--api-url", "http://x", "--config", "list.json"], "got both"),
    "no_url": (["--api-url", "127.0.0.1:8000"], "expected a URL such as http://127.0.0.1:8000, got '127.0.0.1:8000'"),
    "no_config_for_the_placeholder": (["--source", "true {config}"], "--config F or --api-url URL beside it"),
    "a_config_without_placeholder": (["--source", "true", "--api-url", "http://x"], "expected {config} in the command"),
    "an_empty_command": (["--source", " "], "got an empty one"),
    "an_open_quote": (["--source", "sh -c 'x"], "No closing quotation"),
    "config_missing": (["--config", "nowhere.json"], "nowhere.json: expected a readable JSON file"),
    "config_a_folder": (["--config", "."], "expected a readable JSON file, got: Is a directory"),
    "config_no_json": (["--config", "text.json"], "text.json: expected a JSON object, got no JSON"),
    "config_no_text": (["--config", "bytes.json"], "bytes.json: expected a JSON object, got no JSON"),
    "config_a_list": (["--config", "list.json"], "list.json: expected a JSON object, got list"),
    "config_without_a_url": (["--config", "empty.json"], "empty.json: 'api_url' is a required property"),
    "config_too_large": (["--config", "large.json"], "large.json: page_size: 500 is greater than the maximum of 100"),
    "config_of_another_type": (["--config", "type.json"], "type.json: page_size: 'x' is not of type 'integer'"),
    "config_with_a_null": (["--config", "null.json"], "null.json: page_size: None is not of type 'integer'"),
    "config_of_no_date": (["--config", "date.json"], "start_date: expected a date of the calendar, got '2026-02-30'"),
    "config_of_a_date_to_come": (["--config", "later.json"], "start_date: expected a date that has passed, got '2062-"),
    "config_with_a_password": (
        ["--config", "user.json"],
        "user.json: api_url: expected https://host[:port][/path], got an address with @ or ?, not shown here",
    ),
    "config_with_an_odd_key": (["--config", "key.json"], "key.json: api_key: expected type string, got another"),
    "url_without_a_host": (
        ["--api-url", "http://"],
        "--api-url: api_url: expected https://host[:port][/path], got 'http://'",
    ),
    "url_with_a_query": (
        ["--api-url", "http://x/?a=b"],
        "expected https://host[:port][/path], got an address with @ or ?",
    ),
    "config_with_a_key_for_no_header": (["--config", "line.json"], "line.json: api_key: expected printable ASCII"),
    "config_with_an_unknown_option": (["--config", "typo.json"], "max_retries, max_wait_seconds"),
    "settings_missing": (["--source", "true", "--settings", "no.toml"], "no.toml: expected a readable TOML file"),
    "unknown_stream": (
        ["--source", "true", "--full-refresh", "podcasts"],
        "expected one of tracks, users, listen_hist",
    ),
    "unknown_level": (["--source", "true", "--log-level", "loud"], "got 'loud'"),
    "unknown_option": (["--source", "true", "--fast"], "No such option: --fast"),
    "an_empty_warehouse": (["--source", "true", "--warehouse", ""], "expected a folder or a URL, got an empty text"),
}


@pytest.mark.parametrize(("options", "message"), USAGE.values(), ids=USAGE.keys())
def test_what_cannot_be_right_exits_2_before_anything_starts(moovitamix: Command, options: list[str], message: str):
    Path("text.json").write_text("api_url: http://x")
    Path("bytes.json").write_bytes(b"\xff\xfe{}")
    Path("list.json").write_text("[]")
    for name, content in CONFIGS.items():
        Path(f"{name}.json").write_text(json.dumps(content))

    done = moovitamix("run", *options)

    assert done.code == 2, done.err
    assert message in done.err
    assert len(done.err.splitlines()) == 1, "expected one line"
    assert "pa55" not in done.err
    assert not Path("warehouse").exists()


def test_the_catalog_names_every_stream_with_its_key():
    catalog = json.loads(connector.configured_catalog(frozenset()))

    assert [each["stream"]["name"] for each in catalog["streams"]] == list(STREAMS)
    assert [each["primary_key"] for each in catalog["streams"]] == [[["id"]], [["id"]], [["user_id"], ["created_at"]]]


def test_the_connector_runs_with_this_interpreter_from_the_checkout_or_the_wheel():
    ours = connector.source_of("http://127.0.0.1:1", None, None)

    assert ours.command[0] == sys.executable
    assert Path(ours.command[1]).is_file(), shlex.join(ours.command)
    assert ours.page_rows == 100


@pytest.mark.parametrize(
    ("config", "page_rows"),
    [
        pytest.param({"page_size": 25}, 25, id="set"),
        pytest.param({}, 100, id="not_set"),
    ],
)
def test_the_pages_are_as_large_as_the_config_says(config: dict[str, object], page_rows: int):
    Path("config.json").write_text(json.dumps({"api_url": "http://127.0.0.1:1", **config}))

    ours = connector.source_of(None, Path("config.json"), None)

    assert ours.page_rows == page_rows
