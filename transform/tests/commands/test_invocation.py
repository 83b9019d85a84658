"""The commands that a summary suggests can be copied into the shell from where the reader stands."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from moovitamix_transform.cli.invocation import command_line
from moovitamix_transform.warehouse import Warehouse


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A console script in an environment of its own, that the shell does not find by name."""
    script = tmp_path / "project" / ".venv" / "bin" / "moovitamix"
    script.parent.mkdir(parents=True)
    script.touch(mode=0o755)
    monkeypatch.setattr(sys, "argv", [str(script), "run"])
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    return script


def test_a_program_on_the_path_is_called_by_its_name(program: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", str(program.parent))

    assert command_line("tables", Warehouse("warehouse")) == "moovitamix tables"


def test_another_program_of_that_name_on_the_path_is_not_taken_for_it(
    program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    other = tmp_path / "other" / "moovitamix"
    other.parent.mkdir()
    other.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(other.parent))

    assert command_line("tables", Warehouse("warehouse")) == "project/.venv/bin/moovitamix tables"


@pytest.mark.parametrize(
    ("folder", "called"),
    [
        pytest.param("project", ".venv/bin/moovitamix tables", id="the_project"),
        pytest.param("project/.venv/bin", "./moovitamix tables", id="its_own_folder"),
    ],
)
def test_below_the_readers_folder_it_is_called_by_the_relative_path(
    program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str, called: str
):
    monkeypatch.chdir(tmp_path / folder)

    assert command_line("tables", Warehouse("warehouse")) == called


def test_elsewhere_it_is_called_by_its_whole_path(program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")

    assert command_line("tables", Warehouse("warehouse")) == f"{program} tables"


@pytest.mark.parametrize(
    ("root", "variable", "option"),
    [
        pytest.param("warehouse", None, "", id="the_default"),
        pytest.param("warehouse/", None, "", id="the_default_with_a_slash"),
        pytest.param("house", None, " --warehouse house", id="another"),
        pytest.param("my house", None, " --warehouse 'my house'", id="with_a_space"),
        pytest.param("house", "house", "", id="the_variables"),
        pytest.param("warehouse", "house", " --warehouse warehouse", id="the_default_beside_a_variable"),
    ],
)
def test_the_warehouse_is_named_unless_the_command_finds_it_anyway(
    program: Path, monkeypatch: pytest.MonkeyPatch, root: str, variable: str | None, option: str
):
    monkeypatch.setenv("PATH", str(program.parent))
    if variable:
        monkeypatch.setenv("MOOVITAMIX_WAREHOUSE", variable)

    assert command_line("tables", Warehouse(root)) == f"moovitamix tables{option}"


def test_the_suggested_commands_work_as_they_are_printed(start: Callable[..., subprocess.Popen[str]], source: Any):  # noqa: ANN401
    run = start("run", "--source", source("sync()"), "--warehouse", "my house")
    out, err = run.communicate(timeout=60)

    suggested = [line.strip() for line in out.partition("Try next:\n")[2].splitlines()]
    codes = [subprocess.run(["/bin/sh", "-c", line], capture_output=True).returncode for line in suggested]

    assert run.returncode == 0, err
    assert codes == [0, 0, 0], suggested
