"""The listen history: who listened to which tracks, when, and when the API came to know."""

import numpy as np

from moovitamix_api.instants import DAY, FIRST, FOREVER, START, YEAR

from .charts import Charts
from .collection import Collection, Row, to_datetimes
from .dice import Dice, Ints, remainders
from .users import Users

_DAYS_TO_DOUBLE = 100  # 1 % of the number at START is added a day
_LONGEST_DELAY = 2 * DAY
_CORRECTED_ONE_IN = 10
_CORRECTED_WITHIN = 30 * DAY
_LONGEST_LIST = 11
_TURNS = 8
_CHUNK = 1 << 20


class Listens:
    """Records 0, 1, 2, … in the order of their created_at, no two of which are equal: (user_id, created_at) is a key.

    A record becomes visible at its updated_at. One in ten is corrected once: the last track of its list was missing.
    """

    def __init__(self, seed: int, count: int, horizon: int, users: Users, charts: Charts) -> None:
        self._users, self._charts = users, charts
        names = ("created", "delay", "corrected", "correction", "user", "length")
        self._dice = {name: Dice(seed, f"listens/{name}") for name in names}
        self._count = count
        self._width = 2 * YEAR // max(count, 1)
        self._interval = _DAYS_TO_DOUBLE * DAY // max(count, 1)
        self._horizon = horizon
        grown = max(0, (horizon - START) // self._interval + 1) if count else 0
        # One word a row, (user id, record, version): it sorts several times faster than three columns, and holds them.
        self._key = np.concatenate([np.zeros(0, np.int64), *(self._keys(number) for number in _chunks(count + grown))])
        self._key.sort()

    def collection(self) -> Collection:
        """The listen history as the API answers it, by (user_id, created_at)."""
        visible_from = np.empty_like(self._key)
        visible_until = np.empty_like(self._key)
        for part in _chunks(self._key.size):
            number, version = self._number(self._key[part]), self._key[part] & 1
            appeared_at = self._appeared_at(number, self._created_at(number))
            corrected_at = self._corrected_at(number, appeared_at)
            visible_from[part] = np.where(version == 0, appeared_at, corrected_at)
            visible_until[part] = np.where(version == 0, corrected_at, FOREVER)
        return Collection(visible_from, visible_until, visible_from, self._rows)

    def _created_at(self, number: Ints) -> Ints:
        """One record in each of `count` equal parts of the two years before START, then one in each interval."""
        bits = self._dice["created"].roll(number)
        before = FIRST + number * self._width + remainders(bits, self._width)
        after = START + 1 + (number - self._count) * self._interval + remainders(bits, self._interval)
        return np.where(number < self._count, before, after)

    def _appeared_at(self, number: Ints, created_at: Ints) -> Ints:
        """Until START as in the client's data, any time after created_at; from then on mostly within the hour."""
        fraction = self._dice["delay"].fraction(number)
        # Multiplied out, not `**`: products are exact to the last bit on any platform.
        squared = fraction * fraction
        delay = (squared * squared * squared * _LONGEST_DELAY).astype(np.int64)
        before = (fraction * np.maximum(START - created_at, 0)).astype(np.int64)
        return created_at + 1 + np.where(number < self._count, np.minimum(before, START - created_at - 1), delay)

    def _corrected_at(self, number: Ints, appeared_at: Ints) -> Ints:
        corrected_at = appeared_at + 1 + self._dice["correction"].below(_CORRECTED_WITHIN, number)
        return np.where(self._dice["corrected"].one_in(_CORRECTED_ONE_IN, number), corrected_at, FOREVER)

    def _user(self, number: Ints, created_at: Ints) -> Ints:
        """A user's number for each record: one who was there at created_at; those who joined first listen most."""
        existing = self._users.members.existing(created_at)
        user = np.zeros_like(number)
        pending = np.arange(number.size)
        for turn in range(_TURNS):
            fraction = self._dice["user"].fraction(number[pending], turn)
            found = np.minimum((fraction * fraction * existing[pending]).astype(np.int64), existing[pending] - 1)
            user[pending] = found
            pending = pending[self._users.members.left_at[found] <= created_at[pending]]
            if not pending.size:
                break
        return user

    def _keys(self, number: Ints) -> Ints:
        created_at = self._created_at(number)
        appeared_at = self._appeared_at(number, created_at)
        key = self._users.members.id[self._user(number, created_at)] << 33 | number << 1
        corrected = self._corrected_at(number, appeared_at) <= self._horizon
        return np.concatenate([key[appeared_at <= self._horizon], key[corrected] | 1])

    def _number(self, key: Ints) -> Ints:
        return key >> 1 & 0xFFFFFFFF

    def _rows(self, positions: Ints) -> list[Row]:
        key = self._key[positions]
        number, version = self._number(key), key & 1
        created_at = self._created_at(number)
        appeared_at = self._appeared_at(number, created_at)
        corrected_at = self._corrected_at(number, appeared_at)
        columns = zip(
            (key >> 33).tolist(),
            self._items(number, created_at, (version == 0) & (corrected_at < FOREVER)),
            to_datetimes(created_at),
            to_datetimes(np.where(version == 0, appeared_at, corrected_at)),
            strict=True,
        )
        return [
            {"user_id": user_id, "items": items, "created_at": created, "updated_at": updated}
            for user_id, items, created, updated in columns
        ]

    def _items(self, number: Ints, created_at: Ints, last_is_missing: Ints) -> list[list[int]]:
        """The ids of the tracks of each record: no track twice, in the order in which they were picked."""
        bits = self._dice["length"].roll(number)
        length = 1 + remainders(bits, 6) + remainders(bits >> np.uint64(32), 6)
        row, slot = np.nonzero(np.arange(_LONGEST_LIST) < length[:, None])
        favorite = self._users.favorite(self._user(number, created_at))
        picked = self._charts.pick(number[row], slot, created_at[row], favorite[row])
        ids = self._charts.track_id(picked).tolist()
        lists: list[dict[int, None]] = [{} for _ in range(number.size)]
        for index, track_id in zip(row.tolist(), ids, strict=True):
            lists[index][track_id] = None
        missing = last_is_missing.tolist()
        return [list(tracks)[:-1] if gone else list(tracks) for tracks, gone in zip(lists, missing, strict=True)]


def _chunks(count: int) -> list[Ints]:
    """0..count-1 in pieces: whole columns of several millions would need gigabytes for what lies in between."""
    return [np.arange(start, min(start + _CHUNK, count)) for start in range(0, count, _CHUNK)]
