"""The library follows a clock, however far it goes, and however it is set."""

from moovitamix_api.instants import DAY, START
from moovitamix_api.library import Library
from moovitamix_api.live import LiveLibrary


def test_a_clock_that_outruns_what_was_built_finds_the_same_rows():
    instants = [START, START, START + 29 * DAY, START + 400 * DAY, START + 10 * DAY]
    clock = iter(instants)
    live = LiveLibrary(3, 20, 50, clock=lambda: next(clock), is_frozen=False)

    answers = [live.page("listen_history", 0, 100, None, None) for _ in instants[1:]]

    whole = Library(3, 20, 50, START + 400 * DAY).listen_history
    assert answers == [whole.page(now, 0, 100) for now in instants[1:]]
