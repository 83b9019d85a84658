"""A table that does not keep its contract is named, with the rule, the number and the first offenders."""

from datetime import UTC, datetime

import dataframely as dy
import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from moovitamix_transform import contracts
from moovitamix_transform.contracts import Contract, require
from moovitamix_transform.errors import ContractBroken

DAY = datetime(2026, 1, 1, tzinfo=UTC)


class Plays(Contract):
    """One row per play."""

    user_id = contracts.key(dy.Int64, "Who.")
    position = contracts.key(dy.Int32, "Where.", min=1)
    listened_at = contracts.instant("When.")
    genre = contracts.text("Any word.")


class Places(Plays):
    """The same, whose rows are judged run by run."""

    place = "position"


class Periods(Contract):
    """One row per period."""

    valid_from = contracts.instant("From.", primary_key=True)
    valid_to = contracts.instant("To.", nullable=True)

    @dy.rule()
    def ends_after_it_begins(cls) -> pl.Expr:  # noqa: N805 - dataframely's own convention
        return pl.col("valid_to") > pl.col("valid_from")


def plays(*rows: tuple) -> pl.LazyFrame:
    return pl.LazyFrame(rows, schema=contracts.schema(Plays), orient="row")


@pytest.mark.parametrize(
    "rows",
    [
        pytest.param([], id="no_row"),
        pytest.param([(7, 1, DAY, "Jazz"), (7, 2, DAY, None), (8, 1, DAY, "Jazz")], id="three_rows"),
    ],
)
def test_rows_that_keep_the_contract_pass(rows):
    require("plays", plays(*rows), Plays)
    require("plays", plays(*rows), Places)


KEYS = st.lists(st.lists(st.tuples(st.integers(1, 3), st.integers(1, 6)), max_size=6), max_size=5)


@pytest.mark.parametrize("contract", [Plays, Places])
@given(batches=KEYS)
@settings(deadline=None)
@example(batches=[[(1, 1), (1, 2)], [(1, 3), (1, 4)]])
@example(batches=[[(1, 1), (1, 4)], [(1, 2), (1, 3)]])
@example(batches=[[(1, 1), (1, 2), (1, 2)]])
@example(batches=[[(1, 1), (2, 1), (1, 1)]])
@example(batches=[[(1, 1), (1, 3)], [(1, 3)]])
def test_a_key_twice_is_found_wherever_the_batches_end(contract: type[Contract], batches: list[list[tuple[int, int]]]):
    judge = contracts.Judge("plays", contract)
    for batch in batches:
        judge.watch(plays(*((*key, DAY, None) for key in batch))).collect()

    keys = [key for batch in batches for key in batch]
    assert judge.count == len(keys)
    may_overlap = contract is Places  # places that lie within another run's ends: `require` looks again, and passes
    if len({*keys}) < len(keys):
        assert not judge.is_satisfied()
    elif not may_overlap:
        assert judge.is_satisfied()


def test_lists_that_come_run_by_run_are_judged_without_a_second_look():
    judge = contracts.Judge("plays", Places)
    for first in (1, 4, 7):  # batches that end within a list
        judge.watch(plays(*((7, place, DAY, None) for place in range(first, first + 3)))).collect()

    assert judge.is_satisfied()


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        pytest.param(
            [(7, 1, DAY, None), (7, 1, DAY, "Jazz"), (8, 1, DAY, None)],
            "plays: 2 rows share values of (user_id, position), expected one row each; first: [(7, 1)]",
            id="a_key_twice",
        ),
        pytest.param(
            [(7, 0, DAY, None)],
            "plays: 1 rows break 'position|min'; first: [{'user_id': 7, 'position': 0,",
            id="out_of_range",
        ),
        pytest.param(
            [(7, 1, None, None), (7, 2, None, None)],
            "plays: 2 rows break 'listened_at|nullability'; first: [{'user_id': 7, 'position': 1,",
            id="a_null",
        ),
        pytest.param(
            [(None, 1, DAY, None)],
            "plays: 1 rows break 'user_id|nullability'; first: [{'user_id': None",
            id="a_null_key",
        ),
    ],
)
def test_rows_that_break_it_are_named_and_counted(rows, message: str):
    with pytest.raises(ContractBroken) as broken:
        require("plays", plays(*rows), Plays)

    assert str(broken.value).startswith(message)


@pytest.mark.parametrize(
    ("change", "got"),
    [
        pytest.param(lambda rows: rows.drop("genre"), "position Int32, listened_at Datetime", id="a_column_less"),
        pytest.param(lambda rows: rows.with_columns(extra=1), "genre String, extra Int32", id="a_column_more"),
        pytest.param(lambda rows: rows.cast({"user_id": pl.Int32}), "got user_id Int32", id="another_type"),
        pytest.param(lambda rows: rows.select(rows.columns[::-1]), "got genre String, listened_at", id="another_order"),
        pytest.param(
            lambda rows: rows.cast({"listened_at": pl.Datetime("us")}), "time_zone=None", id="an_instant_without_zone"
        ),
    ],
)
def test_another_shape_is_told_with_both(change, got: str):
    rows = change(plays((7, 1, DAY, None)).collect()).lazy()

    with pytest.raises(ContractBroken) as broken:
        require("plays", rows, Plays)

    assert str(broken.value).startswith("plays: expected the columns user_id Int64, position Int32, listened_at")
    assert got in str(broken.value)


def test_a_rule_across_columns_is_held_too():
    good = pl.LazyFrame([(DAY, None)], schema=contracts.schema(Periods), orient="row")
    bad = pl.LazyFrame([(DAY, DAY)], schema=contracts.schema(Periods), orient="row")

    require("periods", good, Periods)
    with pytest.raises(ContractBroken, match="1 rows break 'ends_after_it_begins'"):
        require("periods", bad, Periods)


def test_a_null_inside_the_plays_breaks_the_contract():
    class Lists(Contract):
        """One row per list."""

        user_id = contracts.key(dy.Int64, "Who.")
        plays = contracts.plays()

    whole = pl.LazyFrame({"user_id": [7], "plays": [[{"track_id": 1, "position": 1}]]}, schema=contracts.schema(Lists))
    holed = pl.LazyFrame(
        {"user_id": [7], "plays": [[{"track_id": None, "position": 1}]]}, schema=contracts.schema(Lists)
    )

    require("lists", whole, Lists)
    with pytest.raises(ContractBroken, match="plays"):
        require("lists", holed, Lists)
