"""base_tracks: every landed track, typed and judged."""

import dataframely as dy
import polars as pl

from moovitamix_transform import contracts
from moovitamix_transform.staging import fields, readings

FIELDS = (
    fields.integer("track_id", "id"),
    fields.text("track_name", "name"),
    fields.text("artist_name", "artist"),
    fields.text("songwriters", "songwriters"),
    fields.text("album_name", "album"),
    fields.text("genre", "genres"),
    fields.Field("duration_seconds", "duration", readings.duration_seconds, "minutes:seconds, such as 3:45"),
    fields.instant("created_at", "created_at"),
    fields.instant("updated_at", "updated_at"),
)


IS_ROW_LOCAL = True


class BaseTracks(contracts.Judged):
    """One row per landed record of tracks.

    A value that cannot be read is null, and its rule is in broken_rules.
    """

    track_id = dy.Int64(nullable=True, description="The API's id.")
    track_name = contracts.text("The track's name.")
    artist_name = contracts.text("The artist's name.")
    songwriters = contracts.text("Who wrote it, as one text.")
    album_name = contracts.text("The album's name.")
    genre = contracts.text("Any word: the API has no fixed list.")
    duration_seconds = dy.Int32(nullable=True, min=0, description="Length in seconds.")
    created_at = contracts.instant("The API's created_at.", nullable=True)
    updated_at = contracts.instant("The API's updated_at; before created_at on a quarter of the rows.", nullable=True)
    broken_rules = contracts.broken_rules()


def base_tracks(tracks: pl.LazyFrame) -> pl.LazyFrame:
    """One row per landed record of tracks.

    Reads:
        tracks: the source table, `_airbyte_data` the record's JSON text
    Returns:
        raw_id, run_id str, extracted_at datetime[us, UTC], generation_id i64, track_id i64, track_name, artist_name,
        songwriters, album_name, genre str, duration_seconds i32, created_at, updated_at, broken_rules list[str]
    """
    return fields.read_fields(tracks, FIELDS)
