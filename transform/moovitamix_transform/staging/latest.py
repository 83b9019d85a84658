"""Which of the records with one key counts: newest generation, then updated_at, then extraction, then its text."""

from collections.abc import Callable
from typing import Any

import narwhals as nw

from moovitamix_transform.staging.fields import IS_GOOD

ORDER = ["generation_id", "updated_at", "extracted_at", "_airbyte_data"]
Hold = Callable[[nw.LazyFrame[Any]], nw.LazyFrame[Any]]


def as_planned(rows: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    return rows


def latest(
    base: nw.LazyFrame[Any], source: nw.LazyFrame[Any], key: list[str], hold: Hold = as_planned
) -> nw.LazyFrame[Any]:
    """One row per key: the last good record by ORDER, so that order of arrival and batching never decide.

    A record is judged before it competes: one that breaks a rule supersedes nothing.

    Args:
        hold: computes some rows before what is made of them, on an engine that would otherwise gather in memory all
            that they are joined with until they are there.
    """
    good = base.filter(IS_GOOD)
    # Most keys have one record: only the others compete, by narrow columns. And only those that are equal in all of
    # them need their texts.
    narrow = [*dict.fromkeys([*key, *ORDER[:-1]])]
    contested_keys = good.group_by(key).agg(nw.len().alias("records")).filter(nw.col("records") > 1).select(key)
    contested = hold(good.select("raw_id", *narrow).join(contested_keys, on=key, how="semi"))
    tied = contested.with_columns(equals=nw.len().over(*narrow)).filter(nw.col("equals") > 1)
    tied = hold(tied.select("raw_id"))
    texts = source.select(nw.col("_airbyte_raw_id").alias("raw_id"), "_airbyte_data")
    texts = hold(texts.join(tied, on="raw_id", how="semi"))
    judged = contested.join(texts, on="raw_id", how="left")
    winners = judged.unique(subset=key, keep="last", order_by=ORDER).select("raw_id")
    superseded = hold(contested.select("raw_id").join(winners, on="raw_id", how="anti"))
    return good.join(superseded, on="raw_id", how="anti")
