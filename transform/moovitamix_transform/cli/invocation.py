"""How the reader calls this program from where they stand."""

import os
import shlex
import shutil
import sys
from pathlib import Path

from moovitamix_transform.cli.options import DEFAULT_WAREHOUSE
from moovitamix_transform.warehouse import Warehouse

NAME = "moovitamix"


def command_line(command: str, warehouse: Warehouse) -> str:
    """A command on this warehouse, to be copied into the shell as it is."""
    known = os.environ.get("MOOVITAMIX_WAREHOUSE") or DEFAULT_WAREHOUSE
    option = "" if warehouse == Warehouse(known) else f" --warehouse {shlex.quote(warehouse.root)}"
    return f"{_program()} {command}{option}"


def _program() -> str:
    """`moovitamix` when the shell finds this very program under that name, else the path to it."""
    program, found = Path(sys.argv[0]), shutil.which(NAME)
    if program.name != NAME or not program.exists():
        return NAME
    if found and Path(found).samefile(program):
        return NAME
    program = program.absolute()
    folder = Path.cwd()
    if program.is_relative_to(folder):
        relative = program.relative_to(folder)
        return shlex.quote(str(relative) if len(relative.parts) > 1 else f"./{relative}")
    return shlex.quote(str(program))
