"""listen_history in windows of `slice_days`: a checkpoint after each, nothing wrong from an API that ignores bounds."""

import json
import signal
import subprocess
import sys
import threading
import time
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

CONNECTOR = Path(__file__).parents[1]
DAYS = [datetime(2026, 1, 1) + timedelta(days=day) for day in range(120)]
WINDOWS = {"slice_days": 30, "start_date": "2026-01-01"}


def listen(number, updated_at):
    created_at = f"2025-12-31T00:00:00.{number:06}"
    return {"user_id": number, "items": [1], "created_at": created_at, "updated_at": updated_at}


@pytest.fixture
def bounded(api):
    """The API of the test, made to honour updated_since and updated_until; a row for each of 120 days."""
    api.rows["listen_history"] = [listen(n, f"{day.isoformat()}.000000") for n, day in enumerate(DAYS)]
    everything = list(api.rows["listen_history"])

    def within(request):
        since, until = request.query["updated_since"], request.query.get("updated_until", "9999")
        api.rows["listen_history"] = [row for row in everything if since <= row["updated_at"] <= until]

    api.fault = within
    return everything


def windows(api):
    """The (since, until) of all requests, in order of time."""
    return sorted({(request.query["updated_since"], request.query.get("updated_until")) for request in api.requests})


def test_windows_cover_the_history_up_to_now_without_gap_or_overlap(api, read, bounded):
    sync = read("listen_history", **WINDOWS)

    assert sorted(row["user_id"] for row in sync.rows("listen_history")) == list(range(120))
    assert sync.errors == []
    seen = windows(api)
    assert seen[0] == ("2026-01-01T00:00:00.000000", "2026-01-30T23:59:59.999999")
    microsecond = timedelta(microseconds=1)
    for (_, until), (since, _) in pairwise(seen):
        assert datetime.fromisoformat(until) + microsecond == datetime.fromisoformat(since)
    assert sync.cursor() == f"{DAYS[-1].isoformat()}.000000"


def test_without_slice_days_the_history_is_one_window_without_an_end(api, read, bounded):
    read("listen_history", start_date="2026-01-01")

    assert windows(api) == [("2026-01-01T00:00:00.000000", None)]


def test_the_sync_after_a_windowed_one_starts_at_its_state_less_the_lookback_window(api, read, bounded):
    first = read("listen_history", **WINDOWS)
    api.requests.clear()

    second = read("listen_history", state=first.state[-1:], **WINDOWS)

    assert [row["user_id"] for row in second.rows("listen_history")] == [119]
    assert windows(api)[0][0] == "2026-04-29T23:55:00.000000"
    assert second.cursor() == first.cursor()


def test_a_window_that_ends_early_does_not_carry_the_state_past_one_that_has_not(api, read, reply, bounded):
    """The second window fails, the later ones do not: the state stays where the first one ended."""
    within = api.fault

    def second_window_fails(request):
        within(request)
        return reply({"detail": "no"}, 401) if request.query["updated_since"] == "2026-01-31T00:00:00.000000" else None

    api.fault = second_window_fails

    sync = read("listen_history", **WINDOWS)

    assert sync.errors[0].failure_type.value == "config_error"
    assert sync.cursor() == f"{DAYS[29].isoformat()}.000000"
    assert {row["user_id"] for row in sync.rows("listen_history")} == {*range(30), *range(60, 120)}
    assert sync.statuses("listen_history")[-1] == "INCOMPLETE"


def test_windows_are_read_in_parallel(api, read, bounded):
    """Every first request of a window waits for one of another window."""
    within, together = api.fault, threading.Barrier(2, timeout=20)
    api._lock = threading.RLock()
    met = []

    def meet(request):
        if request.query["updated_since"] < "2026-03":
            api._lock.release()
            try:
                met.append(together.wait())
            finally:
                api._lock.acquire()
        return within(request)

    api.fault = meet

    sync = read("listen_history", **WINDOWS)

    assert len(met) == 2
    assert sync.errors == []


