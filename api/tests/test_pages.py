"""Pages and windows over HTTP."""

from typing import Any

import pytest
import requests

STREAMS = ["tracks", "users", "listen_history"]


def get(url: str, **parameters: object) -> dict[str, Any]:
    answer = requests.get(url, params=parameters, timeout=10)
    assert answer.status_code == 200, answer.text
    return answer.json()


def key(record: dict[str, Any]) -> tuple[Any, ...]:
    return (record["id"],) if "id" in record else (record["user_id"], record["created_at"])


@pytest.mark.parametrize("stream", STREAMS)
def test_the_pages_together_are_every_record_once_in_key_order(api_url: str, stream: str):
    url = f"{api_url}/{stream}"

    records = [record for page in range(1, 16) for record in get(url, page=page, size=70)["items"]]

    keys = [key(record) for record in records]
    assert len(keys) == 1000
    assert keys == sorted(set(keys))


@pytest.mark.parametrize("stream", STREAMS)
def test_a_window_holds_exactly_the_records_updated_in_it_bounds_included(api_url: str, stream: str):
    url = f"{api_url}/{stream}"
    everything = [record for page in range(1, 11) for record in get(url, page=page)["items"]]
    since, until = sorted(record["updated_at"] for record in everything)[400:500:99]

    page = get(url, updated_since=since, updated_until=until)

    assert page["items"] == [record for record in everything if since <= record["updated_at"] <= until]
    assert (page["total"], page["pages"]) == (100, 1)


def test_an_instant_with_an_offset_is_converted_to_utc(api_url: str):
    url = f"{api_url}/listen_history"

    in_tokyo = get(url, updated_since="2025-10-01T09:00:00+09:00")

    assert in_tokyo == get(url, updated_since="2025-10-01T00:00:00") == get(url, updated_since="2025-10-01T00:00:00Z")
    assert in_tokyo["total"] > 0


@pytest.mark.parametrize(
    ("bound", "total"),
    [
        pytest.param({"updated_since": "0001-01-01T00:00:00+14:00"}, 1000, id="since_before_year_1"),
        pytest.param({"updated_until": "0001-01-01T00:00:00+14:00"}, 0, id="until_before_year_1"),
        pytest.param({"updated_since": "9999-12-31T23:59:59.999999-14:00"}, 0, id="since_after_year_9999"),
        pytest.param({"updated_until": "9999-12-31T23:59:59.999999-14:00"}, 1000, id="until_after_year_9999"),
        pytest.param({"updated_since": "2025-12-01", "updated_until": "2025-11-01"}, 0, id="since_after_until"),
    ],
)
def test_instants_at_the_edge_of_the_calendar_are_answered(api_url: str, bound: dict[str, str], total: int):
    assert get(f"{api_url}/listen_history", **bound)["total"] == total


@pytest.mark.parametrize("page", [2**31, 2**63, 10**30, 10**1000], ids=["2^31", "2^63", "10^30", "10^1000"])
def test_a_huge_page_number_is_a_page_past_the_end(api_url: str, page: int):
    assert get(f"{api_url}/tracks", page=page) == {"items": [], "total": 1000, "page": page, "size": 100, "pages": 10}
