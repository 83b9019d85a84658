"""The report's file: there whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

FILE_NAME = "report.html"


def write(path: Path, text: str) -> None:
    """Written beside it and renamed over it: who reads it meanwhile, or after a crash, reads the one before."""
    part = path.with_name(_part_of(path.name, os.getpid()))
    try:
        with part.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        with suppress(OSError):
            part.unlink()
        raise


def written(folder: Path) -> Iterator[Path]:
    """The report in a folder, and what killed processes left of one."""
    yield from folder.glob(FILE_NAME)
    yield from folder.glob(_part_of(FILE_NAME, "*"))


def _part_of(name: str, process: int | str) -> str:
    return f".{name}.{process}.part"