@pytest.mark.parametrize("ignored", ["updated_since", "updated_until"])
def test_an_api_that_ignores_a_bound_is_a_config_error_before_anything_wrong_is_emitted(api, read, bounded, ignored):
    within = api.fault

    def ignore(request):
        query = {name: value for name, value in request.query.items() if name != ignored}
        request.query.clear()
        request.query.update({"updated_since": "0", **query})
        return within(request)

    api.fault = ignore

    sync = read("listen_history", **WINDOWS)

    error = sync.errors[0]
    assert error.failure_type.value == "config_error"
    assert error.message.startswith("listen_history: expected records that changed from 2026-")
    assert "the API ignores updated_since or updated_until" in error.message
    assert error.message.endswith("leave slice_days out for this API.")
    keys = [row["user_id"] for row in sync.rows("listen_history")]
    assert len(keys) == len(set(keys)), "no record in two windows"


def test_a_record_dated_in_the_future_comes_with_windows_once_it_is_due(api, read, bounded):
    bounded.append(listen(500, "2999-01-01T00:00:00.000000"))

    sync = read("listen_history", **WINDOWS)

    assert 500 not in [row["user_id"] for row in sync.rows("listen_history")]
    assert sync.cursor() == f"{DAYS[-1].isoformat()}.000000"


def test_a_summary_names_its_window(api, read, bounded):
    sync = read("listen_history", **WINDOWS)

    first = next(s for s in sync.summaries() if s["start_time"] == "2026-01-01T00:00:00.000000")
    assert (first["end_time"], first["rows"], first["complete"]) == ("2026-01-30T23:59:59.999999", 30, True)
    assert sync.estimates() == {}, "no window knows how many rows the stream has"


def test_after_a_kill_in_the_middle_the_unfinished_windows_are_read_again_and_no_others(tmp_path, api, bounded):
    """Windows of ten days, slower from the seventh on; the process is killed in the ninth."""
    within = api.fault

    def slow(request):
        within(request)
        if request.query["updated_since"] >= "2026-03-02":
            time.sleep(0.2)

    api.fault = slow
    config = {"api_url": api.url, "start_date": "2026-01-01", "slice_days": 10, "num_workers": 2}
    catalog = json.loads((CONNECTOR / "integration_tests" / "incremental_catalog.json").read_text())
    catalog["streams"] = [s for s in catalog["streams"] if s["stream"]["name"] == "listen_history"]

    def command(**files):
        arguments = [sys.executable, str(CONNECTOR / "main.py"), "read"]
        for name, content in {"config": config, "catalog": catalog, **files}.items():
            (tmp_path / f"{name}.json").write_text(json.dumps(content))
            arguments += [f"--{name}", str(tmp_path / f"{name}.json")]
        return arguments

    rows, states = [], []
    with subprocess.Popen(command(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        for line in process.stdout:
            message = json.loads(line)
            if message["type"] == "STATE":
                states.append(message["state"])
            elif message["type"] == "RECORD":
                rows.append(message["record"]["data"]["user_id"])
                if rows[-1] >= 80:
                    process.kill()
                    break
        process.stdout.close()
        assert process.wait(timeout=20) == -signal.SIGKILL
    reached = datetime.fromisoformat(states[-1]["stream"]["stream_state"]["updated_at"])
    api.fault = within
    api.requests.clear()

    again = subprocess.run(command(state=states[-1:]), capture_output=True, text=True, timeout=60, check=True)

    messages = [json.loads(line) for line in again.stdout.splitlines()]
    second = [message["record"]["data"]["user_id"] for message in messages if message["type"] == "RECORD"]
    assert {*rows, *second} == set(range(120))
    assert reached >= DAYS[49], "most windows had been finished"
    assert min(second) == DAYS.index(reached), "the row equal to the state, none before it"
    assert windows(api)[0][0] == (reached - timedelta(minutes=5)).isoformat(timespec="microseconds")
