"""stg_users: the latest good record of each user."""

from typing import Any

import dataframely as dy
import narwhals as nw

from moovitamix_transform import contracts
from moovitamix_transform.staging.latest import latest

LOCAL_BY = ("user_id",)
LOOKUPS = {"users": ("_airbyte_raw_id", "raw_id")}


class StgUsers(contracts.Contract):
    """One row per user, latest."""

    user_id = contracts.key(dy.Int64, "The API's id.")
    first_name = contracts.text("First name.")
    last_name = contracts.text("Last name.")
    email = contracts.text("E-mail address in lower case; not unique.")
    gender = contracts.text("Any word.")
    favorite_genre = contracts.text("The API's favorite_genres, which holds one.")
    created_at = contracts.instant("The API's created_at.")
    updated_at = contracts.instant("The API's updated_at; before created_at on a quarter of the rows.")


def stg_users(base_users: nw.LazyFrame[Any], users: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """One row per user, latest.

    Reads:
        base_users: every landed record, judged
        users: the records' texts, which break the last tie
    Returns:
        user_id i64, first_name, last_name, email (lower case), gender, favorite_genre str, created_at, updated_at
        datetime[us, UTC]
    """
    return contracts.conform(latest(base_users, users, ["user_id"]), StgUsers)
