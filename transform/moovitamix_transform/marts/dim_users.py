"""dim_users: the listeners."""

from typing import Any

import dataframely as dy
import narwhals as nw

from moovitamix_transform import contracts
from moovitamix_transform.contracts import made_of
from moovitamix_transform.marts.deletions import PROOF, gone_after
from moovitamix_transform.staging.stg_users import StgUsers


class DimUsers(StgUsers):
    """One row per user ever seen."""

    is_deleted = dy.Bool(
        nullable=False,
        description="The newest complete generation and every later one lack it.",
        metadata=made_of("stg_users.user_id", "base_users.user_id", "base_users.generation_id", *PROOF),
    )
    deleted_at = contracts.instant(
        "When it was first seen to be gone; null while it is there.",
        nullable=True,
        metadata=made_of(
            "stg_users.user_id", "base_users.user_id", "base_users.generation_id", "base_users.extracted_at", *PROOF
        ),
    )


def dim_users(
    stg_users: nw.LazyFrame[Any], base_users: nw.LazyFrame[Any], generations: nw.LazyFrame[Any]
) -> nw.LazyFrame[Any]:
    """One row per user ever seen.

    Reads:
        stg_users: one row per user, latest
        base_users: in which generations each user was, quarantined records included
        generations: which of them are complete, so that absence from them means something
    Returns:
        the columns of stg_users, is_deleted bool, deleted_at datetime[us, UTC]
    """
    last_seen = base_users.filter(~nw.col("user_id").is_null()).group_by("user_id").agg(nw.col("generation_id").max())
    gone = last_seen.join(gone_after(base_users, generations, "users", "user_id"), on="generation_id", how="inner")
    users = stg_users.join(gone.select("user_id", "gone_at"), on="user_id", how="left")
    users = users.with_columns(is_deleted=~nw.col("gone_at").is_null(), deleted_at=nw.col("gone_at"))
    return contracts.conform(users, DimUsers)
