"""Which track a listener picks: mostly a hit of the favourite genre, else a hit of any, else something new."""

import numpy as np

from .dice import Dice, Floats, Ints, fractions
from .pools import GENRES
from .tracks import Tracks

_TURNS = 4


class Charts:
    """Popularity falls as 1 / rank (Zipf), over all tracks and within each genre."""

    def __init__(self, seed: int, tracks: Tracks) -> None:
        self._members = members = tracks.members
        self._dice = Dice(seed, "charts/pick")
        number = members.number[: members.size]
        self._hits = np.argsort(Dice(seed, "charts/rank").roll(number), kind="stable")
        genre = tracks.genre(self._hits)
        by_genre = np.argsort(genre, kind="stable")
        self._genre_hits = self._hits[by_genre]
        self._genre_start = np.searchsorted(genre[by_genre], np.arange(len(GENRES)))
        self._genre_count = np.bincount(genre, minlength=len(GENRES))
        # Sums and divisions only: IEEE 754 fixes their results to the last bit, on any platform; not those of `pow`.
        self._weight = np.cumsum(1.0 / (1 + np.arange(max(members.size, 1))))

    def pick(self, listen: Ints, slot: Ints, instant: Ints, favorite: Ints) -> Ints:
        """A track's number for each (listen, slot): one that existed at the instant, where a few tries find one."""
        existing = self._members.existing(instant)
        picked = np.minimum((self._dice.fraction(listen, slot, _TURNS) * existing).astype(np.int64), existing - 1)
        pending = np.arange(listen.size)
        for turn in range(_TURNS):
            bits = self._dice.roll(listen[pending], slot[pending], turn)
            number = self._choose(
                fractions(bits), (bits & np.uint64(15)).astype(np.int64), existing[pending], favorite[pending]
            )
            there = (self._members.created_at[number] <= instant[pending]) & (
                instant[pending] < self._members.left_at[number]
            )
            picked[pending[there]] = number[there]
            pending = pending[~there]
        return picked

    def track_id(self, number: Ints) -> Ints:
        """The ids of tracks by their numbers."""
        return self._members.id[number]

    def _choose(self, fraction: Floats, mood: Ints, existing: Ints, favorite: Ints) -> Ints:
        count = self._genre_count[favorite]
        of_genre = (mood < 10) & (count > 0)
        among = np.where(of_genre, count, self._members.size)
        rank = np.minimum(np.searchsorted(self._weight, fraction * self._weight[among - 1], side="right"), among - 1)
        hit = np.where(
            of_genre, self._genre_hits[np.where(of_genre, self._genre_start[favorite] + rank, 0)], self._hits[rank]
        )
        newest = existing - 1 - (fraction * fraction * (existing // 20)).astype(np.int64)
        return np.where(mood == 15, newest, hit)
