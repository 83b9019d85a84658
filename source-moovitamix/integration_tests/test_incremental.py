"""listen_history from one sync to the next: which rows come again, and what the state becomes."""

import json
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

CONNECTOR = Path(__file__).parents[1]
NEW_YEAR = "2026-01-01T00:00:00"


def listen(user_id, updated_at, **fields):
    return {
        "user_id": user_id,
        "items": [1],
        "created_at": f"{NEW_YEAR}.{user_id:06}",
        "updated_at": updated_at,
        **fields,
    }


def state(updated_at):
    stream = {"stream_descriptor": {"name": "listen_history"}, "stream_state": {"updated_at": updated_at}}
    return [{"type": "STREAM", "stream": stream}]


def users(sync):
    return [row["user_id"] for row in sync.rows("listen_history")]


def test_the_second_sync_reads_what_changed_since_the_first(api, read):
    api.rows["listen_history"] = [listen(1, "2026-01-01T08:00:00.000001"), listen(2, "2026-01-02T08:00:00.000002")]
    first = read("listen_history")
    api.rows["listen_history"] += [listen(3, "2026-01-03T08:00:00.000003")]

    second = read("listen_history", state=first.state[-1:])

    assert users(first) == [1, 2]
    assert users(second) == [2, 3], "the row equal to the state comes again, none before it"
    assert second.cursor() == "2026-01-03T08:00:00.000003"
    assert [request.query["updated_since"] for request in api.requests] == [
        "1970-01-01T00:00:00.000000",
        "2026-01-02T07:55:00.000002",
    ]


def test_rows_an_api_returns_in_spite_of_updated_since_are_filtered_out_and_counted(api, read):
    api.rows["listen_history"] = [listen(i, f"2026-01-{i:02}T00:00:00") for i in range(1, 31)]

    sync = read("listen_history", state=state("2026-01-20T00:00:00.000000"))

    assert users(sync) == list(range(20, 31))
    assert any(
        "30 rows in 1 pages (0 of them read again), 19 rows filtered out, 11 records" in log for log in sync.logs
    )


@pytest.mark.parametrize(
    ("window", "expected"),
    [({}, [3]), ({"lookback_window": "PT1H"}, [2, 3]), ({"lookback_window": "P1D"}, [1, 2, 3])],
    ids=["default_5_minutes", "one_hour", "one_day"],
)
def test_the_lookback_window_is_subtracted_when_the_state_is_read(api, read, window, expected):
    api.rows["listen_history"] = [
        listen(1, "2026-01-02T00:00:00"),
        listen(2, "2026-01-02T11:30:00"),
        listen(3, "2026-01-02T11:55:00"),
    ]

    sync = read("listen_history", state=state("2026-01-02T12:00:00.000000"), **window)

    assert users(sync) == expected
    assert sync.cursor() == "2026-01-02T12:00:00.000000", "reading behind the state does not move it back"


def test_a_start_date_leaves_older_rows_out(api, read):
    api.rows["listen_history"] = [listen(1, "2025-12-31T23:59:59"), listen(2, NEW_YEAR)]

    assert users(read("listen_history", start_date="2026-01-01")) == [2]
    assert users(read("listen_history", start_date="2026-01-01T00:00:00")) == [2]


def test_a_row_dated_in_the_future_is_emitted_and_does_not_move_the_state(api, read):
    api.rows["listen_history"] = [listen(1, NEW_YEAR), listen(2, "2999-01-01T00:00:00")]
    first = read("listen_history")
    api.rows["listen_history"] += [listen(3, "2026-01-02T00:00:00")]

    second = read("listen_history", state=first.state[-1:])

    assert users(first) == [1, 2]
    assert first.cursor() == "2026-01-01T00:00:00.000000"
    assert users(second) == [1, 2, 3]


