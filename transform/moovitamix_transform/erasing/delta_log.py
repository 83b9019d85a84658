"""The log of a Delta table on a local folder, changed where it lies: what erasing needs, and no commit can do."""

import json
import os
import re
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from moovitamix_transform.errors import WarehouseError

FOLDER = "_delta_log"
_COMMIT = re.compile(r"([0-9]{20})\.json")
_HINT = "_last_checkpoint"
_LITERAL = re.compile("['0-9]")

Action = dict[str, Any]


@dataclass(frozen=True)
class Copy:
    """A file that stands in for another: its path in the table's folder, its bytes, its rows' statistics."""

    path: str
    size: int
    stats: str


def data_files(folder: Path) -> dict[str, int]:
    """Every file that a version names, by its path in the table's folder, with its bytes. Pruned ones are gone.

    Raises WarehouseError for a log that cannot be changed where it lies.
    """
    found = {}
    for commit in _commits(folder):
        for action in map(json.loads, _lines(commit)):
            for kind in ("add", "cdc"):
                if kind in action:
                    _require_plain(commit, action[kind])
                    found[unquote(action[kind]["path"])] = int(action[kind]["size"])
    return found


def rewrite(folder: Path, copies: Mapping[str, Copy | None], gone: Set[str]) -> bool:
    """Every version with the copies in place of the files they stand in for. Returns whether the log changed.

    A reader finds each row of a version once at any moment, and so does one that comes after a kill: a commit that
    takes a file out takes out its copy too, before any commit adds the copy.

    Args:
        copies: None for a file of which no row is left: no version has it any more.
        gone: files that were pruned: what the log tells of their rows goes too.
    """
    commits = _commits(folder)
    steps = (partial(_take_out_both, copies), partial(_put_in_place, copies, gone))
    if all(_rewritten(commit, step) is None for commit in commits for step in steps):
        return False
    _drop_summaries(folder)
    for step in steps:
        for commit in commits:
            text = _rewritten(commit, step)
            if text is not None:
                _replace(commit, text)
    return True


def _commits(folder: Path) -> list[Path]:
    """Oldest first, each of them there: a version without its commit could only be read from a checkpoint."""
    commits = sorted(path for path in (folder / FOLDER).iterdir() if _COMMIT.fullmatch(path.name))
    for number, commit in enumerate(commits):
        if int(commit.stem) != number:
            raise WarehouseError(
                f"{folder / FOLDER}: expected the commit of every version, as moovitamix keeps them, version {number} "
                "has none. Nothing was changed."
            )
    return commits


def _require_plain(commit: Path, action: Action) -> None:
    if action.get("deletionVector"):
        raise WarehouseError(
            f"{commit}: expected a table as moovitamix writes it, got {action['path']!r} with a deletion vector, which "
            "another program wrote. Nothing was changed."
        )


def _take_out_both(copies: Mapping[str, Copy | None], action: Action) -> list[Action]:
    removed = action.get("remove")
    copy = copies.get(unquote(removed["path"])) if removed else None
    if removed is None or copy is None:
        return [action]
    return [action, {"remove": {**removed, "path": copy.path, "size": copy.size}}]


def _put_in_place(copies: Mapping[str, Copy | None], gone: Set[str], action: Action) -> list[Action]:
    if "commitInfo" in action:
        return [{**action, "commitInfo": _without_values(action["commitInfo"])}]
    for kind in ("add", "cdc"):
        if kind not in action:
            continue
        name = unquote(action[kind]["path"])
        if name in copies:
            copy = copies[name]
            return [] if copy is None else [{kind: _of_copy(action[kind], copy)}]
        if name in gone and "stats" in action[kind]:
            return [{kind: {**action[kind], "stats": _counts_only(action[kind]["stats"])}}]
    return [action]


def _of_copy(action: Action, copy: Copy) -> Action:
    stats = {"stats": copy.stats} if "stats" in action else {}
    return {**action, "path": copy.path, "size": copy.size, **stats}


def _counts_only(stats: str | None) -> str | None:
    return stats and json.dumps({"numRecords": json.loads(stats)["numRecords"]})


def _without_values(commit_info: Action) -> Action:
    """Who deletes rows by hand, with another program, has noted of whom: `email = '…'`. Nobody reads it again."""
    parameters = commit_info.get("operationParameters", {})
    plain = {
        name: value
        for name, value in parameters.items()
        if not (name.lower().endswith(("predicate", "predicates")) and _LITERAL.search(str(value)))
    }
    return commit_info if plain == parameters else {**commit_info, "operationParameters": plain}


def _rewritten(commit: Path, step: Callable[[Action], list[Action]]) -> bytes | None:
    """The commit after a step; None when the step changes nothing in it. Lines that stay keep their bytes."""
    before = _lines(commit)
    after: list[bytes] = []
    for line in before:
        action = json.loads(line)
        actions = step(action)
        after += [line] if actions == [action] else map(_line, actions)
    return None if after == before else b"\n".join(after) + b"\n"


def _lines(commit: Path) -> list[bytes]:
    return [line for line in commit.read_bytes().split(b"\n") if line.strip()]


def _line(action: Action) -> bytes:
    return json.dumps(action, ensure_ascii=False, separators=(",", ":")).encode()


def _replace(commit: Path, text: bytes) -> None:
    """All of it or nothing, with the commit's time, by which other readers find versions."""
    fresh = commit.with_suffix(".json.erasing")
    seen = commit.stat()
    with fresh.open("wb") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.utime(fresh, ns=(seen.st_atime_ns, seen.st_mtime_ns))
    fresh.replace(commit)


def _drop_summaries(folder: Path) -> None:
    """Checkpoints, and what a killed commit left: they repeat what the commits say, statistics included.

    The hint first, so that no reader is sent to a checkpoint that is gone. The next checkpoint comes by itself.
    """
    others = [path for path in (folder / FOLDER).rglob("*") if path.is_file() and not _COMMIT.fullmatch(path.name)]
    for path in sorted(others, key=lambda path: path.name != _HINT):
        path.unlink()
