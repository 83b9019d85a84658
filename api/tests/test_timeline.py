"""Counting and finding what is visible agrees with looking at every row."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from moovitamix_api.library.timeline import Timeline

SPANS = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)).map(sorted), max_size=40)
INSTANTS = st.lists(st.integers(-1, 31), min_size=1, max_size=8)


@given(
    spans=SPANS,
    copies=st.sampled_from([1, 100]),
    instants=INSTANTS,
    offset=st.integers(0, 4000),
    limit=st.integers(1, 100),
)
def test_a_page_is_what_a_look_at_every_row_finds_however_the_clock_moves(
    spans: list[list[int]], copies: int, instants: list[int], offset: int, limit: int
):
    visible_from = np.array([begin for begin, _ in spans] * copies, dtype=np.int64)  # 100 copies: several blocks
    visible_until = np.array([end for _, end in spans] * copies, dtype=np.int64)
    every_third = np.arange(0, visible_from.size, 3)
    timelines = {
        None: Timeline(visible_from, visible_until),
        "some": Timeline(visible_from, visible_until, every_third.astype(np.int32)),
    }

    for now in instants:
        for which, timeline in timelines.items():
            rows = np.arange(visible_from.size) if which is None else every_third
            visible = rows[(visible_from[rows] <= now) & (now < visible_until[rows])]
            assert timeline.total(now) == visible.size
            assert timeline.page(now, offset, limit).tolist() == visible[offset : offset + limit].tolist()
