"""`prune`: what no table needs any more."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from moovitamix_transform import upkeep
from moovitamix_transform.cli.options import DEFAULT_WAREHOUSE, WarehouseOption, consoles
from moovitamix_transform.cli.output import print_object, print_table
from moovitamix_transform.cli.summary import print_notices
from moovitamix_transform.errors import UsageError
from moovitamix_transform.progress import RunProgress
from moovitamix_transform.warehouse import Warehouse

EXAMPLE = "Example: moovitamix prune --keep 30d --apply"
_UNITS = {"h": "hours", "d": "days", "w": "weeks"}


def prune(
    keep: Annotated[str, typer.Option(metavar="AGE", help="What is younger stays: 12h, 30d, 8w.")] = "30d",
    apply: Annotated[bool, typer.Option("--apply", help="Do it; without, it is only said.")] = False,
    warehouse: WarehouseOption = DEFAULT_WAREHOUSE,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Take out repeated observations and old builds. Their bytes are reclaimed; no table changes a row."""
    before = datetime.now(UTC) - _age(keep)
    progress = RunProgress(consoles().err, "WARN")
    with progress.shown():
        pruned = upkeep.prune(Warehouse(warehouse), before, progress, apply=apply, tell=_tell)
    if as_json:
        print_object({"is_applied": apply, "before": before, **vars(pruned)})
        return
    rows = [{"stream": stream, **counts} for stream, counts in pruned.streams.items()]
    print_table(rows, ("stream", "records", "bytes of text"), title="Observations that repeat the one before them")
    out = consoles().out
    kept = f"{pruned.kept_builds:,} {'stays' if pruned.kept_builds == 1 else 'stay'}"
    size = f"{pruned.bytes:,}" if apply else f"at least {pruned.bytes:,}"  # compaction frees more
    out.print(f"\n{'Forgotten' if apply else 'Old'} builds: {pruned.old_builds:,}; {kept}. Files: {size} bytes.")
    if not apply:
        out.print("Nothing was changed; --apply does it.")


def _tell(notice: str) -> None:
    print_notices([notice], consoles().err)


def _age(text: str) -> timedelta:
    found = re.fullmatch("([0-9]{1,5})([hdw])", text.strip())
    if found is None:
        raise UsageError(f"prune --keep: expected a number of hours, days or weeks, such as 30d, got {text!r}")
    return timedelta(**{_UNITS[found[2]]: int(found[1])})
