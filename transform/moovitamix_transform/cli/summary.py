"""What a run did, for the person who started it."""

from dataclasses import asdict

from rich.console import Console

from moovitamix_transform import catalog
from moovitamix_transform.build import BuildResult
from moovitamix_transform.cli.options import consoles
from moovitamix_transform.cli.output import print_object, print_table
from moovitamix_transform.runs import Run
from moovitamix_transform.warehouse import Warehouse

STREAM_COLUMNS = (
    "stream",
    "received",
    "landed",
    "quarantined_lines",
    "new",
    "landed_total",
    "kept",
    "superseded",
    "quarantined",
)


def print_summary(warehouse: Warehouse, run: Run, result: BuildResult) -> None:
    """Per stream the ledger, per table rows and grain, the warnings, where it all is, what to try next."""
    out = consoles().out
    print_table([asdict(entry) for entry in run.streams], STREAM_COLUMNS, title=f"Run {run.run_id}: streams")
    tables = [
        {"table": entry.table, "rows": warehouse.count(entry.path, entry.version), "grain": entry.grain}
        for entry in catalog.entries(warehouse)
        if entry.layer == "marts" and entry.version is not None
    ]
    state = "published" if result.is_published else "nothing new, still the newest"
    print_table(tables, ("table", "rows", "grain"), title=f"Build {result.build.build_id} ({state}): marts")
    for warning in run.warnings:
        if warning.count:
            out.print(f"warning: {warning.table}: {warning.count:,} rows: {warning.name}", highlight=False)
    for notice in result.notices:
        out.print(f"note: {notice}", highlight=False)
    out.print(f"\nThe warehouse is {warehouse.root}. Every record is accounted for. Try next:", highlight=False)
    option = "" if warehouse.root == "warehouse" else f" --warehouse {warehouse.root}"
    for command in ("show track_popularity --limit 5", "tables", "quarantine list"):
        out.print(f"  moovitamix {command}{option}", highlight=False, soft_wrap=True)


def print_run(run: Run) -> None:
    print_object(asdict(run))


def print_landing(run: Run, console: Console) -> None:
    """One line a stream; `land` keeps stdout for the states."""
    for entry in run.streams:
        name = entry.stream or "lines without a stream"
        console.print(
            f"{name}: {entry.received:,} received, {entry.landed:,} landed, "
            f"{entry.quarantined_lines:,} quarantined lines",
            highlight=False,
            soft_wrap=True,
        )
