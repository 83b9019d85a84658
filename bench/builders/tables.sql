-- The tables of moovitamix, of one read of each stream, by the same rules: a record is judged before it competes, the
-- latest good one of a key counts. Each table is written once and read by those below it.
CREATE VIEW tracks AS FROM 'landed/stream=tracks/*.parquet';
CREATE VIEW users AS FROM 'landed/stream=users/*.parquet';
CREATE VIEW listen_history AS FROM 'landed/stream=listen_history/*.parquet';
CREATE MACRO as_integer(token) AS
    CASE WHEN regexp_full_match(trim(token), '-?[0-9]+') THEN TRY_CAST(trim(token) AS BIGINT) END;
CREATE MACRO as_text(token) AS nullif(trim(token), '');
CREATE MACRO as_seconds(token) AS
    CASE WHEN regexp_full_match(token, '[0-9]+:[0-5][0-9]')
    THEN TRY_CAST(split_part(token, ':', 1) AS INTEGER) * 60 + TRY_CAST(split_part(token, ':', 2) AS INTEGER) END;
CREATE MACRO required(name, token, got) AS
    CASE WHEN token IS NULL THEN name || '_null' WHEN got IS NULL THEN name || '_unreadable' END;
CREATE MACRO readable(name, token, got) AS
    CASE WHEN token IS NOT NULL AND got IS NULL THEN name || '_unreadable' END;
CREATE MACRO broken(rules) AS list_filter(rules, lambda rule: rule IS NOT NULL);

COPY (
    WITH tokens AS (
        SELECT * EXCLUDE (data), json_transform(data, '{
            "id": "VARCHAR", "name": "VARCHAR", "artist": "VARCHAR", "songwriters": "VARCHAR", "album": "VARCHAR",
            "genres": "VARCHAR", "duration": "VARCHAR", "created_at": "VARCHAR", "updated_at": "VARCHAR"}') AS token
        FROM tracks
    ), typed AS (
        SELECT *, as_integer(token.id) AS track_id, as_seconds(token.duration) AS duration_seconds,
            TRY_CAST(token.created_at AS TIMESTAMP) AS created_at, TRY_CAST(token.updated_at AS TIMESTAMP) AS updated_at
        FROM tokens
    )
    SELECT raw_id, extracted_at, generation_id, track_id, as_text(token.name) AS track_name,
        as_text(token.artist) AS artist_name, as_text(token.songwriters) AS songwriters,
        as_text(token.album) AS album_name, as_text(token.genres) AS genre, duration_seconds, created_at, updated_at,
        broken([
            required('id', token.id, track_id),
            readable('duration', token.duration, duration_seconds),
            required('created_at', token.created_at, created_at),
            required('updated_at', token.updated_at, updated_at)
        ]) AS broken_rules
    FROM typed
) TO 'base_tracks.parquet';

COPY (
    WITH tokens AS (
        SELECT * EXCLUDE (data), json_transform(data, '{
            "id": "VARCHAR", "first_name": "VARCHAR", "last_name": "VARCHAR", "email": "VARCHAR", "gender": "VARCHAR",
            "favorite_genres": "VARCHAR", "created_at": "VARCHAR", "updated_at": "VARCHAR"}') AS token
        FROM users
    ), typed AS (
        SELECT *, as_integer(token.id) AS user_id,
            TRY_CAST(token.created_at AS TIMESTAMP) AS created_at, TRY_CAST(token.updated_at AS TIMESTAMP) AS updated_at
        FROM tokens
    )
    SELECT raw_id, extracted_at, generation_id, user_id, as_text(token.first_name) AS first_name,
        as_text(token.last_name) AS last_name, as_text(lower(token.email)) AS email, as_text(token.gender) AS gender,
        as_text(token.favorite_genres) AS favorite_genre, created_at, updated_at,
        broken([
            required('id', token.id, user_id),
            required('created_at', token.created_at, created_at),
            required('updated_at', token.updated_at, updated_at)
        ]) AS broken_rules
    FROM typed
) TO 'base_users.parquet';

COPY (
    WITH tokens AS (
        SELECT * EXCLUDE (data), json_transform(data, '{
            "user_id": "VARCHAR", "items": "JSON", "created_at": "VARCHAR", "updated_at": "VARCHAR"}') AS token
        FROM listen_history
    ), typed AS (
        SELECT *, as_integer(token.user_id) AS user_id, TRY_CAST(token.created_at AS TIMESTAMP) AS listened_at,
            TRY_CAST(token.updated_at AS TIMESTAMP) AS updated_at, TRY_CAST(token.items AS BIGINT[]) AS ids
        FROM tokens
    ), whole AS (
        SELECT * EXCLUDE (ids), CASE WHEN list_count(ids) = len(ids) THEN ids END AS ids FROM typed
    )
    SELECT raw_id, extracted_at, generation_id, user_id, listened_at, updated_at,
        list_transform(coalesce(ids, []), lambda id, place: {'track_id': id, 'position': place::INTEGER}) AS plays,
        broken([
            required('user_id', token.user_id, user_id),
            required('created_at', token.created_at, listened_at),
            required('updated_at', token.updated_at, updated_at),
            readable('items', nullif(token.items::VARCHAR, 'null'), ids)
        ]) AS broken_rules
    FROM whole
) TO 'base_listen_history.parquet';

