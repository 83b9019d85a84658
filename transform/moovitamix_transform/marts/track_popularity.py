"""track_popularity: the charts."""

from typing import Any

import dataframely as dy
import narwhals as nw

from moovitamix_transform import contracts
from moovitamix_transform.contracts import made_of


class TrackPopularity(contracts.Contract):
    """One row per track listened to."""

    rows_by = ("fct_listens.track_id",)

    track_id = contracts.key(
        dy.Int64, "What was listened to; may be missing from dim_tracks.", metadata=made_of("fct_listens.track_id")
    )
    listen_count = dy.Int64(
        nullable=False, min=1, description="Rows of fct_listens.", metadata=made_of("fct_listens.track_id")
    )
    listener_count = dy.Int64(
        nullable=False,
        min=1,
        description="Distinct users.",
        metadata=made_of("fct_listens.user_id", "fct_listens.track_id"),
    )
    last_listened_at = contracts.instant(
        "The latest listened_at.", metadata=made_of("fct_listens.track_id", "fct_listens.listened_at")
    )
    rank = dy.Int64(
        nullable=False,
        min=1,
        description="1 = most listened; equal counts share the smallest rank.",
        metadata=made_of("fct_listens.track_id"),
    )


def track_popularity(user_track_interactions: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """One row per track listened to.

    Reads:
        user_track_interactions: one row per (user_id, track_id), so that a row is a listener
    Returns:
        track_id, listen_count, listener_count i64, last_listened_at datetime[us, UTC], rank i64
    """
    tracks = user_track_interactions.group_by("track_id").agg(
        nw.col("listen_count").sum().alias("listen_count"),
        nw.len().alias("listener_count"),
        nw.col("last_listened_at").max().alias("last_listened_at"),
    )
    # Lazy engines rank only over an order, and differ there: counted instead, 1 + the tracks with more listens.
    levels = tracks.group_by("listen_count").agg(nw.len().alias("tracks"))
    levels = levels.with_columns(more=-nw.col("listen_count"))
    levels = levels.with_columns(
        rank=nw.col("tracks").cast(nw.Int64()).cum_sum().over(order_by="more") - nw.col("tracks").cast(nw.Int64()) + 1
    )
    ranked = tracks.join(levels.select("listen_count", "rank"), on="listen_count", how="inner")
    return contracts.conform(ranked, TrackPopularity)
