"""What is new in a table's inputs → what changes in the table, by the same model over the rows it touches.

No model has a second, incremental form. A model that is local by some columns gives, for one value of them, rows that
depend on its inputs' rows with that value alone. So the values that changed rows carry are collected, the model is run
on the inputs cut down to them, and what it gives replaces what the table had for them: the rows of a full build.
"""

from dataclasses import dataclass

import narwhals as nw

from moovitamix_transform.engines.engine import Engine, Frame, Held
from moovitamix_transform.errors import ContractBroken
from moovitamix_transform.graph import Model

# Above this part of the table's rows a whole new version is cheaper than the replaced rows, or holds less in memory.
LARGEST_PART = 0.2
# Up to HELD_ROWS of them it is only above this part (a third of 100,000 users: 4.3 CPU seconds, all of them 7.9).
LARGEST_PART_OF_FEW = 0.5
# So many new rows of a source table are taken at least, however small it was before.
HELD_ROWS = 200_000
# Up to so many rows the difference between two whole versions is looked for, so that tables below can stay incremental.
COMPARED_ROWS = 3_000_000


@dataclass(frozen=True)
class Changes:
    """The rows a table gained and lost since the build before; a row that changed is in both."""

    added: Held
    removed: Held

    @property
    def is_empty(self) -> bool:
        return self.added.is_empty and self.removed.is_empty

    def values(self, columns: list[str]) -> Frame:
        """The distinct values of these columns among them."""
        return nw.concat([self.added.rows.select(columns), self.removed.rows.select(columns)]).unique()


def no_changes(rows: Frame) -> Changes:
    return Changes(_none_of(rows), _none_of(rows))


def _none_of(rows: Frame) -> Held:
    return Held(rows.head(0), 0)


@dataclass(frozen=True)
class Input:
    """A table as the model reads it now. `changes` is None when nothing is known of them but that there may be some."""

    rows: Frame
    changes: Changes | None


@dataclass(frozen=True)
class Known:
    """A table as the build before has it.

    Attributes:
        count: its rows.
    """

    version: int
    rows: Frame
    count: int


@dataclass(frozen=True)
class Step:
    """What became of the table: its version, and its changes as far as they are known."""

    version: int
    changes: Changes | None


def advance(engine: Engine, model: Model, inputs: dict[str, Input], known: Known) -> Step | None:
    """The table's next version from what changed in its inputs; None when it has to be made whole."""
    if model.is_row_local:
        return append(engine, model, inputs, known)
    if model.local_by:
        return replace(engine, model, inputs, known)
    return None


def append(engine: Engine, model: Model, inputs: dict[str, Input], known: Known) -> Step | None:
    """The table with the rows that a row-local model makes of the inputs' added rows; None when that cannot be told."""
    added = {}
    for name, read in inputs.items():
        if read.changes is None or not read.changes.removed.is_empty:
            return None
        added[name] = read.changes.added.rows
    rows = engine.hold(engine.frame(model, added))
    if _has_a_key_of(engine, known.rows, rows, list(model.contract.primary_key())):
        return None  # made whole, the table breaks its contract, with the message that names the rows
    return _write(engine, model, Changes(rows, _none_of(rows.rows)), known)


def replace(engine: Engine, model: Model, inputs: dict[str, Input], known: Known) -> Step | None:
    """The table with the rows of the touched values made anew; None when too many are touched, or it cannot be told."""
    touched = _touched(engine, model, inputs)
    if touched is None or touched.count > _most(known.count):
        return None
    key = list(model.contract.primary_key())
    fresh = engine.hold(engine.frame(model, _cut_inputs(engine, model, inputs, touched)))
    stale = engine.hold(_rows_with(engine, known.rows, touched, list(model.local_by)))
    return _write(engine, model, Changes(*engine.difference(stale.rows, fresh.rows, key)), known)


def _most(rows: int) -> float:
    """So many touched values of a table with so many rows are not too many."""
    return max(LARGEST_PART * max(rows, 1), min(HELD_ROWS, LARGEST_PART_OF_FEW * rows))


def _has_a_key_of(engine: Engine, rows: Frame, added: Held, key: list[str]) -> bool:
    """Among the rows within the range of the added keys: ids begin with their run's time, so that is hardly a row."""
    if added.is_empty:
        return False
    ends = added.rows.select(
        *(nw.col(name).min().alias(f"least_{name}") for name in key),
        *(nw.col(name).max().alias(f"most_{name}") for name in key),
    )
    end = engine.collect(ends).row(0, named=True)
    ranges = (nw.col(name).is_between(nw.lit(end[f"least_{name}"]), nw.lit(end[f"most_{name}"])) for name in key)
    near = rows.filter(*ranges)
    both = near.select(key).join(added.rows.select(key), on=key, how="semi")
    return not engine.collect(both.head(1)).is_empty()


