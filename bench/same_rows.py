"""The tables of a warehouse and a peer's Parquet files hold the same rows, or it is no benchmark of the same work.

`same_rows.py WAREHOUSE FOLDER`: each FOLDER/<table>.parquet, in the columns it has of our table's; exit code 1 at the
first table that differs.
"""

import sys
from pathlib import Path

import polars as pl
from moovitamix_transform import load_table

SMALLEST = {"stg_listen_history", "fct_listens", "user_track_interactions", "track_popularity", "user_profiles"}


def main(warehouse: str, folder: Path) -> int:
    files = {file.stem: file for file in sorted(folder.glob("*.parquet"))}
    missing = SMALLEST - set(files) - {"stg_listen_history"}
    if missing:
        return _tell(f"{folder}: expected {', '.join(sorted(missing))}, found {', '.join(files) or 'no table'}")
    for name, file in files.items():
        ours, theirs = load_table(warehouse, name), pl.scan_parquet(file)
        # The ids are of each landing's own making.
        columns = [column for column in theirs.collect_schema() if column not in ("raw_id", "run_id")]
        mine = ours.select(columns)
        schema = mine.collect_schema()
        digests = [_digest(rows) for rows in (mine, theirs.select(_like(column, schema[column]) for column in columns))]
        if digests[0] != digests[1]:
            return _tell(f"{name}: expected the same rows, got {digests[0]} in {warehouse}, {digests[1]} in {file}")
    sys.stdout.write(f"the same rows: {', '.join(files)}\n")
    return 0


def _like(column: str, dtype: pl.DataType) -> pl.Expr:
    """Parquet has its own units of time, and a peer's instants no zone: they are UTC."""
    if isinstance(dtype, pl.Datetime):
        return pl.col(column).cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    return pl.col(column).cast(dtype)


def _digest(rows: pl.LazyFrame) -> tuple[int, int]:
    """The number of rows and the sum of their hashes, order aside."""
    digest = rows.select(pl.len(), pl.struct(pl.all()).hash(seed=0).sum().alias("digest"))
    return digest.collect(engine="streaming").row(0)


def _tell(message: str) -> int:
    sys.stderr.write(message + "\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2])))
