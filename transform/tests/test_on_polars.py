"""What the engine Polars does that its tables alone do not show."""

from pathlib import Path

import narwhals as nw
import polars as pl
import pytest
from moovitamix_transform.engines.on_polars import OnPolars
from moovitamix_transform.errors import WarehouseError
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
