"""One file of a destination in one run: what is buffered of it, and how far it is committed."""

import hashlib
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import polars as pl

from moovitamix_transform.errors import FileRefused
from moovitamix_transform.files import registry
from moovitamix_transform.files.flat_rows import Batch
from moovitamix_transform.files.named import NamedFile
from moovitamix_transform.files.registry import Row
from moovitamix_transform.landing import ENTRY_BYTES, FLUSH_BYTES
from moovitamix_transform.sources import INSTANT, LINES, path
from moovitamix_transform.warehouse import Metadata, Warehouse


@dataclass
class FileRead:
    """How far a file is committed is written in the commits themselves, under its URL, until _meta/files has it.

    So a run that was killed in the middle of it is gone on with where it stood. Records and odd lines are two tables,
    whose commits can be torn apart: each has a place of its own.

    Args:
        newest: each table's version, and what that says; kept up with each commit, which follows it at once or fails.
        landed: the files that are landed whole, by URL.
        ordinals: numbers the run's odd lines.
    """

    warehouse: Warehouse
    run_id: str
    file: NamedFile
    newest: dict[str, tuple[int, Metadata]]
    landed: dict[str, Row]
    ordinals: Iterator[int]
    row_count: int = 0
    line_count: int = 0
    changed_count: int = 0
    first_raw_id: str | None = None
    _generation_ids: set[int] = field(default_factory=set)
    _rows: Batch = field(default_factory=Batch)
    _bytes: int = 0
    _is_same: bool = False  # as far as it was committed by a run before
    _has_same_lines: bool = False

    def __post_init__(self) -> None:
        self._records_at = self._place(path(self.file.stream))
        self._lines_at = self._place(path("_lines"))

    @property
    def is_due(self) -> bool:
        return self._bytes >= FLUSH_BYTES

    def take(self, batch: Batch) -> int:
        """Buffers what is not committed yet. Returns how many rows that is."""
        self.row_count += len(batch.numbers)
        self.line_count += len(batch.odd)
        self.changed_count += batch.changed_count
        self._generation_ids.update(batch.generation_ids)
        if self.first_raw_id is None and batch.raw_ids:
            self.first_raw_id = batch.raw_ids[0]
            self._require_no_copy(self.first_raw_id)
        fresh = batch.after(self._committed(batch), self._committed_lines(batch))
        self._rows.extend(fresh)
        self._bytes += (
            sum(map(len, fresh.data)) + sum(len(line.text) for _, line in fresh.odd) + ENTRY_BYTES * len(fresh)
        )
        return len(fresh)

    def commit(self) -> None:
        """Odd lines first, then records."""
        rows, self._rows, self._bytes = self._rows, Batch(), 0
        if rows.numbers:
            self._require_new(rows)
        if rows.odd:
            number, last = rows.odd[-1]
            place = {
                "number": number,
                "sha256": _sha256(last.text),
                "stream": self.file.stream,
                "generation_ids": sorted(self._generation_ids),
            }
            self._append(path("_lines"), self._lines(rows), place, {})
        if rows.numbers:
            table = path(self.file.stream)
            place = {
                "number": rows.numbers[-1],
                "raw_id": rows.raw_ids[-1],
                "first_raw_id": self.first_raw_id,
                "generation_ids": sorted(self._generation_ids),
            }
            newest_id = max(*rows.generation_ids, self.newest[table][1].get("generation_id") or 0)
            self._append(table, self._records(rows), place, {"origin": "files", "generation_id": newest_id})

    def finish(self) -> Row:
        """Commits the rest, and says that the file is landed. Returns what _meta/files has of it."""
        if self._records_at and not self._is_same:
            self._refuse_changed()
        if self._lines_at and not self._has_same_lines:
            self._refuse_changed_lines()
        self.commit()
        sha256 = registry.digest(self.file)
        if self.file.has_changed():
            raise FileRefused(
                f"{self.file.shown}: expected it to be written already, but it changed while it was read. What was "
                "committed of it stays and is not landed twice; once it is whole, name it again"
            )
        row = {
            "url": self.file.url,
            "stream": self.file.stream,
            "size": self.file.size,
            "modified_at": self.file.modified_at,
            "sha256": sha256,
            "row_count": self.row_count,
            "line_count": self.line_count,
            "changed_count": self.changed_count,
            "generation_ids": sorted(self._generation_ids),
            "first_raw_id": self.first_raw_id,
            "run_id": self.run_id,
            "landed_at": datetime.now(UTC),
        }
        if self.row_count or self.line_count:  # an empty one may be about to be written
            registry.record(self.warehouse, row)
        return row

    def _unfinished(self, table: str) -> dict[str, Any]:
        """The places of the files that a run before was killed in."""
        files: dict[str, Any] = self.newest[table][1].get("files") or {}
        return {url: place for url, place in files.items() if url not in self.landed}

    def _place(self, table: str) -> dict[str, Any]:
        place: dict[str, Any] = self._unfinished(table).get(self.file.url, {})
        return place

    def _append(self, table: str, rows: pl.DataFrame, place: dict[str, Any], more: dict[str, Any]) -> None:
        version, before = self.newest[table]
        files = {**self._unfinished(table), self.file.url: place}
        metadata = {**before, **more, "run_id": self.run_id, "files": files}
        version = self.warehouse.append(table, rows, metadata, after=version, run_id=self.run_id)
        self.newest[table] = version, metadata

    def _committed(self, batch: Batch) -> int:
        """The number of the last record that is committed. FileRefused when it is another one by now."""
        number: int = self._records_at.get("number", 0)
        at = bisect_right(batch.numbers, number)
        if number and at and batch.numbers[at - 1] == number:
            self._is_same = batch.raw_ids[at - 1] == self._records_at["raw_id"]
        if number and not self._is_same and batch.numbers and batch.numbers[-1] >= number:
            self._refuse_changed()
        return number

    def _refuse_changed(self) -> None:
        raise FileRefused(
            f"{self.file.shown}: expected record {self._records_at['raw_id']} as its row {self._records_at['number']}, "
            "up to which a run that was killed had landed it, got another; Airbyte never changes a file. What landed "
            "of it stays, nothing more was landed; under another name it is a new file"
        )

    def _committed_lines(self, batch: Batch) -> int:
        """The number of the last odd line that is committed. FileRefused when it is another one by now."""
        number: int = self._lines_at.get("number", 0)
        for at, line in batch.odd:
            if at == number:
                self._has_same_lines = self._lines_at.get("sha256") in (None, _sha256(line.text))
        if number and not self._has_same_lines and batch.last_number >= number:
            self._refuse_changed_lines()
        return number

    def _refuse_changed_lines(self) -> None:
        raise FileRefused(
            f"{self.file.shown}: expected the line that is no record as its row {self._lines_at['number']}, up to "
            "which a run that was killed had landed it, got another; Airbyte never changes a file. What landed of it "
            "stays, nothing more was landed; put it back as it was and name it again"
        )

    def _require_no_copy(self, first_raw_id: str) -> None:
        whole = {url: row["first_raw_id"] for url, row in self.landed.items()}
        in_part = {url: place["first_raw_id"] for url, place in self._unfinished(path(self.file.stream)).items()}
        for url, other in (whole | in_part).items():
            if other == first_raw_id and url != self.file.url:
                state = "which are landed" if url in whole else "which landed in part (name it so again)"
                raise FileRefused(
                    f"{self.file.shown}: expected records that are new, got those of {url}, {state}: its first one, "
                    f"{first_raw_id}, is the same. Nothing of it was landed"
                )

    def _require_new(self, rows: Batch) -> None:
        """A build joins records by their raw ids: one that the source table has twice would fail each one from then on.

        Memory: a batch's ids. Those of the table, this file's batches before among them, are streamed; where they begin
        with their time, as Airbyte's do, the older files are passed over.
        """
        ids = pl.Series("_airbyte_raw_id", rows.raw_ids, pl.String)
        raw_id, table = pl.col(ids.name), path(self.file.stream)
        mine = raw_id.is_between(pl.lit(ids.min()), pl.lit(ids.max())) & raw_id.is_in(ids.implode())
        landed = self.warehouse.scan(table).filter(mine).select(raw_id, "_run_id").collect(engine="streaming")
        if landed.height and self.warehouse.version(table) != self.newest[table][0]:
            return  # another writer's, just now: the commit will say so
        there: dict[str, str | int] = dict(landed.iter_rows())
        for number, each in zip(rows.numbers, rows.raw_ids, strict=True):
            if each in there:
                self._refuse_again(each, number, there[each])
            there[each] = number

    def _refuse_again(self, raw_id: str, number: int, earlier: str | int) -> None:
        where = f"which its row {earlier:,} has too" if isinstance(earlier, int) else f"which run {earlier} landed"
        files: dict[str, Any] = self.newest[path(self.file.stream)][1].get("files") or {}
        place = files.get(self.file.url, {}).get("number")
        rest = f"What landed of it, up to row {place:,}, stays, nothing more was" if place else "Nothing of it was"
        raise FileRefused(
            f"{self.file.shown}: expected records that are new, got in row {number:,} the raw id {raw_id}, {where}; "
            f"Airbyte gives each record one of its own. {rest} landed"
        )

    def _lines(self, rows: Batch) -> pl.DataFrame:
        now = datetime.now(UTC)
        lines = [
            (f"{self.run_id}-{next(self.ordinals):09}", self.run_id, now, line.stream, line.rule, line.text)
            for _, line in rows.odd
        ]
        return pl.DataFrame(lines, schema=LINES, orient="row")

    def _records(self, rows: Batch) -> pl.DataFrame:
        return pl.DataFrame(
            [
                pl.Series("_airbyte_raw_id", rows.raw_ids, pl.String),
                pl.Series("_airbyte_extracted_at", rows.extracted_at, pl.Int64).cast(INSTANT),
                pl.Series("_airbyte_generation_id", rows.generation_ids, pl.Int64),
                pl.repeat(self.run_id, len(rows.numbers), eager=True).alias("_run_id"),
                pl.Series("_airbyte_data", rows.data, pl.Binary).cast(pl.String),
            ]
        )


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
