"""A stream's fields → typed columns and the rules its record breaks: the one shape of every base table."""

from collections.abc import Callable
from dataclasses import dataclass

import narwhals as nw
import polars as pl

from moovitamix_transform.staging import readings
from moovitamix_transform.staging.json_fields import json_fields

IS_GOOD = nw.col("broken_rules").list.len() == 0  # of a judged record
PROVENANCE = ("raw_id", "run_id", "extracted_at", "generation_id")


@dataclass(frozen=True)
class Field:
    """One field of the API and the column it becomes.

    Attributes:
        column: the column's name.
        name: the API's field, after which the rules are named: `<name>_unreadable`, `<name>_null`.
        reading: token → value, null where it cannot be read.
        expected: what `reading` takes, in the words of a message.
        is_required: a null breaks a rule too.
        finish: value → column, for what is no question of readability.
    """

    column: str
    name: str
    reading: Callable[[pl.Expr], pl.Expr]
    expected: str
    is_required: bool = False
    finish: Callable[[pl.Expr], pl.Expr] = lambda value: value


def integer(column: str, name: str) -> Field:
    return Field(column, name, readings.integer, "a 64-bit integer", is_required=True)


def instant(column: str, name: str) -> Field:
    expected = "an ISO date and time with seconds and at most 6 fraction digits"
    return Field(column, name, readings.instant, expected, is_required=True)


def text(column: str, name: str, finish: Callable[[pl.Expr], pl.Expr] = lambda value: value) -> Field:
    return Field(column, name, readings.text, "a text", finish=lambda value: readings.empty_to_null(finish(value)))


def read_fields(records: pl.LazyFrame, fields: tuple[Field, ...]) -> pl.LazyFrame:
    """One row per landed record: PROVENANCE, one column per field, `broken_rules` list[str] (empty when good).

    Row-local: a row depends on nothing but its own record, so any split of the input gives the same rows.
    """
    tokens = json_fields(pl.col("_airbyte_data"), [field.name for field in fields])
    typed = records.select(
        pl.col("_airbyte_raw_id").alias("raw_id"),
        pl.col("_run_id").alias("run_id"),
        pl.col("_airbyte_extracted_at").alias("extracted_at"),
        pl.col("_airbyte_generation_id").alias("generation_id"),
        tokens.alias("tokens"),
    ).with_columns(field.reading(pl.col("tokens").struct.field(field.name)).alias(field.column) for field in fields)
    rules = [_broken_rule(field, pl.col("tokens").struct.field(field.name)) for field in fields]
    return typed.select(
        *PROVENANCE,
        *(field.finish(pl.col(field.column)).alias(field.column) for field in fields),
        _listed(rules).alias("broken_rules"),
    )


def _listed(rules: list[pl.Expr]) -> pl.Expr:
    """Those that are not null. Nearly all are, and a list made of columns is dear: a tenth of the time for a text."""
    broken = pl.concat_str(rules, separator=",", ignore_nulls=True)
    return pl.when(broken == "").then(pl.lit([], dtype=pl.List(pl.String))).otherwise(broken.str.split(","))


def _broken_rule(field: Field, token: pl.Expr) -> pl.Expr:
    unreadable = pl.when(token.is_not_null() & pl.col(field.column).is_null()).then(pl.lit(f"{field.name}_unreadable"))
    if not field.is_required:
        return unreadable
    return pl.when(token.is_null()).then(pl.lit(f"{field.name}_null")).otherwise(unreadable)
