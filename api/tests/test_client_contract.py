"""The API answers field for field what the client's API answered when it was recorded."""

import re
from collections.abc import Callable
from typing import Any

import pytest
import requests

STREAMS = ["tracks", "users", "listen_history"]


def absent(expected: object, actual: object, where: str = "") -> list[str]:
    """What `expected` has and `actual` has not; a list's elements may stand anywhere in the other list."""
    if isinstance(expected, dict) and isinstance(actual, dict):
        return [
            problem
            for key, value in expected.items()
            for problem in (absent(value, actual[key], f"{where}/{key}") if key in actual else [f"{where}/{key}"])
        ]
    if isinstance(expected, list) and isinstance(actual, list):
        return [
            f"{where}[{index}]: {element!r}"
            for index, element in enumerate(expected)
            if all(absent(element, candidate) for candidate in actual)
        ]
    return [] if expected == actual else [f"{where}: expected {expected!r}, got {actual!r}"]


def shape(record: dict[str, Any]) -> dict[str, str]:
    """The fields in their order, each with its type, instants and durations with their exact form."""
    return {field: _form(value) for field, value in record.items()}


def _form(value: object) -> str:
    if isinstance(value, list):
        return f"list of {' '.join(sorted({_form(element) for element in value}))}"
    if isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}", value):
        return "naive instant with microseconds"
    if isinstance(value, str) and re.fullmatch(r"\d\d:[0-5]\d", value):
        return "minutes:seconds"
    return type(value).__name__


def frame(body: dict[str, Any]) -> list[tuple[str, object]]:
    """A page's fields in their order, of its records their number alone."""
    return [(field, len(value) if field == "items" else value) for field, value in body.items()]


def forms(pages: dict[int, dict[str, Any]]) -> set[tuple[tuple[str, str], ...]]:
    return {tuple(shape(record).items()) for body in pages.values() for record in body["items"]}


def test_the_clients_openapi_document_is_a_subset_of_ours(api_url: str, recorded: Callable[[str], Any]):
    ours = requests.get(f"{api_url}/openapi.json", timeout=10).json()

    assert absent(recorded("openapi"), ours) == []


@pytest.mark.parametrize("stream", STREAMS)
def test_each_page_and_record_has_the_recorded_fields_in_their_order_and_form(
    api_url: str, recorded: Callable[[str], Any], stream: str
):
    """Page 11 is the one past the end: it is empty."""
    theirs, ours = {}, {}
    for page in range(1, 12):
        theirs[page] = recorded(f"{stream}.page-{page}")
        answer = requests.get(f"{api_url}/{stream}?page={page}", timeout=10)
        assert answer.status_code == 200, page
        ours[page] = answer.json()

    assert {page: frame(body) for page, body in ours.items()} == {page: frame(body) for page, body in theirs.items()}
    assert forms(ours) == forms(theirs)


@pytest.mark.parametrize(
    ("path", "status", "name"),
    [
        pytest.param("/nowhere", 404, "error-404", id="unknown_path"),
        pytest.param("/tracks?size=1000", 422, "error-422-size-too-large", id="size_too_large"),
    ],
)
def test_an_error_has_the_recorded_body(
    api_url: str, recorded: Callable[[str], Any], path: str, status: int, name: str
):
    answer = requests.get(f"{api_url}{path}", timeout=10)

    assert (answer.status_code, answer.json()) == (status, recorded(name))


@pytest.mark.parametrize(
    ("query", "where", "kind"),
    [
        pytest.param("page=0", "page", "greater_than_equal", id="page_zero"),
        pytest.param("page=two", "page", "int_parsing", id="page_a_word"),
        pytest.param("size=0", "size", "greater_than_equal", id="size_zero"),
        pytest.param("updated_since=soon", "updated_since", "datetime_from_date_parsing", id="instant_a_word"),
    ],
)
def test_a_bad_parameter_is_named(api_url: str, query: str, where: str, kind: str):
    answer = requests.get(f"{api_url}/users?{query}", timeout=10)

    assert answer.status_code == 422
    assert [(problem["loc"], problem["type"]) for problem in answer.json()["detail"]] == [(["query", where], kind)]


def test_the_root_leads_to_the_docs(api_url: str):
    answer = requests.get(f"{api_url}/", allow_redirects=False, timeout=10)

    assert (answer.status_code, answer.headers["location"]) == (307, "/docs")
    assert "MooVitamix" in requests.get(f"{api_url}/docs", timeout=10).text


def test_an_unknown_parameter_is_ignored(api_url: str):
    plain = requests.get(f"{api_url}/tracks", timeout=10).json()

    assert requests.get(f"{api_url}/tracks?colour=blue", timeout=10).json() == plain
