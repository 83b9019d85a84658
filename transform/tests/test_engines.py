"""Law 7: the same functions give equal rows and types on Polars, on Spark and, stg_ tables and marts, on DuckDB."""

import ast
import json
from collections.abc import Callable
from pathlib import Path
from random import Random

import duckdb
import moovitamix_transform
import narwhals as nw
import polars as pl
import pytest
from moovitamix_transform import contracts
from moovitamix_transform.graph import models
from moovitamix_transform.sources import GENERATIONS, LINES, record_frame
from moovitamix_transform.warehouse import Warehouse
from polars.testing import assert_frame_equal

# Where engines that count in floating point, or in 64 bits without a look at overflow, would take an id for another.
FAR_IDS = [-(2**63), -1, 0, 2**31 - 1, 2**31, 2**53 + 1, 2**62, 2**63 - 1]
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
    records = {stream: [make() | instants() for _ in range(40)] for stream, make in kinds.items()}
    records["listen_history"] += [{"user_id": user, "items": [*FAR_IDS, 1, 2]} | instants() for user in FAR_IDS]
    return records


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


@pytest.mark.spark
@pytest.mark.parametrize("name", models())
def test_spark_makes_the_rows_that_polars_makes(made_by_polars, spark, tmp_path, name: str):
    from moovitamix_transform.engines.spark.files import spark_schema
    from moovitamix_transform.engines.spark.on_spark import OnSpark

    model, expected, inputs = models()[name], made_by_polars[name], {}
    for table in model.reads:
        file = tmp_path / f"{table}.parquet"
        made_by_polars[table].write_parquet(file)
        schema = spark_schema(made_by_polars[table].schema)
        inputs[table] = nw.from_native(spark.read.schema(schema).parquet(f"file://{file}"))
    engine = OnSpark(Warehouse(str(tmp_path)), spark)

    found = engine.collect(engine.frame(model, inputs))

    assert_frame_equal(found, expected, check_row_order=False)


def test_no_model_has_an_engine_of_its_own():
    """Each table is made by one function; which engine runs it, the models do not know."""
    package = Path(moovitamix_transform.__file__).parent
    functions: dict[str, list[str]] = {name: [] for name in models()}
    knowing = set()
    for file in package.rglob("*.py"):
        module = file.relative_to(package).as_posix()
        tree = ast.parse(file.read_text())
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef) and node.name in functions:
                is_model = tuple(each.arg for each in node.args.args) == models()[node.name].reads
                functions[node.name].extend([module] if is_model else [])
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if {name.split(".")[0] for name in names} & {"pyspark", "py4j", "pyarrow"}:
                knowing.add(module)

    assert functions == {name: [f"{model.path}.py"] for name, model in models().items()}
    assert {module.rpartition("/")[0] for module in knowing} == {"engines/spark"}, "only the Spark engine knows pyspark"
    for name, model in models().items():
        assert model.is_native == (model.is_row_local), f"{name}: what Spark cannot cut by rows is written in Narwhals"
