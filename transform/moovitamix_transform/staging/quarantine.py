"""quarantine: what was received but does not count, each with its reason."""

import dataframely as dy
import polars as pl

from moovitamix_transform import contracts
from moovitamix_transform.staging import base_listen_history as listens
from moovitamix_transform.staging import base_tracks as tracks_base
from moovitamix_transform.staging import base_users as users_base
from moovitamix_transform.staging.fields import IS_GOOD, Field
from moovitamix_transform.staging.json_fields import json_fields
from moovitamix_transform.staging.odd_rules import ODD_RULES

SHOWN_CHARACTERS = 80


IS_ROW_LOCAL = True
CONCERNS = ~IS_GOOD


class Quarantine(contracts.Contract):
    """One row per (record or line, broken rule)."""

    stream = contracts.text("The stream it was sent for; null for a line that names none.")
    rule = contracts.key(dy.String, "The broken rule.")
    raw_id = contracts.key(dy.String, "The record's or line's id: run and position in it.")
    run_id = contracts.text("The run that received it.", nullable=False)
    extracted_at = contracts.instant("When the source emitted the record; when a line was received.")
    data = contracts.text("The record's JSON text, or the whole line, as it came.", nullable=False)
    detail = contracts.text("What was expected and what came.", nullable=False)


def quarantine(
    base_tracks: pl.LazyFrame,
    base_users: pl.LazyFrame,
    base_listen_history: pl.LazyFrame,
    tracks: pl.LazyFrame,
    users: pl.LazyFrame,
    listen_history: pl.LazyFrame,
    _lines: pl.LazyFrame,
) -> pl.LazyFrame:
    """One row per (record or line, broken rule).

    Reads:
        base_*: the judged records; tracks, users, listen_history: their texts; _lines: the lines that are no record
    Returns:
        stream (null when unreadable), rule, raw_id, run_id str, extracted_at datetime[us, UTC], data, detail str
    """
    return pl.concat(
        [
            _records("tracks", base_tracks, tracks, tracks_base.FIELDS),
            _records("users", base_users, users, users_base.FIELDS),
            _records("listen_history", base_listen_history, listen_history, listens.FIELDS),
            _odd_lines(_lines),
        ]
    )


def _records(stream: str, base: pl.LazyFrame, source: pl.LazyFrame, fields: tuple[Field, ...]) -> pl.LazyFrame:
    broken = base.filter(pl.col("broken_rules").list.len() > 0).select(
        "raw_id", "run_id", "extracted_at", pl.col("broken_rules").alias("rule")
    )
    texts = source.select(pl.col("_airbyte_raw_id").alias("raw_id"), pl.col("_airbyte_data").alias("data"))
    judged = broken.join(texts, on="raw_id", how="left").with_columns(
        json_fields(pl.col("data"), [field.name for field in fields]).alias("tokens")
    )
    return judged.explode("rule").select(
        pl.lit(stream).alias("stream"), "rule", "raw_id", "run_id", "extracted_at", "data", _detail(fields)
    )


def _detail(fields: tuple[Field, ...]) -> pl.Expr:
    """`duration: expected minutes:seconds, such as 3:45, got "99:99"`, long values cut."""
    detail = pl.lit("")
    for field in fields:
        got = pl.col("tokens").struct.field(field.name).fill_null("null")
        shown = (
            pl.when(got.str.len_chars() > SHOWN_CHARACTERS).then(got.str.head(SHOWN_CHARACTERS) + "…").otherwise(got)
        )
        detail = (
            pl.when(pl.col("rule").is_in([f"{field.name}_unreadable", f"{field.name}_null"]))
            .then(pl.lit(f"{field.name}: expected {field.expected}, got ") + shown)
            .otherwise(detail)
        )
    return detail.alias("detail")


def _odd_lines(lines: pl.LazyFrame) -> pl.LazyFrame:
    return lines.select(
        "stream",
        "rule",
        "raw_id",
        "run_id",
        pl.col("received_at").alias("extracted_at"),
        pl.col("text").alias("data"),
        pl.col("rule").replace_strict(ODD_RULES, default="").alias("detail"),
    )
