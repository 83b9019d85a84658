"""The command line: flags into settings, a bad value into one line that names it."""

import argparse
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from pydantic import ValidationError

from .scenarios import SCENARIOS
from .settings import Settings

_PROGRAM = "moovitamix-api"
_EXAMPLES = """
each flag is a variable too: --rate-limit 5 is MOOVITAMIX_API_RATE_LIMIT=5

examples:
  moovitamix-api                      1,000 tracks, users and listens, growing since 2026-01-01
  moovitamix-api --port 0             on a free port; the first line on stdout is the URL
  moovitamix-api --listens 1000000    a long history
  moovitamix-api --now 2026-03-01     as on that day; then --now 2026-03-02 shows what a day brings
  moovitamix-api --scenario flaky:7   fails now and then, in the same way each time it is started
  MOOVITAMIX_API_API_KEY=… moovitamix-api --rate-limit 5    a key, out of sight of `ps`
"""


def settings_from(arguments: Sequence[str]) -> Settings:
    """The settings for these arguments; on a bad one, a message on stderr and exit code 2.

    With `--scenario list` the scenarios are listed instead, exit code 0.
    """
    parsed, unknown = _parser().parse_known_args(arguments)
    if unknown:
        # Only its name: what follows a misspelt --api-key is a secret.
        names = [argument.partition("=")[0] for argument in unknown if argument.startswith("-")]
        _refuse([f"{name}: no such flag" for name in names] or ["expected flags only, got a value without one"])
    given = vars(parsed)
    try:
        settings = Settings(**given)
    except ValidationError as error:
        _refuse([_message(problem["loc"][0], problem["input"], given) for problem in error.errors()])
    if settings.scenario == "list":
        print("\n".join(f"{name:<10} {line}" for name, line in SCENARIOS.items()))  # noqa: T201 - asked for
        sys.exit(0)
    return settings


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=_PROGRAM,
        description="Serves the MooVitamix API: the tracks, the users, and what they listened to.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    for name, field in Settings.model_fields.items():
        default = "" if field.default is None else f" (default {field.default})"
        parser.add_argument(
            _flag(name),
            default=argparse.SUPPRESS,
            metavar=name.rpartition("_")[2].upper(),
            help=f"{field.description}{default}",
        )
    return parser


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _message(name: object, value: object, given: dict[str, str]) -> str:
    variable = f"{Settings.model_config['env_prefix']}{name}".upper()
    origin = f" (variable {variable})" if name not in given and variable in os.environ else ""
    got = "none" if name == "api_key" else repr(value)
    return f"{_flag(str(name))}{origin}: expected {Settings.model_fields[str(name)].title}, got {got}"


def _refuse(messages: Sequence[str]) -> NoReturn:
    for message in messages:
        print(f"{_PROGRAM}: {message}. Nothing was started; see --help.", file=sys.stderr)  # noqa: T201 - a command's
    sys.exit(2)
