"""Rules for the spec, the schemas and the metadata that Airbyte's acceptance tests check, and this folder's own."""

import ast
import json
import re
import tomllib
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml
from jsonschema import Draft7Validator

CONNECTOR = Path(__file__).parents[1]
MANIFEST = yaml.safe_load((CONNECTOR / "manifest.yaml").read_text())
METADATA = yaml.safe_load((CONNECTOR.parent / "metadata.yaml").read_text())
PAGE = (CONNECTOR.parent / "docs" / "moovitamix.md").read_text()
DOCKERFILE = (CONNECTOR / "Dockerfile").read_text()
STREAMS = ["tracks", "users", "listen_history"]
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
        assert all(re.search(option["pattern"], example) for example in option["examples"])
        assert re.search(option["pattern"], option.get("default", option["examples"][0]))
    if option["type"] == "integer":
        assert option["minimum"] <= option["default"] <= option["maximum"]
        assert all(option["minimum"] <= example <= option["maximum"] for example in option["examples"])
    assert ("default" in option) == (option["title"] not in ("API URL", "API key"))
    assert option["title"] not in option["description"], "a description says more than its title"


def test_options_are_grouped_ordered_within_their_group_and_only_the_url_is_required():
    groups = [group["id"] for group in SPEC["groups"]]
    by_group = {group: [o for o in SPEC["properties"].values() if o["group"] == group] for group in groups}

    assert groups == ["source", "advanced"]
    assert [option["title"] for option in by_group["source"]] == ["API URL", "API key", "Start date"]
    for options in by_group.values():
        assert [option["order"] for option in options] == list(range(len(options)))
    assert sum(map(len, by_group.values())) == len(SPEC["properties"]), "every option is in a group"
    assert SPEC["required"] == ["api_url"]
    assert SPEC["additionalProperties"] is True


def test_the_spec_uses_nothing_that_airbytes_form_cannot_show():
    forbidden = {"anyOf", "allOf", "oneOf", "not", "if", "$ref"}
    below = [node for option in SPEC["properties"].values() for node in nested(option) if node is not option]

    assert not [node for node in nested(SPEC) if forbidden & set(node)]
    assert not [node for node in below if "group" in node], "a group belongs to an option, not below one"
    assert {} not in list(nested(SPEC))


def test_dates_have_the_pattern_that_airbytes_form_and_acceptance_tests_know():
    dates = [option for option in SPEC["properties"].values() if option.get("format") == "date-time"]

    assert [option["pattern"] for option in dates] == ["^[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9]{2}:[0-9]{2}:[0-9]{2})?$"]


def test_the_api_key_and_nothing_else_is_a_secret():
    assert [name for name, option in SPEC["properties"].items() if option.get("airbyte_secret")] == ["api_key"]


@pytest.mark.parametrize("stream", STREAMS)
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


def test_the_metadata_is_valid():
    models = pytest.importorskip(
        "airbyte_connector_models.metadata.v0.connector_metadata_definition_v0",
        reason="airbyte-connector-models installs below Python 3.13 only",
    )

    models.ConnectorMetadataDefinitionV0.model_validate(METADATA)


def test_the_folders_link_leads_to_the_repositorys_metadata():
    assert (CONNECTOR / "metadata.yaml").resolve() == CONNECTOR.parent / "metadata.yaml"


def test_the_metadata_says_what_a_certified_connector_must_and_claims_no_quality_level():
    data = METADATA["data"]

    assert data["license"] == "MIT"
    assert (CONNECTOR.parent / "LICENSE").read_text().startswith("MIT License")
    assert data["suggestedStreams"]["streams"] == STREAMS
    assert data["allowedHosts"]["hosts"] == ["*"]
    assert all(MANIFEST["definitions"][stream]["primary_key"] for stream in STREAMS)
    assert "ab_internal" not in data
    assert (data["releaseStage"], data["supportLevel"]) == ("alpha", "community")
    assert data["icon"] == "icon.svg"


def test_one_version_everywhere():
    project = tomllib.loads((CONNECTOR.parent / "pyproject.toml").read_text())["project"]
    changelog = re.search(r"^## \[(\d\S*)\] - (\S+)$", (CONNECTOR.parent / "CHANGELOG.md").read_text(), re.MULTILINE)
    page = re.search(r"^\| (\d\S*) \| (\S+) \|", PAGE.partition("## Changelog")[2], re.MULTILINE)
    image = re.search(r"^LABEL io.airbyte.version=(\S+)$", DOCKERFILE, re.MULTILINE)

    version = METADATA["data"]["dockerImageTag"]

    assert (version, changelog[1], page[1], image[1]) == (project["version"],) * 4
    assert changelog[2] == page[2] == str(METADATA["data"]["releaseDate"])


