"""Polars, in this process."""

from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import ClassVar

import narwhals as nw
import narwhals.selectors as ncs
import polars as pl

from moovitamix_transform import tables
from moovitamix_transform.engines.engine import Frame, Held, Work, element_count
from moovitamix_transform.errors import ContractBroken
from moovitamix_transform.graph import Model, models
from moovitamix_transform.warehouse import Warehouse, explained

# Above this part of the table's rows the removed ones lie in nearly every file: one pass of Polars over the table costs
# half of a MERGE (1.4 CPU seconds against 2.5 for 5.7 M rows).
MERGED_PART = 0.001
# Of the largest table that a model reads, so many rows at a time are gathered in memory.
PART_ROWS = 12_500_000

_HASH = "_row_hash"


@dataclass(frozen=True)
class OnPolars:
    """See `engine.Engine`."""

    warehouse: Warehouse
    name: ClassVar[str] = "polars"
    # Of the versions that this one wrote, as they were counted when they were judged.
    _element_counts: dict[tuple[str, int], int] = field(default_factory=dict, init=False, repr=False, compare=False)

    def scan(self, path: str, version: int) -> Frame:
        return nw.from_native(self.warehouse.scan(path, version))

    def scan_apart(self, path: str, version: int, other: int) -> Frame:
        return nw.from_native(self.warehouse.scan_apart(path, version, other)[0])

    def table(self, name: str, versions: dict[str, int]) -> Frame:
        return nw.from_native(tables.scan(self.warehouse, name, versions))

    def frame(self, model: Model, inputs: dict[str, Frame]) -> Frame:
        given = {name: inputs[name].to_native() for name in model.reads}
        return nw.from_native(model.frame(given, lambda rows: self.hold(rows).rows))

    def whole(self, model: Model, versions: dict[str, int]) -> Frame:
        """Where the model gathers groups in memory, one part of them after the other: a third of the memory for 20 M
        rows, and no more CPU seconds."""
        inputs = {name: self.table(name, versions) for name in model.reads}
        paths = {name: models()[name].path for name in model.reads if name in models()}
        largest = max((self.warehouse.count(path, versions[name]) for name, path in paths.items()), default=0)
        parts = -(-largest // PART_ROWS) if model.gathers else 1
        if parts <= 1:
            return self.frame(model, inputs)
        by = model.local_by[0]
        return nw.concat(
            self.frame(model, {name: _part(rows, by, at, parts) for name, rows in inputs.items()})
            for at in range(parts)
        )

    def element_count(self, model: Model, version: int) -> int:
        """To read them takes a thirtieth of the seconds of a full build."""
        known = self._element_counts.get((model.path, version))
        return element_count(self, model, self.scan(model.path, version)) if known is None else known

    def in_batches(self, rows: Frame, work: Work, schema: pl.Schema) -> Frame:
        native: pl.LazyFrame = rows.to_native()
        return nw.from_native(native.map_batches(work, schema=schema, streamable=True))

    def hold(self, rows: Frame) -> Held:
        """With texts of their own: those of Polars point into the batches they came from, and would keep all of them
        in memory (1,260 MB for 50,000 of 5 M records, 400 so)."""
        return _held(self.collect(rows.with_columns(ncs.string() + "")))

    def collect(self, rows: Frame) -> pl.DataFrame:
        with self._reading():
            found: pl.DataFrame = rows.to_native().collect(engine="streaming")
        return found

    def _reading(self) -> AbstractContextManager[None]:
        return explained(f"{self.warehouse.root}: its tables could not be read")

    def appended(self, path: str, known: int, newest: int) -> Held | None:
        rows = self.warehouse.added_since(path, known, newest)
        return None if rows is None else _held(rows)

    def overwrite(self, model: Model, rows: Frame) -> int:
        judge = model.judge()
        version = self.warehouse.overwrite(model.path, judge.watch(rows.to_native()))
        written = self.warehouse.count(model.path, version)
        if written != judge.count:
            raise ContractBroken(f"{model.name}: expected {judge.count} rows to be written, got {written}")
        if not judge.is_satisfied():
            self.require(model, self.scan(model.path, version))
        if model.contract.unfolded is not None:
            self._element_counts[model.path, version] = judge.element_count
        return version

    def replace(self, model: Model, known: int, removed: Held, added: Held) -> int:
        if removed.count > MERGED_PART * self.warehouse.count(model.path, known):
            key = removed.rows.collect_schema().names()
            kept = self.scan(model.path, known).join(removed.rows, on=key, how="anti")
            return self.warehouse.overwrite(model.path, nw.concat([kept, added.rows]).to_native())
        return self.warehouse.replace(model.path, known, self.collect(removed.rows), self.collect(added.rows))

    def require(self, model: Model, rows: Frame) -> None:
        model.require(rows.to_native())

    def difference(self, before: Frame, after: Frame, key: list[str]) -> tuple[Held, Held]:
        """Rows with one key are compared whole, by a 64-bit hash of all their columns."""
        digest = pl.struct(pl.all()).hash(seed=0).alias(_HASH)
        old, new = (each.to_native().with_columns(digest) for each in (before, after))
        frames = [
            new.join(old.select(*key, _HASH), on=[*key, _HASH], how="anti").drop(_HASH),
            old.join(new.select(*key, _HASH), on=[*key, _HASH], how="anti").drop(_HASH),
        ]
        with self._reading():
            added, removed = pl.collect_all(frames, engine="streaming")
        return _held(added), _held(removed)

    def has_same_rows(self, one: Frame, other: Frame) -> bool:
        """By the sum of 64-bit row hashes."""
        rows: list[pl.LazyFrame] = [one.to_native(), other.to_native()]
        if rows[0].collect_schema() != rows[1].collect_schema():
            return False
        digest = pl.struct(pl.all()).hash(seed=0).sum()
        with self._reading():
            left, right = pl.collect_all([each.select(digest) for each in rows], engine="streaming")
        return left.equals(right)


def _part(rows: Frame, by: str, at: int, parts: int) -> Frame:
    """The rows whose value of a column is of one part; all rows of a table that lacks the column."""
    native: pl.LazyFrame = rows.to_native()
    if by not in native.collect_schema():
        return rows
    return nw.from_native(native.filter(pl.col(by).hash(seed=1) % parts == at))


def _held(rows: pl.DataFrame) -> Held:
    return Held(nw.from_native(rows.lazy()), rows.height)
