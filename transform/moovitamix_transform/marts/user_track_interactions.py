"""user_track_interactions: how often each user listened to each track."""

from typing import Any

import dataframely as dy
import narwhals as nw

from moovitamix_transform import contracts
from moovitamix_transform.contracts import made_of
from moovitamix_transform.marts.pairs import by_pair

LOCAL_BY = ("user_id", "track_id")
GATHERS = True


class UserTrackInteractions(contracts.Contract):
    """One row per (user_id, track_id)."""

    rows_by = ("fct_listens.user_id", "fct_listens.track_id")

    user_id = contracts.key(dy.Int64, "Who listened.", metadata=made_of("fct_listens.user_id"))
    track_id = contracts.key(dy.Int64, "What was listened to.", metadata=made_of("fct_listens.track_id"))
    listen_count = dy.Int64(
        nullable=False,
        min=1,
        description="Rows of fct_listens.",
        metadata=made_of("fct_listens.user_id", "fct_listens.track_id"),
    )
    first_listened_at = contracts.instant(
        "The earliest listened_at.",
        metadata=made_of("fct_listens.user_id", "fct_listens.track_id", "fct_listens.listened_at"),
    )
    last_listened_at = contracts.instant(
        "The latest listened_at.",
        metadata=made_of("fct_listens.user_id", "fct_listens.track_id", "fct_listens.listened_at"),
    )


def user_track_interactions(fct_listens: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """One row per (user_id, track_id).

    Reads:
        fct_listens: one row per (user_id, listened_at, position)
    Returns:
        user_id, track_id, listen_count i64, first_listened_at, last_listened_at datetime[us, UTC]
    """
    pairs = by_pair(
        fct_listens,
        "user_id",
        "track_id",
        listen_count=nw.len(),
        first_listened_at=nw.col("listened_at").min(),
        last_listened_at=nw.col("listened_at").max(),
    )
    return contracts.conform(pairs, UserTrackInteractions)
