"""Answers that are not the page asked for: what is tried again, how long it waits, what the error says."""

from email.utils import formatdate

import pytest
import requests


@pytest.fixture(autouse=True)
def rows(api):
    api.rows["tracks"] = [{"id": i} for i in range(250)]


def faulty(api, page, reply, times=10**9):
    """Answers the first `times` requests for `page` with `reply`."""

    def fault(request):
        asked = [seen for seen in api.requests if seen.page == page]
        return reply if request.page == page and len(asked) <= times else None

    return fault


def broken_replies(reply):
    return {
        "503": reply({"detail": "busy"}, 503),
        "500": reply("<html>oops</html>", 500),
        "408": reply({}, 408),
        "html": reply("<html>login</html>"),
        "empty": reply(""),
        "half_json": reply('{"items": [{"id": 1}, {"i'),
        "cut": reply('{"items": [{"id": 1}]', cut=True),
        "a_list": reply("[]"),
        "no_items": reply({"total": 250, "page": 2, "size": 100, "pages": 3}),
        "no_total": reply({"items": [], "page": 2, "size": 100, "pages": 3}),
        "text_total": reply({"items": [], "total": "250", "page": 2, "size": 100, "pages": 3}),
        "negative_total": reply({"items": [], "total": -1, "page": 2, "size": 100, "pages": 3}),
        "size_0": reply({"items": [], "total": 250, "page": 2, "size": 0, "pages": 3}),
        "other_page": reply(
            {"items": [{"id": i} for i in range(100)], "total": 250, "page": 1, "size": 100, "pages": 3}
        ),
        "rows_no_objects": reply({"items": [1, 2], "total": 250, "page": 2, "size": 100, "pages": 3}),
        "too_many_rows": reply({"items": [{"id": 1}] * 101, "total": 250, "page": 2, "size": 100, "pages": 3}),
    }


KINDS = list(broken_replies(lambda *args, **kwargs: None))


@pytest.mark.parametrize("kind", KINDS)
def test_a_broken_answer_is_asked_for_again(api, read, reply, clock, kind):
    api.fault = faulty(api, 2, broken_replies(reply)[kind], times=3)

    sync = read("tracks")

    assert sync.rows("tracks") == api.rows["tracks"]
    assert api.pages("tracks").count(2) == 4
    assert clock.slept == [1, 2, 4]


@pytest.mark.parametrize("kind", ["503", "html", "cut", "no_total", "other_page"])
def test_an_answer_that_stays_broken_is_a_typed_error_after_five_retries(api, read, reply, clock, kind):
    api.fault = faulty(api, 2, broken_replies(reply)[kind])

    sync = read("tracks")

    error = sync.errors[0]
    assert error.failure_type.value in ("transient_error", "system_error")
    where = "tracks, page 2" if kind == "cut" else f"GET {api.url}/tracks?page=2&size=100"
    assert error.message.startswith(f"{where}: expected ")
    assert ", got " in error.message
    assert error.message.endswith(" Gave up after 6 attempts.")
    assert sync.statuses("tracks")[-1] == "INCOMPLETE"
    assert sync.rows("tracks") == api.rows["tracks"][:100], "what came before the error is kept"
    assert any(log.startswith("tracks: stopped by an error after 100 rows in 1 pages") for log in sync.logs)


def told(sync):
    return [log for log in sync.logs if " more" in log and "Trying " in log]


def test_an_api_that_is_down_is_told_of_at_once_and_once(api, read, reply, clock):
    api.fault = lambda request: reply("", 503)

    sync = read("tracks", "users")

    (warning,) = told(sync)
    assert f"GET {api.url}/" in warning
    assert "expected a page of records, got HTTP 503" in warning
    assert warning.endswith(" Trying 5 more times, for 31 s.")


