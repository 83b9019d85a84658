"""What is told of a read while it goes on: pages, records a second, time left, silence."""

import io
from collections import Counter

import pytest
from moovitamix_transform import progress as module
from moovitamix_transform.progress import RunProgress
from rich.console import Console


class Clock:
    now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


def told(screen: Console) -> list[str]:
    assert isinstance(screen.file, io.StringIO)
    lines = screen.file.getvalue().splitlines()
    screen.file.seek(0)
    screen.file.truncate()
    return lines


@pytest.fixture
def screen() -> Console:
    return Console(file=io.StringIO(), force_terminal=False)


def test_a_stream_is_told_with_pages_speed_and_time_left(clock: Clock, screen: Console):
    progress = RunProgress(screen, "WARN", page_rows=100)
    progress.estimate("tracks", 1_000)
    progress.received(Counter(tracks=100))

    clock.now += 2
    progress.received(Counter(tracks=400))

    assert progress.describe("tracks") == "4 of 10 pages, 400 records, 200 a second, 3 s left"


def test_a_stream_that_is_complete_keeps_the_speed_it_had(clock: Clock, screen: Console):
    progress = RunProgress(screen, "WARN", page_rows=100)
    progress.estimate("tracks", 400)
    progress.received(Counter(tracks=100))
    clock.now += 2
    progress.received(Counter(tracks=400))

    clock.now += 1000

    assert progress.describe("tracks") == "4 of 4 pages, 400 records, 200 a second"


@pytest.mark.parametrize(
    ("page_rows", "total", "count", "text"),
    [
        pytest.param(100, None, 250, "250 records", id="no_total"),
        pytest.param(None, 1_000, 250, "250 of 1,000 records", id="no_page_size"),
        pytest.param(None, None, 1, "1 record", id="one"),
        pytest.param(100, 250, 250, "3 of 3 pages, 250 records", id="a_last_page_that_is_not_full"),
        pytest.param(100, 200, 250, "2 of 2 pages, 250 records", id="more_than_announced"),
        pytest.param(100, 0, 0, "0 of 0 pages, 0 records", id="empty"),
    ],
)
def test_what_is_not_known_is_not_told(
    clock: Clock, screen: Console, page_rows: int | None, total: int | None, count: int, text: str
):
    progress = RunProgress(screen, "WARN", page_rows=page_rows)
    if total is not None:
        progress.estimate("tracks", total)

    progress.received(Counter(tracks=count))

    assert progress.describe("tracks") == text


def test_on_a_pipe_a_line_comes_every_two_seconds_for_the_streams_that_came_on(clock: Clock, screen: Console):
    progress = RunProgress(screen, "WARN")
    progress.received(Counter(tracks=10))
    first = told(screen)

    clock.now += 1
    progress.received(Counter(tracks=20))
    too_soon = told(screen)
    clock.now += 1
    progress.received(Counter(tracks=20, users=5))
    second = told(screen)
    clock.now += 2
    progress.received(Counter(tracks=20, users=5))
    nothing_new = told(screen)

    assert first == ["tracks: 10 records"]
    assert too_soon == []
    assert second == ["tracks: 20 records, 20 a second", "users: 5 records"]
    assert nothing_new == []


def test_a_silent_source_is_told_of_every_ten_seconds(clock: Clock, screen: Console):
    progress = RunProgress(screen, "WARN")
    heard = []

    for _ in range(25):
        clock.now += 1
        progress.idle()
        heard += told(screen)

    assert heard == [
        "the source has sent no record yet, for 10 s; --log-level INFO shows what it says",
        "the source has sent no record yet, for 20 s; --log-level INFO shows what it says",
    ]


def test_on_a_pipe_a_long_build_tells_every_ten_seconds_which_table_is_made(clock: Clock, screen: Console):
    progress = RunProgress(screen, "WARN")
    lines = []

    for seconds, table in ((1, "base_tracks"), (10, "stg_tracks"), (5, "stg_users"), (6, "fct_listens")):
        clock.now += seconds
        progress.step(table)
        lines += told(screen)

    assert lines == ["build stg_tracks, after 11 s", "build fct_listens, after 22 s"]


def test_a_source_that_falls_silent_is_not_starting(clock: Clock, screen: Console):
    progress = RunProgress(screen, "WARN")
    progress.received(Counter(tracks=10))
    told(screen)

    clock.now += 11
    progress.idle()

    assert told(screen) == ["the source has sent no record for 11 s; --log-level INFO shows what it says"]


@pytest.mark.parametrize(
    ("lowest", "shown"),
    [
        ("DEBUG", ["DEBUG a", "INFO b", "ERROR c", "NOISE d"]),
        ("INFO", ["INFO b", "ERROR c", "NOISE d"]),
        ("ERROR", ["ERROR c"]),
    ],
)
def test_messages_below_the_level_are_not_shown(screen: Console, lowest: str, shown: list[str]):
    progress = RunProgress(screen, lowest)

    with progress.shown():
        for level, message in (("DEBUG", "a"), ("INFO", "b"), ("ERROR", "c"), ("NOISE", "d")):
            progress.log(level, message)

    assert told(screen) == shown


def test_marks_in_a_message_are_no_markup(screen: Console):
    progress = RunProgress(screen, "INFO")

    progress.log("INFO", "[red]tracks[/red] [1, 2] :smile:")

    assert told(screen) == ["INFO [red]tracks[/red] [1, 2] :smile:"]
