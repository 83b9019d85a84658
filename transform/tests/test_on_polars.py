"""What the engine Polars does that its tables alone do not show."""

from datetime import UTC, datetime
from pathlib import Path

import narwhals as nw
import polars as pl
import pytest
from moovitamix_transform import contracts
from moovitamix_transform.engines.on_polars import OnPolars
from moovitamix_transform.errors import ContractBroken, WarehouseError
from moovitamix_transform.graph import models
from moovitamix_transform.warehouse import Warehouse


@pytest.fixture
def engine(tmp_path: Path) -> OnPolars:
    return OnPolars(Warehouse(str(tmp_path / "warehouse")))


def test_held_texts_are_as_they_were(engine: OnPolars):
    texts = ["", None, "é", "longer than what fits into a view"]

    held = engine.hold(nw.from_native(pl.LazyFrame({"text": texts}, schema={"text": pl.String})))

    assert held.rows.to_native().collect()["text"].to_list() == texts


def test_a_file_that_is_gone_while_rows_are_held_is_a_message(engine: OnPolars):
    version = engine.warehouse.append("marts/any", pl.DataFrame({"id": [1]}))
    rows = engine.scan("marts/any", version)
    next(Path(engine.warehouse.uri("marts/any")).glob("*.parquet")).unlink()

    with pytest.raises(WarehouseError, match=r"its tables could not be read: .*What was committed before stays"):
        engine.hold(rows)


def listens(*rows: tuple[int, int]) -> nw.LazyFrame:
    """Rows of fct_listens: user, position. Each of them comes in a batch of its own."""
    at, schema = datetime(2026, 1, 1, tzinfo=UTC), contracts.schema(models()["fct_listens"].contract)
    frames = [pl.LazyFrame([(user, 1, at, place)], schema=schema, orient="row") for user, place in rows]
    return nw.from_native(pl.concat([pl.LazyFrame(schema=schema), *frames]))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        pytest.param(
            [(7, 1), (8, 1), (7, 1)],
            r"fct_listens: 2 rows share values of \(user_id, listened_at, position\), expected one row each; first: ",
            id="a_key_twice",
        ),
        pytest.param([(7, 1), (7, 0), (7, 2)], r"fct_listens: 1 rows break 'position\|min'; first: ", id="a_rule"),
    ],
)
def test_rows_that_break_the_contract_are_refused_as_they_are_written(engine: OnPolars, rows, message: str):
    with pytest.raises(ContractBroken, match=message):
        engine.overwrite(models()["fct_listens"], listens(*rows))


@pytest.mark.parametrize("count", [0, 1, 50])
def test_rows_that_keep_it_are_written_and_not_read_again(engine: OnPolars, count: int, monkeypatch):
    monkeypatch.delattr(contracts, "require")
    monkeypatch.delattr(OnPolars, "scan")

    version = engine.overwrite(models()["fct_listens"], listens(*((7, place + 1) for place in range(count))))

    assert engine.warehouse.count("marts/fct_listens", version) == count


class Lossy(Warehouse):
    """Writes a row less than it is given."""

    def overwrite(self, table: str, rows: pl.LazyFrame) -> int:
        return super().overwrite(table, rows.filter(pl.col("position") != 2))


def test_a_row_that_is_not_written_is_missed(tmp_path: Path):
    engine = OnPolars(Lossy(str(tmp_path / "warehouse")))

    with pytest.raises(ContractBroken, match=r"^fct_listens: expected 3 rows to be written, got 2$"):
        engine.overwrite(models()["fct_listens"], listens((7, 1), (7, 2), (7, 3)))
