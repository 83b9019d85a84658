"""`tables` and `show`: what there is, and its rows."""

from typing import Annotated

import polars as pl
import typer

from moovitamix_transform import catalog, listings
from moovitamix_transform.cli.options import (
    DEFAULT_WAREHOUSE,
    JsonOption,
    LimitOption,
    WarehouseOption,
    consoles,
    reading,
)
from moovitamix_transform.cli.output import print_csv, print_json, print_table, tell_of_more_than
from moovitamix_transform.errors import UsageError
from moovitamix_transform.graph import Model, models

TABLES_EXAMPLE = "Example: moovitamix tables"
SHOW_EXAMPLE = "Example: moovitamix show track_popularity --as-of 2026-11-24 --limit 5"
PERSON_ROWS = 20
PERSON_COLUMNS = ("table", "layer", "rows", "build_id", "grain")


def tables(warehouse: WarehouseOption = DEFAULT_WAREHOUSE, as_json: JsonOption = False) -> None:
    """List every table: layer, rows, build, grain. With --json its Delta version, too."""
    rows = listings.tables(reading(warehouse))
    if as_json:
        print_json(rows)
    else:
        print_table(rows, PERSON_COLUMNS, prose="grain")


def show(
    table: Annotated[
        str, typer.Argument(metavar="TABLE", help="A bare name, such as fct_listens; `moovitamix tables` lists them.")
    ],
    as_of: Annotated[
        str | None,
        typer.Option(
            metavar="BUILD|DATE", help="As a build had it: its number, or a day, the last build before its end (UTC)."
        ),
    ] = None,
    limit: LimitOption = None,
    as_json: JsonOption = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="CSV with a header; lists as JSON.")] = False,
    warehouse: WarehouseOption = DEFAULT_WAREHOUSE,
) -> None:
    """Print a table's rows, of the newest build or an earlier one."""
    if as_json and as_csv:
        raise UsageError("show: expected one of --json and --csv, got both")
    frame = catalog.resolve(reading(warehouse), table, as_of)
    if table in models():
        frame = frame.sort(_reading_order(models()[table]))
    shown = limit if limit is not None or as_json or as_csv else PERSON_ROWS
    rows = (frame if shown is None else frame.head(shown)).collect(engine="streaming")
    if as_json:
        print_json(rows.iter_rows(named=True))
    elif as_csv:
        print_csv(rows)
    else:
        print_table(rows.to_dicts(), rows.columns)
        tell_of_more(frame, rows.height, shown)


def _reading_order(model: Model) -> list[str]:
    """By the key, so that the same rows print the same; a ranking from its top."""
    key = list(model.contract.primary_key())
    return ["rank", *key] if "rank" in model.contract.column_names() else key


def tell_of_more(frame: pl.LazyFrame, printed: int, limit: int | None) -> None:
    """A table that was cut says so, on stderr."""
    if printed == limit:
        total = frame.select(pl.len()).collect(engine="streaming").item()
        tell_of_more_than(printed, total)
    elif printed == 0:
        consoles().err.print("no rows")
