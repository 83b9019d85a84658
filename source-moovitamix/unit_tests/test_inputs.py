"""What main.py makes of its arguments and files, and what the spec makes of a configuration."""

import json
import logging
from pathlib import Path

import pytest
from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from moovitamix_transform import connector_spec

REFERENCE = Path(__file__).parents[1] / "integration_tests"
NEW_YEAR = "2026-01-01T00:00:00"
STREAM_STATE = {"stream_descriptor": {"name": "listen_history"}, "stream_state": {"updated_at": f"{NEW_YEAR}.000000"}}
INVALID_CATALOG = {
    "streams": [
        {
            "stream": {"name": "tracks", "json_schema": {}, "supported_sync_modes": ["full_refresh"]},
            "sync_mode": "INVALID",
            "destination_sync_mode": "overwrite",
        }
    ]
}


@pytest.fixture
def prepare(source_module, components, tmp_path):
    """The source main.py would start for `read` with these files."""

    def prepare_read(**files):
        arguments = ["read"]
        for name, content in ({"config": {"api_url": "http://127.0.0.1:9"}} | files).items():
            path = tmp_path / f"{name}.json"
            path.write_text(content if isinstance(content, str) else json.dumps(content))
            arguments += [f"--{name}", str(path)]
        return source_module.prepare(arguments)[0]

    return prepare_read


@pytest.mark.parametrize("state", [[], {}, "null"], ids=["empty_list", "empty_object", "null"])
def test_an_empty_state_is_no_state(prepare, state):
    assert prepare(state=state).prepared_state == []


def test_without_a_catalog_listen_history_is_incremental_and_the_others_are_not(prepare):
    catalog = prepare().prepared_catalog

    assert [(s.stream.name, s.sync_mode.value, s.destination_sync_mode.value) for s in catalog.streams] == [
        ("tracks", "full_refresh", "overwrite"),
        ("users", "full_refresh", "overwrite"),
        ("listen_history", "incremental", "append_dedup"),
    ]


def test_a_state_of_an_incremental_stream_is_kept(prepare):
    [state] = prepare(state=[{"type": "STREAM", "stream": STREAM_STATE}]).prepared_state

    assert state.stream.stream_descriptor.name == "listen_history"


def test_a_state_of_a_stream_read_in_full_is_dropped(prepare):
    catalog = json.loads((REFERENCE / "configured_catalog.json").read_text())

    source = prepare(catalog=catalog, state=[{"type": "STREAM", "stream": STREAM_STATE}])

    assert source.prepared_state == []


