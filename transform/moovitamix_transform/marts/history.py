"""What was observed of a key over time, as periods with unchanged attributes (SCD 2)."""

from typing import Any

import narwhals as nw

from moovitamix_transform.marts.deletions import departures
from moovitamix_transform.staging.latest import Hold, as_planned, latest


def history(
    base: nw.LazyFrame[Any],
    source: nw.LazyFrame[Any],
    generations: nw.LazyFrame[Any],
    stream: str,
    key: str,
    attributes: list[str],
    hold: Hold = as_planned,
) -> nw.LazyFrame[Any]:
    """One row per key and period with unchanged attributes: no overlap, no gap but while the key was gone.

    Time is observation time: a third of the API's own instants cannot be true. Of a generation's records with one key
    the latest good one counts; a quarantined one shows no attributes, but shows that the key is there.

    Returns:
        the key, the attributes, valid_from (inclusive), valid_to (exclusive, null = current) datetime[us, UTC],
        is_current bool
    """
    seen = latest(base, source, [key, "generation_id"], hold).select(
        key, "generation_id", *attributes, nw.col("extracted_at").alias("at"), nw.lit(False).alias("is_gone")
    )
    events = nw.concat([seen, _departures(base, generations, stream, key, seen)]).with_columns(one=nw.lit(1))
    events = events.with_columns(
        at=nw.col("at").cum_max().over(key, order_by="generation_id"),  # a clock that went back makes no overlap
        number=nw.col("one").cum_sum().over(key, order_by="generation_id").cast(nw.Int64()),
    )
    # By a join, which is one pass; a window for each attribute is one for each.
    before = events.select(
        key,
        (nw.col("number") + 1).alias("number"),
        nw.col("is_gone").alias("was_gone"),
        *(nw.col(name).alias(_before(name)) for name in attributes),
    )
    events = events.join(before, on=[key, "number"], how="left")
    events = events.with_columns(
        is_changed=nw.any_horizontal(*(_changes(name) for name in attributes), ignore_nulls=True)
    )
    starts = nw.col("was_gone").is_null() | nw.col("was_gone") | nw.col("is_changed")
    turns = events.filter(nw.col("is_gone") | starts)
    periods = turns.with_columns(valid_to=nw.col("at").shift(-1).over(key, order_by="generation_id"))
    periods = periods.filter(~nw.col("is_gone")).rename({"at": "valid_from"})
    # Two observations at one instant: the later one holds from there, the other for no time at all.
    periods = periods.filter(nw.col("valid_to").is_null() | (nw.col("valid_from") < nw.col("valid_to")))
    return periods.with_columns(is_current=nw.col("valid_to").is_null()).select(
        key, *attributes, "valid_from", "valid_to", "is_current"
    )


def _departures(
    base: nw.LazyFrame[Any], generations: nw.LazyFrame[Any], stream: str, key: str, seen: nw.LazyFrame[Any]
) -> nw.LazyFrame[Any]:
    """One row per time a key left, shaped as `seen`: at the proof that it had."""
    columns = seen.collect_schema()
    return departures(base, generations, stream, key).select(
        key,
        nw.col("proof_id").alias("generation_id"),
        *(nw.lit(None, dtype=columns[name]).alias(name) for name in columns.names() if name not in _EVENT | {key}),
        nw.col("gone_at").alias("at"),
        nw.lit(True).alias("is_gone"),
    )


_EVENT = {"generation_id", "at", "is_gone"}


def _before(name: str) -> str:
    return f"{name}_before"


def _changes(name: str) -> nw.Expr:
    """The attribute is another one than at the event before; null and null are the same."""
    now, before = nw.col(name), nw.col(_before(name))
    is_same = (now == before) | (now.is_null() & before.is_null())
    return ~(is_same.fill_null(value=False))
