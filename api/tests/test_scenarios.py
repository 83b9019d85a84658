"""Each way to misbehave, over HTTP: what a reader meets, and that the data behind it is sound."""

import asyncio
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

import pytest
import requests
from moovitamix_api.app import create_app
from moovitamix_api.scenarios import SCENARIOS, Scenario
from moovitamix_api.scenarios.disturb import disturbed
from moovitamix_api.settings import Settings

FLAGS = ["--now", "2026-01-01", "--size", "300", "--listens", "300"]
TRIES = 3


@pytest.fixture
def session() -> Iterator[requests.Session]:
    with requests.Session() as session:
        yield session


def outcome(session: requests.Session, url: str) -> tuple[str, Any]:
    """(what happened, the page or the answer)."""
    try:
        answer = session.get(url, timeout=5)
    except requests.exceptions.ChunkedEncodingError:
        return "cut", None
    except requests.exceptions.ConnectionError as error:
        return "reset" if "Connection reset by peer" in str(error) else "closed", None
    if answer.status_code != 200:
        return str(answer.status_code), answer
    if not answer.headers["content-type"].startswith("application/json"):
        return "not json", answer
    try:
        page = answer.json()
    except requests.exceptions.JSONDecodeError:
        return "broken json", answer
    return "late" if answer.elapsed.total_seconds() > 0.9 else "ok", page


def read(session: requests.Session, url: str) -> tuple[list[dict[str, Any]], list[str], list[Any]]:
    """(every user by pages of 5, each tried until it is there; what happened; the refused answers)."""
    rows, kinds, refused = [], [], []
    for page in range(1, 61):
        for _ in range(TRIES):
            kind, got = outcome(session, f"{url}/users?size=5&page={page}")
            kinds.append(kind)
            if kind in ("ok", "late"):
                rows += got["items"]
                break
            refused.append(got)
    return rows, kinds, refused


def but_for_delays(kinds: list[str]) -> list[str]:
    """A busy machine answers late too: only where a scenario does so on purpose is it counted."""
    return ["ok" if kind == "late" else kind for kind in kinds]


@pytest.mark.parametrize(
    ("scenario", "expected"),
    [
        pytest.param("throttled", {"ok", "429"}, id="throttled"),
        pytest.param(
            "flaky", {"ok", "408", "500", "502", "503", "504", "late", "broken json", "cut", "reset"}, id="flaky"
        ),
        pytest.param("html", {"ok", "not json"}, id="html"),
    ],
)
def test_requests_fail_in_the_ways_announced_and_three_tries_always_get_every_row(
    serve: Callable[..., str], session: requests.Session, scenario: str, expected: set[str]
):
    url = serve(*FLAGS, "--scenario", scenario)

    rows, kinds, _ = read(session, url)

    assert set(kinds if "late" in expected else but_for_delays(kinds)) == expected
    assert rows == read(session, serve(*FLAGS))[0]


def test_the_same_seed_fails_the_same_requests_and_another_seed_others(
    serve: Callable[..., str], session: requests.Session
):
    kinds = [
        but_for_delays(read(session, serve(*FLAGS, "--scenario", scenario))[1])
        for scenario in ("html:4", "html:4", "html:5")
    ]

    assert kinds[0] == kinds[1] != kinds[2]


def test_throttling_says_when_to_come_back_in_both_of_https_forms(serve: Callable[..., str], session: requests.Session):
    _, _, refused = read(session, serve(*FLAGS, "--scenario", "throttled"))

    waits = {answer.headers["retry-after"] for answer in refused}
    assert "1" in waits
    dates = [parsedate_to_datetime(wait) for wait in waits if not re.fullmatch(r"\d+", wait)]
    assert dates
    assert all(moment.utcoffset().total_seconds() == 0 for moment in dates)


def test_in_a_moving_library_rows_appear_change_and_vanish_between_requests(
    serve: Callable[..., str], session: requests.Session
):
    url = serve(*FLAGS, "--scenario", "moving")

    reads = [
        {
            row["id"]: row
            for page in range(1, 5)
            for row in session.get(f"{url}/users?page={page}", timeout=10).json()["items"]
        }
        for _ in range(20)
    ]

    first, last = reads[0], reads[-1]
    assert last.keys() - first.keys()
    assert first.keys() - last.keys()
    assert [each for each in first.keys() & last.keys() if first[each] != last[each]]


