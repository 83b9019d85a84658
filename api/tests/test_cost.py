"""A million listens start fast and small, and any page of theirs is cheap, on the real clock.

The bounds are promises, and hold on one core of a small machine, on the mean of all depths and on that of the dearest
tenth. CPU time is the best of up to thirty rounds: what a neighbour on the same core adds is not the API's, and comes
and goes for seconds at a time (up to twice the time, on the machine this was written on). Measured there: 2 s to start,
250 MB, 1.2 to 2.4 ms a page.
"""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from heapq import nlargest
from itertools import pairwise
from statistics import fmean

import psutil
import pytest
import requests

MOST_ROUNDS, PAGES_A_ROUND, BOUND_MS = 30, 100, 3


@dataclass(frozen=True)
class Large:
    """The API with a million listens, and the CPU seconds that it took until it answered."""

    url: str
    process: psutil.Process
    start_seconds: float


@pytest.fixture(scope="module")
def large(start_api: Callable[..., object]) -> Large:
    # Without line tracing, which would double what is measured here.
    running = start_api("--listens", "1000000", COVERAGE_PROCESS_CONFIG="", COVERAGE_PROCESS_START="")
    process = psutil.Process(running.process.pid)
    return Large(running.url, process, cpu_ms(process) / 1000)


def test_a_million_listens_start_in_ten_seconds(large: Large):
    """Of its CPU: it waits for nothing."""
    assert 0.1 < large.start_seconds < 10


@pytest.mark.parametrize(
    ("path", "window"),
    [
        pytest.param("/listen_history", {}, id="listens"),
        pytest.param("/listen_history", {"updated_since": "2025-06-01"}, id="listens_in_a_window"),
        pytest.param("/tracks", {}, id="tracks"),
        pytest.param("/users", {}, id="users"),
    ],
)
def test_a_page_of_100_at_any_depth_costs_under_3_ms_of_cpu(large: Large, path: str, window: dict[str, str]):
    with requests.Session() as session:

        def get(page: int) -> dict[str, object]:
            return session.get(f"{large.url}{path}", params={"page": page, **window}, timeout=10).json()

        pages = int(get(1)["pages"])
        depths = [pages - 1 - step * (pages - 1) // PAGES_A_ROUND for step in range(PAGES_A_ROUND)]
        means: list[float] = []
        least = [float("inf")] * PAGES_A_ROUND  # by depth, of all rounds
        while len(means) < MOST_ROUNDS and not (means and min(means) < BOUND_MS and dearest_tenth(least) < BOUND_MS):
            told = [cpu_ms(large.process)]
            for depth in depths:
                assert get(depth)["items"]
                told.append(cpu_ms(large.process))
            spent = [after - before for before, after in pairwise(told)]
            means.append(fmean(spent))
            least = list(map(min, least, spent))

    assert min(means) < BOUND_MS, f"{path}: CPU milliseconds a page, by round: {means}"
    by_depth = dict(zip(depths, least, strict=True))
    assert dearest_tenth(least) < BOUND_MS, f"{path}: the least CPU milliseconds of each page asked for: {by_depth}"


def cpu_ms(process: psutil.Process) -> float:
    """CPU time of the process so far. On Linux psutil tells it in ticks of 10 ms, of which a page is a part."""
    if sys.platform == "linux":
        return time.clock_gettime_ns(~process.pid << 3 | 2) / 1e6  # clock_getcpuclockid, which Python lacks
    used = process.cpu_times()
    return (used.user + used.system) * 1000


def dearest_tenth(milliseconds: list[float]) -> float:
    return fmean(nlargest(len(milliseconds) // 10, milliseconds))


def test_a_million_listens_take_less_than_a_gigabyte_and_a_half(large: Large):
    assert large.process.memory_info().rss < 1.5e9
