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
        held_back: by stream, the files that landed in part and keep one of its last two generations from proving that a
            key is gone.
    """

    warehouse: Warehouse
    run_id: str
    on_rows: Callable[[Counter[str | None]], None]
    received: Counter[str | None] = field(default_factory=Counter)
    landed_before: int = 0
    changed: Counter[str] = field(default_factory=Counter)
    held_back: dict[str, list[str]] = field(default_factory=dict)
    _landed: dict[str, registry.Row] = field(default_factory=dict)
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
        landed = self._landed = registry.by_url(self.warehouse)
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

    def _unfinished(self, stream: str) -> dict[str, set[int]]:
        """The files that landed in part, as a run that was killed leaves them: by URL, the generations that came."""
        found: dict[str, set[int]] = {}
        for table in (path(stream), path("_lines")):
            places: dict[str, Any] = self.warehouse.metadata(table).get("files") or {}
            for url, place in places.items():
                if url not in self._landed and place.get("stream", stream) == stream:
                    found.setdefault(url, set()).update(place.get("generation_ids", ()))
        return found

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
        there = files.group_by(by).agg(odd=pl.col("line_count").sum()).collect()
        there = there.with_columns(is_past=pl.col("generation_id") < pl.col("generation_id").max().over("stream"))
        for stream in streams:
            newest = there.filter(pl.col("stream") == stream)["generation_id"].sort().tail(2).to_list()
            for url, ids in self._unfinished(stream).items():
                is_open = (pl.col("stream") == stream) & pl.col("generation_id").is_in(sorted(ids))
                there = there.with_columns(is_past=pl.col("is_past") & ~is_open)
                if any(each >= min(newest, default=each) for each in ids):
                    self.held_back.setdefault(stream, []).append(url)
        reads = self.warehouse.scan(path("generations")).group_by(by)
        told = reads.agg(is_complete=pl.col("completed_at").is_not_null().any(), told=pl.col("unreadable_count").sum())
        now = datetime.now(UTC)
        is_new, is_completed = (
            pl.col("told").is_null(),
            pl.col("is_past") & ~pl.col("is_complete").fill_null(value=False),
        )
        news = (
            there.lazy()
            .join(told, on=by, how="left")
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
