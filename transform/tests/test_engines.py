"""Law 7, as far as it needs no cluster: stg_ tables and marts on DuckDB, from the same functions, equal Polars'."""

import json
from collections.abc import Callable
from random import Random

import duckdb
import narwhals as nw
import polars as pl
import pytest
from moovitamix_transform import contracts
from moovitamix_transform.graph import models
from moovitamix_transform.sources import GENERATIONS, LINES, record_frame

PORTABLE = [name for name, model in models().items() if not model.is_native]


def sent() -> dict[str, list[dict[str, object]]]:
    """Records of all streams with every kind of tie, null and emptiness, the same at each call."""
    dice = Random(7)

    def instants() -> dict[str, object]:
        created, updated = (f"2026-01-0{dice.randint(1, 4)}T00:00:00" for _ in range(2))
        return {"created_at": created, "updated_at": updated}

    def track() -> dict[str, object]:
        genre, duration = dice.choice([*"JRjré", "", None]), dice.choice(["3:45", "0:07", "9:99", None])
        return {"id": dice.randint(1, 9), "name": dice.choice("ABé"), "genres": genre, "duration": duration}

    def user() -> dict[str, object]:
        return {"id": dice.randint(1, 5), "email": dice.choice(["A@b", "", None])}

    def listens() -> dict[str, object]:
        return {"user_id": dice.randint(1, 5), "items": [dice.randint(1, 12) for _ in range(dice.randint(0, 5))]}

    kinds = {"tracks": track, "users": user, "listen_history": listens}
    return {stream: [make() | instants() for _ in range(40)] for stream, make in kinds.items()}


@pytest.fixture(scope="module")
def made_by_polars() -> dict[str, pl.DataFrame]:
    """Every table, sources included."""
    tables = {"_lines": pl.DataFrame(schema=LINES), "generations": pl.DataFrame(schema=GENERATIONS)}
    for stream, records in sent().items():
        ordinals = list(range(len(records)))
        instants = [1_767_225_600_000 + at % 3 for at in ordinals]
        texts = [json.dumps(data, ensure_ascii=False).encode() for data in records]
        tables[stream] = record_frame("run", 1, ordinals, instants, texts)
    for name, model in models().items():
        tables[name] = model.frame({table: frame.lazy() for table, frame in tables.items()}).collect()
    return tables


@pytest.fixture(scope="module")
def made_by_duckdb(made_by_polars, tmp_path_factory) -> Callable[[str], pl.DataFrame]:
    """A table as DuckDB makes it of the tables it reads."""
    folder = tmp_path_factory.mktemp("parquet")
    connection = duckdb.connect()
    connection.execute("set timezone = 'UTC'")

    def make(name: str) -> pl.DataFrame:
        model = models()[name]
        inputs = {}
        for table in model.reads:
            file = folder / f"{table}.parquet"
            made_by_polars[table].write_parquet(file)
            inputs[table] = nw.from_native(connection.read_parquet(str(file)))
        return pl.DataFrame(nw.to_native(model.function(**inputs)))

    return make


@pytest.mark.parametrize("name", PORTABLE)
def test_duckdb_makes_the_rows_that_polars_makes(made_by_polars, made_by_duckdb, name: str):
    expected = made_by_polars[name]

    found = made_by_duckdb(name)

    assert found.columns == expected.columns
    assert found.cast(dict(contracts.schema(models()[name].contract))).schema == expected.schema
    instants = {column: dtype for column, dtype in expected.schema.items() if isinstance(dtype, pl.Datetime)}
    assert sorted(found.cast(instants).rows(), key=str) == sorted(expected.rows(), key=str)
