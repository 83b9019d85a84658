"""dim_users_history: what each user was, and when."""

from typing import Any

import dataframely as dy
import narwhals as nw

from moovitamix_transform import contracts
from moovitamix_transform.contracts import made_of
from moovitamix_transform.marts.deletions import PROOF
from moovitamix_transform.marts.history import history
from moovitamix_transform.staging.latest import Hold, as_planned

# When a key was seen, left and came back; a change of an attribute begins a new row.
SEEN = ("base_users.user_id", "base_users.generation_id", "base_users.extracted_at", *PROOF)


class DimUsersHistory(contracts.Contract):
    """One row per user_id and period with unchanged attributes (SCD 2)."""

    rows_by = (
        *SEEN,
        "base_users.first_name",
        "base_users.last_name",
        "base_users.email",
        "base_users.gender",
        "base_users.favorite_genre",
        "base_users.broken_rules",
        "base_users.updated_at",
        "users._airbyte_data",
    )

    user_id = contracts.key(dy.Int64, "The API's id.", metadata=made_of("base_users.user_id"))
    first_name = contracts.text("First name.", metadata=made_of("base_users.first_name"))
    last_name = contracts.text("Last name.", metadata=made_of("base_users.last_name"))
    email = contracts.text("E-mail address in lower case; not unique.", metadata=made_of("base_users.email"))
    gender = contracts.text("Any word.", metadata=made_of("base_users.gender"))
    favorite_genre = contracts.text(
        "The API's favorite_genres, which holds one.", metadata=made_of("base_users.favorite_genre")
    )
    valid_from = contracts.instant("Observed so from here, inclusive.", primary_key=True, metadata=made_of(*SEEN))
    valid_to = contracts.instant("Until here, exclusive; null = current.", nullable=True, metadata=made_of(*SEEN))
    is_current = dy.Bool(
        nullable=False,
        description="It is so now. No row is while the user is deleted, or back in quarantined records only.",
        metadata=made_of("base_users.user_id", "base_users.generation_id", *PROOF),
    )


def dim_users_history(
    base_users: nw.LazyFrame[Any],
    users: nw.LazyFrame[Any],
    generations: nw.LazyFrame[Any],
    *,
    hold: Hold = as_planned,
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
    return contracts.conform(
        history(base_users, users, generations, "users", "user_id", attributes, hold), DimUsersHistory
    )
