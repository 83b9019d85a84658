"""Which track a listener picks: mostly a hit of the favourite genre, else a hit of any, else something new."""

import numpy as np

from .dice import Bits, Dice, Ints, fractions
from .pools import GENRES
from .tracks import Tracks


class Charts:
    """Popularity falls as 1 / rank (Zipf), over all tracks and within each genre."""

    def __init__(self, seed: int, tracks: Tracks) -> None:
        self._members = members = tracks.members
        self._dice = Dice(seed, "charts/pick")
        number = members.number[: members.size]
        hits = np.argsort(Dice(seed, "charts/rank").roll(number), kind="stable")
        genre = tracks.genre(hits)
        by_genre = np.argsort(genre, kind="stable")
        self._hits = np.concatenate([hits[by_genre], hits])  # the charts of each genre, then those of all
        self._start_of_genre = np.searchsorted(genre[by_genre], np.arange(len(GENRES)))
        self._genre_count = np.bincount(genre, minlength=len(GENRES))
        # Sums and divisions only: IEEE 754 fixes their results to the last bit, on any platform; not those of `pow`.
        self._weight = np.cumsum(1.0 / (1 + np.arange(max(members.size, 1))))

    def pick(self, listen: Ints, slot: Ints, instant: Ints, favorite: Ints) -> Ints:
        """A track's number for each (listen, slot below 16): one there at the instant, where a few tries find one."""
        existing = self._members.existing(instant)
        place = listen << 7 | slot << 3
        picked = np.minimum((self._dice.fraction(place) * existing).astype(np.int64), existing - 1)
        pending = np.arange(listen.size)
        for turn in range(1, 5):
            bits = self._dice.roll(place[pending] | turn)
            number = self._choose(bits, existing[pending], favorite[pending])
            heard_at = instant[pending]
            is_there = (self._members.created_at[number] <= heard_at) & (heard_at < self._members.left_at[number])
            picked[pending[is_there]] = number[is_there]
            pending = pending[~is_there]
            if not pending.size:
                break
        return picked

    def track_id(self, number: Ints) -> Ints:
        """The ids of tracks by their numbers."""
        return self._members.id[number]

    def _choose(self, bits: Bits, existing: Ints, favorite: Ints) -> Ints:
        fraction, mood = fractions(bits), bits & np.uint64(15)
        count = self._genre_count[favorite]
        is_favorite = (mood < 10) & (count > 0)
        among = np.where(is_favorite, count, self._members.size)
        rank = np.searchsorted(self._weight, fraction * self._weight[among - 1], side="right")
        rank = np.minimum(rank, among - 1)
        hit = np.where(is_favorite, self._start_of_genre[favorite] + rank, self._members.size + rank)
        newest = existing - 1 - (fraction * fraction * (existing // 20)).astype(np.int64)
        return np.where(mood == 15, newest, self._hits[hit])
