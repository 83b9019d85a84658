"""A config of our connector, held against the spec in its manifest: what that refuses fails before anything starts."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

# As the connector's components have them, which need the CDK: a test holds the two against each other.
ADDRESS = re.compile(r"https?://[^\s/?#@]+(/[^\s?#]*)?")
KEY = re.compile(r"([!-~]([ -~]*[!-~])?)?")


def refusal(manifest: Path, config: Mapping[str, object], shown: Mapping[str, object]) -> str | None:
    """Which option the spec refuses, and why; None of a config that it takes.

    Args:
        shown: the config with placeholders for what is secret, to be quoted from.
    """
    import yaml  # the two take a third of a second, which only `run` and `schedule` shall wait for
    from jsonschema import Draft7Validator
    from jsonschema.exceptions import best_match

    spec = yaml.safe_load(manifest.read_text())["spec"]["connection_specification"]
    found = best_match(Draft7Validator(spec).iter_errors(config))
    if found is None:
        return (
            _no_date(config.get("start_date"))
            or _no_address(config.get("api_url"))
            or _no_header(config.get("api_key"))
            or _unknown(config, spec["properties"])
        )
    option = ".".join(map(str, found.absolute_path))
    if found.validator == "pattern":
        return f"{option}: expected {found.schema['pattern_descriptor']}, got {shown[option]!r}"
    if shown.get(option) != config.get(option):
        return f"{option}: expected {found.validator} {found.validator_value}, got another"
    return f"{option}: {found.message}" if option else str(found.message)


def _no_date(start: object) -> str | None:
    """The spec's pattern takes a 30th of February and a date to come, which the connector refuses."""
    if isinstance(start, str):
        try:
            moment = datetime.fromisoformat(start)
        except ValueError:
            return f"start_date: expected a date of the calendar, got {start!r}"
        if moment.replace(tzinfo=moment.tzinfo or UTC) > datetime.now(UTC):
            return f"start_date: expected a date that has passed, got {start!r}"
    return None


def _no_address(url: object) -> str | None:
    """The spec's pattern takes what may hold a secret, and the connector refuses it: most runners print what a pattern
    does not take."""
    if isinstance(url, str) and not ADDRESS.fullmatch(url):
        return "api_url: expected https://host[:port][/path], got an address with @ or ?, not shown here"
    return None


def _no_header(key: object) -> str | None:
    if isinstance(key, str) and not KEY.fullmatch(key):
        return "api_key: expected printable ASCII without spaces around it, got something else, not shown here"
    return None


def _unknown(config: Mapping[str, object], options: Mapping[str, object]) -> str | None:
    """For Airbyte, which adds some of its own, the spec takes any; a person has mistyped it."""
    for name in config:
        if name not in options and not name.startswith("_"):
            return f"expected options among {', '.join(options)}, got {name!r}"
    return None
