"""Rows as a table for a person, as JSON or CSV for a program."""

import json
import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import polars as pl
import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from moovitamix_transform.cli.options import consoles

Row = dict[str, Any]
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


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
    flat = rows.with_columns(pl.Series(name, [_json(v) for v in rows[name].to_list()], pl.String) for name in nested)
    typer.echo(flat.write_csv(datetime_format="%Y-%m-%dT%H:%M:%S%.6fZ"), nl=False)


def print_table(
    rows: Sequence[Row], columns: Sequence[str], title: str | None = None, prose: str | None = None
) -> None:
    """Numbers to the right, nulls as a dash. Piped, it is as wide as its content.

    On a terminal that is too narrow the column `prose` wraps; where that is not enough, each row becomes a block of
    lines, a column a line, so that no value is broken.
    """
    console = consoles().out
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for column in columns:
        is_number = any(isinstance(row[column], int | float) and not isinstance(row[column], bool) for row in rows)
        table.add_column(column, justify="right" if is_number else "left", overflow="fold", no_wrap=column != prose)
    for row in rows:
        table.add_row(*(Text(shown(column, row[column])) for column in columns))
    if title:
        console.print(title, soft_wrap=True)
    width = console.measure(table, options=console.options.update(width=10_000))
    if not console.is_terminal:
        console.width = max(width.maximum, 1)
    elif width.maximum > console.width and (prose is None or width.minimum > console.width):
        _print_blocks(console, rows, columns)
        return
    console.print(table)


def tell_of_more_than(printed: int, total: int) -> None:
    """A table that was cut says so, on stderr."""
    if printed < total:
        consoles().err.print(f"{printed:,} of {total:,} rows; --limit shows more, --json all")


def _print_blocks(console: Console, rows: Sequence[Row], columns: Sequence[str]) -> None:
    names = max(len(column) for column in columns)
    for number, row in enumerate(rows, 1):
        console.print(f"── row {number} ──")
        for column in columns:
            value = shown(column, row[column])
            console.print(f"{column:<{names}}  {value}", soft_wrap=True)


def shown(column: str, value: object) -> str:
    """A value as a person reads it. Ids stay as they are, to be copied; control characters cannot reach a terminal."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return str(value) if column.endswith("_id") else f"{value:,}"
    if isinstance(value, datetime):
        return value.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "seconds")
    if isinstance(value, list | dict):
        return _json(value) or ""
    return _CONTROL.sub(lambda found: found.group().encode("unicode_escape").decode(), str(value))


def _json(value: object) -> str | None:
    return None if value is None else json.dumps(value, default=_iso, ensure_ascii=False)


def _iso(value: object) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
    raise TypeError(f"expected a JSON value or an instant, got {type(value).__name__}")
