"""dim_users_history: what each user was, and when."""

from typing import Any

import dataframely as dy
import narwhals as nw

from moovitamix_transform import contracts
from moovitamix_transform.marts.history import history


class DimUsersHistory(contracts.Contract):
    """One row per user_id and period with unchanged attributes (SCD 2)."""

    user_id = contracts.key(dy.Int64, "The API's id.")
    first_name = contracts.text("First name.")
    last_name = contracts.text("Last name.")
    email = contracts.text("E-mail address in lower case; not unique.")
    gender = contracts.text("Any word.")
    favorite_genre = contracts.text("The API's favorite_genres, which holds one.")
    valid_from = contracts.instant("Observed so from here, inclusive.", primary_key=True)
    valid_to = contracts.instant("Until here, exclusive; null = current.", nullable=True)
    is_current = dy.Bool(nullable=False, description="It is so now; no row is while the user is deleted.")


def dim_users_history(
    base_users: nw.LazyFrame[Any], users: nw.LazyFrame[Any], generations: nw.LazyFrame[Any]
) -> nw.LazyFrame[Any]:
    """One row per user_id and period with unchanged attributes (SCD 2).

    Reads:
        base_users: every landed record, judged: what was observed, and when
        users: the records' texts, which break the last tie
        generations: which reads are complete, so that absence from them ends a period
    Returns:
        user_id i64, first_name, last_name, email, gender, favorite_genre str, valid_from, valid_to
        datetime[us, UTC], is_current bool
    """
    attributes = ["first_name", "last_name", "email", "gender", "favorite_genre"]
    return contracts.conform(history(base_users, users, generations, "users", "user_id", attributes), DimUsersHistory)
