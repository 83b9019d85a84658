"""The library as of now: built as far ahead as the clock will get, and built on when it got there."""

from typing import Literal, Protocol, TypeAlias

from .clock import Clock
from .instants import DAY
from .library import Library
from .library.collection import Collection, Row

CollectionName: TypeAlias = Literal["tracks", "users", "listen_history"]

_AHEAD = 30 * DAY


class Pages(Protocol):
    """Whatever has pages of the three collections."""

    def page(
        self, name: CollectionName, offset: int, limit: int, since: int | None, until: int | None
    ) -> tuple[int, list[Row]]:
        """(total, rows): see `Collection.page`."""


class LiveLibrary:
    """One library and the clock it is looked at with.

    Args:
        seed, size, listens: as for `Library`
        clock: microseconds since 1970
        is_frozen: the clock stands still, so that nothing needs to be prepared for later instants
    """

    def __init__(self, seed: int, size: int, listens: int, clock: Clock, *, is_frozen: bool) -> None:
        self._arguments = (seed, size, listens)
        self._clock = clock
        self._ahead = 0 if is_frozen else _AHEAD
        self._library = Library(*self._arguments, self._clock() + self._ahead)

    def page(
        self, name: CollectionName, offset: int, limit: int, since: int | None, until: int | None
    ) -> tuple[int, list[Row]]:
        """`Collection.page` of one collection at the clock's instant."""
        now = self._clock()
        if now > self._library.horizon:  # once in thirty days; takes two seconds with a million listens
            self._library = Library(*self._arguments, now + self._ahead)
        collection: Collection = getattr(self._library, name)
        return collection.page(now, offset, limit, since, until)
