"""How the steps of a run are carried out: as they come, or each as a task of a scheduler that shows and times them."""

from collections.abc import Callable
from typing import Protocol, TypeVar

T = TypeVar("T")


class Step(Protocol):
    """Carries out one step, now and in this thread, and returns what it returns. `name` is for a person."""

    def __call__(self, name: str, work: Callable[[], T], /) -> T: ...


def as_it_comes(name: str, work: Callable[[], T], /) -> T:
    return work()
