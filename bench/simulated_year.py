"""The alarms on a year of the growing library: how many days are alarmed for nothing, how many faults are found.

`python bench/simulated_year.py [DAYS]`. Each day is one run, as `_meta/runs` would have it: what the API would answer
at that instant, counted in the library itself, without HTTP and without tables. The same arguments, the same figures.
"""

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from moovitamix_api.instants import DAY, START
from moovitamix_api.library import Library
from moovitamix_api.library.dice import Dice
from moovitamix_transform.alarms import freshness, measures
from moovitamix_transform.alarms.settings import Settings
from moovitamix_transform.alarms.verdict import Verdict
from moovitamix_transform.runs import NullCount, Run, StreamLedger

SEED, SIZE, LISTENS = 7, 1000, 20_000  # 200 listens and 20 corrections a day
HOUR = DAY // 24
SETTINGS = Settings()
LOOKBACK = 6 * HOUR  # of the incremental reads: a quarter of a day is read twice
NULLS = {"gender": 0.05, "last_name": 0.02}  # shares of users without one; the client's own are few
BAD_ONE_IN = 500  # records that break a rule
MISSED_ONE_IN = 40  # days on which the scheduler, or the API, is down: no run
SLOW_ONE_IN = 50  # runs that take up to 1.8 times as long


@dataclass(frozen=True)
class Day:
    """A run, and the tables' newest extractions as they are when it has ended."""

    run: Run
    extracted: dict[str, datetime]


def year(days: int = 365, seed: int = SEED) -> list[Day]:
    """One run a day, at three in the morning give or take an hour, but for days that are missed; oldest first."""
    library = Library(seed, SIZE, LISTENS, START + (days + 1) * DAY)
    dice = Dice(seed, "simulated year")
    found: list[Day] = []
    before = None
    for day in range(days):
        if day and _hits(dice, MISSED_ONE_IN, day, 0):
            continue
        now = START + day * DAY + 2 * HOUR + int(dice.below(2 * HOUR, day, 1)[0])
        run = Run("run", f"day-{day:03}", _instant(now), versions={}, started_by=None)
        users = [int(str(row["id"])) for row in library.users.page(now, 0, 10 * SIZE)[1]]
        counts = {
            "tracks": library.tracks.page(now, 0, 1)[0],
            "users": len(users),
            "listen_history": library.listen_history.page(now, 0, 1, before and before - LOOKBACK)[0],
        }
        run.streams = [_entry(dice, day, name, count, before) for name, count in counts.items()]
        run.streams[-1].new = library.listen_history.page(now, 0, 1, before)[0]
        run.nulls = [_null_count(seed, column, share, users) for column, share in NULLS.items()]
        slow = 1.8 if _hits(dice, SLOW_ONE_IN, day, 2) else 1.0
        seconds = (20 + sum(counts.values()) / 100) * (0.85 + 0.3 * float(dice.fraction(day, 3)[0])) * slow
        run.status, run.ended_at = "succeeded", run.started_at + timedelta(seconds=seconds)
        found.append(Day(run, dict.fromkeys(counts, run.started_at)))
        before = now
    return found


def alarms(day: Day, earlier: list[Day]) -> list[Verdict]:
    """What `moovitamix run` would raise at the end of that day's run."""
    verdicts = [
        *measures.judge(day.run, [each.run for each in reversed(earlier)], SETTINGS),
        *freshness.of_extractions(day.extracted, SETTINGS.freshness, day.run.ended_at or day.run.started_at),
    ]
    return [verdict for verdict in verdicts if verdict.level]


def false_alarms(days: list[Day]) -> dict[str, list[Verdict]]:
    """By run, the alarms of an undisturbed year."""
    raised = {day.run.run_id: alarms(day, days[:position]) for position, day in enumerate(days)}
    return {run_id: found for run_id, found in raised.items() if found}


# -- faults: each makes a day's run anew, and says which alarm must be raised ---------------------------------------


def half_the_volume(stream: str) -> Callable[[Day], tuple[str, str]]:
    def spoil(day: Day) -> tuple[str, str]:
        entry = next(entry for entry in day.run.streams if entry.stream == stream)
        entry.received = entry.landed = entry.received // 2
        entry.new = entry.new and entry.new // 2
        return "volume", stream

    return spoil


