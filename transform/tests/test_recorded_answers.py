"""The client's own answers, landed and built, against a few lines of SQL that read the same files."""

import json
from collections.abc import Callable
from pathlib import Path

import duckdb
import polars as pl
import pytest

RECORDED = Path(__file__).parents[2] / "api" / "tests" / "recorded"
STREAMS = ("tracks", "users", "listen_history")

VIEWS = """
    set timezone = 'UTC';
    create view tracks as select unnest(items, recursive := true) from read_json('{folder}/tracks.page-*.json');
    create view users as select unnest(items, recursive := true) from read_json('{folder}/users.page-*.json');
    create view lists as select unnest(items) as list from read_json('{folder}/listen_history.page-*.json');
    create view listens as
        select list.user_id as user_id, unnest(list.items) as track_id,
               list.created_at::timestamp at time zone 'UTC' as listened_at,
               unnest(range(1, len(list.items) + 1))::int as position
        from lists;
    create view genres as
        select user_id, genres, row_number() over (partition by user_id order by count(*) desc, genres) as place
        from listens join tracks on track_id = id where genres is not null group by user_id, genres;
"""

EXPECTED = {
    "dim_tracks": """
        select id as track_id, name as track_name, artist as artist_name, songwriters, album as album_name,
               genres as genre,
               (split_part(duration, ':', 1)::int * 60 + split_part(duration, ':', 2)::int)::int as duration_seconds,
               created_at::timestamp at time zone 'UTC' as created_at,
               updated_at::timestamp at time zone 'UTC' as updated_at
        from tracks""",
    "dim_users": """
        select id as user_id, first_name, last_name, lower(email) as email, gender, favorite_genres as favorite_genre,
               created_at::timestamp at time zone 'UTC' as created_at,
               updated_at::timestamp at time zone 'UTC' as updated_at
        from users""",
    "fct_listens": "select user_id, track_id, listened_at, position from listens",
    "user_track_interactions": """
        select user_id, track_id, count(*) as listen_count, min(listened_at) as first_listened_at,
               max(listened_at) as last_listened_at
        from listens group by user_id, track_id""",
    "track_popularity": """
        select track_id, count(*) as listen_count, count(distinct user_id) as listener_count,
               max(listened_at) as last_listened_at, rank() over (order by count(*) desc) as rank
        from listens group by track_id""",
    "user_profiles": """
        select listens.user_id, count(*) as listen_count, count(distinct track_id) as track_count,
               sum(split_part(duration, ':', 1)::int * 60 + split_part(duration, ':', 2)::int)::bigint
                   as listened_seconds,
               any_value(top.genres) as top_genre,
               min(listened_at) as first_listened_at, max(listened_at) as last_listened_at
        from listens left join tracks on track_id = id
        left join genres top on top.user_id = listens.user_id and top.place = 1
        group by listens.user_id""",
}


def answered(stream: str) -> list[dict[str, object]]:
    pages = [json.loads(path.read_text()) for path in sorted(RECORDED.glob(f"{stream}.page-*.json"))]
    return [item for page in pages for item in page["items"]]


@pytest.fixture(scope="module")
def built(new_pipeline, record):
    """The recorded answers of all three collections, landed in one read and built."""
    pipeline = new_pipeline()
    pipeline.land([record(stream, item) for stream in STREAMS for item in answered(stream)])
    pipeline.build()
    return pipeline


@pytest.fixture(scope="module")
def expected() -> Callable[[str], pl.DataFrame]:
    """A mart as SQL makes it of the JSON files, without our code."""
    connection = duckdb.connect()
    connection.execute(VIEWS.format(folder=RECORDED))
    return lambda table: pl.DataFrame(connection.sql(EXPECTED[table]))


def test_a_thousand_records_of_each_collection_are_kept(built):
    counts = {stream: built.rows(f"stg_{stream}").height for stream in STREAMS}

    assert counts == {"tracks": 1000, "users": 1000, "listen_history": 1000}
    assert built.rows("quarantine").height == 0
    assert built.rows("fct_listens").height == 5000


@pytest.mark.parametrize("table", EXPECTED)
def test_a_mart_equals_what_sql_makes_of_the_files(built, expected, table: str):
    made_by_sql = expected(table)

    rows = built.rows(table).select(made_by_sql.columns).sort(made_by_sql.columns)

    instants = {name: dtype for name, dtype in rows.schema.items() if isinstance(dtype, pl.Datetime)}
    made_by_sql = made_by_sql.cast(instants).sort(made_by_sql.columns)
    assert rows.schema == made_by_sql.schema
    assert rows.rows() == made_by_sql.rows()


def test_the_warnings_count_what_is_odd_in_the_answers(built, expected):
    tracks, users, listens = (expected(table) for table in ("dim_tracks", "dim_users", "fct_listens"))

    counts = {warning.name: warning.count for warning in built.build().warnings}

    assert counts == {
        "tracks_updated_before_created": tracks.filter(pl.col("updated_at") < pl.col("created_at")).height,
        "users_updated_before_created": users.filter(pl.col("updated_at") < pl.col("created_at")).height,
        "listens_updated_before_created": sum(
            item["updated_at"] < item["created_at"] for item in answered("listen_history")
        ),
        "users_email_without_at": users.filter(~pl.col("email").str.contains("@")).height,
        "listens_of_unknown_tracks": listens.join(tracks, on="track_id", how="anti").height,
        "listens_of_unknown_users": listens.join(users, on="user_id", how="anti").height,
    }
