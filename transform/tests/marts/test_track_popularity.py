"""track_popularity: counts and ranks."""


def test_listens_and_listeners_are_counted(run, listened, day):
    pairs = listened((7, 10, 1), (7, 10, 4), (8, 10, 2))

    charts = run("track_popularity", user_track_interactions=pairs)

    assert charts.to_dicts() == [
        {"track_id": 10, "listen_count": 3, "listener_count": 2, "last_listened_at": day(4), "rank": 1}
    ]


def test_equal_counts_share_the_smallest_rank_and_the_next_count_skips(run, listened):
    twice = [(7, track, on) for track in (10, 20) for on in (1, 2)]
    once = [(7, track, 1) for track in (30, 40, 50)]
    pairs = listened(*once, *twice, *[(8, 60, on) for on in (1, 2, 3)])

    charts = run("track_popularity", user_track_interactions=pairs)

    ranks = dict(charts.select("track_id", "rank").rows())
    assert ranks == {60: 1, 10: 2, 20: 2, 30: 4, 40: 4, 50: 4}


def test_listens_decide_and_not_listeners(run, listened):
    pairs = listened((7, 10, 1), (7, 10, 2), (7, 10, 3), (7, 20, 1), (8, 20, 1))

    charts = run("track_popularity", user_track_interactions=pairs)

    assert charts.select("track_id", "rank").rows() == [(10, 1), (20, 2)]


def test_no_listen_makes_empty_charts(run, listened):
    charts = run("track_popularity", user_track_interactions=listened())

    assert charts.rows() == []
