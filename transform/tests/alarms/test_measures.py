"""A run's numbers beside those of the runs before it: what is usual, what is odd, what cannot be told yet."""

from datetime import UTC, datetime, timedelta

import pytest
from moovitamix_transform.alarms import measures
from moovitamix_transform.alarms.limits import Band, band
from moovitamix_transform.alarms.settings import Settings
from moovitamix_transform.alarms.verdict import Verdict
from moovitamix_transform.runs import NullCount, Run, StreamLedger, SyncMode

MONDAY = datetime(2026, 1, 5, 12, tzinfo=UTC)
TEN_DAYS = list(range(10))


def a_run(
    day: float,
    stream: str = "tracks",
    received: int = 1000,
    *,
    mode: SyncMode = "full_refresh",
    new: int | None = None,
    bad: int = 0,
    nulls: int = 50,
    seconds: float = 30,
) -> Run:
    started = MONDAY + timedelta(days=day)
    run = Run("run", f"day {day}", started, started + timedelta(seconds=seconds), "succeeded")
    run.streams = [StreamLedger(stream, received, received, 0, new=new, quarantined_records=bad, sync_mode=mode)]
    run.nulls = [NullCount("stg_users", "gender", nulls, 1000)]
    return run


def alarms(run: Run, earlier: list[Run], settings: Settings | None = None) -> list[tuple[str, str, str | None]]:
    found = measures.judge(run, sorted(earlier, key=lambda each: each.started_at, reverse=True), settings or Settings())
    return [(each.kind, each.subject, each.level) for each in found if each.level]


def verdict(kind: str, run: Run, earlier: list[Run]) -> Verdict:
    found = measures.judge(run, earlier[::-1], Settings())
    return next(each for each in found if each.kind == kind)


def test_the_band_does_not_move_for_an_outlier():
    usual = band([100, 101, 99, 100, 102, 98, 100, 9000], deviations=5, floor=2)

    assert usual == Band(100, 5 * 1.4826)


def test_runs_that_were_all_alike_have_a_band_of_the_floor():
    assert band([7.0] * 9, deviations=5, floor=2) == Band(7, 2)


def test_a_usual_run_raises_nothing():
    assert alarms(a_run(10, received=1010), [a_run(day) for day in TEN_DAYS]) == []


def test_before_seven_good_runs_nothing_is_judged_and_that_is_said():
    before = [a_run(day) for day in range(6)]

    found = verdict("volume", a_run(6, received=1), before)

    assert found.level is None
    assert found.detail == "not judged before 7 good runs like it, there are 6"


@pytest.mark.parametrize(
    ("run", "alarm"),
    [
        pytest.param(a_run(10, received=500), ("volume", "tracks", "warn"), id="half_the_records"),
        pytest.param(a_run(10, received=1500), ("volume", "tracks", "warn"), id="half_as_many_again"),
        pytest.param(a_run(10, bad=40), ("quarantine", "tracks", "warn"), id="one_in_25_quarantined"),
        pytest.param(a_run(10, nulls=100), ("nulls", "stg_users.gender", "warn"), id="twice_the_nulls"),
        pytest.param(a_run(10, seconds=120), ("duration", "run", "warn"), id="four_times_the_seconds"),
    ],
)
def test_what_is_unlike_the_runs_before_is_an_alarm(run: Run, alarm: tuple[str, str, str]):
    assert alarms(run, [a_run(day) for day in TEN_DAYS]) == [alarm]


def test_a_kind_that_is_off_is_not_judged():
    found = list(measures.judge(a_run(10, received=500), [a_run(day) for day in TEN_DAYS], Settings(off=("volume",))))

    assert {each.kind for each in found} == {"nulls", "quarantine", "duration"}


def test_failed_runs_builds_and_reads_of_another_kind_are_no_measure():
    whole = [a_run(day, "listen_history", 90_000) for day in TEN_DAYS]
    failed = [a_run(day, "listen_history", 0, mode="incremental") for day in TEN_DAYS]
    for run in failed:
        run.status = "failed"

    found = verdict("volume", a_run(10, "listen_history", 200, mode="incremental"), whole + failed)

    assert found.detail == "not judged before 7 good runs like it, there are 0"


def incremental(day: float, received: int, new: int) -> Run:
    return a_run(day, "listen_history", received, mode="incremental", new=new)


def test_an_incremental_read_of_three_days_may_bring_three_times_as_much():
    before = [incremental(day, 300, 240) for day in TEN_DAYS]

    assert alarms(incremental(12, 780, 720), before) == []
    assert alarms(incremental(10, 780, 720), before) == [("volume", "listen_history", "warn")]


def test_an_incremental_read_minutes_after_the_last_may_bring_nothing_new():
    before = [incremental(day, 300, 240) for day in TEN_DAYS]

    assert alarms(incremental(9.01, 60, 0), before) == []
    assert alarms(incremental(9.01, 0, 0), before) == []


def test_a_day_without_anything_new_is_an_error_though_the_lookback_window_was_read_again():
    before = [incremental(day, 300, 240) for day in TEN_DAYS]

    assert alarms(incremental(10, 300, 0), before) == [("volume", "listen_history", "error")]


def test_a_stream_that_seldom_has_news_may_have_none():
    before = [incremental(day, day % 3, day % 3) for day in TEN_DAYS]

    assert alarms(incremental(10, 0, 0), before) == []


def test_lines_that_are_of_no_stream_are_held_against_all_that_came():
    spoilt = a_run(10)
    spoilt.streams.append(StreamLedger(None, 100, 0, 100))

    assert alarms(spoilt, [a_run(day) for day in TEN_DAYS]) == [("quarantine", "lines", "warn")]


def test_an_alarm_says_what_came_and_what_was_expected():
    found = verdict("volume", a_run(10, received=500), [a_run(day) for day in TEN_DAYS])

    assert found.detail == "500 records, expected 750 to 1,250 (median 1,000)"
