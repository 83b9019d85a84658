"""`builds` and `diff`: what was published when, and what changed from one build to another."""

from typing import Annotated

import typer

from moovitamix_transform import builds as all_builds
from moovitamix_transform import listings
from moovitamix_transform.builds import Build
from moovitamix_transform.cli.options import (
    DEFAULT_WAREHOUSE,
    JsonOption,
    LimitOption,
    WarehouseOption,
    consoles,
    reading,
)
from moovitamix_transform.cli.output import print_json, print_table, tell_of_more_than
from moovitamix_transform.cli.tables import PERSON_ROWS
from moovitamix_transform.diff import diff as compare_builds

BUILDS_EXAMPLE = "Example: moovitamix builds --limit 5"
DIFF_EXAMPLE = "Example: moovitamix diff 1 2; moovitamix diff 2026-11-23 2026-11-24"

AllOption = Annotated[bool, typer.Option("--all", help="Also what is the same in both.")]


def builds(
    limit: LimitOption = None, warehouse: WarehouseOption = DEFAULT_WAREHOUSE, as_json: JsonOption = False
) -> None:
    """List the builds, newest first. Of each: when, by which run, how many of its tables got a new version."""
    rows = listings.builds(reading(warehouse))
    if as_json:
        print_json(rows[:limit])
        return
    shown = rows[: PERSON_ROWS if limit is None else limit]
    people = [row | {"full": row["full_refresh"], "changed": row["new_version_count"]} for row in shown]
    print_table(people, ("build_id", "built_at", "run_id", "full", "changed"))
    tell_of_more_than(len(shown), len(rows))
    if not rows:
        consoles().err.print("no build is published yet; `moovitamix build` makes one")


def diff(
    a: Annotated[str, typer.Argument(metavar="A", help="A build's number, or a date: the last build of that day.")],
    b: Annotated[str, typer.Argument(metavar="B", help="The build to compare it to, likewise.")],
    show_all: AllOption = False,
    warehouse: WarehouseOption = DEFAULT_WAREHOUSE,
    as_json: JsonOption = False,
) -> None:
    """Count what changed from build A to build B. Per table: the rows added, removed and changed, by its key."""
    house = reading(warehouse)
    before, after = all_builds.find(house, a), all_builds.find(house, b)
    results = compare_builds(house, before, after)
    rows = (vars(each) for each in results if show_all or _is_new(each.table, before, after))
    if as_json:
        print_json(rows)
        return
    found = list(rows)
    title = f"From build {before.build_id} ({before.built_on}) to build {after.build_id} ({after.built_on})"
    print_table(found, ("table", "added", "removed", "changed"), title=title)
    if not found:
        consoles().err.print("every table has the same version in both; --all lists them")


def _is_new(table: str, before: Build, after: Build) -> bool:
    return before.tables.get(table) != after.tables.get(table)
