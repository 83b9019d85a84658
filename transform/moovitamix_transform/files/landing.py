"""A destination's files → source tables: each file once, each row in exactly one table."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from typing import Any

import polars as pl

from moovitamix_transform import origins
from moovitamix_transform.files import destination, registry
from moovitamix_transform.files.named import NamedFile
from moovitamix_transform.files.read import FileRead
from moovitamix_transform.sources import GENERATIONS, INSTANT, path
from moovitamix_transform.warehouse import Metadata, Warehouse


@dataclass
class FileLanding:
    """One run over files, one after the other, in bounded memory.

    Args:
        on_rows: is told the rows received so far, by stream.
    Attributes:
        received: rows of this run, by stream.
        landed_before: files that were named, but landed by a run before.
        changed: records of the files a value of which Airbyte changed before it wrote them, by stream.
    """

    warehouse: Warehouse
    run_id: str
    on_rows: Callable[[Counter[str | None]], None]
    received: Counter[str | None] = field(default_factory=Counter)
    landed_before: int = 0
    changed: Counter[str] = field(default_factory=Counter)
    _ordinals: Iterator[int] = field(default_factory=lambda: count(1))

    def land(self, files: Sequence[NamedFile]) -> None:
        """Lands those that are new.

        Raises, before anything is written, WrongOrigin for a stream that is fed by messages, and FileRefused for a file
        that has changed since it was landed; later FileRefused for one that is none of Airbyte's, or cannot be read to
        its end: the files before it are landed then.
        """
        streams = sorted({file.stream for file in files})
        # Before it is looked what is landed: what another writer lands from now on is not landed again.
        newest = {table: self._newest(table) for table in map(path, (*streams, "_lines"))}
        for stream in streams:
            origins.require(self.warehouse, stream, "files")
        landed = registry.by_url(self.warehouse)
        news = [file for file in files if not registry.is_landed(landed, file)]
        self.landed_before = len(files) - len(news)
        for file in news:
            read = FileRead(self.warehouse, self.run_id, file, newest, landed, self._ordinals)
            for batch in destination.read(file):
                self.received[file.stream] += read.take(batch)
                self.on_rows(self.received)
                if read.is_due:
                    read.commit()
            landed[file.url] = read.finish()
            self.changed[file.stream] += read.changed_count
        self._tell_generations(streams)

    def unfinished(self, stream: str) -> dict[str, Any]:
        """The places of the files that are landed in part, as a run that was killed leaves them, by URL."""
        landed = registry.by_url(self.warehouse)
        files: dict[str, Any] = self.warehouse.metadata(path(stream)).get("files") or {}
        return {url: place for url, place in files.items() if url not in landed}

    def _newest(self, table: str) -> tuple[int, Metadata]:
        version = self.warehouse.version(table)
        return version, self.warehouse.metadata(table, version)

    def _tell_generations(self, streams: Sequence[str]) -> None:
        """What _meta/files says of each generation and _meta/generations does not yet, after a run was killed too.

        A generation is complete once a later one was landed: by then the destination has written all of it. Not while a
        file that has records of it is landed in part. It may lack the keys of the odd lines of every file that has
        records of it.
        """
        by = ["stream", "generation_id"]
        files = self.warehouse.scan(registry.TABLE).filter(pl.col("stream").is_in(streams))
        files = files.explode("generation_ids").drop_nulls("generation_ids").rename({"generation_ids": "generation_id"})
        there = files.group_by(by).agg(odd=pl.col("line_count").sum())
        open_ = [
            (stream, each)
            for stream in streams
            for place in self.unfinished(stream).values()
            for each in place.get("generation_ids", ())
        ]
        is_open = pl.struct(by).is_in([dict(zip(by, each, strict=True)) for each in open_]) if open_ else pl.lit(False)
        is_latest = pl.col("generation_id") == pl.col("generation_id").max().over("stream")
        there = there.with_columns(is_past=~is_latest & ~is_open)
        reads = self.warehouse.scan(path("generations")).group_by(by)
        told = reads.agg(is_complete=pl.col("completed_at").is_not_null().any(), told=pl.col("unreadable_count").sum())
        now = datetime.now(UTC)
        is_new, is_completed = (
            pl.col("told").is_null(),
            pl.col("is_past") & ~pl.col("is_complete").fill_null(value=False),
        )
        news = (
            there.join(told, on=by, how="left")
            .with_columns(is_completed=is_completed, unreadable_count=pl.col("odd") - pl.col("told").fill_null(0))
            .filter(is_new | pl.col("is_completed") | (pl.col("unreadable_count") > 0))
            .with_columns(run_id=pl.lit(self.run_id), started_at=pl.lit(now, INSTANT))
            .with_columns(completed_at=pl.when("is_completed").then("started_at"))
            .sort(by)
            .select(pl.col(name).cast(dtype) for name, dtype in GENERATIONS.items())
            .collect()
        )
        if news.height:
            self.warehouse.append(path("generations"), news)
