"""dim_tracks: the catalogue."""

from typing import Any

import narwhals as nw

from moovitamix_transform import contracts
from moovitamix_transform.staging.stg_tracks import StgTracks


class DimTracks(StgTracks):
    """One row per track ever seen."""


def dim_tracks(stg_tracks: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """One row per track ever seen.

    Reads:
        stg_tracks: one row per track, latest
    Returns:
        the columns of stg_tracks
    """
    return contracts.conform(stg_tracks, DimTracks)
