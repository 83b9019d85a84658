"""`graph`: what each table is made of, and with --columns each column."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from moovitamix_transform import column_lineage, lineage
from moovitamix_transform.cli.options import JsonOption, consoles
from moovitamix_transform.cli.output import Row, print_json
from moovitamix_transform.errors import UsageError
from moovitamix_transform.graph import models

EXAMPLE = "Example: moovitamix graph --columns user_profiles.top_genre"


def graph(
    chosen: Annotated[
        str | None, typer.Argument(metavar="TABLE[.COLUMN]", help="With --columns: this table's or this one only.")
    ] = None,
    form: Annotated[
        Literal["mermaid", "html"],
        typer.Option("--format", help="Text for a page that draws it, or a page of its own, columns included."),
    ] = "mermaid",
    columns: Annotated[bool, typer.Option("--columns", help="From the API's fields to columns.")] = False,
    as_json: JsonOption = False,
    out: Annotated[Path | None, typer.Option(help="The file to write; stdout by default.")] = None,
    _warehouse: Annotated[
        str | None, typer.Option("--warehouse", "-w", help="Taken as by every command; no graph depends on one.")
    ] = None,
) -> None:
    """Print what each table or column is made of. From the models' signatures and contracts: it needs no warehouse."""
    if chosen is not None and not columns:
        raise UsageError(f"graph: expected --columns beside {chosen!r}: without it all tables are drawn")
    if form == "html" and (columns or as_json):
        raise UsageError("graph: expected --format html without --columns and --json: the page has every column")
    if as_json and out is not None:
        raise UsageError("graph: expected --json without --out: it goes to stdout")
    if as_json:
        print_json(_of_columns(chosen) if columns else _of_tables())
        return
    text = lineage.html() if form == "html" else lineage.column_mermaid(chosen) if columns else lineage.mermaid()
    if out is None:
        typer.echo(text)
        return
    out.write_text(text + "\n", encoding="utf-8")
    consoles().err.print(f"written: {out}", soft_wrap=True)


def _of_columns(chosen: str | None) -> list[Row]:
    return [
        {"table": each.table, "column": each.column, "from": list(each.values), "rows_by": list(each.rows)}
        for each in column_lineage.columns(chosen)
    ]


def _of_tables() -> list[Row]:
    return [{"table": each.name, "layer": each.layer, "reads": list(each.reads)} for each in models().values()]
