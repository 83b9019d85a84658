"""stg_tracks: the latest good record of each track."""

from typing import Any

import dataframely as dy
import narwhals as nw

from moovitamix_transform import contracts
from moovitamix_transform.staging.latest import latest

LOCAL_BY = ("track_id",)
LOOKUPS = {"tracks": ("_airbyte_raw_id", "raw_id")}


class StgTracks(contracts.Contract):
    """One row per track, latest."""

    track_id = contracts.key(dy.Int64, "The API's id.")
    track_name = contracts.text("The track's name.")
    artist_name = contracts.text("The artist's name.")
    songwriters = contracts.text("Who wrote it, as one text.")
    album_name = contracts.text("The album's name.")
    genre = contracts.text("Any word: the API has no fixed list.")
    duration_seconds = dy.Int32(nullable=True, min=0, description="Length in seconds.")
    created_at = contracts.instant("The API's created_at.")
    updated_at = contracts.instant("The API's updated_at; before created_at on a quarter of the rows.")


def stg_tracks(base_tracks: nw.LazyFrame[Any], tracks: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """One row per track, latest.

    Reads:
        base_tracks: every landed record, judged
        tracks: the records' texts, which break the last tie
    Returns:
        track_id i64, track_name, artist_name, songwriters, album_name, genre str, duration_seconds i32, created_at,
        updated_at datetime[us, UTC]
    """
    return contracts.conform(latest(base_tracks, tracks, ["track_id"]), StgTracks)
