"""dim_tracks: the catalogue."""

from typing import Any

import dataframely as dy
import narwhals as nw

from moovitamix_transform import contracts
from moovitamix_transform.contracts import made_of
from moovitamix_transform.marts.deletions import PROOF, gone_after
from moovitamix_transform.staging.stg_tracks import StgTracks


class DimTracks(StgTracks):
    """One row per track ever seen."""

    is_deleted = dy.Bool(
        nullable=False,
        description="The newest complete generation and every later one lack it.",
        metadata=made_of("stg_tracks.track_id", "base_tracks.track_id", "base_tracks.generation_id", *PROOF),
    )
    deleted_at = contracts.instant(
        "When it was first seen to be gone; null while it is there.",
        nullable=True,
        metadata=made_of(
            "stg_tracks.track_id",
            "base_tracks.track_id",
            "base_tracks.generation_id",
            "base_tracks.extracted_at",
            *PROOF,
        ),
    )


def dim_tracks(
    stg_tracks: nw.LazyFrame[Any], base_tracks: nw.LazyFrame[Any], generations: nw.LazyFrame[Any]
) -> nw.LazyFrame[Any]:
    """One row per track ever seen.

    Reads:
        stg_tracks: one row per track, latest
        base_tracks: in which generations each track was, quarantined records included
        generations: which of them are complete, so that absence from them means something
    Returns:
        the columns of stg_tracks, is_deleted bool, deleted_at datetime[us, UTC]
    """
    last_seen = (
        base_tracks.filter(~nw.col("track_id").is_null()).group_by("track_id").agg(nw.col("generation_id").max())
    )
    gone = last_seen.join(gone_after(base_tracks, generations, "tracks", "track_id"), on="generation_id", how="inner")
    tracks = stg_tracks.join(gone.select("track_id", "gone_at"), on="track_id", how="left")
    tracks = tracks.with_columns(is_deleted=~nw.col("gone_at").is_null(), deleted_at=nw.col("gone_at"))
    return contracts.conform(tracks, DimTracks)
