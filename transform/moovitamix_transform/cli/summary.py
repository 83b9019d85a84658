"""What a run did, for the person who started it."""

from collections.abc import Collection, Iterable
from dataclasses import asdict

from rich.console import Console

from moovitamix_transform import catalog
from moovitamix_transform.build import BuildResult
from moovitamix_transform.cli.invocation import command_line
from moovitamix_transform.cli.options import consoles
from moovitamix_transform.cli.output import Row, print_object, print_table
from moovitamix_transform.data_warnings import all_warnings
from moovitamix_transform.runs import Run, StreamLedger
from moovitamix_transform.warehouse import Warehouse
from moovitamix_transform.wording import counted

NO_STREAM = "(names no stream)"


def print_summary(warehouse: Warehouse, run: Run, result: BuildResult, accepted: Collection[str]) -> None:
    """Per stream the ledger, per table rows and grain, the warnings, where it all is, what to try next.

    Args:
        accepted: names of warnings.
    """
    out = consoles().out
    if run.kind == "run":
        print_table(
            [_of_run(entry) for entry in run.streams],
            ("stream", "received", "landed", "quarantined lines", "new"),
            title=f"Run {run.run_id}: received = landed + quarantined lines; new = never seen, or changed",
        )
        out.print()
    whole = [entry for entry in run.streams if entry.landed_total is not None]
    parts = list(dict.fromkeys(part for entry in whole for part in entry.parts()))
    print_table(
        [{**vars(entry), "landed": entry.landed_total} for entry in whole],
        ("stream", "landed", *parts),
        title=f"All runs: landed = {' + '.join(parts)}",
    )
    tables = [
        {"table": entry.table, "rows": warehouse.count(entry.path, entry.version), "grain": entry.grain}
        for entry in catalog.entries(warehouse)
        if entry.layer == "marts" and entry.version is not None
    ]
    state = "published" if result.is_published else "nothing new, still the newest"
    print_table(
        tables, ("table", "rows", "grain"), title=f"\nBuild {result.build.build_id} ({state}): marts", prose="grain"
    )
    out.print()
    meanings = {warning.name: warning.meaning for warning in all_warnings()}
    for warning in run.warnings:
        if warning.count:
            meaning = meanings[warning.name]
            kind = "accepted warning" if warning.name in accepted else "warning"
            text = f"{kind}: {warning.count:,} {meaning[0].lower()}{meaning[1:]}. They are kept. ({warning.name})"
            out.print(text, soft_wrap=not out.is_terminal)
    for alarm in run.alarms:
        out.print(f"alarm ({alarm.level}): {alarm.kind} {alarm.subject}: {alarm.detail}", soft_wrap=not out.is_terminal)
    print_quarantined(warehouse, run, out)
    print_notices(result.notices, out)
    text = f"The warehouse is {warehouse.root}. Every record is accounted for. Try next:"
    out.print(text, soft_wrap=True)
    for command in ("show track_popularity --limit 5", "tables", "quarantine list"):
        out.print(f"  {command_line(command, warehouse)}", soft_wrap=True)


def print_quarantined(warehouse: Warehouse, run: Run, console: Console) -> None:
    """What a build left out of the tables, where it did, and the command that shows it."""
    records = sum(entry.quarantined or 0 for entry in run.streams)
    lines = warehouse.count("source/_lines")
    if records or lines:
        command = command_line("quarantine list", warehouse)
        text = f"quarantined: {counted(records, 'record')}, {counted(lines, 'line')}; `{command}` says why"
        console.print(text, soft_wrap=not console.is_terminal)


def print_notices(notices: Iterable[str], console: Console) -> None:
    """What a build noticed, which no later one says again."""
    for notice in notices:
        console.print(f"note: {notice}", soft_wrap=not console.is_terminal)


def _of_run(entry: StreamLedger) -> Row:
    return {
        "stream": entry.stream or NO_STREAM,
        "received": entry.received,
        "landed": entry.landed,
        "quarantined lines": entry.quarantined_lines,
        "new": entry.new,
    }


def print_run(run: Run) -> None:
    print_object(asdict(run))


def print_landing(warehouse: Warehouse, run: Run, console: Console) -> None:
    """One line a stream, and what was put aside; `land` keeps stdout for the states."""
    for entry in run.streams:
        name = entry.stream or "lines without a stream"
        console.print(
            f"{name}: {entry.received:,} received, {entry.landed:,} landed, "
            f"{entry.quarantined_lines:,} quarantined lines",
            soft_wrap=True,
        )
    if lines := sum(entry.quarantined_lines for entry in run.streams):
        command = command_line("show _lines", warehouse)
        that, shows = ("is no record", "shows it") if lines == 1 else ("are no records", "shows them")
        console.print(f"quarantined: {counted(lines, 'line')} that {that}; `{command}` {shows}", soft_wrap=True)