@pytest.mark.parametrize(
    ("times", "ends"),
    [
        pytest.param(1, [], id="a_retry_mends_it"),
        pytest.param(3, [" Trying 4 more times, for 30 s."], id="a_retry_does_not"),
    ],
)
def test_an_api_that_has_answered_is_told_of_when_a_retry_fails(api, read, reply, clock, times, ends):
    api.rows["tracks"] = api.rows["tracks"][:200]  # an answer of a page 3 between two of page 2 is told of again
    api.fault = faulty(api, 2, broken_replies(reply)["503"], times=times)

    sync = read("tracks")

    assert [log[-len(end) :] for log, end in zip(told(sync), ends, strict=True)] == ends


@pytest.mark.parametrize(
    ("status", "failure", "advice"),
    [
        (401, "config_error", "Check api_key."),
        (403, "config_error", "Check api_key."),
        (404, "config_error", "Check api_url"),
        (422, "config_error", "Check page_size"),
    ],
)
def test_an_answer_that_retrying_cannot_mend_fails_at_once(api, read, reply, status, failure, advice):
    api.fault = lambda request: reply({"detail": "no"}, status)

    sync = read("tracks")

    assert len(api.requests) == 1
    assert sync.errors[0].failure_type.value == failure
    assert f"got HTTP {status} with " in sync.errors[0].message
    assert advice in sync.errors[0].message


@pytest.mark.parametrize("form", ["seconds", "http_date"])
def test_after_a_429_no_request_leaves_before_retry_after_has_passed(api, read, reply, clock, form):
    api.rows["tracks"] = [{"id": i} for i in range(2000)]
    api.rows["users"] = [{"id": i} for i in range(2000)]
    refused_at = []

    def refuse_once(request):
        if request.stream == "tracks" and request.page == 9 and not refused_at:
            refused_at.append(request.at)
            later = "30" if form == "seconds" else formatdate(clock.now + 30, usegmt=True)
            return reply({"detail": "slow down"}, 429, {"Retry-After": later})
        return None

    api.fault = refuse_once

    sync = read("tracks", "users")

    assert sync.rows("tracks") == api.rows["tracks"]
    assert sync.rows("users") == api.rows["users"]
    early = [request for request in api.requests if refused_at[0] < request.at < refused_at[0] + 29]
    assert early == []
    assert max(request.at for request in api.requests) >= refused_at[0] + 29


def test_a_rate_limit_of_few_requests_a_second_slows_the_reader_down_but_loses_nothing(api, read, reply, clock):
    api.rows["tracks"] = [{"id": i} for i in range(3000)]
    admitted = []

    def two_a_second(request):
        recent = [at for at in admitted if at > clock.now - 1]
        if len(recent) >= 2:
            return reply({"detail": "slow down"}, 429, {"Retry-After": "1"})
        admitted.append(clock.now)
        return None

    api.fault = two_a_second

    sync = read("tracks")

    assert sync.rows("tracks") == api.rows["tracks"]
    assert sync.errors == []


def test_a_429_without_retry_after_waits_longer_each_time(api, read, reply, clock):
    api.fault = faulty(api, 1, reply({}, 429), times=4)

    sync = read("tracks", pages_ahead=0)

    assert len(sync.rows("tracks")) == 250
    assert [round(seconds) for seconds in clock.slept if seconds >= 1] == [1, 2, 4, 8]


def test_a_retry_after_beyond_the_longest_wait_is_a_typed_error_of_every_stream_at_once(api, read, reply, clock):
    api.rows["users"] = [{"id": i} for i in range(2000)]
    api.fault = lambda request: reply({}, 429, {"Retry-After": "86400"}) if request.page == 2 else None

    sync = read("tracks", "users", pages_ahead=0)

    assert [sync.statuses(stream)[-1] for stream in ("tracks", "users")] == ["INCOMPLETE", "INCOMPLETE"]
    assert {error.failure_type.value for error in sync.errors[:2]} == {"transient_error"}
    assert any("It asks to wait 86400 s, longer than 600 s" in error.message for error in sync.errors)
    assert max(clock.slept, default=0) < 1


