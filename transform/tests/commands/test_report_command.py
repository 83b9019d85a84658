"""`report`: one file with the other commands' figures, nothing of a person in it, nothing asked of a network."""

import json
import re
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from moovitamix_transform import load_table
from moovitamix_transform.cli.app import run_command
from moovitamix_transform.graph import models

Command = Callable[..., Any]
EVIL = "</script><script>alert(1)</script>"
BODY = f"""
track(1, name={EVIL!r}, genres="jazz", duration="3:05")
track(2, duration="3:99")
user(7, first_name="Ottilie")
user(8, first_name="Walburga", email="walburga@example.org", created_at="yesterday")
listen(7, [1, 2, 1])
record({EVIL!r}, id=1)
print("ottilie@example.org says hello")
state("listen_history", updated_at=MONDAY)
"""
LATER = """
track(1, name="another"), track(3)
user(7), user(9)
listen(7, [1], "2026-01-06T10:00:00")
"""


class Page(HTMLParser):
    """What is in a page: elements with their attributes, the texts of scripts and styles, tables by their caption."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {"script": [], "style": [], "title": [], "h2": [], "strong": []}
        self.tables: dict[str, list[list[str]]] = {}
        self._open: list[str] = []
        self._caption, self._rows = "", [[""]]
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in ("meta", "link"):
            self._open.append(tag)
        if tag in self.texts:
            self.texts[tag].append("")
        if tag == "table":
            self._caption, self._rows = "", []
        elif tag == "tr":
            self._rows.append([])
        elif tag in ("td", "th"):
            self._rows[-1].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] in self.texts:
            self.texts[self._open[-1]][-1] += data
        if "caption" in self._open:
            self._caption += data
        elif {"td", "th"} & set(self._open):
            self._rows[-1][-1] += data

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag, tag
        if tag == "table":
            self.tables[self._caption.strip()] = [[cell.strip() for cell in row] for row in self._rows]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, saying: str) -> Path:
    """Two runs, with something in the quarantine, and a report."""
    folder = tmp_path_factory.mktemp("report")
    for number, body in enumerate([BODY, LATER]):
        (folder / f"source{number}.py").write_text(saying + body)
        source = f"{sys.executable} {folder / f'source{number}.py'}"
        assert run_command(["run", "--source", source, "--warehouse", str(folder / "house"), "--accept-reset"]) == 0
    assert run_command(["report", "--warehouse", str(folder / "house")]) == 0
    return folder / "house"


@pytest.fixture(scope="module")
def text(house: Path) -> str:
    return (house / "report.html").read_text()


@pytest.fixture(scope="module")
def page(text: str) -> Page:
    return Page(text)


@pytest.fixture
def told(house: Path, moovitamix: Command) -> Callable[..., Any]:
    """What another command says of the same warehouse, as JSON."""
    return lambda *arguments: json.loads(moovitamix(*arguments, "--json", "--warehouse", house).out)


def column(table: list[list[str]], *names: str) -> list[tuple[str, ...]]:
    """Of a table's rows, the cells under these headings."""
    places = [table[0].index(name) for name in names]
    return [tuple(row[place] for place in places) for row in table[1:]]


def shown(value: object) -> str:
    """A value of a command's JSON, as the page writes it."""
    if value is None:
        return "–"
    return f"{value:,}" if isinstance(value, int) else str(value)


def test_the_page_is_one_file_that_asks_nothing_of_a_network(page: Page):
    references = [
        value
        for _, attributes in page.elements
        for name, value in attributes.items()
        if name in ("src", "href", "srcset", "action", "data", "poster", "background", "xlink:href")
    ]
    policy = [attributes["content"] for _, attributes in page.elements if "http-equiv" in attributes]
    own_script = page.texts["script"][-1]

    assert [value for value in references if not (value or "").startswith(("#", "data:,"))] == []
    assert policy[0] is not None
    assert policy[0].startswith("default-src 'none';")  # the browser itself refuses what would be asked
    assert not re.search("connect-src|http", policy[0])
    assert not re.search(r"url\(|@import", "".join(page.texts["style"]))
    assert not re.search(r"fetch\(|import[ (]|https?:", own_script)


def test_the_page_is_small_and_there_as_a_whole(house: Path, text: str):
    assert len(text.encode()) < 3_000_000
    assert text.rstrip().endswith("</html>")
    assert [path.name for path in house.iterdir() if "report" in path.name] == ["report.html"]


