"""`quarantine`: what was received but does not count, and why."""

from typing import Annotated

import polars as pl
import typer

from moovitamix_transform import catalog, listings, upkeep
from moovitamix_transform.cli.options import (
    DEFAULT_WAREHOUSE,
    JsonOption,
    LimitOption,
    WarehouseOption,
    consoles,
    help_without_command,
    reading,
)
from moovitamix_transform.cli.output import print_json, print_table
from moovitamix_transform.cli.summary import print_notices
from moovitamix_transform.cli.tables import PERSON_ROWS, tell_of_more
from moovitamix_transform.errors import UsageError
from moovitamix_transform.masking import mask
from moovitamix_transform.progress import RunProgress
from moovitamix_transform.streams import STREAMS
from moovitamix_transform.warehouse import Warehouse

app = typer.Typer(
    invoke_without_command=True,
    help="What was received but does not count, and why.",
    epilog="Example: moovitamix quarantine list",
    rich_markup_mode=None,
)


@app.callback()
def _group(context: typer.Context) -> None:
    help_without_command(context)


@app.command("list", epilog="Example: moovitamix quarantine list --json")
def list_(warehouse: WarehouseOption = DEFAULT_WAREHOUSE, as_json: JsonOption = False) -> None:
    """Count the rows per stream and rule. Of each: when it was first and last seen."""
    rows = listings.quarantine(reading(warehouse))
    if as_json:
        print_json(rows.iter_rows(named=True))
    else:
        print_table(rows.to_dicts(), rows.columns)
        if not rows.height:
            consoles().err.print("nothing is quarantined")


@app.command("show", epilog="Example: moovitamix quarantine show --stream tracks --rule duration_unreadable")
def show(
    stream: Annotated[str | None, typer.Option(help="Of this stream only.")] = None,
    rule: Annotated[str | None, typer.Option(help="Of this rule only.")] = None,
    limit: LimitOption = None,
    warehouse: WarehouseOption = DEFAULT_WAREHOUSE,
    as_json: JsonOption = False,
) -> None:
    """Print the rows: what came, which rule it breaks. What was expected and which run received it, too."""
    everything = catalog.resolve(reading(warehouse), "quarantine").sort("extracted_at", "raw_id", "rule")
    frame = everything
    for column, chosen, known in (("stream", stream, list(STREAMS)), ("rule", rule, listings.rules())):
        if chosen is not None:
            frame = frame.filter(pl.col(column) == chosen)
            if chosen not in known:
                _require_there(everything, column, chosen, known)
    shown = limit if limit is not None or as_json else PERSON_ROWS
    rows = (frame if shown is None else frame.head(shown)).collect()
    if as_json:
        print_json(rows.iter_rows(named=True))
        return
    people = [{**row, "detail": mask(row["detail"]), "data": mask(row["data"])} for row in rows.to_dicts()]
    print_table(people, ("stream", "rule", "detail", "raw_id", "run_id", "extracted_at", "data"))
    tell_of_more(frame, rows.height, shown)


def _require_there(rows: pl.LazyFrame, column: str, chosen: str, known: list[str]) -> None:
    """UsageError unless there are rows of it: a line may name any stream, an older rule may be gone from the code."""
    there = rows.select(column).unique().collect()[column].drop_nulls().to_list()
    if chosen not in there:
        every = sorted({*known, *there})
        raise UsageError(f"quarantine show --{column}: expected one of {', '.join(every)}, got {chosen!r}")


@app.command("replay", epilog="Example: moovitamix quarantine replay")
def replay(warehouse: WarehouseOption = DEFAULT_WAREHOUSE, as_json: JsonOption = False) -> None:
    """Judge all that landed by today's rules, build all tables of it. What passes now enters them."""
    progress = RunProgress(consoles().err, "WARN")
    with progress.shown():
        replayed = upkeep.replay(Warehouse(warehouse), progress)
    if as_json:
        print_json(replayed.rows.iter_rows(named=True))
        print_notices(replayed.result.notices, consoles().err)
        return
    print_table(replayed.rows.to_dicts(), replayed.rows.columns)
    state = "published" if replayed.result.is_published else "nothing changed, still the newest"
    consoles().out.print(f"\nBuild {replayed.result.build.build_id} ({state}).")
    print_notices(replayed.result.notices, consoles().out)
