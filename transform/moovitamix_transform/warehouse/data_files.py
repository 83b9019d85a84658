"""The Parquet files of a table: how Polars writes those of a whole version, and what Delta's log says of each."""

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from queue import Empty, Queue
from threading import Event, Thread
from typing import Any

import polars as pl
import polars.selectors as cs

FILE = 128 * 1024 * 1024  # bytes of its rows in memory, a fifth or so on disk
ROW_GROUP = 131_072  # rows: small, so that whoever reads a file can hold a few of them at a time


@dataclass(frozen=True)
class DataFile:
    """A Parquet file of a table.

    Attributes:
        path: in the table's folder, not percent-encoded.
        size: in bytes.
        statistics: as Delta's log has them: numRecords, minValues, maxValues, nullCount.
    """

    path: str
    size: int
    statistics: dict[str, Any] = field(default_factory=dict)

    def statistics_json(self) -> str:
        return json.dumps(self.statistics, default=_text)


def parts(rows: pl.LazyFrame) -> Iterator[pl.DataFrame]:
    """The rows of one file after the other, in any order; nothing where there are no rows."""
    held: list[pl.DataFrame] = []
    size: float = 0
    for batch in _batches(rows):
        if batch.height:
            held.append(batch)
            size += batch.estimated_size()
        if size >= FILE:
            yield pl.concat(held)
            held, size = [], 0
    if held:
        yield pl.concat(held)


def _batches(rows: pl.LazyFrame) -> Iterator[pl.DataFrame]:
    """The rows as they are computed. What ends the computation is raised, a panic of Polars included, which its own
    `collect_batches` takes for the end of the rows (2.1.0)."""
    ready: Queue[pl.DataFrame | None] = Queue(1)
    is_left, failed = Event(), list[BaseException]()

    def hand_over(batch: pl.DataFrame | None) -> bool:
        """Whether nobody takes any more."""
        if not is_left.is_set():
            ready.put(batch)
        return is_left.is_set()

    def compute() -> None:
        try:
            rows.sink_batches(hand_over, maintain_order=False, engine="streaming")
        except BaseException as error:
            failed.append(error)
        hand_over(None)

    Thread(target=compute, daemon=True).start()
    try:
        while (batch := ready.get()) is not None:
            yield batch
    finally:
        is_left.set()
        with suppress(Empty):  # the batch that is in the way of one that was about to be handed over
            ready.get_nowait()
    if failed:
        raise failed[0]


def write(rows: pl.DataFrame, uri: str, options: dict[str, Any] | None) -> None:
    rows.write_parquet(
        uri, compression="snappy", row_group_size=ROW_GROUP, storage_options=options, credential_provider=None
    )


def count(uri: str, options: dict[str, Any] | None) -> int:
    """Rows, from the file's own footer."""
    rows = pl.scan_parquet(uri, glob=False, storage_options=options, credential_provider=None)
    return int(rows.select(pl.len()).collect().item())


def ends_and_nulls(rows: pl.DataFrame) -> dict[str, Any]:
    """Of whole numbers and instants the ends, of every column but lists the nulls.

    Not the ends of texts: they would put into the log how a person is called.
    """
    ends = rows.select(cs.integer() | cs.temporal())
    found = {
        "minValues": ends.min(),
        "maxValues": ends.max(),
        "nullCount": rows.select(~cs.nested()).null_count(),
    }
    return {name: _told(values) for name, values in found.items()}


def _told(values: pl.DataFrame) -> dict[str, Any]:
    return {name: value for name, value in values.to_dicts()[0].items() if value is not None} if values.width else {}


def _text(value: date) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    return value.isoformat()