def test_only_rows_dated_in_the_future_leave_the_state_where_it_was(api, read):
    api.rows["listen_history"] = [listen(2, "2999-01-01T00:00:00")]

    sync = read("listen_history", state=state("2026-01-01T00:00:00.000000"))

    assert users(sync) == [2]
    assert sync.cursor() == "2026-01-01T00:00:00.000000"


def test_a_row_that_changes_behind_the_reader_comes_with_the_next_sync(api, read):
    """Row 1 changes after its page was read; rows later in the list changed later still."""
    api.rows["listen_history"] = [listen(i, NEW_YEAR) for i in range(1, 201)]

    def change(request):
        now = datetime.now(UTC).replace(tzinfo=None)
        if request.page == 2 and "behind" not in api.rows["listen_history"][0]:
            api.rows["listen_history"][0] = listen(1, now.isoformat(timespec="microseconds"), behind=True)
            soon = (now + timedelta(hours=1)).isoformat(timespec="microseconds")
            api.rows["listen_history"][150] = listen(151, soon)

    api.fault = change
    first = read("listen_history", pages_ahead=0)

    second = read("listen_history", state=first.state[-1:])

    assert not any("behind" in row for row in first.rows("listen_history"))
    assert any("behind" in row for row in second.rows("listen_history"))


@pytest.mark.parametrize(
    ("written", "becomes"),
    [
        ("2026-03-01T10:00:00.123456", "2026-03-01T10:00:00.123456"),
        ("2026-03-01T10:00:00", "2026-03-01T10:00:00.000000"),
        ("2026-03-01T10:00:00Z", "2026-03-01T10:00:00.000000"),
        ("2026-03-01T10:00:00.5Z", "2026-03-01T10:00:00.500000"),
        ("2026-03-01T12:00:00+02:00", "2026-03-01T10:00:00.000000"),
        ("2026-03-01T12:00:00.123456+02:00", "2026-03-01T10:00:00.123456"),
        ("2026-03-01 10:00:00", "2026-03-01T10:00:00.000000"),
    ],
)
def test_the_cursor_is_read_in_every_way_an_api_writes_it(api, read, written, becomes):
    api.rows["listen_history"] = [listen(1, written)]

    sync = read("listen_history")

    assert sync.rows("listen_history") == api.rows["listen_history"]
    assert sync.cursor() == becomes


def test_a_null_cursor_is_emitted_by_every_sync(api, read):
    api.rows["listen_history"] = [listen(1, None), listen(2, NEW_YEAR)]

    first = read("listen_history")
    second = read("listen_history", state=state("2026-02-01T00:00:00.000000"))

    assert users(first) == [1, 2]
    assert users(second) == [1]


@pytest.mark.parametrize("cursor", ["yesterday", "", 17, ["2026-01-01"]])
def test_a_cursor_that_is_no_date_is_a_typed_error_that_names_the_record(api, read, cursor):
    api.rows["listen_history"] = [listen(1, NEW_YEAR), listen(7, cursor)]

    sync = read("listen_history", state=state("2025-06-01T00:00:00.000000"))

    assert sync.errors[0].failure_type.value == "system_error"
    assert sync.errors[0].message == (
        f"listen_history: expected an ISO date and time in 'updated_at', got {cursor!r} in the record with user_id=7, "
        "created_at='2026-01-01T00:00:00.000007'. The read stops and the state stays; correct the record in the API."
    )
    assert sync.cursor() == "2025-06-01T00:00:00.000000"
    assert sync.statuses("listen_history")[-1] == "INCOMPLETE"


def test_an_error_half_way_leaves_the_state_where_it_was(api, read, reply):
    api.rows["listen_history"] = [listen(i, NEW_YEAR) for i in range(300)]
    api.fault = lambda request: reply({}, 401) if request.page == 3 else None

    sync = read("listen_history", state=state("2025-06-01T00:00:00.000000"))

    assert len(sync.rows("listen_history")) == 200
    assert sync.cursor() == "2025-06-01T00:00:00.000000"


