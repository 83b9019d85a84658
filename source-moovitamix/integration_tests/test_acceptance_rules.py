"""What Airbyte's Connector Acceptance Tests (CAT) demand, and the CDK's suite in test_standard.py does not ask for.

The rules for the spec are in unit_tests/test_manifest.py; for main.py's exit codes and TRACE messages in test_main.py.
"""

import json
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft7Validator

HERE = Path(__file__).parent
RECORDED = HERE.parents[1] / "api" / "tests" / "recorded"
STREAMS = ["tracks", "users", "listen_history"]


def content(name):
    return json.loads((HERE / name).read_text())


def nested(node):
    """Every object below `node`, itself included."""
    if isinstance(node, dict):
        yield node
    for value in node.values() if isinstance(node, dict) else node if isinstance(node, list) else []:
        yield from nested(value)


@pytest.fixture(scope="module")
def seed_1():
    """`moovitamix-api --seed 1 --now 2026-03-01` on a free port."""
    command = [sys.executable, "-m", "moovitamix_api", "--port", "0", "--seed", "1", "--now", "2026-03-01"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        yield process.stdout.readline().strip()
        process.terminate()


@pytest.fixture
def read_seed_1(read, seed_1):
    """A read of all streams of that API with the options of sample_config.json, listen_history incrementally."""

    def read_streams(state=None):
        return read(state=state, **content("sample_config.json") | {"api_url": seed_1})

    return read_streams


@pytest.fixture
def read_recorded(read, api, reply):
    """A read of all streams of the client's own answers."""

    def recorded(request):
        return reply((RECORDED / f"{request.stream}.page-{request.page}.json").read_bytes())

    api.fault = recorded
    return read


# ── The catalog ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def discovered(every_stream):
    return {configured.stream.name: configured.stream for configured in every_stream.streams}


@pytest.mark.parametrize("stream", STREAMS)
def test_a_schema_is_valid_draft_7_and_uses_nothing_cat_refuses(discovered, stream):
    schema = discovered[stream].json_schema

    Draft7Validator.check_schema(schema)

    assert not [node for node in nested(schema) if {"$ref", "allOf", "anyOf", "oneOf", "not"} & set(node)]
    assert not [node for node in nested(schema) if node.get("additionalProperties", True) is not True]


@pytest.mark.parametrize("stream", STREAMS)
def test_keys_and_cursors_are_in_the_schema_and_scalars(discovered, stream):
    found = discovered[stream]
    fields = [part for part, *below in found.source_defined_primary_key if not below]
    fields += found.default_cursor_field or []

    assert len(fields) == len(found.source_defined_primary_key) + len(found.default_cursor_field or [])
    for name in fields:
        kinds = found.json_schema["properties"][name]["type"]
        assert set([kinds] if isinstance(kinds, str) else kinds) <= {"integer", "string", "null"}
    assert found.supported_sync_modes


@pytest.mark.parametrize("name", ["configured_catalog.json", "incremental_catalog.json"])
def test_the_catalogs_for_cat_hold_the_streams_as_they_are_discovered(discovered, name):
    catalog = content(name)["streams"]

    assert [configured["stream"]["name"] for configured in catalog] == STREAMS
    for configured in catalog:
        found = discovered[configured["stream"]["name"]]
        assert configured["stream"]["json_schema"] == found.json_schema
        assert configured["stream"]["source_defined_primary_key"] == found.source_defined_primary_key
        assert configured["stream"]["supported_sync_modes"] == [mode.value for mode in found.supported_sync_modes]
        assert configured["primary_key"] == found.source_defined_primary_key
        assert configured["sync_mode"] in configured["stream"]["supported_sync_modes"]
        assert configured.get("cursor_field") in (None, found.default_cursor_field)


# ── A read ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def wrong_instants(schema, rows):
    """(field, value) of dates that are no dates, or have a zone where the schema says there is none."""
    for name, field in schema["properties"].items():
        if field.get("format") == "date-time":
            assert field["airbyte_type"] == "timestamp_without_timezone"
            for value in (row[name] for row in rows if row.get(name) is not None):
                if "T" not in value or datetime.fromisoformat(value).tzinfo is not None:
                    yield name, value


@pytest.mark.parametrize("server", ["read_seed_1", "read_recorded"])
def test_records_have_the_declared_types_every_declared_field_and_no_other(server, discovered, request):
    sync = request.getfixturevalue(server)()

    for stream in STREAMS:
        schema, rows = discovered[stream].json_schema, sync.rows(stream)
        problems = [problem.message for row in rows for problem in Draft7Validator(schema).iter_errors(row)]
        assert rows, f"{stream}: expected records, got none"
        assert problems == []
        assert list(wrong_instants(schema, rows)) == []
        filled = {name for row in rows for name, value in row.items() if value is not None}
        assert filled == set(schema["properties"]), "every declared field is filled somewhere, and no other appears"


def test_a_read_tells_each_streams_status_and_counts_its_records_in_its_states(read_seed_1):
    sync = read_seed_1()

    for stream in STREAMS:
        states = [state for state in sync.state if state["stream"]["stream_descriptor"]["name"] == stream]
        counts = [state["sourceStats"]["recordCount"] for state in states]
        assert sync.statuses(stream) == ["STARTED", "RUNNING", "COMPLETE"]
        assert {state["type"] for state in states} == {"STREAM"}
        assert sum(counts) == len(sync.rows(stream)), f"{stream}: expected all records before a state, got {counts}"
    assert sync.errors == []


def test_the_expected_records_are_those_of_seed_1(read_seed_1):
    sync = read_seed_1()
    lines = [
        json.dumps({"type": "RECORD", "record": {"stream": stream, "data": row}})
        for stream in STREAMS
        for row in sync.rows(stream)
    ]

    written = subprocess.run(
        [sys.executable, str(HERE / "expected_records.py")],
        input="\n".join(lines),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    assert (HERE / "expected_records.jsonl").read_text() == written.stdout, "see expected_records.py to write them anew"
    expected = [json.loads(line) for line in written.stdout.splitlines()]
    assert {tuple(record) for record in expected} == {("stream", "data", "emitted_at")}
    assert {record["stream"] for record in expected} == set(STREAMS)


# ── Incremental reads ────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_second_read_from_the_state_of_the_first_differs_and_is_emitted_later(read_seed_1):
    first = read_seed_1()

    second = read_seed_1(state=first.state)

    assert 0 < len(second.rows("listen_history")) < len(first.rows("listen_history"))
    assert second.cursor() == first.cursor() == max(row["updated_at"] for row in first.rows("listen_history"))
    times = [[message.record.emitted_at for message in sync.output.records] for sync in (first, second)]
    assert min(times[1]) >= max(times[0]) > 0


def test_from_the_abnormal_state_no_record_comes_and_one_state_at_least(read_seed_1):
    sync = read_seed_1(state=content("abnormal_state.json"))

    assert sync.rows("listen_history") == []
    assert sync.cursor() == "2999-12-31T23:59:59.000000"
    assert sync.errors == []


# ── CAT's own configuration ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ["acceptance-test-config.yml", "integration_tests/acceptance-test-config.strict.yml"])
def test_a_configuration_of_acceptance_tests_names_files_that_exist(name):
    folder = HERE.parent
    configuration = yaml.safe_load((folder / name).read_text())
    paths = {v for node in nested(configuration) for k, v in node.items() if k.endswith("path") and isinstance(v, str)}

    assert [path for path in paths if not (folder / path).exists()] == []
    assert configuration["test_strictness_level"] == "high"
    assert set(configuration["acceptance_tests"]) >= {"spec", "connection", "discovery", "basic_read", "full_refresh"}


def test_the_strict_configuration_asks_for_all_that_cat_can_check():
    configuration = yaml.safe_load((HERE / "acceptance-test-config.strict.yml").read_text())["acceptance_tests"]
    [basic_read] = configuration["basic_read"]["tests"]

    assert basic_read["expect_records"] == {
        "path": "integration_tests/expected_records.jsonl",
        "exact_order": False,
    }
    for check in ("fail_on_extra_columns", "validate_data_points", "validate_stream_statuses", "validate_schema"):
        assert basic_read[check] is True
    assert basic_read["empty_streams"] == []
    [incremental] = configuration["incremental"]["tests"]
    assert incremental["future_state"] == {"future_state_path": "integration_tests/abnormal_state.json"}
    assert [test["status"] for test in configuration["connection"]["tests"]] == ["succeed", "failed"]
