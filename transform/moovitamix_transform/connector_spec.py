"""A config of our connector, held against the spec in its manifest: what that refuses fails before anything starts."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path


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
        return _no_date(config.get("start_date"))
    option = ".".join(map(str, found.absolute_path))
    if found.validator == "pattern":
        return f"{option}: expected {found.schema['pattern_descriptor']}, got {shown[option]!r}"
    if shown.get(option) != config.get(option):
        return f"{option}: expected {found.validator} {found.validator_value}, got another"
    return f"{option}: {found.message}" if option else str(found.message)


def _no_date(start: object) -> str | None:
    """The spec's pattern takes a 30th of February, which the connector refuses."""
    if isinstance(start, str):
        try:
            datetime.fromisoformat(start)
        except ValueError:
            return f"start_date: expected a date of the calendar, got {start!r}"
    return None
