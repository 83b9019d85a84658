"""_meta/files: which of a destination's files were landed, so that each is landed once."""

import hashlib
from pathlib import Path
from typing import Any

import polars as pl

from moovitamix_transform.errors import FileRefused
from moovitamix_transform.files.named import NamedFile
from moovitamix_transform.warehouse import Warehouse

TABLE = "_meta/files"
# Grain: one row per landed file, written when all of it is committed.
SCHEMA = pl.Schema(
    {
        "url": pl.String(),
        "stream": pl.String(),
        "size": pl.Int64(),  # bytes
        "modified_at": pl.Datetime("us", "UTC"),  # null on an object store, as is sha256
        "sha256": pl.String(),
        "row_count": pl.Int64(),
        "line_count": pl.Int64(),  # those that are no record, in source/_lines
        "changed_count": pl.Int64(),  # records a value of which Airbyte nulled or cut before it wrote them
        "generation_ids": pl.List(pl.Int64),  # of its records
        "first_raw_id": pl.String(),  # which tells a copy under another name
        "run_id": pl.String(),
        "landed_at": pl.Datetime("us", "UTC"),
    }
)

Row = dict[str, Any]


def by_url(warehouse: Warehouse) -> dict[str, Row]:
    return {row["url"]: row for row in warehouse.scan(TABLE).collect().iter_rows(named=True)}


def is_landed(landed: dict[str, Row], file: NamedFile) -> bool:
    """FileRefused when it was landed with another content. On an object store its size alone tells: the listing gives
    neither an ETag nor a time."""
    row = landed.get(file.url)
    if row is None:
        return False
    is_same = row["size"] == file.size and row["modified_at"] == file.modified_at
    if not is_same and row["size"] == file.size and row["sha256"] is not None:
        is_same = row["sha256"] == digest(file)  # copied anew, or touched
    if not is_same:
        raise FileRefused(
            f"{file.shown}: expected it as run {row['run_id']} landed it, {row['size']:,} bytes, got another content, "
            f"{file.size:,} bytes; Airbyte never changes a file. What landed of it stays, nothing was landed now; "
            "under another name it is a new file"
        )
    return True


def digest(file: NamedFile) -> str | None:
    """The content's SHA-256; None on an object store, where it would have to be read for it."""
    if file.path is None:
        return None
    with Path(file.path).open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def record(warehouse: Warehouse, row: Row) -> None:
    warehouse.append(TABLE, pl.DataFrame([row], schema=SCHEMA))
