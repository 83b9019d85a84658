"""Imports go one way, and each outside package is known to those who must know it only."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import moovitamix_api
import moovitamix_transform
import pytest
from moovitamix_transform.graph import SHARED, models

TRANSFORM = Path(moovitamix_transform.__file__ or "").parent
API = Path(moovitamix_api.__file__ or "").parent

# From the top of the arrow to its foot. A module may import what stands below it, never what stands above.
LAYERS = (
    ("cli",),
    ("run", "build", "check"),
    ("graph",),
    ("staging", "marts"),
    ("contracts",),
)


def module_name(path: Path, package: Path) -> str:
    parts = path.relative_to(package.parent).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def imported(path: Path) -> Iterator[str]:
    """Every module that a file imports anywhere in it, `from a import b` as `a` and as `a.b`."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
            yield node.module or ""


def importers_of(outside: str, package: Path) -> set[str]:
    return {
        module_name(path, package)
        for path in package.rglob("*.py")
        if "source-moovitamix" not in path.parts  # in a wheel the connector lies here, as data
        and any(name.split(".")[0] == outside for name in imported(path))
    }


def layer_of(module: str) -> int | None:
    """Where it stands in LAYERS: its own name, or the name of its folder."""
    part = module.removeprefix("moovitamix_transform").removeprefix(".").split(".")[0]
    return next((at for at, layer in enumerate(LAYERS) if part in layer), None)


TRANSFORM_MODULES = {
    module_name(path, TRANSFORM): path
    for path in sorted(TRANSFORM.rglob("*.py"))
    if path.name != "__init__.py" and "source-moovitamix" not in path.parts
}


def test_only_the_warehouse_knows_deltalake():
    assert {name.split(".")[1] for name in importers_of("deltalake", TRANSFORM)} == {"warehouse"}


@pytest.mark.parametrize("outside", ["fastapi", "airbyte_cdk", "moovitamix_api", "uvicorn", "components"])
def test_the_transform_knows_neither_the_api_nor_the_connector(outside: str):
    assert importers_of(outside, TRANSFORM) == set()


@pytest.mark.parametrize("outside", ["airbyte_cdk", "moovitamix_transform", "polars", "deltalake", "components"])
def test_the_api_knows_neither_the_connector_nor_the_transform(outside: str):
    assert importers_of(outside, API) == set()


@pytest.mark.parametrize("outside", ["altair", "jinja2", "markdown_it", "vl_convert"])
def test_only_the_report_knows_what_its_extra_installs(outside: str):
    assert {name.rpartition(".")[0] for name in importers_of(outside, TRANSFORM)} <= {"moovitamix_transform.report"}


@pytest.mark.parametrize("module", [name for name in TRANSFORM_MODULES if layer_of(name) is not None])
def test_imports_go_one_way(module: str):
    own = layer_of(module)
    assert own is not None

    upward = {
        name
        for name in imported(TRANSFORM_MODULES[module])
        if name.startswith("moovitamix_transform.") and (at := layer_of(name)) is not None and at < own
    }

    assert upward == set(), f"{module} imports what stands above it in {' → '.join('/'.join(one) for one in LAYERS)}"


@pytest.mark.parametrize(
    "outside", ["dataframely", "pydantic", "airbyte_cdk", "fastapi", "altair", "pyspark", "pyarrow"]
)
def test_a_command_does_not_wait_for_what_only_others_need(outside: str):
    loaded = "import sys, moovitamix_transform.cli.app; print(*{name.split('.')[0] for name in sys.modules})"

    found = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True).stdout.split()

    assert "polars" in found
    assert outside not in found, f"`moovitamix land` and `state` start later by the time it takes to import {outside}"


def test_no_module_imports_itself_by_way_of_others():
    graph = {
        name: {found for found in imported(path) if found in TRANSFORM_MODULES and found != name}
        for name, path in TRANSFORM_MODULES.items()
    }

    order = list(TopologicalSorter(graph).static_order())  # CycleError names the modules of the circle

    assert set(order) >= set(TRANSFORM_MODULES)


def test_what_a_model_imports_is_in_a_fingerprint():
    """But for the errors' classes; else a table's old rows are left as another code made them, and nothing is said."""
    fingerprinted = {model.function.__module__ for model in models().values()}
    fingerprinted |= {f"moovitamix_transform.{name}" for name in SHARED}
    found: set[str] = set()
    left = set(fingerprinted)
    while left:
        name = left.pop()
        found.add(name)
        left |= {each for each in imported(TRANSFORM_MODULES[name]) if each in TRANSFORM_MODULES} - found

    assert found - fingerprinted == {"moovitamix_transform.errors"}


@pytest.mark.parametrize("module", [name for name in TRANSFORM_MODULES if ".marts." in name or ".stg_" in name])
def test_what_spark_runs_too_is_written_in_narwhals_alone(module: str):
    outside = {name.split(".")[0] for name in imported(TRANSFORM_MODULES[module])}

    assert "polars" not in outside, f"{module}: stg_ tables and marts run on Spark from the same code"
