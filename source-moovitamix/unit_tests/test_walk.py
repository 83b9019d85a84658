"""Walk: which page comes next, on collections small enough to follow by hand and on many that are not."""

import itertools
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st


@pytest.fixture(scope="module")
def pages(source_module):
    return source_module.components


def walk_over(pages, rows, size, change, tell=lambda rows: len(rows)):
    """Reads `rows` one page after the other; `change(rows)` gives what is there before the next request, `tell(rows)`
    the `total` of a page."""
    read = pages.Keys()
    walk, trail, seen, asked = pages.Walk(), pages.Trail(read), [], []
    while walk is not None:
        number = walk.page
        items = [{"id": row} for row in rows[(number - 1) * size : number * size]]
        keys = [hash(item["id"]) for item in items]
        asked.append(number)
        page = pages.Page(items, tell(rows), number, size)
        borne_out = trail.bears_out(walk, page, keys)
        if borne_out is None:
            walk = walk.further_back(page)
        else:
            walk = borne_out.after(page)
            trail.add(keys, borne_out, walk)
            read.add(keys)
            seen += [item["id"] for item in items]
        rows = change(rows)
        assert len(asked) < 1000, "the walk does not end"
    return seen, asked, rows


def test_an_undisturbed_walk_asks_for_each_page_once(pages):
    seen, asked, _ = walk_over(pages, list(range(10)), 3, lambda rows: rows)

    assert seen == list(range(10))
    assert asked == [1, 2, 3, 4]


def test_the_last_page_may_be_full(pages):
    assert walk_over(pages, list(range(9)), 3, lambda rows: rows)[1] == [1, 2, 3]


def test_an_empty_collection_takes_one_request(pages):
    assert walk_over(pages, [], 3, lambda rows: rows)[1] == [1]


def test_after_one_removed_row_the_page_before_is_read_again_and_the_page_read_meanwhile_is_not(pages):
    """0 1 2 | 3 4 5 | 6 7 8, then 0 goes: 1 2 3 | 4 5 6 | 7 8. Page 2 gives 4 5 6; 3 is on page 1 now."""
    removals = iter([[1, 2, 3, 4, 5, 6, 7, 8]])

    seen, asked, _ = walk_over(pages, list(range(9)), 3, lambda rows: next(removals, rows))

    assert asked == [1, 2, 1, 3]
    assert set(seen) == set(range(9))


def test_a_page_fetched_before_rows_were_added_is_judged_by_its_own_total(pages):
    """Pages fetched ahead of time come out of order: page 2 knows 12 rows, page 3, fetched earlier, 9 rows."""
    three = pages.Walk(page=3, total=12, seen=6)

    following = three.after(pages.Page([{"id": i} for i in (6, 7, 8)], 9, 3, 3))

    assert following.page == 2, "three rows may lie between"


def test_pages_of_another_size_than_asked_for_are_counted_in_theirs(pages):
    following = pages.Walk().after(pages.Page([{"id": i} for i in range(50)], 120, 1, 50))

    assert (following.page, following.seen) == (2, 50)


@settings(max_examples=300, deadline=None)
@given(
    count=st.integers(0, 60),
    size=st.integers(1, 7),
    removals=st.lists(st.integers(0, 4), max_size=40),
    additions=st.lists(st.integers(0, 3), max_size=40),
    seed=st.integers(0, 2**32),
)
def test_every_row_that_lives_throughout_is_seen_whatever_is_removed_or_added(
    source_module, count, size, removals, additions, seed
):
    """Between two requests rows are removed or added, not both: an equal number of each cannot be seen in `total`."""
    chance = random.Random(seed)
    steps = [(-n if chance.random() < 0.6 else m) for n, m in zip(removals, additions, strict=False)]
    plan = iter(steps)
    gone = set()

    def change(rows):
        step = next(plan, 0)
        rows = list(rows)
        for _ in range(min(-step, len(rows))):
            gone.add(rows.pop(chance.randrange(len(rows))))
        for _ in range(step):
            rows.insert(chance.randint(0, len(rows)), ("new", chance.random()))
        return rows

    original = list(range(count))
    seen, _, _ = walk_over(source_module.components, original, size, change)

    assert set(original) - gone <= set(seen)