@pytest.mark.parametrize(("seed", "is_ahead"), [(2, True), (3, False)], ids=["even_seed", "odd_seed"])
def test_a_skewed_clock_shows_what_is_not_yet_or_not_what_is(
    serve: Callable[..., str], session: requests.Session, seed: int, is_ahead: bool
):
    flags = ["--now", "2026-03-01", "--size", "10", "--listens", "10000"]
    right, wrong = (serve(*flags, *more) for more in ([], ["--scenario", f"skewed:{seed}"]))

    totals = [session.get(f"{url}/listen_history", timeout=10).json()["total"] for url in (right, wrong)]
    after_now = session.get(f"{wrong}/listen_history?updated_since=2026-03-01T00:00:01", timeout=10).json()["total"]

    assert (totals[1] > totals[0], after_now > 0) == (is_ahead, is_ahead)


def test_some_rows_and_totals_are_null_the_same_ones_each_time(serve: Callable[..., str], session: requests.Session):
    url = serve(*FLAGS, "--scenario", "nulls")

    pages = [session.get(f"{url}/listen_history?size=10&page={page}", timeout=10).json() for page in range(1, 31)]
    again = [session.get(f"{url}/listen_history?size=10&page={page}", timeout=10).json() for page in range(1, 31)]

    fields = {field for page in pages for row in page["items"] for field, value in row.items() if value is None}
    assert fields == {"user_id", "items", "created_at", "updated_at"}
    assert {page["total"] for page in pages} == {300, None}
    assert {page["pages"] for page in pages} == {30}
    assert pages == again


def test_after_a_restart_all_ids_are_other_ones(serve: Callable[..., str], session: requests.Session):
    url = serve(*FLAGS, "--scenario", "restart")

    answers = [
        frozenset(row["id"] for row in session.get(f"{url}/tracks", timeout=10).json()["items"]) for _ in range(35)
    ]

    before, after = answers[0], answers[-1]
    restart = answers.index(after)
    assert 4 <= restart <= 29
    assert answers == [before] * restart + [after] * (35 - restart)
    assert len(before & after) < 10


def test_mixed_misbehaves_in_every_way_and_still_answers_in_the_end(
    serve: Callable[..., str], session: requests.Session
):
    url = serve(*FLAGS, "--scenario", "mixed:1")

    rows, kinds, _ = read(session, url)

    assert {"ok", "429", "not json", "broken json"} < set(kinds)
    assert any(row["updated_at"] is None for row in rows)
    assert max(datetime.fromisoformat(row["created_at"]) for row in rows if row["created_at"]) > datetime(2026, 1, 3)


def test_the_docs_and_health_always_work(serve: Callable[..., str], session: requests.Session):
    url = serve("--size", "1", "--listens", "1", "--scenario", "mixed")

    statuses = [session.get(f"{url}{path}", timeout=10).status_code for path in ("/health", "/openapi.json") * 10]

    assert statuses == [200] * 20


def test_the_list_has_one_line_a_scenario():
    command = [sys.executable, "-m", "moovitamix_api", "--scenario", "list"]

    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)

    assert [line.split()[0] for line in done.stdout.splitlines()] == list(SCENARIOS)


def test_a_scenario_is_a_name_and_a_seed():
    assert Scenario.parse("flaky") == Scenario("flaky", 0)
    assert Scenario.parse("flaky:-7") == Scenario("flaky", -7)


def test_in_process_without_a_connection_to_reset_it_is_an_exception():
    app = disturbed(create_app(Settings(size=60, listens=0)), Scenario("flaky", 0))

    async def ask_for_every_page() -> None:
        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b""}

        async def send(_message: object) -> None:
            return

        for page in range(1, 61):
            query = f"size=1&page={page}".encode()
            scope = {"type": "http", "method": "GET", "path": "/users", "query_string": query, "headers": []}
            await app(scope, receive, send)

    with pytest.raises(ConnectionResetError):
        asyncio.run(ask_for_every_page())