def nothing_new(day: Day) -> tuple[str, str]:
    """An API that goes on answering, with what it had yesterday: the lookback window's records, and no other."""
    next(entry for entry in day.run.streams if entry.stream == "listen_history").new = 0
    return "volume", "listen_history"


def nothing_at_all(day: Day) -> tuple[str, str]:
    entry = next(entry for entry in day.run.streams if entry.stream == "listen_history")
    entry.received = entry.landed = entry.new = 0
    return "volume", "listen_history"


def doubled_nulls(column: str) -> Callable[[Day], tuple[str, str]]:
    def spoil(day: Day) -> tuple[str, str]:
        count = next(count for count in day.run.nulls if count.column == column)
        count.nulls *= 2
        return "nulls", f"stg_users.{column}"

    return spoil


def stalled_for(hours: int) -> Callable[[Day], tuple[str, str]]:
    """A source that leaves a stream out: no record and no status of it comes."""

    def spoil(day: Day) -> tuple[str, str]:
        day.extracted["users"] = day.run.started_at - timedelta(hours=hours)
        return "freshness", "users"

    return spoil


def more_quarantined(day: Day) -> tuple[str, str]:
    entry = next(entry for entry in day.run.streams if entry.stream == "users")
    entry.quarantined_records = entry.received // 20
    return "quarantine", "users"


FAULTS: dict[str, Callable[[Day], tuple[str, str]]] = {
    "half of tracks": half_the_volume("tracks"),
    "half of users": half_the_volume("users"),
    "half of listen_history": half_the_volume("listen_history"),
    "listen_history: nothing new": nothing_new,
    "listen_history: nothing at all": nothing_at_all,
    "users: not heard of for two days": stalled_for(48),
    "5 % without a gender become 10 %": doubled_nulls("gender"),
    "2 % without a last name become 4 %": doubled_nulls("last_name"),
    "one user in 20 quarantined": more_quarantined,
}


def found_faults(days: list[Day], first: int = 30, step: int = 1) -> Iterator[tuple[str, int, int]]:
    """Each fault, on each day from the first on by itself: how often it was found, of how often it was there.

    Args:
        step: of so many days only one is looked at.
    """
    positions = range(first, len(days), step)
    for name, spoil in FAULTS.items():
        found = 0
        for position in positions:
            spoilt = deepcopy(days[position])
            expected = spoil(spoilt)
            found += expected in {(each.kind, each.subject) for each in alarms(spoilt, days[:position])}
        yield name, found, len(positions)


def _entry(dice: Dice, day: int, stream: str, count: int, before: int | None) -> StreamLedger:
    incremental = stream == "listen_history" and before is not None
    expected = count / BAD_ONE_IN
    bad = int(expected + 1.5 * float(dice.fraction(day, 4, len(stream))[0]))
    return StreamLedger(
        stream, count, count, 0, quarantined_records=bad, sync_mode="incremental" if incremental else "full_refresh"
    )


def _null_count(seed: int, column: str, share: float, users: list[int]) -> NullCount:
    """A user has the value, or not, for good."""
    missing = int((Dice(seed, f"nulls/{column}").below(1000, np.array(users)) < 1000 * share).sum())
    return NullCount("stg_users", column, missing, len(users))


def _hits(dice: Dice, many: int, *place: int) -> bool:
    return bool(dice.one_in(many, *place)[0])


def _instant(microseconds: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)


def main(days: int) -> None:
    simulated = year(days)
    false = false_alarms(simulated)
    kinds = Counter(verdict.kind for found in false.values() for verdict in found)
    print(f"{len(simulated)} runs in {days} days, {len(false)} with an alarm for nothing: {dict(kinds)}")
    for run_id, found in false.items():
        print(f"  {run_id}: {'; '.join(f'{each.kind} {each.subject}: {each.detail}' for each in found)}")
    for name, found_count, there in found_faults(simulated):
        print(f"  {name}: found on {found_count} of {there} days")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 365)
