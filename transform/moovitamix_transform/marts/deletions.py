"""What the generations of a full-refresh stream prove: which keys are gone, and since when."""

from typing import Any

import narwhals as nw

_NEVER = 2**62
# What decides which generations prove; see `contracts.made_of`.
PROOF = ("generations.stream", "generations.generation_id", "generations.completed_at", "generations.unreadable_count")


def departures(base: nw.LazyFrame[Any], generations: nw.LazyFrame[Any], stream: str, key: str) -> nw.LazyFrame[Any]:
    """One row per time a key left: it was there, and the next generation that proves anything came before it was back.

    Reads:
        base, generations: as `gone_after`
    Returns:
        the key, generation_id i64 (the last it was in), next_id i64 (where it came back; null when it did not),
        proof_id i64, gone_at datetime[us, UTC]
    """
    there = base.filter(~nw.col(key).is_null()).select(key, "generation_id").unique()
    there = there.with_columns(next_id=nw.col("generation_id").shift(-1).over(key, order_by="generation_id"))
    return there.join(gone_after(base, generations, stream, key), on="generation_id", how="inner").filter(
        ~nw.col("proof_id").is_null() & (nw.col("next_id").is_null() | (nw.col("proof_id") < nw.col("next_id")))
    )


def gone_after(base: nw.LazyFrame[Any], generations: nw.LazyFrame[Any], stream: str, key: str) -> nw.LazyFrame[Any]:
    """One row per generation of the stream that holds a record or was completed.

    Only a complete generation without an unreadable line or key proves that a key it lacks is gone.

    Reads:
        base: generation_id, extracted_at and the key of every landed record, quarantined ones included
        generations: one row per read of a stream
    Returns:
        generation_id i64, proof_id i64 (the first later generation that proves; null when none does yet), gone_at
        datetime[us, UTC]: when a key last seen in this generation is gone, by that proof
    """
    records = base.group_by("generation_id").agg(
        nw.col("extracted_at").min().alias("first_extracted_at"),
        nw.col(key).is_null().cast(nw.Int64()).sum().alias("unreadable_keys"),
    )
    reads = (
        generations.filter(nw.col("stream") == stream)
        .group_by("generation_id")
        .agg(nw.col("completed_at").max(), nw.col("unreadable_count").sum())
        .rename({"generation_id": "read_id"})
    )
    known = nw.concat([records.select("generation_id"), reads.select(nw.col("read_id").alias("generation_id"))])
    known = known.unique().join(records, on="generation_id", how="left")
    known = known.join(reads, left_on="generation_id", right_on="read_id", how="left")
    proves = (
        ~nw.col("completed_at").is_null()
        & (nw.col("unreadable_count") == 0)
        & (nw.col("unreadable_keys").is_null() | (nw.col("unreadable_keys") == 0))
    )
    known = known.with_columns(
        proof=nw.when(proves).then(nw.col("generation_id")),
        proven_at=nw.when(nw.col("first_extracted_at").is_null())
        .then(nw.col("completed_at"))
        .otherwise(nw.col("first_extracted_at")),
    )
    proofs = known.filter(~nw.col("proof").is_null()).select(
        nw.col("proof").alias("proof_id"), nw.col("proven_at").alias("gone_at")
    )
    # Engines disagree on what a running minimum is at a null, so what does not prove is given a later number than any.
    numbered = known.with_columns(number=nw.when(proves).then(nw.col("generation_id")).otherwise(nw.lit(_NEVER)))
    numbered = numbered.with_columns(from_here=nw.col("number").cum_min(reverse=True).over(order_by="generation_id"))
    following = numbered.with_columns(later=nw.col("from_here").shift(-1).over(order_by="generation_id")).select(
        "generation_id", proof_id=nw.when(nw.col("later") < _NEVER).then(nw.col("later"))
    )
    return following.select("generation_id", "proof_id").join(proofs, on="proof_id", how="left")
