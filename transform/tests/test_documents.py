"""What is written from the models says what the models are: the data dictionary, the picture of the tables."""

import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from moovitamix_transform import column_lineage, dictionary, lineage
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


def test_the_picture_of_a_column_begins_at_the_fields_it_is_from(capsys: pytest.CaptureFixture[str]):
    code = run_command(["graph", "--columns", "dim_users.is_deleted"])

    printed = capsys.readouterr().out
    (lineage,) = column_lineage.columns("dim_users.is_deleted")
    drawn = re.findall(r"^  (\w+) --> dim_users__is_deleted$", printed, re.M)
    assert code == 0
    assert drawn == [name.replace(".", "__") for name in lineage.values]
    assert re.findall(r"^  (.+) -.-> dim_users$", printed, re.M) == ["users"]


def test_the_lineage_of_columns_is_printed_as_json(capsys: pytest.CaptureFixture[str]):
    code = run_command(["graph", "--columns", "--json"])

    rows = json.loads(capsys.readouterr().out)
    assert code == 0
    assert [(row["table"], row["column"], row["from"], row["rows_by"]) for row in rows] == [
        (each.table, each.column, [*each.values], [*each.rows]) for each in column_lineage.columns()
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(["dim_users"], "expected --columns beside 'dim_users'", id="a_table_without_columns"),
        pytest.param(["--format", "html", "--columns"], "the page has every column", id="html"),
        pytest.param(["--json", "--out", "a"], "expected --json without --out", id="json_to_a_file"),
        pytest.param(["--columns", "dim_users.id"], "dim_users: expected one of its columns user_id,", id="no_column"),
    ],
)
def test_graph_says_what_it_does_not_take(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]):
    code = run_command(["graph", *arguments])

    assert code == 2
    assert message in capsys.readouterr().err


def test_the_dictionary_says_where_each_column_of_a_mart_is_from():
    assert "| `duration_seconds` | i32 |  | Length in seconds. | `tracks.duration` |" in dictionary.markdown()


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
