"""stg_listen_history: the latest good record of each list a user listened to."""

from typing import Any

import dataframely as dy
import narwhals as nw

from moovitamix_transform import contracts
from moovitamix_transform.contracts import made_of
from moovitamix_transform.staging.latest import Hold, as_planned, latest

LOCAL_BY = ("user_id", "listened_at")
LOOKUPS = {"listen_history": ("_airbyte_raw_id", "raw_id")}
# Which of the records with one key counts: the columns of latest.ORDER. Those after updated_at choose among equal ones.
LATEST = (
    "base_listen_history.generation_id",
    "base_listen_history.updated_at",
    "base_listen_history.extracted_at",
    "listen_history._airbyte_data",
)


class StgListenHistory(contracts.Contract):
    """One row per (user_id, listened_at), latest."""

    unfolded = "plays"
    rows_by = ("base_listen_history.user_id", "base_listen_history.listened_at", "base_listen_history.broken_rules")

    user_id = contracts.key(dy.Int64, "Who listened.", metadata=made_of("base_listen_history.user_id"))
    listened_at = contracts.instant(
        "The record's created_at: one instant for the whole list.",
        primary_key=True,
        metadata=made_of("base_listen_history.listened_at"),
    )
    updated_at = contracts.instant(
        "The API's updated_at, which is the stream's cursor.",
        metadata=made_of("base_listen_history.updated_at", chosen_by=LATEST[:2]),
    )
    plays = contracts.plays(metadata=made_of("base_listen_history.plays", chosen_by=LATEST))


def stg_listen_history(
    base_listen_history: nw.LazyFrame[Any], listen_history: nw.LazyFrame[Any], *, hold: Hold = as_planned
) -> nw.LazyFrame[Any]:
    """One row per (user_id, listened_at), latest.

    Reads:
        base_listen_history: every landed record, judged
        listen_history: the records' texts, which break the last tie
    Returns:
        user_id i64, listened_at, updated_at datetime[us, UTC], plays list[struct{track_id i64, position i32}]
    """
    return contracts.conform(
        latest(base_listen_history, listen_history, ["user_id", "listened_at"], hold), StgListenHistory
    )
