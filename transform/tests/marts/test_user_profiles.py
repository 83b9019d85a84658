"""user_profiles: sums over what is known of the tracks, and the genre listened to most."""

import pytest


def test_a_profile_sums_what_a_user_listened_to(run, listened, catalogue, day):
    tracks = catalogue((10, "Jazz", 100), (20, "Rock", 7))

    profiles = run(
        "user_profiles", user_track_interactions=listened((7, 10, 2), (7, 10, 3), (7, 20, 1)), dim_tracks=tracks
    )

    assert profiles.to_dicts() == [
        {
            "user_id": 7,
            "listen_count": 3,
            "track_count": 2,
            "listened_seconds": 207,
            "top_genre": "Jazz",
            "first_listened_at": day(1),
            "last_listened_at": day(3),
        }
    ]


@pytest.mark.parametrize(
    ("tracks", "seconds"),
    [
        pytest.param([(10, None, 60), (20, None, 5)], 65, id="all_known"),
        pytest.param([(10, None, 60), (20, None, None)], 60, id="one_null"),
        pytest.param([(10, None, 60)], 60, id="one_missing_from_the_catalogue"),
        pytest.param([(10, None, 0), (20, None, None)], 0, id="a_known_duration_of_nothing"),
        pytest.param([(10, None, None), (20, None, None)], None, id="none_known"),
        pytest.param([], None, id="an_empty_catalogue"),
    ],
)
def test_the_seconds_sum_the_known_durations(run, listened, catalogue, tracks, seconds):
    pairs = listened((7, 10, 1), (7, 20, 1))

    profiles = run("user_profiles", user_track_interactions=pairs, dim_tracks=catalogue(*tracks))

    assert profiles.select("listened_seconds", "listen_count").rows() == [(seconds, 2)]


def test_seconds_beyond_32_bits_are_summed(run, listened, catalogue):
    pairs = listened((7, 10, 1), (7, 10, 2), (7, 10, 3))

    profiles = run("user_profiles", user_track_interactions=pairs, dim_tracks=catalogue((10, None, 2**31 - 1)))

    assert profiles["listened_seconds"].to_list() == [3 * (2**31 - 1)]


@pytest.mark.parametrize(
    ("tracks", "genre"),
    [
        pytest.param([(10, "Rock", 1), (20, "Jazz", 1), (30, "Jazz", 1)], "Rock", id="plays_not_tracks"),
        pytest.param([(10, None, 1), (20, "Jazz", 1), (30, "Folk", 1)], "Folk", id="nulls_ignored_ties_by_name"),
        pytest.param([(10, None, 1), (20, "jazz", 1), (30, "Rock", 1)], "Rock", id="ties_by_the_bytes_of_the_name"),
        pytest.param([(20, "Jazz", 1)], "Jazz", id="only_one_track_known"),
        pytest.param([(10, None, 1), (20, None, 1), (30, None, 1)], None, id="none_known"),
        pytest.param([], None, id="an_empty_catalogue"),
    ],
)
def test_the_top_genre_has_most_plays(run, listened, catalogue, tracks, genre):
    pairs = listened((7, 10, 1), (7, 10, 2), (7, 10, 3), (7, 20, 1), (7, 30, 1))

    profiles = run("user_profiles", user_track_interactions=pairs, dim_tracks=catalogue(*tracks))

    assert profiles.select("user_id", "top_genre").rows() == [(7, genre)]


def test_ties_go_by_name_for_every_user(run, listened, catalogue):
    genres = ["Folk", "Jazz", "Metal", "Pop", "Rock"]
    tracks = catalogue(*((track, genres[track], 1) for track in (3, 1, 4, 0, 2)))
    pairs = listened(*((user, (user + step) % 5, 1) for user in range(40) for step in range(5)))

    profiles = run("user_profiles", user_track_interactions=pairs, dim_tracks=tracks)

    assert profiles["top_genre"].to_list() == ["Folk"] * 40


def test_each_user_has_a_top_genre_of_their_own(run, listened, catalogue):
    pairs = listened((7, 10, 1), (8, 20, 1), (8, 20, 2), (8, 10, 1))

    profiles = run(
        "user_profiles", user_track_interactions=pairs, dim_tracks=catalogue((10, "Jazz", 1), (20, "Rock", 1))
    )

    assert profiles.select("user_id", "top_genre").rows() == [(7, "Jazz"), (8, "Rock")]


def test_a_user_who_never_listened_has_no_profile(run, listened, catalogue):
    profiles = run("user_profiles", user_track_interactions=listened(), dim_tracks=catalogue((10, "Jazz", 1)))

    assert profiles.rows() == []
