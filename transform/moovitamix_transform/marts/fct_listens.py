"""fct_listens: what was listened to."""

from typing import Any

import dataframely as dy
import narwhals as nw

from moovitamix_transform import contracts
from moovitamix_transform.contracts import made_of

LOCAL_BY = ("user_id", "listened_at")


class FctListens(contracts.Contract):
    """One row per (user_id, listened_at, position): one track in one list a user listened to."""

    rows_by = ("stg_listen_history.plays",)
    place = "position"

    user_id = contracts.key(dy.Int64, "Who listened.", metadata=made_of("stg_listen_history.user_id"))
    track_id = dy.Int64(
        nullable=False,
        description="What was listened to; may be missing from dim_tracks.",
        metadata=made_of("stg_listen_history.plays"),
    )
    listened_at = contracts.instant(
        "When: one instant for the whole list.", primary_key=True, metadata=made_of("stg_listen_history.listened_at")
    )
    position = contracts.key(
        dy.Int32, "Place in the list, 1 is the first.", min=1, metadata=made_of("stg_listen_history.plays")
    )


def fct_listens(stg_listen_history: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """One row per (user_id, listened_at, position): one track in one list a user listened to.

    Reads:
        stg_listen_history: user_id i64, listened_at datetime[us, UTC], plays list[struct{track_id, position}]
    Returns:
        user_id i64, track_id i64, listened_at datetime[us, UTC], position i32 (1 = first of the list)
    """
    plays = stg_listen_history.select("user_id", "listened_at", "plays").explode("plays")
    plays = plays.select(
        "user_id",
        nw.col("plays").struct.field("track_id").alias("track_id"),
        "listened_at",
        nw.col("plays").struct.field("position").alias("position"),
    )
    # An empty list explodes into one row of nulls.
    return contracts.conform(plays.filter(~nw.col("position").is_null()), FctListens)
