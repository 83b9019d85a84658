"""A run's numbers, held against those of the last good runs like it: records, nulls, quarantined, seconds.

The limits are those of `limits.band`. Its floors keep apart what is unlike the runs before from what chance does: of a
count n, chance moves √n; of a share p of n rows, √(p / n). Four of these are passed by chance once in 15,000 times.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from math import sqrt
from statistics import median
from typing import TYPE_CHECKING

from moovitamix_transform.alarms.limits import band
from moovitamix_transform.alarms.verdict import Kind, Verdict
from moovitamix_transform.runs import Level, Run, StreamLedger
from moovitamix_transform.streams import STREAMS

if TYPE_CHECKING:
    from moovitamix_transform.alarms.settings import Baseline, Settings

_CHANCE = 4.0
_CHANCE_OF_STATE = 3.0  # of a table's rows, most of which are those of the day before: chance moves them less
_LOOKED_AT = 4  # times as many as are needed, to find those that are alike among others
LINES = "lines"  # the subject of those that are no record of any stream


def judge(run: Run, earlier: Sequence[Run], settings: "Settings") -> Iterator[Verdict]:
    """Every number of a run that can be judged.

    Args:
        earlier: the runs before it, newest first; only good syncs count.
    """
    good = [each for each in earlier if each.kind == "run" and each.status == "succeeded"]
    good = good[: looked_at(settings)]
    stretch = _stretch(run, good, settings.baseline)
    measures: dict[Kind, Callable[[], Iterator[Verdict]]] = {
        "volume": lambda: _volumes(run, good, settings, stretch),
        "nulls": lambda: _nulls(run, good, settings),
        "quarantine": lambda: _quarantined(run, good, settings),
        "duration": lambda: _durations(run, good, settings, stretch),
    }
    for kind, found in measures.items():
        if kind not in settings.off:
            yield from found()


def looked_at(settings: "Settings") -> int:
    """Of how many good syncs before it a run is judged at most."""
    return _LOOKED_AT * settings.baseline.runs


def _volumes(run: Run, good: list[Run], settings: "Settings", stretch: float) -> Iterator[Verdict]:
    """Records of each stream, beside those of the runs that asked for it in the same way.

    What an incremental read brings grows with the time since the read before it, but for its lookback window: what
    that reads again nobody can tell from what came. So its records may be as many as ever, or as many as for that time;
    the new ones among them are held against that time alone, and are none when an API has died and still answers.
    """
    for entry in _entries(run):
        alike = [each for other in good for each in _entries(other) if _is_alike(entry, each)]
        received = [float(each.received) for each in alike][: settings.baseline.runs]
        found = [_volume(entry, "records", entry.received, received, [1.0, stretch], settings)]
        if entry.sync_mode == "incremental" and entry.new is not None:
            new = [float(each.new) for each in alike if each.new is not None][: settings.baseline.runs]
            found.append(_volume(entry, "new records", entry.new, new, [stretch], settings))
        yield next((verdict for verdict in reversed(found) if verdict.level), found[0])


def _volume(
    entry: StreamLedger, what: str, count: int, before: list[float], stretches: list[float], settings: "Settings"
) -> Verdict:
    """
    Args:
        stretches: what the counts before are multiplied with, to be those of the time since then: each is a right one.
    """
    subject = str(entry.stream)
    if len(before) < settings.baseline.least:
        return _unjudged("volume", subject, before, settings)
    bands = []
    for stretch in stretches if entry.sync_mode == "incremental" else [1.0]:
        values = [value * stretch for value in before]
        middle = median(values)
        floor = max(settings.volume.share * middle, _CHANCE * sqrt(middle))
        bands.append(band(values, settings.baseline.deviations, floor))
    low, high = min(each.low for each in bands), max(each.high for each in bands)
    level: Level | None = None
    if not low <= count <= high:
        level = "warn" if count else "error"
    detail = f"{count:,} {what}, expected {max(0, low):,.0f} to {high:,.0f} (median {median(before):,.0f})"
    return Verdict("volume", subject, level, detail)


def _nulls(run: Run, good: list[Run], settings: "Settings") -> Iterator[Verdict]:
    """The share of rows without a value, of each column that may have none."""
    before: dict[tuple[str, str], list[float]] = {}
    for other in good[: settings.baseline.runs]:
        for each in other.nulls:
            if each.rows:
                before.setdefault((each.table, each.column), []).append(each.nulls / each.rows)
    for entry in run.nulls:
        if entry.rows:
            values = before.get((entry.table, entry.column), [])
            subject = f"{entry.table}.{entry.column}"
            share = entry.nulls / entry.rows
            yield _share("nulls", subject, share, entry.rows, values, settings.nulls.points, _CHANCE_OF_STATE, settings)


def _quarantined(run: Run, good: list[Run], settings: "Settings") -> Iterator[Verdict]:
    """The share of what came of each stream that went to the quarantine; of all that came, the lines of no stream."""
    before = [_shares(other) for other in good[: settings.baseline.runs]]
    for subject, (share, count) in _shares(run).items():
        values = [shares[subject][0] for shares in before if subject in shares]
        yield _share("quarantine", subject, share, count, values, settings.quarantine.points, _CHANCE, settings)


def _shares(run: Run) -> dict[str, tuple[float, int]]:
    """By subject, the quarantined share, and of how many."""
    found = {}
    for entry in _entries(run):
        if entry.received:
            bad = entry.quarantined_lines + (entry.quarantined_records or 0)
            found[str(entry.stream)] = bad / entry.received, entry.received
    total = sum(entry.received for entry in run.streams)
    if total:
        odd = sum(entry.quarantined_lines for entry in run.streams if entry.stream not in STREAMS)
        found[LINES] = odd / total, total
    return found


def _durations(run: Run, good: list[Run], settings: "Settings", stretch: float) -> Iterator[Verdict]:
    """Seconds, beside those of the runs that asked for each stream in the same way."""
    modes = _modes(run)
    before = [other.seconds for other in good if other.seconds is not None and _modes(other) == modes]
    before = before[: settings.baseline.runs]
    if len(before) < settings.baseline.least or run.seconds is None:
        yield _unjudged("duration", "run", before, settings)
        return
    floor = max(settings.duration.share * median(before), settings.duration.seconds)
    usual = band(before, settings.baseline.deviations, floor)
    high = usual.high * max(1.0, stretch)
    detail = f"{run.seconds:,.0f} s, expected at most {high:,.0f} (median {usual.middle:,.0f})"
    yield Verdict("duration", "run", "warn" if run.seconds > high else None, detail)


def _share(
    kind: Kind,
    subject: str,
    share: float,
    count: int,
    before: list[float],
    points: float,
    chance: float,
    settings: "Settings",
) -> Verdict:
    """Only a rise is an alarm: fewer nulls, and fewer quarantined, are what one hopes for."""
    if len(before) < settings.baseline.least:
        return _unjudged(kind, subject, before, settings)
    floor = max(points / 100, chance * sqrt(max(median(before), 1 / count) / count))
    usual = band(before, settings.baseline.deviations, floor)
    detail = f"{share:.1%} of {count:,}, expected at most {usual.high:.1%} (median {usual.middle:.1%})"
    return Verdict(kind, subject, "warn" if share > usual.high else None, detail)


def _stretch(run: Run, good: list[Run], baseline: "Baseline") -> float:
    """How long ago the run before it began, in units of the usual time between runs."""
    starts = [run.started_at, *(each.started_at for each in good[: baseline.runs + 1])]
    gaps = [(later - sooner).total_seconds() for later, sooner in pairwise(starts)]
    usual = median(gaps[1:]) if len(gaps) > baseline.least else 0.0
    return gaps[0] / usual if usual > 0 else 1.0


def _unjudged(kind: Kind, subject: str, before: list[float], settings: "Settings") -> Verdict:
    least = settings.baseline.least
    return Verdict(kind, subject, None, f"not judged before {least} good runs like it, there are {len(before)}")


def _entries(run: Run) -> list[StreamLedger]:
    return [entry for entry in run.streams if entry.stream in STREAMS]


def _modes(run: Run) -> dict[str | None, str | None]:
    return {entry.stream: entry.sync_mode for entry in _entries(run)}


def _is_alike(one: StreamLedger, other: StreamLedger) -> bool:
    return one.stream == other.stream and one.sync_mode is not None and one.sync_mode == other.sync_mode
