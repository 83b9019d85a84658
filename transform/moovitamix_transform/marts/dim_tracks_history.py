"""dim_tracks_history: what each track was, and when."""

from typing import Any

import dataframely as dy
import narwhals as nw

from moovitamix_transform import contracts
from moovitamix_transform.marts.history import history


class DimTracksHistory(contracts.Contract):
    """One row per track_id and period with unchanged attributes (SCD 2)."""

    track_id = contracts.key(dy.Int64, "The API's id.")
    track_name = contracts.text("The track's name.")
    artist_name = contracts.text("The artist's name.")
    songwriters = contracts.text("Who wrote it, as one text.")
    album_name = contracts.text("The album's name.")
    genre = contracts.text("Any word: the API has no fixed list.")
    duration_seconds = dy.Int32(nullable=True, min=0, description="Length in seconds.")
    valid_from = contracts.instant("Observed so from here, inclusive.", primary_key=True)
    valid_to = contracts.instant("Until here, exclusive; null = current.", nullable=True)
    is_current = dy.Bool(nullable=False, description="It is so now; no row is while the track is deleted.")


def dim_tracks_history(
    base_tracks: nw.LazyFrame[Any], tracks: nw.LazyFrame[Any], generations: nw.LazyFrame[Any]
) -> nw.LazyFrame[Any]:
    """One row per track_id and period with unchanged attributes (SCD 2).

    Reads:
        base_tracks: every landed record, judged: what was observed, and when
        tracks: the records' texts, which break the last tie
        generations: which reads are complete, so that absence from them ends a period
    Returns:
        track_id i64, track_name, artist_name, songwriters, album_name, genre str, duration_seconds i32, valid_from,
        valid_to datetime[us, UTC], is_current bool
    """
    attributes = ["track_name", "artist_name", "songwriters", "album_name", "genre", "duration_seconds"]
    return contracts.conform(
        history(base_tracks, tracks, generations, "tracks", "track_id", attributes), DimTracksHistory
    )