COPY (
    SELECT 'tracks' AS stream, unnest(broken_rules) AS rule, data
    FROM 'base_tracks.parquet' AS base JOIN tracks USING (raw_id) WHERE len(broken_rules) > 0
    UNION ALL
    SELECT 'users', unnest(broken_rules), data
    FROM 'base_users.parquet' AS base JOIN users USING (raw_id) WHERE len(broken_rules) > 0
    UNION ALL
    SELECT 'listen_history', unnest(broken_rules), data
    FROM 'base_listen_history.parquet' AS base JOIN listen_history USING (raw_id) WHERE len(broken_rules) > 0
) TO 'quarantine.parquet';

COPY (
    SELECT base.* EXCLUDE (raw_id, extracted_at, generation_id, broken_rules)
    FROM 'base_tracks.parquet' AS base JOIN tracks USING (raw_id) WHERE len(broken_rules) = 0
    QUALIFY row_number() OVER (
        PARTITION BY track_id ORDER BY base.generation_id DESC, updated_at DESC, base.extracted_at DESC, data DESC
    ) = 1
) TO 'stg_tracks.parquet';

COPY (
    SELECT base.* EXCLUDE (raw_id, extracted_at, generation_id, broken_rules)
    FROM 'base_users.parquet' AS base JOIN users USING (raw_id) WHERE len(broken_rules) = 0
    QUALIFY row_number() OVER (
        PARTITION BY user_id ORDER BY base.generation_id DESC, updated_at DESC, base.extracted_at DESC, data DESC
    ) = 1
) TO 'stg_users.parquet';

-- Most keys have one record: only the others are ranked, by their texts at last.
CREATE VIEW good AS SELECT * FROM 'base_listen_history.parquet' WHERE len(broken_rules) = 0;
CREATE TEMP TABLE contested AS
SELECT user_id, listened_at FROM good GROUP BY user_id, listened_at HAVING count(*) > 1;
COPY (
    SELECT user_id, listened_at, updated_at, plays FROM good ANTI JOIN contested USING (user_id, listened_at)
    UNION ALL
    SELECT user_id, listened_at, updated_at, plays FROM (
        SELECT good.*, data FROM good SEMI JOIN contested USING (user_id, listened_at) JOIN listen_history USING (raw_id)
    )
    QUALIFY row_number() OVER (
        PARTITION BY user_id, listened_at ORDER BY generation_id DESC, updated_at DESC, extracted_at DESC, data DESC
    ) = 1
) TO 'stg_listen_history.parquet';

COPY (
    SELECT *, false AS is_deleted, NULL::TIMESTAMP AS deleted_at FROM 'stg_tracks.parquet'
) TO 'dim_tracks.parquet';
COPY (SELECT *, false AS is_deleted, NULL::TIMESTAMP AS deleted_at FROM 'stg_users.parquet') TO 'dim_users.parquet';

-- One read, so one period a key, from when it was seen.
COPY (
    SELECT track_id, track_name, artist_name, songwriters, album_name, genre, duration_seconds,
        min(extracted_at) AS valid_from, NULL::TIMESTAMP AS valid_to, true AS is_current
    FROM 'base_tracks.parquet' SEMI JOIN 'stg_tracks.parquet' AS stg USING (track_id, updated_at)
    WHERE len(broken_rules) = 0
    GROUP BY ALL
) TO 'dim_tracks_history.parquet';
COPY (
    SELECT user_id, first_name, last_name, email, gender, favorite_genre,
        min(extracted_at) AS valid_from, NULL::TIMESTAMP AS valid_to, true AS is_current
    FROM 'base_users.parquet' SEMI JOIN 'stg_users.parquet' AS stg USING (user_id, updated_at)
    WHERE len(broken_rules) = 0
    GROUP BY ALL
) TO 'dim_users_history.parquet';

COPY (
    SELECT user_id, play.track_id, listened_at, play.position
    FROM (SELECT user_id, listened_at, unnest(plays) AS play FROM 'stg_listen_history.parquet')
) TO 'fct_listens.parquet';

COPY (
    SELECT user_id, track_id, count(*) AS listen_count, min(listened_at) AS first_listened_at,
        max(listened_at) AS last_listened_at
    FROM 'fct_listens.parquet' GROUP BY user_id, track_id
) TO 'user_track_interactions.parquet';

COPY (
    SELECT *, rank() OVER (ORDER BY listen_count DESC) AS rank
    FROM (
        SELECT track_id, sum(listen_count)::BIGINT AS listen_count, count(*) AS listener_count,
            max(last_listened_at) AS last_listened_at
        FROM 'user_track_interactions.parquet' GROUP BY track_id
    )
) TO 'track_popularity.parquet';

COPY (
    WITH pairs AS (
        SELECT pairs.*, genre, duration_seconds
        FROM 'user_track_interactions.parquet' AS pairs LEFT JOIN 'dim_tracks.parquet' AS dim_tracks USING (track_id)
    ), top_genres AS (
        SELECT user_id, genre AS top_genre FROM pairs WHERE genre IS NOT NULL GROUP BY user_id, genre
        QUALIFY row_number() OVER (PARTITION BY user_id ORDER BY sum(listen_count) DESC, genre) = 1
    )
    SELECT user_id, sum(listen_count)::BIGINT AS listen_count, count(*) AS track_count,
        sum(duration_seconds * listen_count)::BIGINT AS listened_seconds, any_value(top_genre) AS top_genre,
        min(first_listened_at) AS first_listened_at, max(last_listened_at) AS last_listened_at
    FROM pairs LEFT JOIN top_genres USING (user_id) GROUP BY user_id
) TO 'user_profiles.parquet';
