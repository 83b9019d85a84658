"""The mark of a forget that was begun and not finished: a file in the warehouse, without the user's id in clear."""

import hashlib
import json
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

_PREFIX = ".forgetting-"


def begin(root: Path, user_id: int) -> None:
    """Leaves the mark, if it is not there already."""
    if began_at(root, user_id) is None:
        salt = secrets.token_hex(8)
        mark = {"began_at": datetime.now(UTC).isoformat(), "digest": _digest(user_id, salt)}
        fresh = root / ".forgetting"
        fresh.write_text(json.dumps(mark))
        fresh.replace(root / f"{_PREFIX}{salt}")


def end(root: Path, user_id: int) -> None:
    for path, _, is_theirs in _marks(root, user_id):
        if is_theirs:
            path.unlink()


def began_at(root: Path, user_id: int) -> datetime | None:
    """When a forget of this user began that is not finished."""
    return next((at for _, at, is_theirs in _marks(root, user_id) if is_theirs), None)


def others(root: Path, user_id: int) -> list[datetime]:
    """When forgets of other users began that are not finished."""
    return sorted(at for _, at, is_theirs in _marks(root, user_id) if not is_theirs)


def _marks(root: Path, user_id: int) -> Iterator[tuple[Path, datetime, bool]]:
    for path in sorted(root.glob(f"{_PREFIX}*")):
        mark = json.loads(path.read_text())
        digest = _digest(user_id, path.name.removeprefix(_PREFIX))
        yield path, datetime.fromisoformat(mark["began_at"]), mark["digest"] == digest


def _digest(user_id: int, salt: str) -> str:
    """Slow on purpose: ids are few enough to be tried one by one."""
    return hashlib.scrypt(str(user_id).encode(), salt=salt.encode(), n=2**14, r=8, p=1).hex()
