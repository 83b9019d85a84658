"""base_listen_history: every landed list of listened tracks, typed and judged."""

import dataframely as dy
import polars as pl

from moovitamix_transform import contracts
from moovitamix_transform.staging import fields, readings

FIELDS = (
    fields.integer("user_id", "user_id"),
    fields.instant("listened_at", "created_at"),
    fields.instant("updated_at", "updated_at"),
    fields.Field(
        "plays",
        "items",
        readings.plays,
        "an array of 64-bit integers without nulls",
        finish=lambda value: value.fill_null(pl.lit([], dtype=readings.PLAYS)),  # no list is a list without plays
    ),
)


IS_ROW_LOCAL = True


class BaseListenHistory(contracts.Judged):
    """One row per landed record of listen_history.

    A value that cannot be read is null (plays: empty), and its rule is in broken_rules.
    """

    user_id = dy.Int64(nullable=True, description="Who listened.")
    listened_at = contracts.instant("The record's created_at: one instant for the whole list.", nullable=True)
    updated_at = contracts.instant("The API's updated_at, which is the stream's cursor.", nullable=True)
    plays = contracts.plays()
    broken_rules = contracts.broken_rules()


def base_listen_history(listen_history: pl.LazyFrame) -> pl.LazyFrame:
    """One row per landed record of listen_history.

    Reads:
        listen_history: the source table, `_airbyte_data` the record's JSON text
    Returns:
        raw_id, run_id str, extracted_at datetime[us, UTC], generation_id i64, user_id i64, listened_at, updated_at
        datetime[us, UTC], plays list[struct{track_id i64, position i32}], broken_rules list[str]
    """
    return fields.read_fields(listen_history, FIELDS)
