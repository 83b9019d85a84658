"""`check`: the newest build, judged again."""

from collections.abc import Iterable
from typing import Annotated

import typer

from moovitamix_transform.alarms.watch import Watch
from moovitamix_transform.check import CheckResult
from moovitamix_transform.check import check as run_checks
from moovitamix_transform.cli.options import (
    DEFAULT_WAREHOUSE,
    STRICT_EXIT,
    JsonOption,
    SettingsOption,
    StrictOption,
    WarehouseOption,
    consoles,
    reading,
)
from moovitamix_transform.cli.output import print_json, print_table
from moovitamix_transform.errors import UsageError

EXAMPLE = "Example: moovitamix check --strict"


def check(
    settings: SettingsOption = None,
    warehouse: WarehouseOption = DEFAULT_WAREHOUSE,
    as_json: JsonOption = False,
    strict: StrictOption = False,
    notify: Annotated[
        bool, typer.Option("--notify", help="Send a message of what is wrong, once, and one when it is over.")
    ] = False,
) -> None:
    """Judge the newest build again. Contracts, ledger, fields, warnings, alarms; exit 1 when one fails."""
    from moovitamix_transform.alarms.settings import NOTIFY, load  # pydantic: the other commands start sooner without

    limits = load(settings)
    if notify and not limits.channels():
        raise UsageError(f"check --notify: expected channels in [notify] urls of the settings or in {NOTIFY}, got none")
    house = reading(warehouse)
    found = run_checks(house, limits)
    results = [vars(result) for result in found]
    if as_json:
        print_json(results)
    else:
        print_table(results, ("check", "subject", "outcome", "detail"), prose="detail")
    if notify:
        err = consoles().err
        Watch(house, limits).look(
            _subjects(found, "failed"),
            _subjects(found, "passed"),
            lambda notice: err.print(f"alarms: {notice}", soft_wrap=True),
        )
    outcomes = {result["outcome"] for result in results}
    if "failed" in outcomes:
        raise typer.Exit(1)
    if strict and "warned" in outcomes:
        raise typer.Exit(STRICT_EXIT)


def _subjects(results: Iterable[CheckResult], outcome: str) -> list[str]:
    """Of what no alarm is for: the contracts and the ledger."""
    judged = ("contract", "ledger")
    return [f"{each.check} {each.subject}" for each in results if each.check in judged and each.outcome == outcome]
