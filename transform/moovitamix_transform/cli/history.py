"""`history`: what ran, how it ended, what it did, and how two runs differ."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Annotated

import typer

from moovitamix_transform import run_history, runs
from moovitamix_transform.cli.builds import AllOption
from moovitamix_transform.cli.options import (
    DEFAULT_WAREHOUSE,
    JsonOption,
    LimitOption,
    WarehouseOption,
    consoles,
    reading,
)
from moovitamix_transform.cli.output import Row, print_json, print_object, print_table, shown, tell_of_more_than
from moovitamix_transform.cli.summary import NO_STREAM
from moovitamix_transform.cli.tables import PERSON_ROWS
from moovitamix_transform.runs import UNUSUAL_PARTS, Run
from moovitamix_transform.warehouse import Warehouse

KEYS = (
    *("run_id", "kind", "started_at", "ended_at", "status", "build_id", "streams", "tables", "warnings"),
    *("message", "started_by", "versions", "config", "config_sha256", "peak_memory_bytes", "child_peak_memory_bytes"),
    *("nulls", "alarms"),
)
OWN_KEYS = ("quarantined_records", "sync_mode", "state_before", "state_after")
STREAM_KEYS = (
    "stream",
    "received",
    "landed",
    "quarantined_lines",
    "landed_total",
    "kept",
    "superseded",
    "quarantined",
)
HELP = "List every run, newest first. Of each: how it ended, what it received and built."

_MEMORY = {"peak_memory_bytes": "memory, MiB", "child_peak_memory_bytes": "source's, MiB"}
_FACTS = ("run_id", "kind", "status", "started_at", "ended_at", "build_id", "started_by", "config", "message")
_STREAM_JSON = (*STREAM_KEYS, *OWN_KEYS)

RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="A run's id, or its beginning; also that of its tail.")]
OwnWarehouseOption = Annotated[
    str | None, typer.Option("--warehouse", "-w", help="As that of `history`, which it replaces.")
]

app = typer.Typer(
    invoke_without_command=True,
    help=HELP,
    epilog="Example: moovitamix history --limit 5",
    rich_markup_mode=None,
)


@app.callback()
def history(
    context: typer.Context,
    limit: LimitOption = None,
    warehouse: WarehouseOption = DEFAULT_WAREHOUSE,
    as_json: JsonOption = False,
) -> None:
    """List every run, newest first. Of each: how it ended, what it received and built."""
    context.obj = (warehouse, as_json)
    if context.invoked_subcommand is not None:
        return
    house = reading(warehouse)
    rows = run_history.every(house, limit=limit if limit is not None or as_json else PERSON_ROWS)
    if as_json:
        print_json(map(_json, rows))
        return
    people = [
        {**vars(run), "seconds": run.seconds, "received": sum(entry.received for entry in run.streams)} for run in rows
    ]
    print_table(people, ("run_id", "kind", "status", "seconds", "received", "build_id"))
    tell_of_more_than(len(rows), runs.starts(house).height)


@app.command("show", epilog="Example: moovitamix history show 20261124T0904")
def show(
    context: typer.Context,
    run: RunArgument,
    warehouse: OwnWarehouseOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="The run as one JSON object.")] = False,
) -> None:
    """Print one run: its end, ledger, tables, warnings."""
    found = run_history.find(run_history.every(_house(context, warehouse)), run)
    if as_json or context.obj[1]:
        print_object(_json(found))
        return
    out = consoles().out
    for name in _FACTS:
        value = getattr(found, name)
        if value is not None:
            out.print(f"{name:<10}  {shown(name, value)}", soft_wrap=True)
    for title, facts in _more(found):
        out.print(f"{title:<10}  {facts}", soft_wrap=True)
    streams = [vars(entry) | {"stream": entry.stream or NO_STREAM} for entry in found.streams]
    whole = [entry for entry in found.streams if entry.landed_total is not None]
    parts = list(dict.fromkeys(part for entry in whole for part in entry.parts()))
    for title, columns, rows in (
        ("This run: received = landed + quarantined_lines", STREAM_KEYS[:4], streams),
        (
            f"All runs: landed_total = {' + '.join(parts)}",
            ("stream", "landed_total", *parts),
            [vars(entry) for entry in whole],
        ),
        ("How each stream was asked for, and its states", ("stream", *OWN_KEYS[1:]), _asked(found)),
        ("Tables", ("table", "rows", "seconds"), [vars(entry) for entry in found.tables]),
        ("Warnings", ("name", "table", "count"), [vars(entry) for entry in found.warnings]),
        (
            "Columns with nulls",
            ("table", "column", "nulls", "rows"),
            [vars(each) for each in found.nulls if each.nulls],
        ),
        ("Alarms", ("level", "kind", "subject", "detail"), [vars(entry) for entry in found.alarms]),
    ):
        if rows:
            out.print()
            print_table(rows, columns, title=title)


@app.command("compare", epilog="Example: moovitamix history compare 20261123 20261124")
def compare(
    context: typer.Context,
    a: Annotated[str, typer.Argument(metavar="A", help="A run's id, or its beginning.")],
    b: Annotated[str, typer.Argument(metavar="B", help="The run to compare it to, likewise.")],
    show_all: AllOption = False,
    warehouse: OwnWarehouseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print the numbers in which two runs differ.

    Seconds, memory, streams, tables, warnings, nulls. Tables that one of them had no need to build are not listed
    without --all.
    """
    history = run_history.every(_house(context, warehouse))
    one, other = run_history.find(history, a), run_history.find(history, b)
    rows = [
        {**asdict(each), "difference": each.difference}
        for each in run_history.compare(one, other)
        if show_all or (each.a != each.b and (each.is_of_both or each.kind not in ("table", "column")))
    ]
    if as_json or context.obj[1]:
        print_json(rows)
        return
    people = [_for_a_person(row) for row in rows]
    title = f"a = {one.run_id} ({one.status}), b = {other.run_id} ({other.status})"
    print_table(people, ("subject", "measure", "a", "b", "difference"), title=title)
    if not rows:
        consoles().err.print("every number is the same in both; --all lists them")


