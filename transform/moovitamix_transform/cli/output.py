"""Rows as a table for a person, as JSON or CSV for a program."""

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import polars as pl
import typer
from rich.table import Table

from moovitamix_transform.cli.options import consoles

Row = dict[str, Any]
_ISO = "%Y-%m-%dT%H:%M:%S.%fZ"


def print_json(rows: Iterable[Row]) -> None:
    """An array with one object a line, written as it goes."""
    separator = "[\n"
    for row in rows:
        typer.echo(separator + json.dumps(row, default=_iso, ensure_ascii=False), nl=False)
        separator = ",\n"
    typer.echo("[]" if separator == "[\n" else "\n]")


def print_object(content: object) -> None:
    typer.echo(json.dumps(content, default=_iso, ensure_ascii=False, indent=2))


def print_csv(rows: pl.DataFrame) -> None:
    """With a header; lists as JSON."""
    nested = [name for name, dtype in rows.schema.items() if dtype.is_nested()]
    flat = rows.with_columns(
        pl.Series(name, [None if v is None else json.dumps(v, default=_iso) for v in rows[name].to_list()], pl.String)
        for name in nested
    )
    typer.echo(flat.write_csv(datetime_format="%Y-%m-%dT%H:%M:%S%.6fZ"), nl=False)


def print_table(rows: Sequence[Row], columns: Sequence[str], title: str | None = None) -> None:
    """Numbers to the right, nulls as a dash; as wide as its content when it is piped."""
    table = Table(title=title, title_justify="left")
    for column in columns:
        is_number = any(isinstance(row[column], int | float) for row in rows)
        table.add_column(column, justify="right" if is_number else "left", overflow="fold")
    for row in rows:
        table.add_row(*(_shown(row[column]) for column in columns))
    console = consoles().out
    if not console.is_terminal:
        console.width = max(console.measure(table, options=console.options.update(width=10_000)).maximum, 40)
    console.print(table, highlight=False, markup=False)


def _shown(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
    if isinstance(value, list | dict):
        return json.dumps(value, default=_iso, ensure_ascii=False)
    return str(value)


def _iso(value: object) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime(_ISO)
    raise TypeError(f"expected a JSON value or an instant, got {type(value).__name__}")
