"""user_track_interactions: how often, first and last."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st


def test_the_listens_of_a_user_to_a_track_are_counted(listened, day):
    pairs = listened((7, 10, 3), (7, 10, 1), (7, 10, 2), (7, 20, 2), (8, 10, 5))

    assert pairs.rows() == [
        (7, 10, 3, day(1), day(3)),
        (7, 20, 1, day(2), day(2)),
        (8, 10, 1, day(5), day(5)),
    ]


def test_no_listen_makes_an_empty_table(listened):
    assert listened().rows() == []


# Both sides of where two ids no longer fit into one integer, and the ends of their type.
IDS = st.sampled_from([-(2**63), -1, 0, 1, 2, 2**31 - 1, 2**31, 2**31 + 1, 2**53 + 1, 2**62, 2**63 - 1])


@given(plays=st.lists(st.tuples(IDS, IDS)))
def test_no_pair_of_ids_is_taken_for_another(listened, plays: list[tuple[int, int]]):
    pairs = listened(*((user, track, 1) for user, track in plays))

    assert {(user, track): count for user, track, count, _, _ in pairs.rows()} == Counter(plays)
    assert pairs.height == len(set(plays))
