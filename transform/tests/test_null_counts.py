"""How many values are missing is told from the logs, and read where they do not tell."""

from datetime import UTC, datetime
from pathlib import Path

import polars as pl
from moovitamix_transform import contracts, null_counts
from moovitamix_transform.graph import models
from moovitamix_transform.warehouse import Warehouse
from moovitamix_transform.warehouse.delta import DataFile

TRACKS = models()["stg_tracks"]
AT = datetime(2026, 1, 1, tzinfo=UTC)


def test_a_column_of_which_the_log_does_not_tell_is_read(tmp_path: Path):
    schema = contracts.schema(TRACKS.contract)
    tracks = [{"track_id": number, "created_at": AT, "updated_at": AT} for number in (1, 2, 3)]
    rows = pl.DataFrame(tracks, schema=schema).with_columns(track_name=pl.Series([None, "a", "b"]))
    warehouse = Warehouse(str(tmp_path / "house"))
    by_polars = warehouse.overwrite(TRACKS.path, rows.lazy())
    folder = Path(warehouse.uri(TRACKS.path))
    rows.write_parquet(folder / "as-spark-does.parquet")
    size = (folder / "as-spark-does.parquet").stat().st_size
    statistics = {"numRecords": 3, "minValues": {}, "maxValues": {}, "nullCount": {"genre": 3}}
    by_spark = warehouse.commit_files(TRACKS.path, schema, [DataFile("as-spark-does.parquet", size, statistics)])

    counts = [null_counts.of_table(warehouse, TRACKS, version) for version in (by_polars, by_spark)]

    assert counts[0] == counts[1]
    assert {each.column: (each.nulls, each.rows) for each in counts[1]} == {
        "track_name": (1, 3),
        **dict.fromkeys(("artist_name", "songwriters", "album_name", "genre", "duration_seconds"), (3, 3)),
    }
