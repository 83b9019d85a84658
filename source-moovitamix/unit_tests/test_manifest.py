"""Rules for the spec, the schemas and the metadata that Airbyte's acceptance tests check, and this folder's own."""

import ast
import json
from pathlib import Path

import pytest
import yaml
from airbyte_connector_models.metadata.v0.connector_metadata_definition_v0 import ConnectorMetadataDefinitionV0

CONNECTOR = Path(__file__).parents[1]
MANIFEST = yaml.safe_load((CONNECTOR / "manifest.yaml").read_text())
SPEC = MANIFEST["spec"]["connection_specification"]
OPTIONS = [pytest.param(option, id=name) for name, option in SPEC["properties"].items()]


def nested(node):
    """Every object below `node`, itself included."""
    if isinstance(node, dict):
        yield node
        for value in node.values():
            yield from nested(value)
    if isinstance(node, list):
        for value in node:
            yield from nested(value)


@pytest.mark.parametrize("option", OPTIONS)
def test_an_option_explains_itself(option):
    assert option["title"]
    assert option["description"].endswith(".")
    assert option.get("examples") or option.get("airbyte_secret")
    assert isinstance(option["type"], str)
    if "pattern" in option:
        assert option["pattern_descriptor"]
    if option["type"] == "integer":
        assert option["minimum"] <= option["default"] <= option["maximum"]


def test_options_have_an_order_of_their_own_and_only_the_url_is_required():
    orders = [option["order"] for option in SPEC["properties"].values()]

    assert orders == list(range(len(orders)))
    assert SPEC["required"] == ["api_url"]
    assert SPEC["additionalProperties"] is True


def test_the_spec_uses_nothing_that_airbytes_form_cannot_show():
    forbidden = {"anyOf", "allOf", "oneOf", "not", "if", "$ref", "group"}

    assert not [node for node in nested(SPEC) if forbidden & set(node)]


def test_the_api_key_and_nothing_else_is_a_secret():
    assert [name for name, option in SPEC["properties"].items() if option.get("airbyte_secret")] == ["api_key"]


@pytest.mark.parametrize("stream", ["tracks", "users", "listen_history"])
def test_a_streams_schema_holds_its_key_and_lets_new_fields_through(stream):
    schema, definition = MANIFEST["schemas"][stream], MANIFEST["definitions"][stream]

    assert set(definition["primary_key"]) <= set(schema["properties"])
    assert schema["additionalProperties"] is True
    for name, field in schema["properties"].items():
        types = field["type"] if isinstance(field["type"], list) else [field["type"]]
        assert types[1:] in ([], ["null"]), f"{stream}.{name}: expected one type, or one and null"


def test_a_check_overrides_options_of_the_spec_only():
    assert set(MANIFEST["check"]["config_overrides"]) <= set(SPEC["properties"])
    assert MANIFEST["check"]["stream_names"] == ["tracks", "users", "listen_history"]


def test_the_metadata_is_valid_and_the_folders_link_leads_to_it():
    metadata = yaml.safe_load((CONNECTOR.parent / "metadata.yaml").read_text())

    ConnectorMetadataDefinitionV0.model_validate(metadata)

    assert (CONNECTOR / "metadata.yaml").resolve() == CONNECTOR.parent / "metadata.yaml"
    assert metadata["data"]["license"] == "MIT"
    assert metadata["data"]["suggestedStreams"]["streams"] == ["tracks", "users", "listen_history"]


def test_the_components_need_no_module_of_this_repository():
    """Some runners execute the file before its module is registered: no postponed annotations, no relative imports."""
    imports = [
        node
        for node in ast.walk(ast.parse((CONNECTOR / "components.py").read_text()))
        if isinstance(node, ast.ImportFrom)
    ]

    assert all(node.level == 0 for node in imports)
    assert not [node for node in imports if node.module == "__future__" or node.module.startswith("moovitamix")]


def test_every_class_the_manifest_names_is_a_component(components):
    names = {node["class_name"] for node in nested(MANIFEST) if "class_name" in node}

    assert names == {
        f"source_declarative_manifest.components.{name}"
        for name in ("PagesAheadRetriever", "PacedApiKey", "EnvelopePagination", "PageErrorHandler", "RealDate")
    }
    assert all(hasattr(components, name.rpartition(".")[2]) for name in names)


def test_the_page_of_the_connector_has_airbytes_headings_in_their_order_and_names_every_option():
    page = (CONNECTOR.parent / "docs" / "moovitamix.md").read_text()
    headings = [line.lstrip("# ") for line in page.splitlines() if line.startswith("#")]
    expected = [
        "MooVitamix",
        "Prerequisites",
        "Setup guide",
        "Set up MooVitamix",
        "Supported sync modes",
        "Supported Streams",
        "Performance considerations",
        "Data type map",
        "Limitations & Troubleshooting",
        "Changelog",
    ]

    assert [heading for heading in headings if heading in expected] == expected
    for option in SPEC["properties"].values():
        assert f"| {option['title']} |" in page or f"**{option['title']}**" in page


def test_the_icon_is_square():
    icon = (CONNECTOR / "icon.svg").read_text()

    assert 'viewBox="0 0 64 64"' in icon


def test_the_reference_state_is_a_list_of_stream_states():
    [state] = json.loads((CONNECTOR / "integration_tests" / "abnormal_state.json").read_text())

    assert state["stream"]["stream_state"] == {"updated_at": "2999-12-31T23:59:59.000000"}
