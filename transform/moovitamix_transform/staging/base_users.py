"""base_users: every landed user, typed and judged."""

import dataframely as dy
import polars as pl

from moovitamix_transform import contracts
from moovitamix_transform.staging import fields

FIELDS = (
    fields.integer("user_id", "id"),
    fields.text("first_name", "first_name"),
    fields.text("last_name", "last_name"),
    fields.text("email", "email", finish=lambda value: value.str.to_lowercase()),
    fields.text("gender", "gender"),
    fields.text("favorite_genre", "favorite_genres"),
    fields.instant("created_at", "created_at"),
    fields.instant("updated_at", "updated_at"),
)


IS_ROW_LOCAL = True


class BaseUsers(contracts.Judged):
    """One row per landed record of users.

    A value that cannot be read is null, and its rule is in broken_rules.
    """

    user_id = dy.Int64(nullable=True, description="The API's id.")
    first_name = contracts.text("First name.")
    last_name = contracts.text("Last name.")
    email = contracts.text("E-mail address in lower case; not unique.")
    gender = contracts.text("Any word.")
    favorite_genre = contracts.text("The API's favorite_genres, which holds one.")
    created_at = contracts.instant("The API's created_at.", nullable=True)
    updated_at = contracts.instant("The API's updated_at; before created_at on a quarter of the rows.", nullable=True)
    broken_rules = contracts.broken_rules()


def base_users(users: pl.LazyFrame) -> pl.LazyFrame:
    """One row per landed record of users.

    Reads:
        users: the source table, `_airbyte_data` the record's JSON text
    Returns:
        raw_id, run_id str, extracted_at datetime[us, UTC], generation_id i64, user_id i64, first_name, last_name,
        email (lower case), gender, favorite_genre str, created_at, updated_at, broken_rules list[str]
    """
    return fields.read_fields(users, FIELDS)
