"""What stands before the answers when it is set: a key, a limit, a delay."""

import time
from collections.abc import Callable

import requests


def test_with_a_key_set_only_those_who_send_it_may_read(serve: Callable[..., str]):
    url = serve("--size", "1", "--listens", "1", "--api-key", "clé")

    def status(path: str, **headers: str | bytes) -> int:
        return requests.get(f"{url}{path}", headers=headers, timeout=10).status_code

    assert [status(path) for path in ("/tracks", "/users", "/listen_history")] == [401, 401, 401]
    assert status("/tracks", **{"X-API-Key": "key"}) == 401
    assert status("/tracks?size=1000") == 401
    assert status("/tracks", **{"X-API-Key": "clé".encode()}) == 200
    assert status("/health") == 200


def test_a_refusal_says_what_was_expected_and_not_the_key(serve: Callable[..., str]):
    url = serve("--size", "1", "--listens", "1", "--api-key", "sesame")

    answer = requests.get(f"{url}/tracks", headers={"X-API-Key": "guess"}, timeout=10)

    assert answer.json() == {"detail": "header X-API-Key: expected this API's key, got another one"}
    assert answer.headers["www-authenticate"] == "APIKey"
    assert "401" in requests.get(f"{url}/openapi.json", timeout=10).json()["paths"]["/tracks"]["get"]["responses"]


def test_above_the_limit_requests_are_refused_until_retry_after_has_passed(serve: Callable[..., str]):
    url = serve("--size", "1", "--listens", "1", "--rate-limit", "3")

    answers = [requests.get(f"{url}/tracks", timeout=10)]
    while answers[-1].ok and len(answers) < 300:  # a busy machine may take a second for three
        answers.append(requests.get(f"{url}/tracks", timeout=10))

    assert len(answers) > 3
    assert answers[-1].status_code == 429
    assert answers[-1].json() == {"detail": "expected at most 3 requests a second"}
    assert requests.get(f"{url}/health", timeout=10).status_code == 200
    time.sleep(int(answers[-1].headers["retry-after"]))
    assert requests.get(f"{url}/tracks", timeout=10).status_code == 200


def test_latency_delays_every_answer_but_healths(serve: Callable[..., str]):
    url = serve("--size", "1", "--listens", "1", "--latency-ms", "1000")

    seconds = {
        path: requests.get(f"{url}{path}", timeout=10).elapsed.total_seconds() for path in ("/tracks", "/health")
    }

    assert seconds["/tracks"] >= 1 > seconds["/health"]
