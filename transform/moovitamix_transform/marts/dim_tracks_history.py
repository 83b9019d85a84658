"""dim_tracks_history: what each track was, and when."""

from typing import Any

import dataframely as dy
import narwhals as nw

from moovitamix_transform import contracts
from moovitamix_transform.contracts import made_of
from moovitamix_transform.marts.deletions import PROOF
from moovitamix_transform.marts.history import history
from moovitamix_transform.staging.latest import Hold, as_planned

# When a key was seen, left and came back; a change of an attribute begins a new row.
SEEN = ("base_tracks.track_id", "base_tracks.generation_id", "base_tracks.extracted_at", *PROOF)


class DimTracksHistory(contracts.Contract):
    """One row per track_id and period with unchanged attributes (SCD 2)."""

    rows_by = (
        *SEEN,
        "base_tracks.track_name",
        "base_tracks.artist_name",
        "base_tracks.songwriters",
        "base_tracks.album_name",
        "base_tracks.genre",
        "base_tracks.duration_seconds",
        "base_tracks.broken_rules",
        "base_tracks.updated_at",
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
    valid_from = contracts.instant("Observed so from here, inclusive.", primary_key=True, metadata=made_of(*SEEN))
    valid_to = contracts.instant("Until here, exclusive; null = current.", nullable=True, metadata=made_of(*SEEN))
    is_current = dy.Bool(
        nullable=False,
        description="It is so now. No row is while the track is deleted, or back in quarantined records only.",
        metadata=made_of("base_tracks.track_id", "base_tracks.generation_id", *PROOF),
    )


def dim_tracks_history(
    base_tracks: nw.LazyFrame[Any],
    tracks: nw.LazyFrame[Any],
    generations: nw.LazyFrame[Any],
    *,
    hold: Hold = as_planned,
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
        history(base_tracks, tracks, generations, "tracks", "track_id", attributes, hold), DimTracksHistory
    )
