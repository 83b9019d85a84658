"""The tables in pandas, as Parquet: `pandas_builder.py FOLDER LINES`."""

import sys
from itertools import islice
from pathlib import Path

import orjson
import pandas as pd

CHUNK_LINES = 100_000
KEYS = {"tracks": ["track_id"], "users": ["user_id"], "listen_history": ["user_id", "listened_at"]}
NAMES = {
    "tracks": {
        "id": "track_id",
        "name": "track_name",
        "artist": "artist_name",
        "album": "album_name",
        "genres": "genre",
    },
    "users": {"id": "user_id", "favorite_genres": "favorite_genre"},
    "listen_history": {"created_at": "listened_at"},
}


def read(lines: Path) -> dict[str, pd.DataFrame]:
    """The records of each stream, with `extracted_at` and their text."""
    chunks = {stream: [] for stream in KEYS}
    with lines.open("rb") as file:
        while chunk := list(islice(file, CHUNK_LINES)):
            rows = {stream: [] for stream in KEYS}
            for line in chunk:
                message = orjson.loads(line)
                if message["type"] == "RECORD":
                    record = message["record"]
                    rows[record["stream"]].append({**record["data"], "extracted_at": record["emitted_at"]})
            for stream, records in rows.items():
                chunks[stream].append(pd.DataFrame(records))
    return {stream: pd.concat(frames, ignore_index=True) for stream, frames in chunks.items()}


def judged(stream: str, records: pd.DataFrame) -> pd.DataFrame:
    """Typed columns, and `is_good`."""
    base = records.rename(columns=NAMES[stream])
    instants = [name for name in ("created_at", "listened_at", "updated_at") if name in base]
    for name in instants:
        base[name] = pd.to_datetime(base[name], format="ISO8601", errors="coerce")
    base["extracted_at"] = pd.to_datetime(base["extracted_at"], unit="ms")
    base["is_good"] = base[instants].notna().all(axis=1)
    if stream == "tracks":
        parts = base.pop("duration").str.split(":", expand=True).astype("int32")
        base["duration_seconds"] = parts[0] * 60 + parts[1]
    elif stream == "users":
        base["email"] = base["email"].str.lower()
    else:
        base["is_good"] &= base["items"].map(lambda items: None not in items)
    return base


def latest(stream: str, base: pd.DataFrame) -> pd.DataFrame:
    good = base[base["is_good"]].sort_values(["updated_at", "extracted_at"], kind="stable")
    return good.drop_duplicates(KEYS[stream], keep="last")


def main(folder: Path, lines: Path) -> None:
    base = {stream: judged(stream, records) for stream, records in read(lines).items()}
    staged = {stream: latest(stream, frame) for stream, frame in base.items()}
    tables = {}
    for stream in ("tracks", "users"):
        rows = staged[stream].drop(columns=["extracted_at", "is_good"])
        tables[f"stg_{stream}"] = rows
        tables[f"dim_{stream}"] = rows.assign(is_deleted=False, deleted_at=pd.Series(dtype="datetime64[us]"))
        history = staged[stream].drop(columns=["created_at", "updated_at", "is_good"])
        history = history.rename(columns={"extracted_at": "valid_from"})
        tables[f"dim_{stream}_history"] = history.assign(valid_to=pd.Series(dtype="datetime64[us]"), is_current=True)
    lists = staged["listen_history"][["user_id", "listened_at", "items"]]
    listens = lists.explode("items").rename(columns={"items": "track_id"}).astype({"track_id": "int64"})
    listens["position"] = (listens.groupby(level=0).cumcount() + 1).astype("int32")
    pairs = listens.groupby(["user_id", "track_id"], as_index=False).agg(
        listen_count=("listened_at", "size"),
        first_listened_at=("listened_at", "min"),
        last_listened_at=("listened_at", "max"),
    )
    tracks = pairs.groupby("track_id", as_index=False).agg(
        listen_count=("listen_count", "sum"),
        listener_count=("user_id", "size"),
        last_listened_at=("last_listened_at", "max"),
    )
    tracks["rank"] = tracks["listen_count"].rank(method="min", ascending=False).astype("int64")
    tables |= {"fct_listens": listens, "user_track_interactions": pairs, "track_popularity": tracks}
    tables["user_profiles"] = profiles(pairs, tables["dim_tracks"])
    for name, rows in tables.items():
        rows.to_parquet(folder / f"{name}.parquet", index=False)


def profiles(pairs: pd.DataFrame, dim_tracks: pd.DataFrame) -> pd.DataFrame:
    known = pairs.merge(dim_tracks[["track_id", "genre", "duration_seconds"]], on="track_id", how="left")
    known["seconds"] = known["duration_seconds"] * known["listen_count"]
    users = known.groupby("user_id", as_index=False).agg(
        listen_count=("listen_count", "sum"),
        track_count=("track_id", "size"),
        listened_seconds=("seconds", lambda seconds: seconds.sum(min_count=1)),
        first_listened_at=("first_listened_at", "min"),
        last_listened_at=("last_listened_at", "max"),
    )
    genres = known.groupby(["user_id", "genre"], as_index=False)["listen_count"].sum()
    genres = genres.sort_values(["listen_count", "genre"], ascending=[False, True]).drop_duplicates("user_id")
    top = genres[["user_id", "genre"]].rename(columns={"genre": "top_genre"})
    return users.merge(top, on="user_id", how="left")


main(Path(sys.argv[1]), Path(sys.argv[2]))
