"""What is new in a table's inputs → what changes in the table, by the same model over the rows it touches.

No model has a second, incremental form. A model that is local by some columns gives, for one value of them, rows that
depend on its inputs' rows with that value alone. So the values that changed rows carry are collected, the model is run
on the inputs cut down to them, and what it gives replaces what the table had for them: the rows of a full build.
"""

from dataclasses import dataclass

import polars as pl

from moovitamix_transform.graph import Model
from moovitamix_transform.warehouse import Warehouse

# Above this part of the table's rows a whole new version is cheaper than the replaced rows.
LARGEST_PART = 0.2
# Above this part of the table's rows the removed ones lie in nearly every file: one pass of Polars over the table costs
# half of a MERGE (1.4 CPU seconds against 2.5 for 5.7 M rows).
MERGED_PART = 0.001
# So many new rows of a source table are held in memory at least, however small it was before.
HELD_ROWS = 200_000
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
    if _has_a_key_of(warehouse.scan(model.path, known), rows, list(model.contract.primary_key())):
        return None  # made whole, the table breaks its contract, with the message that names the rows
    return _write(warehouse, model, Changes(rows, rows.clear()), known)


def replace(warehouse: Warehouse, model: Model, inputs: dict[str, Input], known: int) -> Step | None:
    """The table with the rows of the touched values made anew; None when too many are touched, or it cannot be told."""
    touched = _touched(model, inputs)
    if touched is None or touched.height > LARGEST_PART * max(warehouse.count(model.path, known), 1):
        return None
    key = list(model.contract.primary_key())
    fresh = model.frame(_cut_inputs(model, inputs, touched)).collect(engine="streaming")
    stale = _rows_with(warehouse.scan(model.path, known), touched).collect(engine="streaming")
    return _write(warehouse, model, difference(stale.lazy(), fresh.lazy(), key), known)


def _has_a_key_of(rows: pl.LazyFrame, added: pl.DataFrame, key: list[str]) -> bool:
    """Among the rows within the range of the added keys: ids begin with their run's time, so that is hardly a row."""
    if added.is_empty():
        return False
    ranges = [pl.col(name).is_between(pl.lit(added[name].min()), pl.lit(added[name].max())) for name in key]
    near = rows.filter(ranges).select(key)
    return not near.join(added.lazy(), on=key, how="semi").collect(engine="streaming").is_empty()


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


def _cut_inputs(model: Model, inputs: dict[str, Input], touched: pl.DataFrame) -> dict[str, pl.LazyFrame]:
    """The inputs' rows with a touched value, and of a lookup the rows that those look up."""
    cut = {name: _cut(read, touched).lazy() for name, read in inputs.items() if name not in model.lookups}
    for name, (theirs, ours) in model.lookups.items():
        asking = [rows.select(pl.col(ours).alias(theirs)) for rows in cut.values() if ours in rows.collect_schema()]
        cut[name] = _cut(inputs[name], pl.concat(asking).unique().collect()).lazy()
    return cut


def _cut(read: Input, values: pl.DataFrame) -> pl.LazyFrame | pl.DataFrame:
    """The rows with one of these values; all rows of an input that lacks the columns.

    A day's new values are mostly in its new rows alone, which are at hand.
    """
    columns = values.columns
    schema = read.rows.collect_schema()
    if not set(columns) <= set(schema):
        return read.rows
    if read.changes is None or _is_narrow(schema):
        return _rows_with(read.rows, values).collect(engine="streaming")
    new = read.changes.added.select(schema.names()).join(values, on=columns, how="semi")
    there = read.rows.select(columns).join(values.lazy(), on=columns, how="semi").group_by(columns).len()
    counts = there.collect(engine="streaming")
    older = counts.join(new.group_by(columns).len(), on=[*columns, "len"], how="anti").select(columns)
    both = [_whole(read.rows, older).collect(engine="streaming"), new.join(older, on=columns, how="anti")]
    return pl.concat(both)


def _rows_with(rows: pl.LazyFrame, values: pl.DataFrame) -> pl.LazyFrame:
    """The rows with one of these values, read whole only where there are some."""
    if _is_narrow(rows.collect_schema()):
        return _whole(rows, values)
    found = rows.select(values.columns).join(values.lazy(), on=values.columns, how="semi").unique()
    return _whole(rows, found.collect(engine="streaming"))


def _is_narrow(schema: pl.Schema) -> bool:
    """Without lists and texts: to read a row whole costs little more than to read its key, elsewhere ten times that."""
    return not any(dtype.is_nested() or dtype == pl.String for dtype in schema.values())


def _whole(rows: pl.LazyFrame, values: pl.DataFrame) -> pl.LazyFrame:
    if values.is_empty():
        return pl.LazyFrame(schema=rows.collect_schema())
    return rows.join(values.lazy(), on=values.columns, how="semi")


def _write(warehouse: Warehouse, model: Model, changes: Changes, known: int) -> Step:
    if changes.is_empty:
        return Step(known, changes)
    model.require(changes.added.lazy())
    removed = changes.removed.select(model.contract.primary_key())
    if removed.height > MERGED_PART * warehouse.count(model.path, known):
        kept = warehouse.scan(model.path, known).join(removed.lazy(), on=removed.columns, how="anti")
        return Step(warehouse.overwrite(model.path, pl.concat([kept, changes.added.lazy()])), changes)
    return Step(warehouse.replace(model.path, known, removed, changes.added), changes)
