"""What time it is: the machine's clock, or one that stands still."""

import time
from collections.abc import Callable

Clock = Callable[[], int]
"""Answers microseconds since 1970-01-01T00:00:00Z."""


def real_clock() -> int:
    """The machine's clock."""
    return time.time_ns() // 1000


def frozen_clock(now: int) -> Clock:
    """A clock that always answers `now`, in microseconds since 1970."""
    return lambda: now