@pytest.mark.parametrize(
    "future",
    [
        pytest.param({"updated_at": "2062-01-01T00:00:00"}, id="cursor"),
        pytest.param(
            {
                "state_type": "date-range",
                "slices": [{"start": "1970-01-01T00:00:00.000000", "end": "2062-01-01T00:00:00.000000"}],
            },
            id="slices",
        ),
    ],
)
def test_a_state_in_the_future_is_told_of(api, read, future):
    stream = {"stream_descriptor": {"name": "listen_history"}, "stream_state": future}

    sync = read("listen_history", state=[{"type": "STREAM", "stream": stream}])

    assert any("expected a state that has passed, got 2062-01-01T00:00:00+00:00" in log for log in sync.logs)


def test_an_abnormal_future_state_gives_no_record_and_a_state(api, read):
    api.rows["listen_history"] = [listen(1, NEW_YEAR)]

    sync = read("listen_history", state=state("2999-12-31T23:59:59.000000"))

    assert users(sync) == []
    assert sync.cursor() == "2999-12-31T23:59:59.000000"
    assert sync.errors == []


def test_tracks_and_users_are_read_in_full_whatever_state_comes_with_them(api, read):
    api.rows["tracks"] = [{"id": 1}, {"id": 2}]
    api.rows["users"] = [{"id": 3}]
    api.rows["listen_history"] = [listen(1, NEW_YEAR)]
    first = read()
    assert {s["stream"]["stream_descriptor"]["name"] for s in first.state} == {"tracks", "users", "listen_history"}

    second = read(state=first.state)

    assert second.rows("tracks") == first.rows("tracks") == api.rows["tracks"]
    assert second.rows("users") == first.rows("users") == api.rows["users"]


def test_an_empty_stream_gives_a_state_and_the_sync_after_it_reads_everything(api, read):
    first = read("listen_history")
    api.rows["listen_history"] = [listen(1, "2025-06-01T00:00:00")]

    second = read("listen_history", state=first.state[-1:])

    assert users(first) == []
    assert first.cursor() == "1970-01-01T00:00:00.000000"
    assert first.statuses("listen_history")[-1] == "COMPLETE"
    assert users(second) == [1]


def test_a_sync_without_news_repeats_the_lookback_window_only_and_keeps_the_state(api, read):
    api.rows["listen_history"] = [listen(i, f"2026-01-01T{i:02}:00:00") for i in range(1, 21)]
    first = read("listen_history")

    second = read("listen_history", state=first.state[-1:])

    assert users(second) == [20]
    assert second.state[-1]["stream"] == first.state[-1]["stream"]


@pytest.mark.parametrize(
    "unknown",
    [
        pytest.param({"created_at": NEW_YEAR}, id="another_cursor"),
        pytest.param({"updated_at": "yesterday"}, id="no_date"),
        pytest.param({"updated_at": 1767225600}, id="seconds"),
        pytest.param({"updated_at": None}, id="null"),
        pytest.param({"states": [{"partition": {}, "cursor": {"updated_at": NEW_YEAR}}]}, id="per_partition"),
        pytest.param({"state_type": "date-range"}, id="slices_without_slices"),
        pytest.param({"state_type": "date-range", "slices": [{"start": "bad"}]}, id="slices_without_moments"),
    ],
)
def test_a_state_of_an_unknown_shape_is_a_typed_error_that_says_what_was_expected(api, read, unknown):
    stream = {"stream_descriptor": {"name": "listen_history"}, "stream_state": unknown}

    sync = read("listen_history", state=[{"type": "STREAM", "stream": stream}])

    assert sync.errors[0].failure_type.value == "config_error"
    assert sync.errors[0].message == (
        f'listen_history: expected a state such as {{"updated_at":"2026-01-01T00:00:00.000000"}}, got {unknown!r}. '
        "Nothing was read; reset the stream's state, or correct it."
    )
    assert api.requests == []