def test_the_image_the_metadata_and_the_manifest_are_made_for_one_version_of_the_cdk():
    base = METADATA["data"]["connectorBuildOptions"]["baseImage"]

    assert base == f"docker.io/airbyte/source-declarative-manifest:{MANIFEST['version']}"
    assert f"FROM {base}\n" in DOCKERFILE
    assert f"LABEL io.airbyte.name={METADATA['data']['dockerRepository']}\n" in DOCKERFILE
    lock = (CONNECTOR.parent / "requirements.lock").read_text()
    assert f"airbyte-cdk=={MANIFEST['version']} " in lock


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
        for name in (
            "PagesAheadRetriever",
            "PatientRequester",
            "PacedApiKey",
            "EnvelopePagination",
            "PageErrorHandler",
            "KnownState",
            "RealDate",
            "AddressWithoutSecrets",
            "SendableKey",
        )
    }
    assert all(hasattr(components, name.rpartition(".")[2]) for name in names)


def test_the_page_of_the_connector_has_airbytes_headings_in_their_order_and_names_every_option():
    headings = [line.lstrip("# ") for line in PAGE.splitlines() if line.startswith("#")]
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
    prerequisites = PAGE.partition("## Prerequisites")[2].partition("\n## ")[0]
    for name in SPEC["required"]:
        assert f"**{SPEC['properties'][name]['title']}**" in prerequisites
    for name, option in SPEC["properties"].items():
        default = option.get("default", "required" if option["title"] == "API URL" else "none")
        shown = str(default).partition("T00:00:00")[0]
        assert re.search(rf"^\| {option['title']} \| `{name}` \| {shown} \| ", PAGE, re.MULTILINE), option["title"]


def test_the_pages_example_of_a_config_is_one_that_the_spec_takes():
    (example,) = re.findall(r"^```json\n(.+?)^```", PAGE, re.MULTILINE | re.DOTALL)

    config = json.loads(example)

    assert set(config) <= set(SPEC["properties"])
    assert [error.message for error in Draft7Validator(SPEC).iter_errors(config)] == []


def test_the_page_names_the_versions_and_limits_that_hold():
    image = f"{METADATA['data']['dockerRepository']}:{METADATA['data']['dockerImageTag']}"
    lock = (CONNECTOR / "integration_tests" / "pyairbyte.lock").read_text()
    [pyairbyte] = re.findall(r"^airbyte==(\d+\.\d+)\.", lock, re.MULTILINE)
    overrides = MANIFEST["check"]["config_overrides"]

    assert f"`make image` builds `{image}`" in PAGE
    assert f"kind load docker-image {image} " in PAGE
    assert f"`airbyte-cdk` {MANIFEST['version']}" in PAGE
    assert re.search(rf"PyAirbyte\s{pyairbyte} gives such a source no state", PAGE)
    assert f"a check waits {overrides['read_timeout_seconds']} |" in PAGE
    assert (
        f"A check waits {overrides['read_timeout_seconds']}."
        in SPEC["properties"]["read_timeout_seconds"]["description"]
    )
    assert "`http://host.docker.internal:8000`" in PAGE


def test_links_within_the_page_lead_somewhere():
    headings = [line.lstrip("# ") for line in PAGE.splitlines() if line.startswith("#")]
    anchors = {re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-") for heading in headings}

    assert set(re.findall(r"\]\(#([^)]+)\)", PAGE)) <= anchors


def test_the_icon_is_square():
    icon = ElementTree.parse(CONNECTOR / METADATA["data"]["icon"]).getroot()  # noqa: S314 (our own file)
    _, _, width, height = icon.attrib["viewBox"].split()

    assert icon.tag == "{http://www.w3.org/2000/svg}svg"
    assert width == height
    assert icon.attrib.get("width") == icon.attrib.get("height")


def test_the_reference_state_is_a_list_of_stream_states():
    [state] = json.loads((CONNECTOR / "integration_tests" / "abnormal_state.json").read_text())

    assert state["stream"]["stream_state"] == {"updated_at": "2999-12-31T23:59:59.000000"}
