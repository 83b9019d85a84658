"""What every contract shares: column types, and how a result is brought to them and held against them."""

from functools import cache
from typing import Any, ClassVar

import dataframely as dy
import narwhals as nw
import polars as pl

from moovitamix_transform.errors import ContractBroken

SHOWN_FAILURES = 5


class Contract(dy.Schema):
    """The promise of one table: columns in order, types, nullability, ranges, key. Its docstring is the grain.

    Attributes:
        rows_by: the columns of tables before it, as `table.column`, that decide which rows there are.
        unfolded: a column of lists; a table below has one row per element of them. None where there is none.
        place: a column of the key that counts up where rows share the rest of it, which mostly come one after the
            other: such a run is judged as one. None where there is none.
    """

    rows_by: ClassVar[tuple[str, ...]] = ()
    unfolded: ClassVar[str | None] = None
    place: ClassVar[str | None] = None


def made_of(*columns: str, chosen_by: tuple[str, ...] = ()) -> dict[str, tuple[str, ...]]:
    """A column's metadata: the columns of tables before it, as `table.column`, that its values are computed from, those
    that its rows are joined, grouped and sorted by included.

    Args:
        chosen_by: those that decide which of several rows the value is taken from.
    """
    return {"made_of": columns, "chosen_by": chosen_by}


def key(kind: type[dy.Column], description: str, **options: Any) -> Any:  # noqa: ANN401 - dataframely's own signature
    """A column of the table's primary key: never null."""
    return kind(primary_key=True, nullable=False, description=description, **options)


def instant(description: str, *, nullable: bool = False, **options: Any) -> Any:  # noqa: ANN401
    """An instant in UTC, in microseconds."""
    return dy.Datetime(time_zone="UTC", time_unit="us", nullable=nullable, description=description, **options)


def text(description: str, *, nullable: bool = True, **options: Any) -> Any:  # noqa: ANN401
    return dy.String(nullable=nullable, description=description, **options)


class Judged(Contract):
    """What every base table starts with: where its record came from."""

    raw_id = dy.String(primary_key=True, description="The record's `_airbyte_raw_id`: run and position in it.")
    run_id = dy.String(nullable=False, description="The run that landed it.")
    extracted_at = dy.Datetime(time_zone="UTC", time_unit="us", description="When the source emitted it.")
    # 0 is Airbyte's for a stream that was never refreshed; ours begin with 1.
    generation_id = dy.Int64(nullable=False, min=0, description="The generation of its stream it belongs to.")


def broken_rules() -> Any:  # noqa: ANN401
    return dy.List(dy.String(), nullable=False, description="The rules the record breaks; empty when it is good.")


def plays(**options: Any) -> Any:  # noqa: ANN401
    return dy.List(
        dy.Struct({"track_id": dy.Int64(nullable=False), "position": dy.Int32(nullable=False, min=1)}, nullable=False),
        nullable=False,
        description="The tracks of the list in their order; empty when the record has none. Positions from 1.",
        **options,
    )


@cache
def schema(contract: type[Contract]) -> pl.Schema:
    return contract.create_empty().schema


def conform(frame: nw.LazyFrame[Any], contract: type[Contract]) -> nw.LazyFrame[Any]:
    """The contract's columns in its order and types: engines disagree on what a count or a sum is."""
    return frame.select(*(_cast(name, dtype) for name, dtype in schema(contract).items()))


def _cast(name: str, dtype: pl.DataType) -> nw.Expr:
    simple: dict[pl.DataType, nw.dtypes.DType] = {
        pl.Int32(): nw.Int32(),
        pl.Int64(): nw.Int64(),
        pl.Boolean(): nw.Boolean(),
        pl.String(): nw.String(),
        pl.Datetime("us", "UTC"): nw.Datetime("us", "UTC"),
    }
    return nw.col(name).cast(simple[dtype]) if dtype in simple else nw.col(name)


