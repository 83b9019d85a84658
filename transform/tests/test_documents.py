"""What is written from the models says what the models are: the data dictionary, the picture of the tables."""

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from moovitamix_transform import dictionary, lineage
from moovitamix_transform.cli.app import run_command
from moovitamix_transform.graph import SOURCES, models

REPOSITORY = Path(__file__).resolve().parents[2]


def test_the_data_dictionary_is_what_the_contracts_say():
    done = subprocess.run(
        [sys.executable, REPOSITORY / "scripts" / "dictionary.py", "check"], capture_output=True, text=True, timeout=60
    )

    assert done.returncode == 0, done.stderr


def test_every_column_of_every_table_has_a_description():
    without = [
        f"{name}.{column}"
        for name, model in models().items()
        for column, promise in model.contract.columns().items()
        if not promise.description
    ]

    assert without == []


def test_a_changed_contract_changes_the_dictionary(monkeypatch: pytest.MonkeyPatch):
    before = dictionary.markdown()
    monkeypatch.setattr(models()["fct_listens"].contract, "__doc__", "One row per something else.")

    assert "One row per something else." not in before
    assert "### fct_listens\n\nOne row per something else. Made of `stg_listen_history`." in dictionary.markdown()


def test_the_mermaid_graph_has_an_edge_for_each_parameter_of_each_model(capsys: pytest.CaptureFixture[str]):
    code = run_command(["graph"])

    drawn = set(re.findall(r"^  (\w+) --> (\w+)$", capsys.readouterr().out, re.M))
    assert code == 0
    assert drawn == {(read, name) for name, model in models().items() for read in model.reads}


def test_the_page_names_every_table_and_asks_nothing_of_a_network(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    page = tmp_path / "lineage.html"

    code = run_command(["graph", "--format", "html", "--out", str(page)])

    seen = _Page()
    seen.feed(page.read_text())
    assert code == 0
    assert capsys.readouterr().err == f"written: {page}\n"
    assert set(seen.tables) == {*SOURCES, *models()}
    assert seen.open == []
    assert seen.lines == len(lineage.edges())
    assert not {"src", "href", "xlink:href"} & seen.attributes
    assert "url(" not in page.read_text()


class _Page(HTMLParser):
    """What is in a page: ids of boxes, elements left open, lines, names of attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.tables: list[str] = []
        self.open: list[str] = []
        self.lines = 0
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes |= {name for name, _ in attrs}
        if tag != "meta":
            self.open.append(tag)
        if tag == "g":
            self.tables.append(str(dict(attrs)["id"]))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.lines += tag == "path"

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, tag
