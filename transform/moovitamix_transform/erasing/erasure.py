"""Rows out of the files of a Delta table on a local folder, whichever version has them, readable or not."""

import json
import shutil
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from moovitamix_transform.erasing import delta_log
from moovitamix_transform.erasing.delta_log import Copy
from moovitamix_transform.errors import WarehouseError, first_line

_SCRATCH = ".erasing"
_PARQUET = b"PAR1"
_ONE_FILE = 2**40  # bytes, more than a file has: a copy is never split


@dataclass(frozen=True)
class Trace:
    """Which rows of a table to take out, or, where `struck` is given, the columns to write over in them."""

    rows: pl.Expr
    struck: dict[str, pl.Expr] | None = None


TraceOf = Callable[[Collection[str]], Trace | None]


@dataclass(frozen=True)
class Found:
    """Rows in all files of a table: one that three files repeat, for three versions, counts three times."""

    rows: int
    files: int


def others(root: Path) -> list[Path]:
    """The files in a warehouse's folder that are no table's."""
    files = (path for path in root.rglob("*") if path.is_file() and ".parquet" not in path.name)
    return sorted(path for path in files if delta_log.FOLDER not in path.relative_to(root).parts)


def tables(root: Path) -> list[str]:
    """Every Delta table below a folder, by its path in it, those that no build reads any more included."""
    logs = sorted(root.glob(f"[!.]*/*/{delta_log.FOLDER}"))
    return [log.parent.relative_to(root).as_posix() for log in logs]


def readable_files(folder: Path) -> list[Path]:
    """The data files of a table that can be read: those a version names, and whole ones that none does.

    Raises WarehouseError for a file that a version names and that has another size there.
    """
    named = delta_log.data_files(folder)
    found = []
    for path in _files(folder):
        expected = named.get(path.relative_to(folder).as_posix())
        if expected is None:
            if _is_whole(path):
                found.append(path)
            continue
        if path.stat().st_size != expected:
            raise _damaged(path, f"{expected} bytes, got {path.stat().st_size}")
        found.append(path)
    return found


def count(folder: Path, trace_of: TraceOf) -> Found:
    rows = [count_in(path, trace_of) for path in readable_files(folder)]
    return Found(sum(rows), sum(1 for each in rows if each))


def erase(root: Path, table: str, trace_of: TraceOf) -> None:
    """The table's versions without the traced rows; data files that no version names go, whatever they hold.

    The caller holds the warehouse's lock: what no version names was left by a killed command. Killed itself at any
    moment, it leaves versions that can be read, and does the rest when it is called again.
    """
    folder = root / table
    named = delta_log.data_files(folder)
    there = [name for name in named if (folder / name).exists()]
    touched = [name for name in there if count_in(folder / name, trace_of)]
    copies = {name: _copied(root, folder / name, trace_of) for name in touched}
    delta_log.rewrite(folder, copies, gone=named.keys() - set(there))
    kept = delta_log.data_files(folder).keys()
    for path in _files(folder):
        if path.relative_to(folder).as_posix() not in kept:
            path.unlink()
    _drop_scratch(root)


def count_in(file: Path, trace_of: TraceOf) -> int:
    with reading(file) as rows:
        trace = trace_of(rows.collect_schema().names())
        if trace is None:
            return 0
        return int(rows.filter(trace.rows).select(pl.len()).collect(engine="streaming").item())


@contextmanager
def reading(file: Path) -> Iterator[pl.LazyFrame]:
    """The file's rows. Raises WarehouseError when they cannot be read."""
    try:
        yield _scan(file)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        raise _damaged(file, f"a Parquet file, got: {first_line(error)}") from error


def _scan(file: Path) -> pl.LazyFrame:
    return pl.scan_parquet(file, glob=False, hive_partitioning=False)


def _damaged(file: Path, what: str) -> WarehouseError:
    return WarehouseError(f"{file}: expected {what}. It has to be restored or removed first. Nothing was erased.")


def _copied(root: Path, file: Path, trace_of: TraceOf) -> Copy | None:
    """The file's other rows in a file beside it; None when there are none.

    Written as a Delta table of its own, so that the copy and its statistics are those of any other file of ours.
    """
    rows = _scan(file)
    trace = trace_of(rows.collect_schema().names())
    assert trace is not None  # noqa: S101 - rows of it were counted
    _drop_scratch(root)
    scratch = root / _SCRATCH / "copy"
    scratch.parent.mkdir()
    _rest(rows, trace).sink_delta(scratch, mode="error", delta_write_options={"target_file_size": _ONE_FILE})
    adds = list(_adds(scratch))
    if not adds:
        return None
    (add,) = adds
    fresh = file.parent / add["path"]
    (scratch / add["path"]).replace(fresh)
    return Copy(fresh.relative_to(_table_folder(file)).as_posix(), add["size"], add["stats"])


def _drop_scratch(root: Path) -> None:
    shutil.rmtree(root / _SCRATCH, ignore_errors=True)


def _rest(rows: pl.LazyFrame, trace: Trace) -> pl.LazyFrame:
    if trace.struck is None:
        return rows.filter(~trace.rows)
    return rows.with_columns(
        **{name: pl.when(trace.rows).then(value).otherwise(name) for name, value in trace.struck.items()}
    )


def _adds(folder: Path) -> Iterator[delta_log.Action]:
    (commit,) = (folder / delta_log.FOLDER).glob("*.json")
    for line in commit.read_text().splitlines():
        action = json.loads(line)
        if "add" in action:
            yield action["add"]


def _files(folder: Path) -> list[Path]:
    """The data files there are, and what a killed writer left of one, such as `….parquet#1`."""
    log = folder / delta_log.FOLDER
    return sorted(path for path in folder.rglob("*.parquet*") if path.is_file() and not path.is_relative_to(log))


def _table_folder(file: Path) -> Path:
    return next(parent for parent in file.parents if (parent / delta_log.FOLDER).is_dir())


def _is_whole(path: Path) -> bool:
    """A Parquet file up to its end: a cut one ends the thread that reads it."""
    with path.open("rb") as file:
        if path.stat().st_size < 2 * len(_PARQUET) or file.read(len(_PARQUET)) != _PARQUET:
            return False
        file.seek(-len(_PARQUET), 2)
        return file.read() == _PARQUET