@settings(max_examples=300, deadline=None)
@given(
    count=st.integers(0, 60),
    size=st.integers(1, 7),
    falls=st.lists(st.tuples(st.integers(0, 6), st.integers(0, 5)), max_size=40),
    seed=st.integers(0, 2**32),
)
def test_every_row_that_lives_throughout_is_seen_though_others_come_while_more_are_removed(
    source_module, count, size, falls, seed
):
    """`total` falls by less than the rows slide. Rows come anywhere, most of them at the end."""
    chance = random.Random(seed)
    plan = iter((removed, min(added, removed - 1)) for removed, added in falls if removed)
    gone, new = set(), itertools.count(1000)

    def change(rows):
        removed, added = next(plan, (0, 0))
        rows = list(rows)
        if len(rows) < removed:
            return rows
        for _ in range(removed):
            gone.add(rows.pop(chance.randrange(len(rows))))
        for _ in range(added):
            rows.insert(len(rows) if chance.random() < 0.7 else chance.randint(0, len(rows)), next(new))
        return rows

    original = list(range(count))
    seen, _, _ = walk_over(source_module.components, original, size, change)

    assert set(original) - gone <= set(seen)


@settings(max_examples=300, deadline=None)
@given(
    count=st.integers(0, 60),
    size=st.integers(1, 7),
    removals=st.lists(st.integers(0, 4), max_size=40),
    seed=st.integers(0, 2**32),
)
def test_every_row_that_lives_throughout_is_seen_though_some_pages_have_no_total(
    source_module, count, size, removals, seed
):
    """Rows are removed between requests, and half of the pages, empty ones too, do not say how many are left."""
    chance, plan, gone, told = random.Random(seed), iter(removals), set(), []

    def change(rows):
        rows = list(rows)
        for _ in range(min(next(plan, 0), len(rows))):
            gone.add(rows.pop(chance.randrange(len(rows))))
        return rows

    def tell(rows):
        told.append(None if told and chance.random() < 0.5 else len(rows))
        return told[-1]

    seen, _, _ = walk_over(source_module.components, list(range(count)), size, change, tell)

    assert set(range(count)) - gone <= set(seen)


def test_a_page_without_total_counts_once_a_later_one_says_that_nothing_was_removed(pages):
    walk = pages.Walk(page=2, total=9, seen=3)

    walk = walk.after(pages.Page([{}] * 3, None, 2, 3))
    assert (walk.page, walk.seen, walk.unsure) == (3, 3, 6)

    assert walk.after(pages.Page([{}] * 3, 9, 3, 3)) is None


def test_a_page_without_total_does_not_count_when_a_later_one_says_that_rows_were_removed(pages):
    walk = pages.Walk(page=2, total=9, seen=3).after(pages.Page([{}] * 3, None, 2, 3))

    walk = walk.after(pages.Page([{}] * 2, 8, 3, 3))

    assert (walk.page, walk.seen) == (1, 2)


def test_an_empty_page_without_total_is_no_end_before_as_many_rows_as_were_announced(pages):
    walk = pages.Walk(page=2, total=9, seen=3)

    walk = walk.after(pages.Page([], None, 2, 3))

    assert (walk.page, walk.seen, walk.repeats) == (2, 3, 1)


def test_a_full_page_beyond_total_is_not_the_last(pages):
    """`total` says 850, and page 9 has a hundred rows."""
    walk = pages.Walk(page=9, total=850, seen=800).after(pages.Page([{}] * 100, 850, 9, 100))

    assert walk.page == 10
    assert walk.after(pages.Page([], 850, 10, 100)) is None


def test_of_pages_in_flight_together_none_counts_when_total_changes(pages):
    walk = pages.Walk(page=9, total=1000, seen=800, island=(850, 900), repeats=2)

    back = walk.back(pages.Page([{}] * 100, 990, 9, 100), 3)

    assert (back.page, back.seen, back.total, back.island, back.repeats) == (5, 490, 1000, (0, 0), 3)


@settings(max_examples=300, deadline=None)
@given(
    count=st.integers(0, 60),
    size=st.integers(1, 7),
    removals=st.lists(st.integers(0, 3), min_size=1, max_size=40),
    seed=st.integers(0, 2**32),
)
def test_every_row_that_lives_throughout_is_seen_though_pages_come_out_of_order(
    source_module, count, size, removals, seed
):
    """With requests in flight ahead, a page may be older or newer than the one before it."""
    chance = random.Random(seed)
    history = [list(range(count))]
    for removed in removals:
        rows = list(history[-1])
        for _ in range(min(removed, len(rows))):
            rows.pop(chance.randrange(len(rows)))
        history.append(rows)
    steps = iter(range(1, 1000))

    def change(_):
        moment = next(steps) + chance.randint(-4, 4)
        return history[min(max(moment, 0), len(history) - 1)]

    seen, _, _ = walk_over(source_module.components, history[0], size, change)

    assert set(history[-1]) <= set(seen)
