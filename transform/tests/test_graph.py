"""The graph is the models' own signatures, and each model keeps the one shape."""

import inspect
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import polars as pl
import pytest
from moovitamix_transform import contracts, graph
from moovitamix_transform.graph import SHARED, SOURCES, models
from moovitamix_transform.sources import GENERATIONS, LINES, RECORDS

SCHEMAS = {"_lines": LINES, "generations": GENERATIONS}
PACKAGE = Path(graph.__file__).parent


def camel(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))


MODEL_FILES = sorted(
    path.stem
    for layer in ("staging", "marts")
    for path in (PACKAGE / layer).glob("*.py")
    if f"class {camel(path.stem)}(" in path.read_text()
)


def test_every_file_with_a_contract_of_its_name_is_a_model_of_the_graph():
    assert sorted(models()) == MODEL_FILES


def test_a_model_comes_after_what_it_reads():
    seen = set(SOURCES)

    for name, model in models().items():
        assert set(model.reads) <= seen, f"{name} reads {set(model.reads) - seen}, which is no table or comes later"
        seen.add(name)


def test_no_step_reads_what_a_later_step_wrote():
    rank = {"source": 0, "base": 1, "stg": 2, "marts": 3}

    def step(table: str) -> int:
        if table in SOURCES:
            return rank["source"]
        return rank["marts"] if models()[table].layer == "marts" else rank[table.partition("_")[0]]

    for name, model in models().items():
        if name == "quarantine":
            continue  # it ends the staging of every stream, and nothing reads it
        for table in model.reads:
            assert step(table) <= step(name), f"{name} reads {table}, which is made after it"
    assert not any("quarantine" in model.reads for model in models().values())


@pytest.mark.parametrize("name", models())
def test_a_model_and_its_contract_share_the_file_of_its_name(name: str):
    model = models()[name]

    files = {model.function.__module__, model.contract.__module__}

    assert files == {f"moovitamix_transform.{model.layer}.{name}"}
    assert (model.function.__name__, model.contract.__name__) == (name, camel(name))


@pytest.mark.parametrize("name", models())
def test_a_model_says_its_grain_what_it_reads_and_what_it_returns(name: str):
    model = models()[name]

    told = inspect.getdoc(model.function) or ""

    assert told.startswith("One row per "), f"{name}: its docstring must begin with its grain, got {told[:40]!r}"
    assert "Reads:" in told, f"{name}: its docstring lacks 'Reads:'"
    assert "Returns:" in told, f"{name}: its docstring lacks 'Returns:'"
    assert model.grain.startswith("One row per "), f"{name}: its contract's docstring must begin with its grain"


@pytest.mark.parametrize("name", models())
def test_every_table_has_a_key(name: str):
    assert models()[name].contract.primary_key(), f"{name}: its contract names no primary key"


@pytest.mark.parametrize("name", models())
def test_every_instant_is_in_microseconds_and_utc(name: str):
    columns = contracts.schema(models()[name].contract)

    instants = {column: dtype for column, dtype in columns.items() if isinstance(dtype, pl.Datetime)}

    assert set(instants.values()) <= {pl.Datetime("us", "UTC")}
    named = {column for column in columns if column.endswith("_at") or column in ("valid_from", "valid_to")}
    assert named == set(instants), f"{name}: exactly the instants are named _at"


@pytest.mark.parametrize("name", models())
def test_a_model_of_empty_tables_is_an_empty_table_of_its_types(name: str):
    tables = {source: pl.LazyFrame(schema=SCHEMAS.get(source, RECORDS)) for source in SOURCES}

    for model in models().values():
        tables[model.name] = model.frame(tables)

    assert tables[name].collect_schema() == contracts.schema(models()[name].contract)
    assert tables[name].collect().height == 0


@pytest.fixture
def change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """A module's file has other bytes from then on."""

    def changed(name: str) -> None:
        module = import_module(f"moovitamix_transform.{name}")
        copy = tmp_path / "changed.py"
        copy.write_bytes(Path(str(module.__file__)).read_bytes() + b"# changed")
        monkeypatch.setattr(module, "__file__", str(copy))

    return changed


def changed_fingerprints() -> set[str]:
    anew = models.__wrapped__()
    return {name for name, model in models().items() if anew[name].fingerprint != model.fingerprint}


@pytest.mark.parametrize("shared", SHARED)
def test_what_all_models_share_is_part_of_every_fingerprint(change: Callable[[str], None], shared: str):
    assert changed_fingerprints() == set()

    change(shared)

    assert changed_fingerprints() == set(models())


@pytest.mark.parametrize("name", models())
def test_a_model_is_part_of_its_own_fingerprint_alone(change: Callable[[str], None], name: str):
    change(f"{models()[name].layer}.{name}")

    assert changed_fingerprints() == {name}