def _touched(engine: Engine, model: Model, inputs: dict[str, Input]) -> Held | None:
    """The values of `model.local_by` whose rows may change; None when an input's changes are not known."""
    found = []
    for name, read in inputs.items():
        if name in model.lookups:
            continue
        if read.changes is None:
            return None
        if not read.changes.is_empty:
            found.append(_values(model, inputs, read))
    if not found:
        reads = next(read.rows for read in inputs.values() if set(model.local_by) <= {*read.rows.collect_schema()})
        return _none_of(reads.select(model.local_by))
    return engine.hold(nw.concat(found).unique())


def _values(model: Model, inputs: dict[str, Input], read: Input) -> Frame:
    """Of the input's changed rows; found through another input when this one lacks the columns (a track's users)."""
    assert read.changes is not None  # noqa: S101 - the caller's condition
    wanted = list(model.local_by)
    columns = set(read.rows.collect_schema().names())
    if columns >= set(wanted):
        return read.changes.values(wanted)
    for other in inputs.values():
        theirs = set(other.rows.collect_schema().names())
        shared = sorted(columns & theirs)
        if theirs >= set(wanted) and shared:
            met = other.rows.join(read.changes.values(shared), on=shared, how="semi")
            return met.select(wanted).unique()
    raise TypeError(f"{model.name}: expected an input with the columns {wanted} to find what it touches")


def _cut_inputs(engine: Engine, model: Model, inputs: dict[str, Input], touched: Held) -> dict[str, Frame]:
    """The inputs' rows with a touched value, and of a lookup the rows that those look up."""
    by = list(model.local_by)
    cut = {name: _cut(engine, read, touched, by) for name, read in inputs.items() if name not in model.lookups}
    for name, (theirs, ours) in model.lookups.items():
        asking = [
            rows.select(nw.col(ours).alias(theirs)) for rows in cut.values() if ours in rows.collect_schema().names()
        ]
        cut[name] = _cut(engine, inputs[name], engine.hold(nw.concat(asking).unique()), [theirs])
    return cut


def _cut(engine: Engine, read: Input, values: Held, columns: list[str]) -> Frame:
    """The rows with one of these values; all rows of an input that lacks the columns.

    A day's new values are mostly in its new rows alone, which are at hand.
    """
    names = read.rows.collect_schema().names()
    if not set(columns) <= set(names):
        return read.rows
    if read.changes is None or _is_narrow(read.rows):
        return engine.hold(_rows_with(engine, read.rows, values, columns)).rows
    new = read.changes.added.rows.select(names).join(values.rows, on=columns, how="semi")
    there = read.rows.select(columns).join(values.rows, on=columns, how="semi")
    counts = engine.hold(there.group_by(columns).agg(nw.len().alias("_rows"))).rows
    at_hand = new.group_by(columns).agg(nw.len().alias("_rows"))
    older = engine.hold(counts.join(at_hand, on=[*columns, "_rows"], how="anti").select(columns))
    both = [_whole(read.rows, older, columns), new.join(older.rows, on=columns, how="anti")]
    return engine.hold(nw.concat(both)).rows


def _rows_with(engine: Engine, rows: Frame, values: Held, columns: list[str]) -> Frame:
    """The rows with one of these values, read whole only where there are some."""
    if _is_narrow(rows):
        return _whole(rows, values, columns)
    found = rows.select(columns).join(values.rows, on=columns, how="semi").unique()
    return _whole(rows, engine.hold(found), columns)


def _is_narrow(rows: Frame) -> bool:
    """Without lists and texts: to read a row whole costs little more than to read its key, elsewhere ten times that."""
    return not any(dtype.is_nested() or dtype == nw.String for dtype in rows.collect_schema().values())


def _whole(rows: Frame, values: Held, columns: list[str]) -> Frame:
    return rows.head(0) if values.is_empty else rows.join(values.rows, on=columns, how="semi")


def _write(engine: Engine, model: Model, changes: Changes, known: Known) -> Step:
    if changes.is_empty:
        return Step(known.version, changes)
    engine.require(model, changes.added.rows)
    removed = Held(changes.removed.rows.select(model.contract.primary_key()), changes.removed.count)
    version = engine.replace(model, known.version, removed, changes.added)
    expected = known.count - changes.removed.count + changes.added.count
    got = engine.warehouse.count(model.path, version)
    if got != expected:  # nothing else would see a removed row that stayed beside the one that replaces it
        raise ContractBroken(
            f"{model.name}: expected {expected} rows once {changes.removed.count} of {known.count} were replaced by "
            f"{changes.added.count}, got {got}"
        )
    return Step(version, changes)
