"""The connector against the recorded answers of the client's real API."""

import json
from pathlib import Path

RECORDED = Path(__file__).parents[2] / "api" / "tests" / "recorded"


def test_reads_all_rows_the_clients_api_gave_with_one_request_a_page(api, reply, read):
    def recorded(request):
        return reply((RECORDED / f"{request.stream}.page-{request.page}.json").read_bytes())

    api.fault = recorded

    sync = read()

    for stream in ("tracks", "users", "listen_history"):
        pages = [json.loads((RECORDED / f"{stream}.page-{page}.json").read_bytes()) for page in range(1, 11)]
        assert sync.rows(stream) == [row for page in pages for row in page["items"]]
        assert len(sync.rows(stream)) == 1000
        assert sorted(api.pages(stream)) == list(range(1, 11)), "exactly one request a page, no eleventh"
        assert sync.statuses(stream) == ["STARTED", "RUNNING", "COMPLETE"]
    assert sync.estimates() == {"tracks": 1000, "users": 1000, "listen_history": 1000}
    assert sync.errors == []


def test_a_page_size_the_clients_api_refuses_is_a_typed_error(api, reply, read):
    api.fault = lambda request: reply((RECORDED / "error-422-size-too-large.json").read_bytes(), 422)

    error = read("tracks").errors[0]

    assert error.failure_type.value == "config_error"
    assert "/tracks?page=1&size=100: expected a page of records, got HTTP 422" in error.message
    assert "Input should be less than or equal to 100" in error.message
    assert "Check page_size" in error.message


def test_a_path_the_clients_api_does_not_know_is_a_typed_error(api, reply, read):
    api.fault = lambda request: reply((RECORDED / "error-404.json").read_bytes(), 404)

    error = read("users").errors[0]

    assert error.failure_type.value == "config_error"
    assert "Check api_url" in error.message
