"""One collection of the API: its rows in key order, a page of those visible at an instant."""

from collections.abc import Callable
from datetime import datetime
from functools import lru_cache

import numpy as np

from moovitamix_api.instants import FOREVER

from .dice import Ints
from .timeline import Timeline

Row = dict[str, object]


class Collection:
    """Rows of one collection, ordered by key; a row is one version of one key.

    Args:
        visible_from, visible_until: when each row is answered, [from, until), microseconds since 1970
        updated_at: what the row says of itself; what `since` and `until` compare
        render: the rows at some positions, as the API answers them
    """

    def __init__(
        self, visible_from: Ints, visible_until: Ints, updated_at: Ints, render: Callable[[Ints], list[Row]]
    ) -> None:
        self._from, self._until, self._updated_at = visible_from, visible_until, updated_at
        self._render = render
        self._all = Timeline(visible_from, visible_until)
        # A reader asks for many pages of one window: finding its rows is paid for once, not once a page.
        self._window = lru_cache(maxsize=4)(self._find_window)

    def page(
        self, now: int, offset: int, limit: int, since: int | None = None, until: int | None = None
    ) -> tuple[int, list[Row]]:
        """(total, rows offset to offset + limit - 1) of what is visible at `now` and updated in [since, until]."""
        timeline = self._all if since is None and until is None else self._window(since, until)
        return timeline.total(now), self._render(timeline.page(now, offset, limit))

    def _find_window(self, since: int | None, until: int | None) -> Timeline:
        inside = (self._updated_at >= (-FOREVER if since is None else since)) & (
            self._updated_at <= (FOREVER if until is None else until)
        )
        return Timeline(self._from, self._until, np.flatnonzero(inside).astype(np.int32))


def to_datetimes(microseconds: Ints) -> list[datetime]:
    """Datetimes without a zone, as the client's API answers them, from microseconds since 1970."""
    moments: list[datetime] = microseconds.astype("datetime64[us]").tolist()
    return moments
