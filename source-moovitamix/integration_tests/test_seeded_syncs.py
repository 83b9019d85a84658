"""Seeded syncs of an API that misbehaves: each ends with every row that was there throughout, or with a typed failure.

One sync reads one collection of a library of 2,000 rows (500 tracks, 500 users, 1,000 listens) over HTTP. The API's
clock is known request by request, so it can be said afterwards which rows were there from the first to the last one.
Of a "mixed" sync, in which the library is another from some request on, no row was: that it ends is all it shows.
Every tenth seed runs with `make test`, all of them with `make soak`.
"""

import sys
import threading
import time
from collections import Counter
from functools import lru_cache
from itertools import pairwise

import pytest
from moovitamix_api.app import create_app
from moovitamix_api.instants import DAY, START
from moovitamix_api.library import Library
from moovitamix_api.scenarios import Scenario, faults
from moovitamix_api.scenarios.disturb import disturbed
from moovitamix_api.scenarios.worlds import RestartedLibrary, moving_clock, skewed_clock
from moovitamix_api.settings import Settings

TRACKS, LISTENS = 500, 1000
SCENARIOS = ("moving", "flaky", "throttled", "mixed")
SEEDS = range(250)
LOOKS = 40  # more than a read of the collection without a second pass makes
ANOTHER_LIBRARY = 1_000_003


@lru_cache(maxsize=4)
def library(seed):
    """All of the library up to 400 days on, more than a sync lasts whose every request takes a day."""
    return Library(seed, TRACKS, LISTENS, START + 400 * DAY)


def key(row):
    return row.get("id") or (row["user_id"], row["created_at"])


@lru_cache(maxsize=512)
def keys_at(seed, instant, collection):
    return frozenset(map(key, getattr(library(seed), collection).page(instant, 0, 10**9)[1]))


class SeededApi:
    """The pages of one scenario and seed; it remembers at which instants, of which library, they were made."""

    def __init__(self, scenario, seed):
        self.scenario = Scenario(scenario, seed)
        self.looks = []
        self.pages = self._library(seed % 2)
        if self.scenario.has("restart"):
            self.pages = RestartedLibrary(self.pages, self._library(seed % 2 + ANOTHER_LIBRARY), seed)

    def _library(self, library_seed):
        clock = moving_clock(START, self.scenario.seed) if self.scenario.has("moving") else lambda: START
        if self.scenario.has("skewed"):
            clock = skewed_clock(clock, self.scenario.seed)
        return WatchedLibrary(library_seed, clock, self.looks)

    def there_throughout(self, collection):
        """The keys that each page of the sync could have held."""
        if len({library_seed for library_seed, _ in self.looks}) > 1:
            return frozenset()  # another library since the restart
        # A key that goes does not come back.
        return frozenset.intersection(*(keys_at(*look, collection) for look in (min(self.looks), max(self.looks))))


class WatchedLibrary:
    def __init__(self, seed, clock, looks):
        self._seed, self._clock, self._looks = seed, clock, looks

    def page(self, name, offset, limit, since, until):
        now = self._clock()
        self._looks.append((self._seed, now))
        return getattr(library(self._seed), name).page(now, offset, limit, since, until)


def deletes_and_inserts_at_once(scenario, seed, collection):
    """Whether rows go and others come between the same two requests: `total` cannot show that."""
    if collection == "listen_history":
        return False  # no listen is ever deleted
    if scenario == "mixed":
        return True  # a third of the pages has no total: it tells nothing between requests further apart
    clock = moving_clock(START, seed)
    looks = [keys_at(seed % 2, clock(), collection) for _ in range(LOOKS)]
    return any(before - after and after - before for before, after in pairwise(looks))