def test_a_state_of_an_unknown_shape_ends_the_process_with_an_error_and_no_traceback(source, api):
    stream = {"stream_descriptor": {"name": "listen_history"}, "stream_state": {"created_at": NEW_YEAR}}

    run = source("read", state=[{"type": "STREAM", "stream": stream}])

    assert (run.code, run.stderr) == (1, "")
    assert run.errors()[0]["message"].startswith("listen_history: expected a state such as ")
    assert api.requests == []


@pytest.mark.parametrize(
    ("written", "since"),
    [
        ("2026-01-02T12:00:00", "2026-01-02T11:55:00.000000"),
        ("2026-01-02T12:00:00Z", "2026-01-02T11:55:00.000000"),
        ("2026-01-02T12:00:00.5+02:00", "2026-01-02T09:55:00.500000"),
        ("2026-01-02", "2026-01-01T23:55:00.000000"),
    ],
)
def test_a_state_is_read_in_every_form_of_a_moment(api, read, written, since):
    read("listen_history", state=state(written))

    assert api.requests[0].query["updated_since"] == since


def test_the_state_a_full_refresh_leaves_behind_is_none(api, read):
    api.rows["listen_history"] = [listen(1, NEW_YEAR)]
    nothing = {"stream_descriptor": {"name": "listen_history"}, "stream_state": {"__ab_no_cursor_state_message": True}}

    sync = read("listen_history", state=[{"type": "STREAM", "stream": nothing}])

    assert users(sync) == [1]
    assert sync.state[-1]["stream"]["stream_state"] == {"updated_at": "2026-01-01T00:00:00.000000"}


def test_two_processes_in_a_row_read_everything_once_and_then_the_news(source, api):
    api.rows["listen_history"] = [listen(i, f"2026-01-{i:02}T00:00:00") for i in range(1, 29)]
    first = source("read")
    api.rows["listen_history"] += [listen(50, "2026-02-01T00:00:00")]

    second = source("read", state=first.of("state"))

    assert [row["user_id"] for row in first.rows("listen_history")] == list(range(1, 29))
    assert [row["user_id"] for row in second.rows("listen_history")] == [28, 50]
    last = max(message["emitted_at"] for message in first.of("record"))
    assert all(message["emitted_at"] > last for message in second.of("record"))


def killed(arguments, after):
    """The messages of a process that is killed once `after(messages)` holds."""
    messages = []
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        for line in process.stdout:
            messages.append(json.loads(line))
            if after(messages):
                process.kill()
                break
        process.stdout.close()
        assert process.wait(timeout=20) == -signal.SIGKILL
    return messages


@pytest.fixture
def read_command(api, tmp_path):
    """`main.py read` of listen_history as a command."""

    def command(state=None, **config):
        catalog = json.loads((CONNECTOR / "integration_tests" / "incremental_catalog.json").read_text())
        catalog["streams"] = [s for s in catalog["streams"] if s["stream"]["name"] == "listen_history"]
        files = {"config": {"api_url": api.url, **config}, "catalog": catalog, "state": state or []}
        arguments = [sys.executable, str(CONNECTOR / "main.py"), "read"]
        for name, content in files.items():
            path = tmp_path / f"{name}.json"
            path.write_text(json.dumps(content))
            arguments += [f"--{name}", str(path)]
        return arguments

    return command


def of(kind, messages):
    return [message[kind] for message in messages if message["type"] == kind.upper()]


def test_a_read_that_is_killed_half_way_has_moved_no_state_and_the_next_one_reads_everything(api, reply, read_command):
    api.rows["listen_history"] = [listen(i, NEW_YEAR) for i in range(2000)]
    api.fault = lambda request: time.sleep(0.05)

    messages = killed(read_command(pages_ahead=1), lambda got: len(of("record", got)) >= 500)
    api.fault = lambda request: None
    again = subprocess.run(read_command(), capture_output=True, text=True, timeout=60, check=True)

    assert of("state", messages) == []
    assert 500 <= len(of("record", messages)) < 2000
    rows = [record["data"]["user_id"] for record in of("record", map(json.loads, again.stdout.splitlines()))]
    assert rows == list(range(2000))
