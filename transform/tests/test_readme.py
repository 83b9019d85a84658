"""The README prints what its commands print, and names every command there is."""

import json
import os
import re
import runpy
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import typer
from moovitamix_transform import connector_spec
from moovitamix_transform.cli.app import app, run_command
from moovitamix_transform.connector import connector_folder
from moovitamix_transform.warehouse import Warehouse

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


def test_the_table_of_contents_names_every_section_and_every_link_leads_to_one():
    headings = re.findall(r"^## (.+)$", README, re.M)
    anchors = [re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-") for heading in headings]

    contents = README.partition("\nBelow: ")[2].partition("\n\n")[0]
    assert re.findall(r"\]\(#([^)]+)\)", contents) == anchors[anchors.index("the-tables") :]
    links = re.findall(r"\]\(#([^)]+)\)", README)
    for document in (REPOSITORY / "docs").glob("*.md"):
        links += re.findall(r"\]\(\.\./README\.md#([^)]+)\)", document.read_text())
    assert {*links} <= {*anchors}


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


@pytest.mark.parametrize(
    ("block", "message"),
    [
        pytest.param("$ echo a; exit 3\na\n", "expected exit code 0, got 3:\na\n", id="it_prints_what_is_shown"),
        pytest.param("$ cat no-such-file | cat\n", "expected exit code 0, got 1:\ncat: no-such-file", id="in_a_pipe"),
        pytest.param("$ echo a >&2\na\n", "expected (README):\na\n\ngot:\n", id="on_stderr"),
        pytest.param("$ (exit 3); echo $?\n3\n", None, id="a_code_that_is_shown"),
    ],
)
def test_a_failing_command_of_the_readme_is_told(block: str, message: str | None):
    scripts = runpy.run_path(str(REPOSITORY / "scripts" / "readme.py"))

    problems = scripts["check"](f"```console\n{block}```\n")

    assert len(problems) == (message is not None)
    assert all(problem.startswith(f"README.md: {block.partition(chr(10))[0]}\n{message}") for problem in problems)


INSTALLS = "python3 -m venv "


def runnable_lines(block: str) -> list[str]:
    """Those of a ```sh block that need neither Docker nor Prefect nor Spark; a block about those two has none, nor has
    the one that installs."""
    if re.search(rf"\bprefect |--engine spark|{INSTALLS}", block):
        return []
    return [line for line in block.splitlines() if "docker run" not in line]


@pytest.mark.long
@pytest.mark.timeout(300)
def test_the_readmes_lines_for_a_shell_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """An API of theirs takes a free port instead of 8000, and is a small one; they begin with the halves, where nothing
    has been read yet."""
    first, *blocks = [runnable_lines(block) for block in re.findall(r"^```sh\n(.+?)^```", README, re.M | re.S)]
    halves, *others = filter(None, blocks)
    script = ["mkfifo url", "trap 'kill $(jobs -p)' EXIT"]
    for line in [first[0], *halves, *first[1:], *(line for block in others for line in block)]:
        if re.search(r"^moovitamix-api .*&", line):
            script += [line.replace("--port 8000", "--port 0 > url"), "read -r API < url"]
            script.append("""echo "{\\"api_url\\": \\"$API\\"}" > config.json""")
        else:
            script.append(line.replace("http://127.0.0.1:8000", "$API"))
    (tmp_path / "source-moovitamix").symlink_to(REPOSITORY / "source-moovitamix")
    for name, value in {"SIZE": "20", "LISTENS": "50", "NOW": "2026-01-01"}.items():
        monkeypatch.setenv(f"MOOVITAMIX_API_{name}", value)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    monkeypatch.delenv("MOOVITAMIX_WAREHOUSE", raising=False)

    done = subprocess.run(["/bin/bash", "-ec", "\n".join(script)], cwd=tmp_path, capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
    runs = Warehouse(str(tmp_path / "warehouse")).scan("_meta/runs").filter(status="succeeded").sort("started_at")
    assert runs.collect()["kind"].to_list() == ["land", "build", "run", "run"]
    assert json.loads((tmp_path / "state.json").read_text()) == []


@pytest.mark.long
@pytest.mark.timeout(600)
def test_the_lines_that_install_elsewhere_make_a_moovitamix_that_extras_can_be_added_to(tmp_path: Path):
    (block,) = re.findall(rf"^```sh\n({INSTALLS}.+?)^```", README, re.M | re.S)
    (extra,) = set(re.findall(r"^`\.venv/bin/(pip install 'moovitamix\[report\]')`", README, re.M))
    subprocess.run(["git", "clone", "--quiet", REPOSITORY, tmp_path / "repository"], check=True)
    script = block.replace("/srv/moovitamix/", f"{tmp_path}/")
    pip = f"{tmp_path}/.venv/bin/{extra} --dry-run --no-index"  # what is installed is not looked for

    done = subprocess.run(
        ["/bin/bash", "-ec", f"{script}\n{tmp_path}/.venv/bin/moovitamix --version\n{pip} 2>&1 || true"],
        cwd=tmp_path / "repository",
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stderr
    assert f"moovitamix {version('moovitamix')}\n" in done.stdout
    assert re.search(r"Requirement already satisfied: moovitamix\[report\]", done.stdout), done.stdout


@pytest.mark.timeout(300)
def test_the_readme_shows_what_its_commands_print():
    checked = subprocess.run(
        [sys.executable, REPOSITORY / "scripts" / "readme.py", "check"], capture_output=True, text=True
    )

    assert checked.returncode == 0, f"{checked.stderr}\n`make docs` writes the README's outputs anew"