class HurriedClock:
    """The real clocks, moved on by every sleep: no back-off is waited for, and the API's own timers still run."""

    def __init__(self):
        self._moved, self._lock, self._yield = 0.0, threading.Lock(), time.sleep
        self.monotonic, self.time = (self._ahead(read) for read in (time.monotonic, time.time))

    def _ahead(self, read):
        return lambda: read() + self._moved

    def sleep(self, seconds):
        with self._lock:
            self._moved += seconds
        self._yield(0.0005)  # let the other threads run


@pytest.fixture(scope="module")
def hurried():
    clock = HurriedClock()
    with pytest.MonkeyPatch.context() as monkeypatch:
        for name in ("sleep", "monotonic", "time"):
            monkeypatch.setattr(time, name, getattr(clock, name))
        monkeypatch.setattr(faults, "_LATE_SECONDS", 0.02)
        yield


@pytest.fixture(scope="module")
def serve_seeded(hurried, serve):  # in this order: the server's timers must not see the clock go back
    app = create_app(Settings(size=0, listens=0))

    def use(seeded):
        app.state.live = seeded.pages
        return serve(disturbed(app, seeded.scenario))

    return use


def missing(expected, rows):
    """The keys of `expected` that no row has; a row in which the scenario made a key's part null has the other part."""
    if not rows or "id" in rows[0]:
        return expected - {row["id"] for row in rows}
    whole = {(row.get("user_id"), row.get("created_at")) for row in rows}
    users = Counter(row.get("user_id") for row in rows if row.get("created_at") is None)
    moments = {row.get("created_at") for row in rows if row.get("user_id") is None}
    left = set()
    for user, moment in ((user, moment.isoformat()) for user, moment in expected):
        if (user, moment) in whole or moment in moments:
            continue
        users[user] -= 1
        if users[user] < 0:
            left.add((user, moment))
    return left


@pytest.fixture
def outcome(serve_seeded, read):
    """(what became of the sync: complete or the failure's type, the keys that had to be there, those it lost)."""

    def sync(scenario, seed):
        collection = ("tracks", "users", "listen_history")[seed % 3]
        api = SeededApi(scenario, seed)
        moves = scenario in ("moving", "mixed")
        verify = moves and deletes_and_inserts_at_once(scenario, seed, collection)
        got = read(
            collection,
            api_url=serve_seeded(api),
            page_size=(50, 25)[seed % 2],
            verify_reads=verify,
            pages_ahead=(0, 1, 3, 8)[seed // 3 % 4],
            num_workers=2,
        )
        if got.errors:
            return got.errors[0].failure_type.value, frozenset(), set(), verify
        expected = api.there_throughout(collection)
        return "complete", expected, missing(expected, got.rows(collection)), verify

    return sync


def sync_all(outcome, seeds):
    """(what became of the syncs, in how many of a scenario keys were looked for, the keys that these have lost)."""
    told, looked_for, lost = Counter(), Counter(), {}
    for scenario in SCENARIOS:
        for seed in seeds:
            became, expected, keys, verified = outcome(scenario, seed)
            looked_for[scenario] += bool(expected)
            told[f"{scenario}, verified" if verified else scenario, became] += 1
            if keys:
                lost[f"{scenario}:{seed}"] = sorted(keys)[:3]
    return told, looked_for, lost


@pytest.mark.parametrize("part", range(4))
def test_a_sync_of_a_misbehaving_api_loses_no_row(outcome, part):
    told, looked_for, lost = sync_all(outcome, SEEDS[::10][part::4])

    assert lost == {}
    assert looked_for["moving"] >= 2, "most of its seeds move so fast that a typed failure is right"
    assert told["flaky", "complete"] == told["throttled", "complete"] == len(SEEDS[::10][part::4])


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_a_thousand_syncs_of_a_misbehaving_api_lose_no_row(outcome):
    told, looked_for, lost = sync_all(outcome, SEEDS)

    sys.stderr.write("".join(f"{scenario}: {became} {count}\n" for (scenario, became), count in sorted(told.items())))
    assert told.total() == 1000
    assert lost == {}
    assert looked_for["moving"] >= len(SEEDS) // 4
