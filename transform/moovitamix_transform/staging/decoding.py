"""JSON that landing has read already, read again."""

import sys
from collections.abc import Callable
from threading import Lock
from typing import TypeVar

LANDED_DEPTH = 1000  # Python's default limit, under which landing reads
T = TypeVar("T")
_recursion_lock = Lock()


def decode(decoder: Callable[[str], T], text: str) -> T:
    """What the decoder makes of JSON that landing has read already, however deep it is nested: Python's limit counts
    the caller's own frames, and landing may have had fewer."""
    try:
        return decoder(text)
    except RecursionError:
        with _recursion_lock:
            limit = sys.getrecursionlimit()
            sys.setrecursionlimit(limit + LANDED_DEPTH)
            try:
                return decoder(text)
            finally:
                sys.setrecursionlimit(limit)
