"""The options that several commands share, and the two consoles."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from moovitamix_transform.progress import LEVELS
from moovitamix_transform.warehouse import Warehouse


def _log_level(value: str) -> str:
    if value.upper() not in LEVELS:
        raise typer.BadParameter(f"expected one of {', '.join(LEVELS)}, got {value!r}")
    return value.upper()


WarehouseOption = Annotated[
    str,
    typer.Option("--warehouse", "-w", envvar="MOOVITAMIX_WAREHOUSE", help="The folder the tables live in, or s3://…"),
]
JsonOption = Annotated[bool, typer.Option("--json", help="An array of objects; instants as ISO 8601 in UTC.")]
LimitOption = Annotated[int | None, typer.Option(min=0, help="Rows at most; a person gets 20 unless told.")]
StrictOption = Annotated[
    bool,
    typer.Option(
        "--strict", help="Exit 3 when an alarm was raised, or a warning counted that the settings do not accept."
    ),
]
SettingsOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        envvar="MOOVITAMIX_SETTINGS",
        help="Limits of alarms, who is told, accepted warnings; by default moovitamix.toml in the working directory.",
    ),
]
LogLevelOption = Annotated[
    str,
    typer.Option(
        "--log-level",
        callback=_log_level,
        help="The lowest level of the source's messages to show. INFO shows errors at once, and those told again too.",
    ),
]

DEFAULT_WAREHOUSE = "warehouse"
STRICT_EXIT = 3


@dataclass(frozen=True)
class Consoles:
    """`out` is for results and can be piped, `err` for everything else."""

    out: Console
    err: Console


class _Stderr(Console):
    def on_broken_pipe(self) -> None:
        """Nobody reads the progress any more: the work goes on without it."""
        self.quiet = True


def consoles() -> Consoles:
    # Names and data may look like markup, an emoji's name or a number to be coloured: they are shown as they are.
    return Consoles(
        Console(markup=False, emoji=False, highlight=False),
        _Stderr(stderr=True, markup=False, emoji=False, highlight=False),
    )


def reading(root: str) -> Warehouse:
    """The warehouse, for reading."""
    return Warehouse(root).open()


def help_without_command(context: typer.Context) -> None:
    """A group called by itself prints its help, and is a usage error."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), err=True)
        raise typer.Exit(2)
