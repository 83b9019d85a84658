"""Keys: how many different ones, and whether two passes held the same, in a few bytes a row."""

import random
import sys

import pytest


@pytest.fixture
def keys(components):
    return components.Keys()


def test_repeated_keys_are_counted_once(keys):
    keys.add(map(hash, [1, 2, 3, 2, 1]))
    keys.add(map(hash, [3, 4]))

    assert keys.different() == 4


def test_two_passes_over_the_same_keys_in_another_order_are_equal(keys):
    names = [(user, f"2026-01-01T00:00:00.{user:06}") for user in range(3000)]
    keys.add(map(hash, names))
    first = keys.end_pass()
    random.Random(1).shuffle(names)
    keys.add(map(hash, names + names[:10]))

    assert keys.end_pass() == first
    assert first[0] == keys.different() == 3000


def test_a_pass_with_one_other_key_differs_though_it_holds_as_many(keys):
    keys.add(range(1000))
    first = keys.end_pass()
    keys.add([*range(999), 1000])
    second = keys.end_pass()

    assert first[0] == second[0] == 1000
    assert first != second


def test_negative_and_large_hashes_are_keys_like_any_other(keys):
    keys.add([-2, 0, 1, 2**41, -(2**40)])

    assert keys.different() == 5


def test_a_hundred_thousand_rows_take_about_half_a_megabyte(keys):
    keys.add(hash((row, str(row))) for row in range(100_000))

    assert sum(sys.getsizeof(heap) for heap in keys._heaps) < 700_000
    assert keys.different() >= 99_998