def test_refusals_by_a_rate_limit_use_up_no_retry(api, read, reply, clock):
    """Six times 429, then 503: that is the first failure of the request."""
    answers = iter([reply({}, 429, {"Retry-After": "1"})] * 6 + [reply({}, 503)] * 2)
    api.fault = lambda request: next(answers, None)

    sync = read("tracks", pages_ahead=0)

    assert sync.rows("tracks") == api.rows["tracks"]
    waits = [log.rpartition(" in ")[2] for log in sync.logs if "(HTTP 503). Retrying" in log]
    assert waits == ["1.001 seconds.", "2.0 seconds."], "the failures' waits begin anew, too"


@pytest.mark.parametrize("kind", ["short", "half", "other_shape"])
def test_of_a_broken_page_of_users_nobody_is_named_in_logs_and_errors(api, read, reply, clock, kind):
    api.rows["users"] = [{"id": i, "last_name": "Lovelace", "email": f"ada{i}@example.org"} for i in range(100)]

    def broken(request):
        whole = api.page(request)
        return {
            "short": api.page(request, items=api.rows["users"][:99]),
            "half": reply(whole.content()[: len(whole.content()) // 2]),
            "other_shape": reply({"data": api.rows["users"]}),
        }[kind]

    api.fault = broken

    sync = read("users")

    told = sync.logs + [str(error) for error in sync.errors]
    assert sync.statuses("users")[-1] == "INCOMPLETE"
    assert len([each for each in told if "expected" in each]) >= 2
    assert [each for each in told if "ada" in each or "Lovelace" in each] == []


@pytest.mark.parametrize("status", [402, 520])
def test_an_error_page_is_quoted_in_part_only(api, read, reply, clock, status):
    api.fault = lambda request: reply("x" * 20_000, status)

    sync = read("tracks")

    assert f"got HTTP {status} with 'xxx" in sync.errors[0].message
    assert len(sync.errors[0].message) < 1000


def test_a_503_with_retry_after_waits_that_long(api, read, reply, clock):
    api.fault = faulty(api, 1, reply({}, 503, {"Retry-After": "7"}), times=1)

    read("tracks", pages_ahead=0)

    assert clock.slept[0] == 7


def test_an_api_that_refuses_connections_is_a_transient_error_that_names_its_url(api, read, clock):
    api.close()

    sync = read("tracks", max_retries=2)

    assert sync.errors[0].failure_type.value == "transient_error"
    expected = f"GET {api.url}/tracks?page=1&size=100: expected a page of records, got ConnectionError"
    assert sync.errors[0].message.startswith(expected)
    assert sync.errors[0].message.endswith("Gave up after 3 attempts.")
    assert clock.slept == [1, 2]


def test_the_failure_of_one_stream_leaves_the_others_complete(api, read, reply):
    api.rows["users"] = [{"id": 1}]
    api.fault = lambda request: reply({}, 401) if request.stream == "tracks" else None

    sync = read("tracks", "users")

    assert sync.statuses("tracks")[-1] == "INCOMPLETE"
    assert sync.statuses("users")[-1] == "COMPLETE"
    assert sync.rows("users") == [{"id": 1}]


def test_every_request_has_a_connect_and_a_read_timeout(api, read, monkeypatch):
    timeouts = []
    send = requests.Session.send

    def watched(session, request, **options):
        timeouts.append(options["timeout"])
        return send(session, request, **options)

    monkeypatch.setattr(requests.Session, "send", watched)

    read("tracks")

    assert set(timeouts) == {(10, 60)}


def test_the_api_key_is_sent_as_a_header(api, read):
    read("tracks", api_key="canary-7f3a")

    assert {request.headers["X-API-Key"] for request in api.requests} == {"canary-7f3a"}


def test_without_an_api_key_no_header_is_sent(api, read):
    read("tracks")

    assert all("X-API-Key" not in request.headers for request in api.requests)