def test_its_ledger_is_what_history_says(page: Page, told: Callable[..., Any]):
    streams = told("history")[0]["streams"]

    of_run = page.tables["This run: received = landed + quarantined lines"]
    parts = [
        name for name in ("kept", "superseded", "quarantined", "pruned", "erased", "closed") if name in of_all(page)[0]
    ]
    assert column(of_run, "stream", "received", "landed", "quarantined lines") == [
        tuple(shown(each[name]) for name in ("stream", "received", "landed", "quarantined_lines")) for each in streams
    ]
    assert column(of_all(page), "stream", "landed in all runs", *parts) == [
        (each["stream"], shown(each["landed_total"]), *(shown(each.get(part, 0)) for part in parts))
        for each in streams
        if each["landed_total"] is not None
    ]


def of_all(page: Page) -> list[list[str]]:
    return next(table for caption, table in page.tables.items() if caption.startswith("All runs: landed = "))


def test_its_tables_builds_runs_and_quarantine_are_what_their_commands_say(page: Page, told: Callable[..., Any]):
    rows = {
        "Tables": [(row["table"], shown(row["rows"]), shown(row["version"])) for row in told("tables")],
        "Builds, newest first": [
            (str(row["build_id"]), row["run_id"], shown(row["new_version_count"])) for row in told("builds")
        ],
        "Runs, newest first": [(row["run_id"], row["kind"], row["status"]) for row in told("history")],
        "Quarantine by reason": [
            (shown(row["stream"]), row["rule"], shown(row["count"])) for row in told("quarantine", "list")
        ],
    }

    assert column(page.tables["Tables"], "table", "rows", "version") == rows["Tables"]
    assert (
        column(page.tables["Builds, newest first"], "build", "run", "tables with a new version")
        == rows["Builds, newest first"]
    )
    assert column(page.tables["Runs, newest first"], "run", "kind", "status") == rows["Runs, newest first"]
    assert column(page.tables["Quarantine by reason"], "stream", "rule", "count") == rows["Quarantine by reason"]


def test_its_nulls_are_those_of_the_tables(house: Path, page: Page):
    rows = column(page.tables["Nulls in build 2"], "column", "nulls", "rows")

    expected = []
    for table in ("stg_tracks", "stg_users", "stg_listen_history"):
        frame = load_table(str(house), table).collect()
        nullable = [name for name, promise in models()[table].contract.columns().items() if promise.nullable]
        expected += [(f"{table}.{name}", shown(frame[name].null_count()), shown(frame.height)) for name in nullable]
    assert rows == expected


def test_each_chart_has_the_figures_of_a_table(page: Page, told: Callable[..., Any]):
    scripts = [attributes for tag, attributes in page.elements if tag == "script"]
    charts = {}
    for attributes, content in zip(scripts, page.texts["script"], strict=True):
        if attributes.get("type") == "application/json":
            ((_, values),) = json.loads(content)["datasets"].items()
            charts[str(attributes["id"])] = values

    runs = page.tables["Runs, newest first"]
    assert [(row["run"], f"{row['seconds']:,.1f}") for row in reversed(charts["chart-durations"])] == column(
        runs, "run", "seconds"
    )
    assert [(row["run"], row["stream"], row["landed"]) for row in charts["chart-volumes"]] == [
        (run["run_id"], each["stream"], each["landed"])
        for run in reversed(told("history"))
        for each in run["streams"]
        if each["stream"] in ("tracks", "users", "listen_history")
    ]
    assert sorted((row["rule"], row["count"]) for row in charts["chart-quarantine"]) == sorted(
        (row["rule"], row["count"]) for row in told("quarantine", "list")
    )
    newest = [(row["column"], str(row["nulls"])) for row in charts["chart-nulls"] if row["build"] == 2]
    assert len(newest) == 8  # the columns with the most
    assert set(newest) <= set(column(page.tables["Nulls in build 2"], "column", "nulls"))


def test_what_comes_from_data_stays_text(page: Page, text: str):
    streams = [cell for (cell,) in column(page.tables["Quarantine by reason"], "stream")]

    assert EVIL in streams
    assert "<script>alert" not in text
    assert not [each for each in page.texts["script"] if each.startswith("alert")]


