"""The command line: flags into settings, a bad value into one line that names it."""

import argparse
import sys
from collections.abc import Sequence
from typing import NoReturn

from pydantic import ValidationError

from .settings import Settings

_EXAMPLES = """
every flag can be set as a variable too: --rate-limit 5 as MOOVITAMIX_API_RATE_LIMIT=5

examples:
  moovitamix-api                                  1,000 tracks, users and listens, growing since 2026-01-01
  moovitamix-api --port 0                         on a free port; the first line on stdout is the URL
  moovitamix-api --listens 1000000                a large history
  moovitamix-api --now 2026-03-01                 as on that day; then --now 2026-03-02 is what a day brings
  moovitamix-api --api-key "$KEY" --rate-limit 5  as strict as an API on the internet
"""


def settings_from(arguments: Sequence[str]) -> Settings:
    """The settings for these arguments; on a bad one, a message on stderr and exit code 2."""
    given = vars(_parser().parse_args(arguments))
    try:
        return Settings(**given)
    except ValidationError as error:
        _refuse(error, given)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="moovitamix-api",
        description="Serves the MooVitamix API: tracks, users and what they listened to.",
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


def _refuse(error: ValidationError, given: dict[str, str]) -> NoReturn:
    for problem in error.errors(include_url=False):
        expected = problem["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
        if not problem["loc"]:
            print(f"moovitamix-api: {expected}", file=sys.stderr)  # noqa: T201
            continue
        name = str(problem["loc"][0])
        got = "" if name == "api_key" else f", got {problem['input']!r}"
        origin = "" if name in given else f" (from {Settings.model_config['env_prefix']}{name.upper()})"
        print(f"moovitamix-api: {_flag(name)}{origin}: expected {expected}{got}", file=sys.stderr)  # noqa: T201
    sys.exit(2)
