"""The lock of a warehouse on a local folder: the operating system's, so that it dies with its process."""

import fcntl
import os
from pathlib import Path

from filelock import BaseFileLock, FileLock, Timeout

from moovitamix_transform.errors import WarehouseInUse

LOCK = ".lock"
_PATIENCE_SECONDS = 0.5  # `is_locked` holds the lock for a moment: that is no other writer


def locked(folder: Path) -> BaseFileLock:
    """The folder's lock, held. WarehouseInUse when another process holds it."""
    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(_PATIENCE_SECONDS, poll_interval=0.02)
    except Timeout:
        raise WarehouseInUse(
            f"{folder}: expected to be its only writer, but another moovitamix command writes to it now; "
            "wait for it or end it. Nothing was changed."
        ) from None
    return lock


def is_locked(folder: Path) -> bool:
    try:
        lock = os.open(folder / LOCK, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)  # shared: those who look do not see each other
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False