def test_samples_show_names_of_fields_keys_and_shapes_and_nothing_of_a_person(page: Page, text: str):
    samples = column(page.tables["Samples, masked"], "rule", "what was expected", "record")

    assert (
        "created_at_unreadable",
        'created_at: expected an ISO date and time with seconds and at most 6 fraction digits, got "xxxxxxxxx"',
        '{"id": 8, "email": "xxxxxxxx@xxxxxxx.xxx", "created_at": "xxxxxxxxx", "updated_at": "0000-00-00x00:00:00",'
        ' "first_name": "xxxxxxxx"}',
    ) in samples
    assert ("not_json", "xxxxxxx@xxxxxxx.xxx xxxx xxxxx") in [(rule, record) for rule, _, record in samples]
    for word in ("Ottilie", "Walburga", "walburga", "example.org", "yesterday"):
        assert word not in text


def test_every_table_has_a_caption_or_a_label_and_every_section_a_heading(page: Page):
    sections = [attributes["aria-labelledby"] for tag, attributes in page.elements if tag == "section"]
    headings = [attributes.get("id") for tag, attributes in page.elements if tag == "h2"]
    tags = [tag for tag, _ in page.elements]
    labelled = [attributes for tag, attributes in page.elements if tag == "table" and "aria-label" in attributes]

    assert set(sections) <= set(headings)
    assert tags.count("table") == tags.count("caption") + len(labelled)
    assert {"header", "nav", "main", "footer"} <= set(tags)
    assert tags.count("h1") == 1


def test_a_warehouse_in_which_nothing_landed_has_a_report_of_zeros(moovitamix: Command, source: Command):
    nothing = "for stream in ('tracks', 'users', 'listen_history'): status(stream, 'COMPLETE')"
    moovitamix("run", "--source", source(nothing), "--warehouse", "house")

    done = moovitamix("report", "--warehouse", "house", "--out", "page.html")

    page = Page(Path("page.html").read_text())
    assert (done.code, done.err) == (0, "written: page.html\n")
    assert column(of_all(page), "landed in all runs", "kept") == [("0", "0")] * 3
    assert not Path("house/report.html").exists()


def test_a_warehouse_without_a_build_has_a_report_that_says_so(moovitamix: Command, source: Command):
    moovitamix("run", "--source", source("track(1), error('no more')"), "--warehouse", "house")

    done = moovitamix("report", "--warehouse", "house")

    page = Page(Path("house/report.html").read_text())
    assert done.code == 0
    assert "The last run failed." in page.texts["strong"]
    assert "Builds, newest first" not in page.tables
    assert column(page.tables["This run: received = landed + quarantined lines"], "stream", "landed")[0] == (
        "tracks",
        "1",
    )


def test_a_build_whose_files_are_gone_is_not_counted_and_the_page_says_so(
    moovitamix: Command, source: Command, tmp_path: Path
):
    for body in ("track(1)", "track(1, name='another')"):
        assert moovitamix("run", "--source", source(body), "--warehouse", "house").code == 0
    files = sorted((tmp_path / "house/staging/stg_tracks").rglob("*.parquet"), key=lambda path: path.stat().st_mtime)
    files[0].unlink()

    done = moovitamix("report", "--warehouse", "house")

    text = Path("house/report.html").read_text()
    assert done.code == 0
    assert "Of 1 of the newest builds a table cannot be read any more" in text
    assert "Nulls in build 2" in Page(text).tables


def test_without_a_warehouse_there_is_no_report(moovitamix: Command):
    done = moovitamix("report", "--warehouse", "nowhere")

    assert done.code == 1
    assert done.err.startswith("moovitamix: nowhere: expected a warehouse, found nothing")
    assert list(Path().iterdir()) == []


def test_an_object_store_needs_the_name_of_a_file(moovitamix: Command):
    done = moovitamix("report", "--warehouse", "s3://bucket/prefix")

    assert done.code == 2
    assert "expected --out FILE for a warehouse on an object store, s3://bucket/prefix, got none" in done.err


def test_a_report_that_cannot_be_written_leaves_the_one_before(house: Path, moovitamix: Command, text: str):
    done = moovitamix("report", "--warehouse", house, "--out", "no-such-folder/report.html")

    assert done.code == 1
    assert "No such file or directory" in done.err
    assert (house / "report.html").read_text() == text


def test_without_the_extra_the_message_says_what_to_install(
    house: Path, moovitamix: Command, monkeypatch: pytest.MonkeyPatch
):
    for name in [name for name in sys.modules if name.startswith("moovitamix_transform.report.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "altair", None)  # as where it is not installed

    done = moovitamix("report", "--warehouse", house, "--out", "page.html")

    assert done.code == 1
    assert done.err == (
        "moovitamix: report: expected the package altair, which draws it, found none; install the extra: "
        "`pip install 'moovitamix[report]'`. Nothing was written.\n"
    )
    assert not Path("page.html").exists()
