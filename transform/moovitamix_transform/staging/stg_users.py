"""stg_users: the latest good record of each user."""

from typing import Any

import dataframely as dy
import narwhals as nw

from moovitamix_transform import contracts
from moovitamix_transform.contracts import made_of
from moovitamix_transform.staging.latest import Hold, as_planned, latest

LOCAL_BY = ("user_id",)
LOOKUPS = {"users": ("_airbyte_raw_id", "raw_id")}
# Which of the records with one key counts: the columns of latest.ORDER. Those after updated_at choose among equal ones.
LATEST = (
    "base_users.generation_id",
    "base_users.updated_at",
    "base_users.extracted_at",
    "users._airbyte_data",
)


class StgUsers(contracts.Contract):
    """One row per user, latest."""

    rows_by = ("base_users.user_id", "base_users.broken_rules")

    user_id = contracts.key(dy.Int64, "The API's id.", metadata=made_of("base_users.user_id"))
    first_name = contracts.text("First name.", metadata=made_of("base_users.first_name", chosen_by=LATEST))
    last_name = contracts.text("Last name.", metadata=made_of("base_users.last_name", chosen_by=LATEST))
    email = contracts.text(
        "E-mail address in lower case; not unique.", metadata=made_of("base_users.email", chosen_by=LATEST)
    )
    gender = contracts.text("Any word.", metadata=made_of("base_users.gender", chosen_by=LATEST))
    favorite_genre = contracts.text(
        "The API's favorite_genres, which holds one.", metadata=made_of("base_users.favorite_genre", chosen_by=LATEST)
    )
    created_at = contracts.instant("The API's created_at.", metadata=made_of("base_users.created_at", chosen_by=LATEST))
    updated_at = contracts.instant(
        "The API's updated_at; before created_at on a quarter of the rows.",
        metadata=made_of("base_users.updated_at", chosen_by=LATEST[:2]),
    )


def stg_users(base_users: nw.LazyFrame[Any], users: nw.LazyFrame[Any], *, hold: Hold = as_planned) -> nw.LazyFrame[Any]:
    """One row per user, latest.

    Reads:
        base_users: every landed record, judged
        users: the records' texts, which break the last tie
    Returns:
        user_id i64, first_name, last_name, email (lower case), gender, favorite_genre str, created_at, updated_at
        datetime[us, UTC]
    """
    return contracts.conform(latest(base_users, users, ["user_id"], hold), StgUsers)
