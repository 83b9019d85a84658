"""user_track_interactions: how often, first and last."""


def test_the_listens_of_a_user_to_a_track_are_counted(listened, day):
    pairs = listened((7, 10, 3), (7, 10, 1), (7, 10, 2), (7, 20, 2), (8, 10, 5))

    assert pairs.rows() == [
        (7, 10, 3, day(1), day(3)),
        (7, 20, 1, day(2), day(2)),
        (8, 10, 1, day(5), day(5)),
    ]


def test_no_listen_makes_an_empty_table(listened):
    assert listened().rows() == []
