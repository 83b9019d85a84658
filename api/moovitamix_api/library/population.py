"""When the members of a collection appear, change and leave; tracks and users live by the same rules."""

from dataclasses import dataclass

import numpy as np

from moovitamix_api.instants import DAY, FIRST, FOREVER, START, YEAR

from .dice import Bools, Dice, Ints, remainders
from .ids import Ids

_DAYS_TO_DOUBLE = 2000  # 0.05 % of the size joins a day
_DAYS_BETWEEN_CHANGES = 500  # 0.15 % of the size changes a day: the imported quarter never does
_LONGEST_LIFE = 5000 * DAY  # 0.02 % of the size leaves a day


@dataclass(frozen=True)
class Versions:
    """Every version of every member, by (id, version); each array holds one value a version.

    Instants are microseconds since 1970. A version is visible in [visible_from, visible_until).
    """

    number: Ints
    version: Ints
    visible_from: Ints
    visible_until: Ints
    updated_at: Ints


class Population:
    """Members 0, 1, 2, … in the order in which they joined; the first `size` are those alive at START.

    One member in four was imported: its updated_at lies before its created_at (as a quarter of the client's tracks and
    users have it), and it never changes.
    """

    def __init__(self, seed: int, name: str, size: int, horizon: int) -> None:
        self._dice = {
            use: Dice(seed, f"{name}/{use}") for use in ("join", "touch", "change", "leave", "import", "edit")
        }
        self._horizon = horizon
        self.size = size
        self._width = 2 * YEAR // max(size, 1)
        self._interval = _DAYS_TO_DOUBLE * DAY // max(size, 1)
        joined = max(0, (horizon - START) // self._interval + 1) if size else 0
        self.number = np.arange(size + joined)
        self.id = Ids(Dice(seed, f"{name}/id"), size).of(self.number)
        self.created_at = self._created_at()
        self.left_at = np.maximum(self.created_at, START) + 1 + self._dice["leave"].below(_LONGEST_LIFE, self.number)
        self._touched_at = START - YEAR + self._dice["touch"].below(YEAR, self.number)
        self._at_start = self.number < size

    def existing(self, instant: Ints) -> Ints:
        """n such that the members 0..n-1 were created before the instant (gone or not); at least 1."""
        before = (instant - FIRST) // self._width
        after = self.size + (instant - START - 1) // self._interval
        return np.maximum(np.where(instant < START, np.minimum(before, self.size), after), 1)

    def versions(self) -> Versions:
        """Every version that becomes visible up to the horizon."""
        imported, imported_at = self._imported()
        number, begins = self.number, self.created_at
        updated_at = np.where(imported, imported_at, begins)
        found = []
        for version in range(256):
            changes_at = np.where(imported[number], FOREVER, self._changed_at(number, version + 1))
            ends = np.minimum(changes_at, self.left_at[number])
            found.append(
                np.stack([number, np.full_like(number, version), begins, ends, updated_at])[:, begins <= self._horizon]
            )
            goes_on = (changes_at < self.left_at[number]) & (changes_at <= self._horizon)
            number, begins = number[goes_on], changes_at[goes_on]
            updated_at = begins
            if not number.size:
                break
        columns = np.concatenate(found, axis=1)
        order = np.argsort(self.id[columns[0]] << 8 | columns[1])
        return Versions(*columns[:, order])

    def editions(self, number: Ints, version: Ints, fields: int) -> Ints:
        """For each (member, version) and each of its fields: the version that last changed the field, 0 for none.

        A change changes one field.
        """
        edits = np.arange(1, int(version.max(initial=0)) + 1)
        field = self._dice["edit"].below(fields, number[:, None], edits)
        done = np.where(edits <= version[:, None], edits, 0)
        last = [np.where(field == each, done, 0).max(axis=1, initial=0) for each in range(fields)]
        return np.stack(last, axis=1)

    def _created_at(self) -> Ints:
        """One member in each of `size` equal parts of the two years before START, then one in each interval."""
        bits = self._dice["join"].roll(self.number)
        before = FIRST + self.number * self._width + remainders(bits, self._width)
        before[:1] = FIRST + 1  # so that someone was there from the first instant on
        after = START + 1 + (self.number - self.size) * self._interval
        after += remainders(bits, self._interval)
        return np.where(self.number < self.size, before, after)

    def _imported(self) -> tuple[Bools, Ints]:
        """Whether each member was imported, and its updated_at if so."""
        joined_later = self._dice["import"].one_in(4, self.number)
        later_at = self.created_at - 1 - self._dice["touch"].below(YEAR, self.number)
        at_start = self._touched_at < self.created_at
        return (
            np.where(self._at_start, at_start, joined_later),
            np.where(self._at_start, self._touched_at, later_at),
        )

    def _changed_at(self, number: Ints, version: Ints | int) -> Ints:
        """When each member turned into its version 1, 2, …: members of the start once in the year before START, then
        everyone once in each period of days."""
        period = _DAYS_BETWEEN_CHANGES * DAY
        at_start = self._at_start[number]
        origin = np.where(at_start, START - period, self.created_at[number])
        changed_at = origin + (version - 1) * period + 1 + self._dice["change"].below(period, number, version)
        return np.where(at_start & (version == 1), self._touched_at[number], changed_at)
