"""Libraries that do not hold still: their clock runs, is wrong, or they are another library all of a sudden."""

from itertools import accumulate, count

from moovitamix_api.clock import Clock
from moovitamix_api.instants import DAY
from moovitamix_api.library.collection import Row
from moovitamix_api.library.dice import Dice
from moovitamix_api.live import CollectionName, Pages


def moving_clock(start: int, seed: int) -> Clock:
    """A clock that moves by up to two days whenever it is looked at; microseconds since 1970."""
    dice = Dice(seed, "scenarios/moving")
    steps = (int(dice.below(2 * DAY, look)[0]) for look in count())
    instants = accumulate(steps, initial=start)
    return lambda: next(instants)


def skewed_clock(clock: Clock, seed: int) -> Clock:
    """A clock that is an hour to two days wrong: ahead with an even seed, behind with an odd one."""
    hours = 1 + int(Dice(seed, "scenarios/skewed").below(48, 0)[0])
    skew = hours * DAY // 24 * (-1 if seed % 2 else 1)
    return lambda: clock() + skew


class RestartedLibrary:
    """One library, and from its 5th to 30th request on another, as the client's API makes up new ids on a restart."""

    def __init__(self, before: Pages, after: Pages, seed: int) -> None:
        self._before, self._after = before, after
        self._requests_left = 4 + int(Dice(seed, "scenarios/restart").below(26, 0)[0])

    def page(
        self, name: CollectionName, offset: int, limit: int, since: int | None, until: int | None
    ) -> tuple[int, list[Row]]:
        """As `LiveLibrary.page`, of the library of the moment."""
        library = self._before if self._requests_left > 0 else self._after
        self._requests_left -= 1
        return library.page(name, offset, limit, since, until)
