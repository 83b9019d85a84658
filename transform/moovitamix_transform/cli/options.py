"""The options that several commands share, and the two consoles."""

from dataclasses import dataclass
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
    str, typer.Option("--warehouse", "-w", envvar="MOOVITAMIX_WAREHOUSE", help="The folder the tables live in.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="An array of objects; instants as ISO 8601 in UTC.")]
StrictOption = Annotated[bool, typer.Option("--strict", help="Exit 3 when a warning was counted.")]
LogLevelOption = Annotated[
    str, typer.Option("--log-level", callback=_log_level, help="The lowest level of the source's messages to show.")
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
    return Consoles(Console(), _Stderr(stderr=True))


def reading(root: str) -> Warehouse:
    """The warehouse, for reading."""
    return Warehouse(root).open()
