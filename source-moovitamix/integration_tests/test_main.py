"""main.py as a process, as Airbyte's platform and `moovitamix run` start it."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

CONNECTOR = Path(__file__).parents[1]
HERE = Path(__file__).parent
STREAMS = ["tracks", "users", "listen_history"]
NEW_YEAR = "2026-01-01T00:00:00"


def listen(user_id, updated_at=NEW_YEAR):
    return {"user_id": user_id, "items": [1, 2], "created_at": f"{NEW_YEAR}.{user_id:06}", "updated_at": updated_at}


@pytest.fixture(autouse=True)
def rows(api):
    api.rows["tracks"] = [{"id": i, "name": f"track {i}"} for i in range(250)]
    api.rows["users"] = [{"id": i, "email": f"{i}@example.org"} for i in range(150)]
    api.rows["listen_history"] = [listen(i) for i in range(120)]


def status_of(run):
    [status] = [message["connectionStatus"] for message in run.messages if message["type"] == "CONNECTION_STATUS"]
    return status


def test_spec_prints_the_reference_spec(source):
    run = source("spec")

    assert run.code == 0
    assert run.of("spec") == [json.loads((HERE / "spec.json").read_text())]


def test_no_command_is_told_what_there_is():
    done = subprocess.run(
        [sys.executable, CONNECTOR / "main.py"], capture_output=True, text=True, timeout=60, check=False
    )

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "usage: main.py spec | check | discover | read [--help]\n"


def test_check_succeeds_and_probes_one_page_of_each_stream(source, api):
    run = source("check")

    assert run.code == 0
    assert status_of(run) == {"status": "SUCCEEDED"}
    assert [(request.stream, request.page) for request in api.requests] == [(stream, 1) for stream in STREAMS]


def test_discover_names_keys_cursors_and_sync_modes(source):
    [catalog] = source("discover").of("catalog")

    assert [
        (s["name"], s["source_defined_primary_key"], s["supported_sync_modes"], s.get("default_cursor_field"))
        for s in catalog["streams"]
    ] == [
        ("tracks", [["id"]], ["full_refresh"], None),
        ("users", [["id"]], ["full_refresh"], None),
        ("listen_history", [["user_id"], ["created_at"]], ["full_refresh", "incremental"], ["updated_at"]),
    ]


def test_read_without_a_catalog_reads_all_streams_and_says_how_far_it_is(source, api):
    run = source("read")

    assert run.code == 0
    assert run.stderr == ""
    for stream in STREAMS:
        assert run.rows(stream) == api.rows[stream]
    states = {s["stream"]["stream_descriptor"]["name"]: s["stream"]["stream_state"] for s in run.of("state")}
    assert states == {
        "tracks": {"__ab_no_cursor_state_message": True},
        "users": {"__ab_no_cursor_state_message": True},
        "listen_history": {"updated_at": "2026-01-01T00:00:00.000000"},
    }
    assert sum(s["sourceStats"]["recordCount"] for s in run.of("state")) == 520

    estimates = [trace["estimate"] for trace in run.of("trace") if trace["type"] == "ESTIMATE"]
    assert {estimate["type"] for estimate in estimates} == {"STREAM"}
    assert {estimate["name"]: estimate["row_estimate"] for estimate in estimates} == {
        "tracks": 250,
        "users": 150,
        "listen_history": 120,
    }
    about_tracks = [message for message in run.messages if '"tracks"' in json.dumps(message)]
    kinds = [message.get("trace", message)["type"] for message in about_tracks]
    assert kinds.index("ESTIMATE") < kinds.index("RECORD")
    logs = [log["message"] for log in run.of("log")]
    assert any(
        log.startswith("tracks: 250 rows in 3 pages (0 of them read again), 0 rows filtered out, 250 records, ")
        for log in logs
    )


def test_a_sync_after_a_sync_takes_the_states_of_all_streams(source, api):
    first = source("read", catalog=json.loads((HERE / "incremental_catalog.json").read_text()))
    api.rows["listen_history"] += [listen(500, "2026-05-01T00:00:00")]

    second = source("read", state=first.of("state"))

    assert second.code == 0
    assert second.rows("tracks") == api.rows["tracks"]
    assert second.rows("users") == api.rows["users"]
    assert second.of("state")[-1]["type"] == "STREAM"
    assert second.rows("listen_history")[-1]["user_id"] == 500


INVALID_CATALOG = {
    "streams": [
        {
            "stream": {"name": "tracks", "json_schema": {}, "supported_sync_modes": ["full_refresh"]},
            "sync_mode": "INVALID",
            "destination_sync_mode": "overwrite",
        }
    ]
}


def test_a_catalog_with_an_invalid_sync_mode_ends_in_a_trace_error_and_no_traceback(source, api):
    run = source("read", catalog=INVALID_CATALOG)

    assert run.code == 1
    [error] = run.errors()
    assert error["failure_type"] == "config_error"
    assert error["message"].startswith("--catalog ")
    assert ": expected a JSON file with a configured catalog, got " in error["message"]
    assert run.stderr == ""
    assert api.requests == []


def test_a_failed_read_exits_with_1_and_its_first_error_is_the_precise_one(source, api, reply):
    api.fault = lambda request: reply({"detail": "no"}, 401) if request.stream == "users" else None

    run = source("read")

    assert run.code == 1
    assert (
        f"GET {api.url}/users?page=1&size=100: expected a page of records, got HTTP 401" in run.errors()[0]["message"]
    )
    assert run.stderr == ""


def test_the_api_key_appears_in_no_output_even_when_the_api_echoes_it(source, api, reply):
    key = "canary-7f3a"
    config = {"api_url": api.url, "api_key": key}
    honest = source("read", "--debug", config=config)
    api.fault = lambda request: reply({"detail": f"wrong key: {key}"}, 401, {"X-Echo": key})

    runs = [honest, source("read", "--debug", config=config)]

    assert {request.headers["X-API-Key"] for request in api.requests} == {key}
    assert [line for run in runs for line in (run.stdout + run.stderr).splitlines() if key in line] == []


def test_a_reader_that_goes_away_ends_the_source_without_a_traceback(tmp_path, api):
    api.rows["tracks"] = [{"id": i, "name": "x" * 1000} for i in range(20_000)]
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"api_url": api.url}))
    arguments = [sys.executable, str(CONNECTOR / "main.py"), "read", "--config", str(config)]

    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.readline()
        process.stdout.close()
        code = process.wait(timeout=20)
        assert process.stderr.read() == ""

    assert code == 1


def test_a_terminated_source_ends_at_once(tmp_path, api, reply):
    api.fault = lambda request: reply({}, 503, {"Retry-After": "60"})
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"api_url": api.url}))
    arguments = [sys.executable, str(CONNECTOR / "main.py"), "read", "--config", str(config)]

    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        while not api.requests:
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=5) == -signal.SIGTERM