def _for_a_person(row: Row) -> Row:
    """Narrow enough for a terminal: memory in MiB, a column's nulls under its table."""
    if row["measure"] in _MEMORY:
        mib = {name: row[name] and round(row[name] / 2**20, 1) for name in ("a", "b", "difference")}
        return {**row, **mib, "subject": "run", "measure": _MEMORY[row["measure"]]}
    if row["kind"] == "column":
        table, _, column = row["subject"].partition(".")
        return {**row, "subject": table, "measure": f"nulls: {column}"}
    return {**row, "subject": row["subject"] or {"run": "run", "stream": NO_STREAM}[row["kind"]]}


def _house(context: typer.Context, warehouse: str | None) -> Warehouse:
    return reading(warehouse or context.obj[0])


def _more(run: Run) -> Iterator[tuple[str, str]]:
    """What is told in one line of several facts; nothing of a run that did not record it."""
    if run.versions:
        yield "versions", ", ".join(f"{package} {version}" for package, version in run.versions.items())
    if run.peak_memory_bytes is not None:
        child = "" if run.child_peak_memory_bytes is None else f", its source {run.child_peak_memory_bytes:,} bytes"
        yield "memory", f"at most {run.peak_memory_bytes:,} bytes{child}"


def _asked(run: Run) -> list[Row]:
    named = [entry for entry in run.streams if entry.stream is not None]
    return [vars(entry) for entry in named if entry.sync_mode or entry.state_before or entry.state_after]


def _json(run: Run) -> Row:
    row = asdict(run)
    row["streams"] = [
        {name: value for name, value in entry.items() if name in _STREAM_JSON or (name in UNUSUAL_PARTS and value)}
        for entry in row["streams"]
    ]
    return {name: row[name] for name in KEYS}
