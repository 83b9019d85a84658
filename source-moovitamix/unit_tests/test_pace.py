"""Pace and Retry-After: when the next request may leave."""

from email.utils import formatdate

import pytest
import requests
from airbyte_cdk.sources.streams.http.requests_native_auth.protocols import ResponseAwareAuthenticator
from airbyte_cdk.utils.traced_exception import AirbyteTracedException


@pytest.fixture
def answer():
    def with_headers(status, **headers):
        response = requests.Response()
        response.status_code = status
        response.headers.update({name.replace("_", "-"): value for name, value in headers.items()})
        return response

    return with_headers


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("0", 0), ("7", 7), ("1.5", 1.5), ("-3", 0), ("", None), ("soon", None), ("99 Foo 2026", None), ("nan", None)],
)
def test_retry_after_in_seconds(components, answer, value, seconds):
    assert components.retry_after(answer(429, Retry_After=value)) == seconds


def test_retry_after_as_a_date_is_the_time_until_then(components, answer, clock):
    assert components.retry_after(answer(503, Retry_After=formatdate(clock.now + 30, usegmt=True))) == 30


def test_retry_after_as_a_date_that_has_passed_is_no_wait(components, answer, clock):
    assert components.retry_after(answer(429, Retry_After=formatdate(clock.now - 30, usegmt=True))) == 0


def test_retry_after_means_nothing_on_other_answers(components, answer):
    assert components.retry_after(answer(200, Retry_After="30")) is None
    assert components.retry_after(requests.ConnectionError()) is None


def test_a_pace_never_refused_lets_every_request_through_at_once(components, clock):
    pace = components.Pace()

    for _ in range(5):
        pace.wait(600)

    assert clock.slept == []


def test_after_a_refusal_the_first_request_waits_and_the_next_ones_follow_one_by_one(components, clock):
    pace = components.Pace()
    pace.refused(10)

    pace.wait(600)
    pace.wait(600)
    pace.wait(600)

    assert clock.slept == pytest.approx([10, 0.05, 0.05])


def test_refusals_of_requests_in_flight_together_count_once_and_later_ones_double_the_gap(components, clock):
    pace = components.Pace()
    for _ in range(24):
        pace.refused(10)
    clock.now += 10
    pace.refused(10)
    clock.now += 10

    pace.wait(600)
    pace.wait(600)

    assert clock.slept == pytest.approx([0.1])


def test_a_pause_longer_than_allowed_is_an_error_at_once(components, clock):
    pace = components.Pace()
    pace.refused(86400)

    with pytest.raises(AirbyteTracedException) as caught:
        pace.wait(600)

    assert "expected to be let in within 600 s, got a Retry-After with 86400 s left" in caught.value.message
    assert clock.slept == []


def test_pages_close_the_gap_again(components, clock):
    pace = components.Pace()
    pace.refused(1)
    clock.now += 1
    for _ in range(40):
        pace.answered()

    pace.wait(600)
    pace.wait(600)

    assert clock.slept == []


def test_streams_of_one_api_share_a_pace_and_apis_do_not(components):
    assert components.pace_of("http://a") is components.pace_of("http://a")
    assert components.pace_of("http://a") is not components.pace_of("http://b")


def test_a_request_of_one_stream_waits_for_the_refusal_of_another(components, answer, clock):
    config = {"api_url": "http://a", "api_key": "key"}
    tracks, users = (components.PacedApiKey(config=config, parameters={}) for _ in range(2))
    tracks.update_from_response(requests.PreparedRequest(), answer(429, Retry_After="30"))

    request = requests.Request("GET", "http://a/users", auth=users).prepare()

    assert clock.slept == [30]
    assert request.headers["X-API-Key"] == "key"


def test_the_http_client_knows_the_authenticator_as_one_that_wants_to_see_answers(components):
    authenticator = components.PacedApiKey(config={"api_url": "http://a"}, parameters={})

    assert isinstance(authenticator, ResponseAwareAuthenticator)


def test_a_limit_of_requests_a_second_lets_them_leave_one_by_one(components, clock):
    pace = components.Pace()
    pace.allow(4)

    for _ in range(5):
        pace.wait(600)

    assert clock.slept == pytest.approx([0.25] * 4)


@pytest.mark.parametrize("limit", [0, None])
def test_no_limit_of_requests_a_second_is_no_wait(components, clock, limit):
    pace = components.Pace()
    pace.allow(limit)

    pace.wait(600)
    pace.wait(600)

    assert clock.slept == []


def test_a_slow_limit_is_no_refusal_however_short_the_longest_wait(components, clock):
    pace = components.Pace()
    pace.allow(0.1)

    pace.wait(1)
    pace.wait(1)

    assert clock.slept == pytest.approx([10])


def test_streams_share_the_limit_of_requests_a_second(components, clock):
    config = {"api_url": "http://a", "max_requests_per_second": 2}
    tracks, users = (components.PacedApiKey(config=config, parameters={}) for _ in range(2))

    for authenticator in (tracks, users, tracks):
        requests.Request("GET", "http://a/any", auth=authenticator).prepare()

    assert clock.slept == pytest.approx([0.5, 0.5])


def test_after_a_refusal_half_as_many_requests_are_in_flight_and_slowly_more_again(components, clock):
    pace = components.Pace()
    assert pace.breadth(8) == 8

    pace.refused(1)
    pace.refused(1)
    assert pace.breadth(8) == 4

    for _ in range(16):
        pace.answered()
    assert pace.breadth(8) == 5

    for _ in range(200):
        pace.answered()
    assert pace.breadth(8) == 8


def test_however_many_refusals_one_request_may_be_in_flight(components, clock):
    pace = components.Pace()
    for _ in range(20):
        pace.refused(1)
        clock.now += 1

    assert pace.breadth(8) == 1
    assert pace.breadth(0) == 0
