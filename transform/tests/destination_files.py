"""Files as Airbyte's file destinations write them, and what a `land --from` did with them."""

import gzip
import json
import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any

import polars as pl
from moovitamix_transform import sources
from moovitamix_transform.files import destination
from moovitamix_transform.files.named import find
from moovitamix_transform.files.read import FileRead
from moovitamix_transform.runs import Run
from moovitamix_transform.streams import STREAMS

Line = Callable[..., bytes]
Records = Sequence[dict[str, Any]]
MOOVITAMIX = Path(sys.executable).with_name("moovitamix")
AT = 1_767_225_600_123  # 2026-01-01T00:00:00.123Z
NAME = "2026_1_1_1767225600123_0"
INSTANT = pl.Datetime("us")
FIELDS = {
    "tracks": {"id": pl.Int64, "name": pl.String, "genres": pl.String, "duration": pl.String},
    "users": {"id": pl.Int64, "email": pl.String},
    "listen_history": {"user_id": pl.Int64, "items": pl.List(pl.Int64)},
}
CHANGE = pl.Struct({"field": pl.String, "change": pl.String, "reason": pl.String})
META = pl.Struct({"changes": pl.List(CHANGE), "sync_id": pl.Int64})
LAYOUTS = (
    "raw.jsonl",
    "raw.jsonl.gz",
    "raw_text.jsonl",
    "flat.jsonl",
    "flat.jsonl.gz",
    "raw.parquet",
    "raw_text.parquet",
    "flat.parquet",
)


def envelope(raw_id: str, generation: int = 1, at: int = AT) -> dict[str, Any]:
    return {
        "_airbyte_raw_id": raw_id,
        "_airbyte_extracted_at": at,
        "_airbyte_meta": {"changes": [], "sync_id": 7},
        "_airbyte_generation_id": generation,
    }


def rows(records: Records, generation: int = 1, prefix: str = "raw", at: int = AT) -> list[dict[str, Any]]:
    """What a destination writes of records, raw."""
    return [
        {**envelope(f"{prefix}-{n}", generation, at + n), "_airbyte_data": data} for n, data in enumerate(records, 1)
    ]


def lines(raw_rows: Records, layout: str = "raw") -> bytes:
    """As JSON lines, as Airbyte's own writer puts them: without spaces."""
    if layout == "raw_text":
        raw_rows = [{**row, "_airbyte_data": json.dumps(row["_airbyte_data"])} for row in raw_rows]
    if layout == "flat":
        raw_rows = [
            {**{k: v for k, v in row.items() if k != "_airbyte_data"}, **row["_airbyte_data"]} for row in raw_rows
        ]
    return b"".join(json.dumps(row, separators=(",", ":"), ensure_ascii=False).encode() + b"\n" for row in raw_rows)


def parquet(raw_rows: Records, layout: str, stream: str) -> pl.DataFrame:
    fields = {**FIELDS[stream], "created_at": INSTANT, "updated_at": INSTANT}
    data = pl.DataFrame(
        [
            {
                name: datetime.fromisoformat(value) if name.endswith("_at") and value else value
                for name, value in row["_airbyte_data"].items()
            }
            for row in raw_rows
        ],
        schema=fields,
    )
    around = pl.DataFrame(
        [{name: value for name, value in row.items() if name != "_airbyte_data"} for row in raw_rows],
        schema={
            "_airbyte_raw_id": pl.String,
            "_airbyte_extracted_at": pl.Int64,
            "_airbyte_meta": META,
            "_airbyte_generation_id": pl.Int64,
        },
    ).with_columns(pl.col("_airbyte_extracted_at").cast(pl.Datetime("ms", "UTC")))
    if layout == "raw":
        return around.with_columns(data.to_struct("_airbyte_data"))
    if layout == "raw_text":
        texts = [json.dumps(row["_airbyte_data"]) for row in raw_rows]
        return around.with_columns(pl.Series("_airbyte_data", texts, pl.String))
    return pl.concat([around, data], how="horizontal")


def write(folder: Path, stream: str, raw_rows: Records, layout: str = "raw.jsonl", name: str = NAME) -> Path:
    """One file of a destination: `folder/stream/name`."""
    shape, _, suffix = layout.partition(".")
    path = folder / stream / f"{name}.{suffix}"
    path.parent.mkdir(parents=True, exist_ok=True)
    if suffix == "parquet":
        parquet(raw_rows, shape, stream).write_parquet(path)
    else:
        content = lines(raw_rows, shape)
        path.write_bytes(gzip.compress(content) if suffix.endswith("gz") else content)
    return path


def versions(pipeline) -> dict[str, int]:
    """Of every table that holds what landed."""
    names = (*STREAMS, "_lines", "generations", "files")
    return {name: pipeline.warehouse.version(sources.path(name)) for name in names}


def counts(run: Run) -> list[tuple[str | None, int, int, int]]:
    """(stream, received, landed, quarantined lines) of each stream of which something came."""
    return [
        (entry.stream, entry.received, entry.landed, entry.quarantined_lines) for entry in run.streams if entry.received
    ]


LISTEN = {
    "user_id": 7,
    "items": [1, 2],
    "created_at": "2026-01-05T10:00:00",
    "updated_at": "2026-01-05T10:00:00.000001",
}
GOOD = rows([{"id": 1}])[0]
# Killed between a commit of odd lines and that of the records around them.
KILLED = """
import os, signal, sys
from moovitamix_transform.cli.app import run_command
from moovitamix_transform.warehouse import Warehouse

append = Warehouse.append

def append_or_die(self, table, rows, *rest, **more):
    if table == "source/users" and rows.height:
        os.kill(os.getpid(), signal.SIGKILL)
    return append(self, table, rows, *rest, **more)

Warehouse.append = append_or_die
sys.exit(run_command(sys.argv[1:]))
"""


def begin(pipeline, path: Path) -> None:
    """A run that commits what is in the file, and comes no further."""
    (file,) = find([str(path)])
    with pipeline.warehouse.writing():
        sources.make_missing(pipeline.warehouse)
        tables = [sources.path(name) for name in ("users", "_lines")]
        newest = {table: (pipeline.warehouse.version(table), pipeline.warehouse.metadata(table)) for table in tables}
        read = FileRead(pipeline.warehouse, "killed", file, newest, {}, count(1))
        for batch in destination.read(file):
            read.take(batch)
        read.commit()
