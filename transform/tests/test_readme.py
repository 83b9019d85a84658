"""The README prints what its commands print, and names every command there is."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
from moovitamix_transform import connector_spec
from moovitamix_transform.cli.app import app, run_command
from moovitamix_transform.connector import connector_folder

REPOSITORY = Path(__file__).resolve().parents[2]
README = (REPOSITORY / "README.md").read_text()


def commands(group: Any, before: str = "moovitamix") -> list[str]:  # noqa: ANN401 - typer bundles its own click
    """Every command that does something: those of a group, and the group where it does something by itself."""
    names = []
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            names += commands(command, f"{before} {name}")
        if not hasattr(command, "commands") or command.params:
            names.append(f"{before} {name}")
    return names


COMMANDS = commands(typer.main.get_command(app))


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_takes_a_warehouse(command: str, capsys: pytest.CaptureFixture[str]):
    run_command([*command.split()[1:], "--help"])

    assert re.search(r"^  -w, --warehouse ", capsys.readouterr().out, re.M)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_readme_names_the_command(command: str):
    assert re.search(rf"^\| `{command}(`| [A-Z-])", README, re.M), f"the README's table of commands lacks `{command}`"


def test_the_table_of_contents_names_every_section():
    headings = re.findall(r"^## (.+)$", README, re.M)
    anchors = [re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-") for heading in headings]

    assert re.findall(r"\]\(#([^)]+)\)", README) == anchors[anchors.index("the-tables") :]


def test_the_example_of_a_config_is_one_that_the_connector_takes():
    (example,) = re.findall(r"^```json\n(.+?)^```", README, re.M | re.S)

    config = json.loads(example)

    assert connector_spec.refusal(connector_folder() / "manifest.yaml", config, config) is None


@pytest.mark.parametrize("group", ["", "history", "quarantine", "state"])
def test_help_tells_whole_sentences_of_each_command(
    group: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("COLUMNS", "80")

    run_command([*group.split(), "--help"])

    described = capsys.readouterr().out.partition("Commands:\n")[2].partition("\n\n")[0].splitlines()
    assert described
    assert [line for line in described if not line.endswith(".") or line.endswith("...")] == []


@pytest.mark.timeout(300)
def test_the_readme_shows_what_its_commands_print():
    checked = subprocess.run(
        [sys.executable, REPOSITORY / "scripts" / "readme.py", "check"], capture_output=True, text=True
    )

    assert checked.returncode == 0, f"{checked.stderr}\n`make docs` writes the README's outputs anew"
