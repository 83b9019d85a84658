"""Which rows are visible at an instant, and where the n-th of them is, without looking at every row.

Rows lie in key order in blocks; each block keeps how many of its rows are visible. When the clock moves, only the
blocks whose rows appeared or vanished in between are counted anew, so a live library costs what changed, not its size.
"""

import numpy as np

from moovitamix_api.instants import FOREVER

from .dice import Bools, Ints

_BLOCK = 1024


class Timeline:
    """Rows in key order, row i visible in [visible_from[i], visible_until[i]).

    Args:
        visible_from, visible_until: microseconds since 1970; from <= until
        positions: the rows to consider, ascending; all of them when None
    """

    def __init__(self, visible_from: Ints, visible_until: Ints, positions: Ints | None = None) -> None:
        self._from, self._until = visible_from, visible_until
        self._positions = positions
        self._size = visible_from.size if positions is None else positions.size
        self._now = self._anchor = FOREVER
        self._last = np.zeros(0, dtype=np.int64)

    def total(self, now: int) -> int:
        """How many rows are visible at `now`."""
        self._move_to(now)
        return int(self._last[-1]) if self._last.size else 0

    def page(self, now: int, offset: int, limit: int) -> Ints:
        """The positions of visible rows number offset to offset + limit - 1, in key order; fewer at the end."""
        total = self.total(now)
        if offset >= total:
            return np.zeros(0, dtype=np.int64)
        wanted = min(limit, total - offset)
        first = int(np.searchsorted(self._last, offset, side="right"))
        last = int(np.searchsorted(self._last, offset + wanted, side="left"))
        skipped = offset - (int(self._last[first - 1]) if first else 0)
        rows = self._rows(first * _BLOCK, (last + 1) * _BLOCK)
        return rows[self._visible(rows, now)][skipped : skipped + wanted]

    def _rows(self, start: int, stop: int) -> Ints:
        if self._positions is None:
            return np.arange(start, min(stop, self._size))
        return self._positions[start:stop].astype(np.int64)

    def _visible(self, rows: Ints, now: int) -> Bools:
        return (self._from[rows] <= now) & (now < self._until[rows])

    def _move_to(self, now: int) -> None:
        if now == self._now:
            return
        if now < self._anchor:
            self._drop_anchor(now)
        else:
            before, after = np.searchsorted(self._event_at, (self._now, now), side="right")
            # A clock set back takes events back: the answer depends on `now` alone, never on earlier requests.
            events, sign = (slice(before, after), 1) if before <= after else (slice(after, before), -1)
            np.add.at(self._counts, self._event_block[events], sign * self._event_change[events])
            self._now = now
            if before == after:
                return
        self._last = np.cumsum(self._counts)

    def _drop_anchor(self, now: int) -> None:
        """Count every block once at `now`, and list what will appear and vanish after it."""
        blocks = range(0, self._size, _BLOCK)
        self._counts = np.zeros(len(blocks), dtype=np.int64)
        appears, vanishes = [], []
        for start in range(0, self._size, 256 * _BLOCK):  # in pieces, to keep the copies small
            rows = self._rows(start, start + 256 * _BLOCK)
            place = np.arange(start, start + rows.size) // _BLOCK
            np.add.at(self._counts, place[self._visible(rows, now)], 1)
            later, leaving = self._from[rows], self._until[rows]
            appears.append(np.stack([later, place])[:, later > now])
            vanishes.append(np.stack([leaving, place])[:, (leaving > now) & (leaving < FOREVER)])
        event_at = np.concatenate([np.zeros(0, np.int64), *(part[0] for part in appears + vanishes)])
        block = np.concatenate([np.zeros(0, np.int64), *(part[1] for part in appears + vanishes)])
        change = np.ones(event_at.size, dtype=np.int64)
        change[sum(part.shape[1] for part in appears) :] = -1
        order = np.argsort(event_at, kind="stable")
        self._event_at, self._event_block, self._event_change = event_at[order], block[order], change[order]
        self._now = self._anchor = now
