"""What is new in a table's inputs → what changes in the table, by the same model over the rows it touches.

No model has a second, incremental form. A model that is local by some columns gives, for one value of them, rows that
depend on its inputs' rows with that value alone. So the values that changed rows carry are collected, the model is run
on the inputs cut down to them, and what it gives replaces what the table had for them: the rows of a full build.
"""

from dataclasses import dataclass

import polars as pl

from moovitamix_transform.contracts import require
from moovitamix_transform.graph import Model
from moovitamix_transform.warehouse import Warehouse

# Above this part of the table's rows a whole new version is cheaper than the replaced rows.
LARGEST_PART = 0.2
# Up to so many rows the difference between two whole versions is looked for, so that tables below can stay incremental.
COMPARED_ROWS = 3_000_000

_HASH = "_row_hash"


@dataclass(frozen=True)
class Changes:
    """The rows a table gained and lost since the build before; a row that changed is in both."""

    added: pl.DataFrame
    removed: pl.DataFrame

    @property
    def is_empty(self) -> bool:
        return self.added.is_empty() and self.removed.is_empty()

    def values(self, columns: tuple[str, ...]) -> pl.DataFrame:
        """The distinct values of these columns among them."""
        return pl.concat([self.added.select(columns), self.removed.select(columns)]).unique()


def no_changes(rows: pl.LazyFrame) -> Changes:
    empty = pl.DataFrame(schema=rows.collect_schema())
    return Changes(empty, empty)


@dataclass(frozen=True)
class Input:
    """A table as the model reads it now. `changes` is None when nothing is known of them but that there may be some."""

    rows: pl.LazyFrame
    changes: Changes | None


@dataclass(frozen=True)
class Step:
    """What became of the table: its version, and its changes as far as they are known."""

    version: int
    changes: Changes | None


def advance(warehouse: Warehouse, model: Model, inputs: dict[str, Input], known: int) -> Step | None:
    """The table's next version from what changed in its inputs; None when it has to be made whole."""
    if model.is_row_local:
        return append(warehouse, model, inputs, known)
    if model.local_by:
        return replace(warehouse, model, inputs, known)
    return None


def append(warehouse: Warehouse, model: Model, inputs: dict[str, Input], known: int) -> Step | None:
    """The table with the rows that a row-local model makes of the inputs' added rows; None when that cannot be told."""
    added = {}
    for name, read in inputs.items():
        if read.changes is None or not read.changes.removed.is_empty():
            return None
        added[name] = read.changes.added.lazy()
    rows = model.frame(added).collect(engine="streaming")
    return _write(warehouse, model, Changes(rows, rows.clear()), known)


def replace(warehouse: Warehouse, model: Model, inputs: dict[str, Input], known: int) -> Step | None:
    """The table with the rows of the touched values made anew; None when too many are touched, or it cannot be told."""
    touched = _touched(model, inputs)
    if touched is None or touched.height > LARGEST_PART * max(warehouse.count(model.path, known), 1):
        return None
    key = list(model.contract.primary_key())
    cut = {name: _cut(read.rows, touched) for name, read in inputs.items()}
    fresh = model.frame(cut).collect(engine="streaming")
    stale = _cut(warehouse.scan(model.path, known), touched).collect(engine="streaming")
    return _write(warehouse, model, difference(stale.lazy(), fresh.lazy(), key), known)


def difference(before: pl.LazyFrame, after: pl.LazyFrame, key: list[str]) -> Changes:
    """Rows with one key are compared whole, by a 64-bit hash of all their columns."""
    digest = pl.struct(pl.all()).hash(seed=0).alias(_HASH)
    old, new = before.with_columns(digest), after.with_columns(digest)
    added, removed = pl.collect_all(
        [
            new.join(old.select(*key, _HASH), on=[*key, _HASH], how="anti").drop(_HASH),
            old.join(new.select(*key, _HASH), on=[*key, _HASH], how="anti").drop(_HASH),
        ],
        engine="streaming",
    )
    return Changes(added, removed)


def _touched(model: Model, inputs: dict[str, Input]) -> pl.DataFrame | None:
    """The values of `model.local_by` whose rows may change; None when an input's changes are not known."""
    found = []
    for name, read in inputs.items():
        if name in model.lookups:
            continue
        if read.changes is None:
            return None
        if not read.changes.is_empty:
            found.append(_values(model, inputs, read))
    return pl.concat(found).unique() if found else pl.DataFrame(schema=dict.fromkeys(model.local_by, pl.Null))


def _values(model: Model, inputs: dict[str, Input], read: Input) -> pl.DataFrame:
    """Of the input's changed rows; found through another input when this one lacks the columns (a track's users)."""
    assert read.changes is not None  # noqa: S101 - the caller's condition
    columns = set(read.rows.collect_schema().names())
    if columns >= set(model.local_by):
        return read.changes.values(model.local_by)
    for other in inputs.values():
        theirs = set(other.rows.collect_schema().names())
        shared = tuple(sorted(columns & theirs))
        if theirs >= set(model.local_by) and shared:
            changed = read.changes.values(shared).lazy()
            met = other.rows.join(changed, on=shared, how="semi", nulls_equal=True)
            return met.select(model.local_by).unique().collect(engine="streaming")
    raise TypeError(f"{model.name}: expected an input with the columns {model.local_by} to find what it touches")


def _cut(rows: pl.LazyFrame, touched: pl.DataFrame) -> pl.LazyFrame:
    """The rows with a touched value; all rows of an input that lacks the columns."""
    if not set(touched.columns) <= set(rows.collect_schema().names()):
        return rows
    return rows.join(touched.lazy(), on=touched.columns, how="semi")


def _write(warehouse: Warehouse, model: Model, changes: Changes, known: int) -> Step:
    if changes.is_empty:
        return Step(known, changes)
    require(model.name, changes.added.lazy(), model.contract)
    key = list(model.contract.primary_key())
    version = warehouse.replace(model.path, known, changes.removed.select(key), changes.added)
    return Step(version, changes)
