"""user_profiles: what each listener's history says of them."""

from typing import Any

import dataframely as dy
import narwhals as nw

from moovitamix_transform import contracts
from moovitamix_transform.contracts import made_of
from moovitamix_transform.marts.pairs import by_pair

LOCAL_BY = ("user_id",)


class UserProfiles(contracts.Contract):
    """One row per user who listened."""

    rows_by = ("fct_listens.user_id",)

    user_id = contracts.key(
        dy.Int64, "Who listened; may be missing from dim_users.", metadata=made_of("fct_listens.user_id")
    )
    listen_count = dy.Int64(
        nullable=False,
        min=1,
        description="Rows of fct_listens.",
        metadata=made_of("fct_listens.user_id", "fct_listens.track_id"),
    )
    track_count = dy.Int64(
        nullable=False,
        min=1,
        description="Distinct tracks.",
        metadata=made_of("fct_listens.user_id", "fct_listens.track_id"),
    )
    listened_seconds = dy.Int64(
        nullable=True,
        min=0,
        description="Sum of the known durations of the listened tracks; null when none is known.",
        metadata=made_of(
            "fct_listens.user_id", "fct_listens.track_id", "dim_tracks.track_id", "dim_tracks.duration_seconds"
        ),
    )
    top_genre = contracts.text(
        "The genre with most plays, deleted tracks included; ties by name ascending.",
        metadata=made_of("fct_listens.user_id", "fct_listens.track_id", "dim_tracks.track_id", "dim_tracks.genre"),
    )
    first_listened_at = contracts.instant(
        "The earliest listened_at.",
        metadata=made_of("fct_listens.user_id", "fct_listens.track_id", "fct_listens.listened_at"),
    )
    last_listened_at = contracts.instant(
        "The latest listened_at.",
        metadata=made_of("fct_listens.user_id", "fct_listens.track_id", "fct_listens.listened_at"),
    )


def user_profiles(user_track_interactions: nw.LazyFrame[Any], dim_tracks: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """One row per user who listened.

    Reads:
        user_track_interactions: one row per (user_id, track_id)
        dim_tracks: duration_seconds i32, genre str; a track that is missing there has neither
    Returns:
        user_id, listen_count, track_count, listened_seconds i64, top_genre str, first_listened_at, last_listened_at
        datetime[us, UTC]
    """
    durations = dim_tracks.select("track_id", nw.col("duration_seconds").cast(nw.Int64()))
    pairs = user_track_interactions.join(durations, on="track_id", how="left").with_columns(
        seconds=nw.col("duration_seconds") * nw.col("listen_count")
    )
    users = pairs.group_by("user_id").agg(
        nw.col("listen_count").sum(),
        nw.len().alias("track_count"),
        nw.col("seconds").sum().alias("known_seconds"),
        nw.col("seconds").count().alias("tracks_with_duration"),
        nw.col("first_listened_at").min(),
        nw.col("last_listened_at").max(),
    )
    # A sum over nulls alone is 0 on one engine and null on another: decided here.
    users = users.with_columns(
        listened_seconds=nw.when(nw.col("tracks_with_duration") > 0).then(nw.col("known_seconds"))
    )
    profiles = users.join(_top_genres(user_track_interactions, dim_tracks), on="user_id", how="left")
    return contracts.conform(profiles, UserProfiles)


def _top_genres(user_track_interactions: nw.LazyFrame[Any], dim_tracks: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """One row per user with a known genre: user_id i64, top_genre str.

    Counted by numbers in the order of the names: to group by texts takes twice as long.
    """
    tracks = dim_tracks.filter(~nw.col("genre").is_null()).select("track_id", "genre")
    numbers = tracks.select("genre").unique().with_row_index("number", order_by="genre")
    numbers = numbers.with_columns(nw.col("number").cast(nw.Int64()))
    numbered = tracks.join(numbers, on="genre").select("track_id", "number")
    listens = user_track_interactions.select("user_id", "track_id", "listen_count").join(numbered, on="track_id")
    genres = by_pair(listens, "user_id", "number", listen_count=nw.col("listen_count").sum())
    genres = genres.with_columns(fewer=-nw.col("listen_count"))
    first = genres.unique(subset=["user_id"], keep="first", order_by=["fewer", "number"])
    return first.join(numbers, on="number").select("user_id", nw.col("genre").alias("top_genre"))
