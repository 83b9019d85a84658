"""`check`: the newest build, judged again."""

import typer

from moovitamix_transform.check import check as run_checks
from moovitamix_transform.cli.options import (
    DEFAULT_WAREHOUSE,
    STRICT_EXIT,
    JsonOption,
    SettingsOption,
    StrictOption,
    WarehouseOption,
    reading,
)
from moovitamix_transform.cli.output import print_json, print_table

EXAMPLE = "Example: moovitamix check --strict"


def check(
    settings: SettingsOption = None,
    warehouse: WarehouseOption = DEFAULT_WAREHOUSE,
    as_json: JsonOption = False,
    strict: StrictOption = False,
) -> None:
    """Judge the newest build again: contracts, ledger, warnings, alarms. Exit 1 when one fails."""
    from moovitamix_transform.alarms.settings import load  # pydantic: the other commands start sooner without it

    results = [vars(result) for result in run_checks(reading(warehouse), load(settings))]
    if as_json:
        print_json(results)
    else:
        print_table(results, ("check", "subject", "outcome", "detail"), prose="detail")
    outcomes = {result["outcome"] for result in results}
    if "failed" in outcomes:
        raise typer.Exit(1)
    if strict and "warned" in outcomes:
        raise typer.Exit(STRICT_EXIT)
