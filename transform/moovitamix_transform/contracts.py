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
    """

    rows_by: ClassVar[tuple[str, ...]] = ()


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
    just written takes a tenth of the seconds of a build. The keys are held as 64-bit hashes."""

    def __init__(self, table: str, contract: type[Contract]) -> None:
        self._table, self._contract = table, contract
        self._keys: list[pl.Series] = []  # a batch each, from any thread
        self._is_broken = False

    def watch(self, rows: pl.LazyFrame) -> pl.LazyFrame:
        """The same rows, which are judged when they are computed. ContractBroken where the columns are others."""
        _require_columns(self._table, rows, self._contract)
        return rows.map_batches(self._judge, schema=schema(self._contract), streamable=True)

    def _judge(self, batch: pl.DataFrame) -> pl.DataFrame:
        judged = batch.select(*_judgement(self._contract))
        self._keys.append(judged["key"])
        if not judged["is_kept"].all():
            self._is_broken = True
        return batch

    @property
    def count(self) -> int:
        """The rows that passed."""
        return sum(map(len, self._keys))

    def is_satisfied(self) -> bool:
        """Whether every row that passed keeps the contract. False may be a collision of two hashes, or a contract that
        goes across columns: `require` tells."""
        if self._is_broken or _has_rules_across_columns(self._contract):
            return False
        return not self._keys or _are_distinct(pl.concat(self._keys))


def require(table: str, rows: pl.LazyFrame, contract: type[Contract]) -> None:
    """ContractBroken, with the rule, the number and the first offenders, unless every row keeps the contract."""
    _require_columns(table, rows, contract)
    if _is_kept(rows, contract):
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


def _is_kept(rows: pl.LazyFrame, contract: type[Contract]) -> bool:
    """One streaming pass, with the key held as 64-bit hashes: a whole table in memory only names offenders.

    False may be a collision of two hashes: the caller looks again, at the rows themselves.
    """
    if _has_rules_across_columns(contract):
        return False  # which only dataframely itself can judge
    judged = rows.select(*_judgement(contract)).collect(engine="streaming")
    return bool(judged["is_kept"].all()) and _are_distinct(judged["key"])


def _judgement(contract: type[Contract]) -> tuple[pl.Expr, pl.Expr]:
    """Of each row: its `key` as a 64-bit hash, and whether it `is_kept`."""
    return pl.struct(contract.primary_key()).hash(seed=0).alias("key"), keeps(contract).alias("is_kept")


def _are_distinct(keys: pl.Series) -> bool:
    """Counted in one column: the streaming engine's own `n_unique` takes three times as long."""
    return keys.n_unique() == keys.len()


def _require_columns(table: str, rows: pl.LazyFrame, contract: type[Contract]) -> None:
    got, expected = rows.collect_schema(), schema(contract)
    if got != expected:
        raise ContractBroken(f"{table}: expected the columns {_listed(expected)}, got {_listed(got)}")


@cache
def _has_rules_across_columns(contract: type[Contract]) -> bool:
    return not contract.matches(type(contract.__name__, (Contract,), dict(contract.columns())))


def _listed(columns: pl.Schema) -> str:
    return ", ".join(f"{name} {dtype}" for name, dtype in columns.items())