@pytest.mark.parametrize(
    ("files", "where"),
    [
        pytest.param({"catalog": INVALID_CATALOG}, "--catalog", id="catalog_sync_mode"),
        pytest.param({"catalog": "{"}, "--catalog", id="catalog_no_json"),
        pytest.param({"catalog": []}, "--catalog", id="catalog_list"),
        pytest.param({"config": "api_url: x"}, "--config", id="config_no_json"),
        pytest.param({"config": []}, "--config", id="config_list"),
        pytest.param({"state": ""}, "--state", id="state_no_json"),
        pytest.param({"state": {"listen_history": {"updated_at": NEW_YEAR}}}, "--state", id="state_legacy"),
        pytest.param({"state": [{"type": "STREAM"}]}, "--state", id="state_without_stream"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_in_a_config_error(prepare, tmp_path, files, where):
    with pytest.raises(AirbyteTracedException) as caught:
        prepare(**files)

    assert caught.value.failure_type.value == "config_error"
    assert caught.value.message.startswith(f"{where} {tmp_path}/{where[2:]}.json: expected a JSON file with ")


def test_a_file_that_does_not_exist_is_named_in_a_config_error(source_module):
    with pytest.raises(AirbyteTracedException) as caught:
        source_module.prepare(["read", "--config", "/no/such/file.json"])

    assert (
        "--config /no/such/file.json: expected a JSON file with an object, got FileNotFoundError"
        in caught.value.message
    )


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        pytest.param({"api_url": None}, "None is not of type 'string'", id="null_url"),
        pytest.param({"api_url": "localhost:8000"}, "does not match", id="no_scheme"),
        pytest.param({"api_url": "http://me:canary@host"}, "got an address with @ or ?", id="password_in_url"),
        pytest.param({"api_url": "me:canary@host/?page=2"}, "got an address with @ or ?", id="password_and_no_scheme"),
        pytest.param({"api_url": "http://host/?key=canary"}, "got an address with @ or ?", id="query_in_url"),
        pytest.param({"api_key": "canary\n"}, "api_key: expected printable ASCII", id="key_with_a_line_break"),
        pytest.param({"api_key": " canary\\"}, "api_key: expected printable ASCII", id="key_after_a_space"),
        pytest.param({"api_key": "canary…"}, "api_key: expected printable ASCII", id="key_that_is_not_ascii"),
        pytest.param({"page_size": 101}, "101 is greater than the maximum of 100", id="page_size"),
        pytest.param({"start_date": "1 May"}, "does not match", id="start_date"),
        pytest.param(
            {"start_date": "2026-02-30"}, "expected a date of the calendar, got '2026-02-30'", id="30_february"
        ),
        pytest.param({"start_date": "2062-01-01"}, "expected a date that has passed, got '2062-01-01'", id="to_come"),
        pytest.param({"lookback_window": "5 minutes"}, "does not match", id="lookback_window"),
        pytest.param({"lookback_window": "PT"}, "does not match", id="lookback_window_of_nothing"),
        pytest.param({"num_workers": 1}, "1 is less than the minimum of 2", id="num_workers"),
        pytest.param({"pages_ahead": -1}, "-1 is less than the minimum of 0", id="pages_ahead"),
    ],
)
def test_a_configuration_that_cannot_work_is_a_config_error_before_any_request(api, read, config, expected):
    sync = read(**config)

    assert sync.errors[0].failure_type.value == "config_error"
    assert expected in sync.errors[0].message
    assert "canary" not in str(sync.output)
    assert api.requests == []


def test_what_run_refuses_before_anything_starts_is_what_the_connector_refuses(components):
    assert connector_spec.ADDRESS == components.AddressWithoutSecrets.FORM
    assert connector_spec.KEY == components.SendableKey.FORM


@pytest.mark.parametrize("path", ["", "/", "/api", "/api/"])
def test_an_api_url_may_have_a_path_and_a_slash_at_its_end(api, read, path):
    api.fault = lambda request: (
        api.page(request.under("tracks")) if request.stream == f"{path.strip('/')}/tracks".strip("/") else None
    )
    api.rows["tracks"] = [{"id": 1}]

    assert read("tracks", api_url=api.url + path).rows("tracks") == [{"id": 1}]


@pytest.mark.parametrize("stream", ["tracks", "users", "listen_history"])
def test_check_fails_when_any_stream_does_not_answer(source_module, components, api, reply, stream):
    api.fault = lambda request: reply({"detail": "no"}, 401) if request.stream == stream else None
    config = {"api_url": api.url}

    status = source_module.SourceMoovitamix(config).check(logging.getLogger("airbyte"), config)

    assert status.status.value == "FAILED"
    assert f"GET {api.url}/{stream}?page=1&size=100: " in status.message.replace(
        "&updated_since=1970-01-01T00%3A00%3A00.000000", ""
    )
    assert "Check api_key." in status.message


def test_check_of_an_api_that_refuses_connections_fails_after_one_second(source_module, components, api, clock):
    api.close()
    config = {"api_url": api.url}

    status = source_module.SourceMoovitamix(config).check(logging.getLogger("airbyte"), config)

    assert status.status.value == "FAILED"
    assert f"GET {api.url}/tracks?page=1&size=100: expected a page of records, got ConnectionError" in status.message
    assert clock.slept == [1]
