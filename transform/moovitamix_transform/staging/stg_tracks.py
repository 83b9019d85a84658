"""stg_tracks: the latest good record of each track."""

from typing import Any

import dataframely as dy
import narwhals as nw

from moovitamix_transform import contracts
from moovitamix_transform.contracts import made_of
from moovitamix_transform.staging.latest import Hold, as_planned, latest

LOCAL_BY = ("track_id",)
LOOKUPS = {"tracks": ("_airbyte_raw_id", "raw_id")}
# Which of the records with one key counts: the columns of latest.ORDER. Those after updated_at choose among equal ones.
LATEST = (
    "base_tracks.generation_id",
    "base_tracks.updated_at",
    "base_tracks.extracted_at",
    "tracks._airbyte_data",
)


class StgTracks(contracts.Contract):
    """One row per track, latest."""

    rows_by = ("base_tracks.track_id", "base_tracks.broken_rules")

    track_id = contracts.key(dy.Int64, "The API's id.", metadata=made_of("base_tracks.track_id"))
    track_name = contracts.text("The track's name.", metadata=made_of("base_tracks.track_name", chosen_by=LATEST))
    artist_name = contracts.text("The artist's name.", metadata=made_of("base_tracks.artist_name", chosen_by=LATEST))
    songwriters = contracts.text(
        "Who wrote it, as one text.", metadata=made_of("base_tracks.songwriters", chosen_by=LATEST)
    )
    album_name = contracts.text("The album's name.", metadata=made_of("base_tracks.album_name", chosen_by=LATEST))
    genre = contracts.text(
        "Any word: the API has no fixed list.", metadata=made_of("base_tracks.genre", chosen_by=LATEST)
    )
    duration_seconds = dy.Int32(
        nullable=True,
        min=0,
        description="Length in seconds.",
        metadata=made_of("base_tracks.duration_seconds", chosen_by=LATEST),
    )
    created_at = contracts.instant(
        "The API's created_at.", metadata=made_of("base_tracks.created_at", chosen_by=LATEST)
    )
    updated_at = contracts.instant(
        "The API's updated_at; before created_at on a quarter of the rows.",
        metadata=made_of("base_tracks.updated_at", chosen_by=LATEST[:2]),
    )


def stg_tracks(
    base_tracks: nw.LazyFrame[Any], tracks: nw.LazyFrame[Any], *, hold: Hold = as_planned
) -> nw.LazyFrame[Any]:
    """One row per track, latest.

    Reads:
        base_tracks: every landed record, judged
        tracks: the records' texts, which break the last tie
    Returns:
        track_id i64, track_name, artist_name, songwriters, album_name, genre str, duration_seconds i32, created_at,
        updated_at datetime[us, UTC]
    """
    return contracts.conform(latest(base_tracks, tracks, ["track_id"], hold), StgTracks)
