"""stg_tracks: the latest good record of each track."""

from typing import Any

import dataframely as dy
import narwhals as nw

from moovitamix_transform import contracts
from moovitamix_transform.contracts import made_of
from moovitamix_transform.staging.latest import latest

LOCAL_BY = ("track_id",)
LOOKUPS = {"tracks": ("_airbyte_raw_id", "raw_id")}


class StgTracks(contracts.Contract):
    """One row per track, latest."""

    rows_by = (
        "base_tracks.track_id",
        "base_tracks.broken_rules",
        "base_tracks.generation_id",
        "base_tracks.updated_at",
        "base_tracks.extracted_at",
        "tracks._airbyte_data",
    )

    track_id = contracts.key(dy.Int64, "The API's id.", metadata=made_of("base_tracks.track_id"))
    track_name = contracts.text("The track's name.", metadata=made_of("base_tracks.track_name"))
    artist_name = contracts.text("The artist's name.", metadata=made_of("base_tracks.artist_name"))
    songwriters = contracts.text("Who wrote it, as one text.", metadata=made_of("base_tracks.songwriters"))
    album_name = contracts.text("The album's name.", metadata=made_of("base_tracks.album_name"))
    genre = contracts.text("Any word: the API has no fixed list.", metadata=made_of("base_tracks.genre"))
    duration_seconds = dy.Int32(
        nullable=True, min=0, description="Length in seconds.", metadata=made_of("base_tracks.duration_seconds")
    )
    created_at = contracts.instant("The API's created_at.", metadata=made_of("base_tracks.created_at"))
    updated_at = contracts.instant(
        "The API's updated_at; before created_at on a quarter of the rows.", metadata=made_of("base_tracks.updated_at")
    )


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