class Judge:
    """Holds the rows of a table against its contract as they pass, a batch at a time: to read a table again that was
    just written takes a tenth of the seconds of a build. Of the keys it holds 64-bit hashes."""

    def __init__(self, table: str, contract: type[Contract]) -> None:
        self._table, self._contract = table, contract
        self._keys: list[pl.DataFrame] = []  # a batch each, from any thread
        self._counts: list[int] = []
        self._element_counts: list[int] = []
        self._is_broken = False

    def watch(self, rows: pl.LazyFrame) -> pl.LazyFrame:
        """The same rows, which are judged when they are computed. ContractBroken where the columns are others."""
        got, expected = rows.collect_schema(), schema(self._contract)
        if got != expected:
            raise ContractBroken(f"{self._table}: expected the columns {_listed(expected)}, got {_listed(got)}")
        return rows.map_batches(self._judge, schema=expected, streamable=True)

    def _judge(self, batch: pl.DataFrame) -> pl.DataFrame:
        if not batch.select(keeps(self._contract).all()).item():
            self._is_broken = True
        self._keys.append(_keys(batch, self._contract))
        self._counts.append(batch.height)
        if self._contract.unfolded is not None:
            self._element_counts.append(int(batch[self._contract.unfolded].list.len().cast(pl.Int64).sum()))
        return batch

    @property
    def count(self) -> int:
        """The rows that passed."""
        return sum(self._counts)

    @property
    def element_count(self) -> int:
        """The elements of the unfolded lists of the rows that passed."""
        return sum(self._element_counts)

    def is_satisfied(self) -> bool:
        """Whether every row that passed keeps the contract. False may be a collision of two hashes, or a contract that
        goes across columns: `require` tells."""
        if self._is_broken or _has_rules_across_columns(self._contract):
            return False
        return not self._keys or _are_distinct(pl.concat(self._keys))


def require(table: str, rows: pl.LazyFrame, contract: type[Contract]) -> None:
    """ContractBroken, with the rule, the number and the first offenders, unless every row keeps the contract.

    One streaming pass; a whole table in memory only names offenders.
    """
    judge = Judge(table, contract)
    judge.watch(rows).select(pl.len()).collect(engine="streaming")
    if judge.is_satisfied():
        return
    _, failure = contract.filter(rows.collect(engine="streaming"))
    broken = failure.counts()
    if not broken:
        return
    rule, count = next(iter(broken.items()))
    invalid = failure.invalid()
    if rule == "primary_key":
        columns = contract.primary_key()
        first = invalid.select(columns).unique(maintain_order=True).head(SHOWN_FAILURES).rows()
        what = f"{count} rows share values of ({', '.join(columns)}), expected one row each; first: {first}"
    else:
        what = f"{count} rows break '{rule}'; first: {invalid.head(1).to_dicts()}"
    raise ContractBroken(f"{table}: {what}")


@cache
def keeps(contract: type[Contract], columns: tuple[str, ...] | None = None) -> pl.Expr:
    """Whether a row keeps every rule of the contract's columns; that keys are unique is no question of one row.

    Args:
        columns: those that are there; all of them where it is not said.
    """
    return pl.all_horizontal(
        pl.lit(True), *(rule for name in columns or contract.columns() for rule in _rules(contract, name).values())
    )


def judged_by_ends(contract: type[Contract]) -> list[str]:
    """The columns whose rules every value keeps where the least and the greatest do and, if there is one, null."""
    return [name for name in contract.columns() if _rules(contract, name).keys() <= {"nullability", "min", "max"}]


def _rules(contract: type[Contract], name: str) -> dict[str, pl.Expr]:
    return contract.columns()[name].validation_rules(pl.col(name))


def _keys(batch: pl.DataFrame, contract: type[Contract]) -> pl.DataFrame:
    """A row a key, `group` its hash. With a place, a row a run: `group` the hash of the rest of the key, `first` and
    `last` the places of its ends."""
    place = contract.place
    rest = [name for name in contract.primary_key() if name != place]
    group = pl.struct(rest).hash(seed=0)
    if place is None:
        return batch.select(group=group)
    rows = batch.select(*rest, place=place)
    is_next = [pl.col(name) == pl.col(name).shift(1) for name in rest] + [pl.col("place") > pl.col("place").shift(1)]
    rows = rows.with_columns(begins=~pl.all_horizontal(is_next).fill_null(value=False))
    ends = rows["begins"].shift(-1, fill_value=True)
    return rows.filter("begins").select(group=group, first="place", last=rows.filter(ends)["place"])


def _are_distinct(keys: pl.DataFrame) -> bool:
    """Counted in one column: the streaming engine's own `n_unique` takes three times as long."""
    group, first, last = (pl.col(name) for name in ("group", "first", "last"))
    if keys["group"].n_unique() == keys.height:
        return True
    if "first" not in keys.columns:
        return False
    # A batch may end within a run. Those of one group are distinct where none begins before the other has ended.
    again = keys.filter(group.is_duplicated()).sort("group", "first")
    overlap = (group == group.shift(1)) & (first <= last.shift(1))
    return not again.select(overlap.any()).item()


@cache
def _has_rules_across_columns(contract: type[Contract]) -> bool:
    return not contract.matches(type(contract.__name__, (Contract,), dict(contract.columns())))


def _listed(columns: pl.Schema) -> str:
    return ", ".join(f"{name} {dtype}" for name, dtype in columns.items())
