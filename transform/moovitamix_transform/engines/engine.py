"""What a build asks of an engine. No model knows which one runs it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import narwhals as nw
import polars as pl

from moovitamix_transform.graph import Model
from moovitamix_transform.warehouse import Warehouse

Frame = nw.LazyFrame[Any]
Work = Callable[[pl.DataFrame], pl.DataFrame]


@dataclass(frozen=True)
class Held:
    """Rows that are computed once, however often they are read."""

    rows: Frame
    count: int

    @property
    def is_empty(self) -> bool:
        return self.count == 0


class Engine(Protocol):
    """Reads, computes and writes the tables of one warehouse. Its frames are lazy, and of its own kind."""

    @property
    def name(self) -> str:
        """As `_meta/builds` has it: polars, spark."""
        ...

    @property
    def warehouse(self) -> Warehouse: ...

    def scan(self, path: str, version: int) -> Frame:
        """A version of a Delta table, by its path in the warehouse."""
        ...

    def scan_apart(self, path: str, version: int, other: int) -> Frame:
        """The rows of a version of a table without those files that another version has too, where that can be told."""
        ...

    def table(self, name: str, versions: dict[str, int]) -> Frame:
        """A table by its bare name, as the models of a build read it; see `tables.scan`."""
        ...

    def frame(self, model: Model, inputs: dict[str, Frame]) -> Frame:
        """The table as the model makes it of these inputs."""
        ...

    def whole(self, model: Model, versions: dict[str, int]) -> Frame:
        """The table as the model makes it of all rows of the tables it reads, at these versions."""
        ...

    def element_count(self, model: Model, version: int) -> int:
        """How many elements the unfolded lists of a version of the model's table have: as they were counted when it was
        judged as it was written, else as it is read."""
        ...

    def in_batches(self, rows: Frame, work: Work, schema: pl.Schema) -> Frame:
        """What some work in native Polars makes of the rows, batch by batch, wherever they are."""
        ...

    def hold(self, rows: Frame) -> Held: ...

    def collect(self, rows: Frame) -> pl.DataFrame:
        """Few rows, to this process."""
        ...

    def appended(self, path: str, known: int, newest: int) -> Held | None:
        """The rows appended to a table between two versions; None when that is not all that happened, or not known."""
        ...

    def overwrite(self, model: Model, rows: Frame) -> int:
        """One commit that replaces every row. Returns the version; earlier ones stay readable.

        ContractBroken unless every row keeps the model's contract: the version is there then, for no build to publish.
        """
        ...

    def replace(self, model: Model, known: int, removed: Held, added: Held) -> int:
        """The rows that the table has at version `known`, without those with these keys, and with the added ones, which
        the caller has held against the contract. Returns the new version.

        Args:
            removed: the key's columns alone.
        """
        ...

    def require(self, model: Model, rows: Frame) -> None:
        """ContractBroken, with the rule and the first offenders, unless every row keeps the model's contract."""
        ...

    def difference(self, before: Frame, after: Frame, key: list[str]) -> tuple[Held, Held]:
        """The rows that `after` has more, and those that it has no more; a row that changed is in both."""
        ...

    def has_same_rows(self, one: Frame, other: Frame) -> bool:
        """Whether two frames of as many rows are equal as sets, order aside."""
        ...


def number(engine: Engine, frame: Frame) -> int:
    """The one figure of a frame of one row and one column; a null, such as the sum of nothing, is 0."""
    return int(engine.collect(frame).item() or 0)


def element_count(engine: Engine, model: Model, rows: Frame) -> int:
    """How many elements the unfolded lists of some rows of the model's table have."""
    column = model.contract.unfolded
    assert column is not None  # noqa: S101 - only asked of such a model
    return number(engine, rows.select(nw.col(column).list.len().cast(nw.Int64()).sum()))


def count(engine: Engine, frame: Frame) -> int:
    return number(engine, frame.select(nw.len()))
