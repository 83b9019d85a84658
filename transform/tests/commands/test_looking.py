"""The commands that look: tables, show, state, quarantine, check; for a person, for a program, for a narrow screen."""

import csv
import io
import json
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import typer
from moovitamix_transform.cli.app import app, run_command
from moovitamix_transform.cli.output import print_json, shown

Command = Callable[..., Any]
BODY = r"""
track(1, name="Été à Paris", genres="jazz", duration="3:05")
track(2, name="red \x1b[31m line\nbreak", created_at="2026-01-06T10:00:00.123456")
track(3, duration="3:99")
user(7)
for minute in range(30):
    listen(7, [1, 2, 1], f"2026-01-05T10:{minute:02}:00")
print("ada@example.org says hello")
state("listen_history", updated_at=MONDAY)
"""
ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, saying: str) -> str:
    """A built warehouse with a little of everything; shared, so read only."""
    folder = tmp_path_factory.mktemp("looking")
    (folder / "source.py").write_text(saying + BODY)
    command = f"{sys.executable} {folder / 'source.py'}"
    assert run_command(["run", "--source", command, "--warehouse", str(folder / "house")]) == 0
    return str(folder / "house")


@pytest.fixture
def look(house: str, moovitamix: Command) -> Command:
    """A command on that warehouse that must succeed."""

    def run(*arguments: str) -> Any:  # noqa: ANN401 - the conftest's Done
        done = moovitamix(*arguments, "--warehouse", house)
        assert done.code == 0, done.err
        return done

    return run


def test_tables_as_json_names_layer_grain_rows_version_and_build_of_each(look: Command):
    rows = json.loads(look("tables", "--json").out)

    assert {tuple(row) for row in rows} == {("table", "layer", "grain", "rows", "version", "build_id")}
    found = {row["table"]: row for row in rows}
    assert found["fct_listens"] == {
        "table": "fct_listens",
        "layer": "marts",
        "grain": "One row per (user_id, listened_at, position): one track in one list a user listened to.",
        "rows": 90,
        "version": 0,
        "build_id": 1,
    }
    assert (found["tracks"]["layer"], found["tracks"]["rows"], found["tracks"]["build_id"]) == ("source", 3, None)
    assert found["quarantine"]["rows"] == 2


def test_show_gives_a_person_20_rows_and_says_how_many_there_are(look: Command):
    done = look("show", "fct_listens")

    assert len(done.out.splitlines()) == 2 + 20
    assert done.err == "20 of 90 rows; --limit shows more, --json all\n"


@pytest.mark.parametrize("limit", [0, 3, 90, 1000])
def test_show_gives_at_most_as_many_rows_as_limit_says(look: Command, limit: int):
    person = look("show", "fct_listens", "--limit", str(limit))
    program = look("show", "fct_listens", "--json", "--limit", str(limit))
    sheet = look("show", "fct_listens", "--csv", "--limit", str(limit))

    expected = min(limit, 90)
    assert len(person.out.splitlines()) == 2 + expected
    assert len(json.loads(program.out)) == expected
    assert len(sheet.out.splitlines()) == 1 + expected


def test_json_and_csv_give_every_row(look: Command):
    program = json.loads(look("show", "fct_listens", "--json").out)
    sheet = list(csv.DictReader(io.StringIO(look("show", "fct_listens", "--csv").out)))

    assert (len(program), len(sheet)) == (90, 90)
    texts = [{name: str(value) for name, value in row.items()} for row in program]
    assert sorted(texts, key=repr) == sorted(sheet, key=repr)


def test_instants_are_iso_8601_with_microseconds_and_z_in_json_and_csv(look: Command):
    (program,) = [row for row in json.loads(look("show", "stg_tracks", "--json").out) if row["track_id"] == 2]
    sheet = csv.DictReader(io.StringIO(look("show", "stg_tracks", "--csv").out))
    (line,) = [row for row in sheet if row["track_id"] == "2"]

    assert program["created_at"] == line["created_at"] == "2026-01-06T10:00:00.123456Z"
    assert program["updated_at"] == line["updated_at"] == "2026-01-05T10:00:00.000000Z"


def test_json_of_an_early_year_and_of_another_zone_is_iso_8601_too(capsys: pytest.CaptureFixture[str]):
    early = datetime(7, 1, 2, tzinfo=UTC)
    elsewhere = datetime(2026, 1, 1, 1, tzinfo=timezone(timedelta(hours=2)))

    print_json([{"early": early, "elsewhere": elsewhere}])

    assert json.loads(capsys.readouterr().out) == [
        {"early": "0007-01-02T00:00:00.000000Z", "elsewhere": "2025-12-31T23:00:00.000000Z"}
    ]


def test_lists_are_json_in_csv(look: Command):
    sheet = list(csv.DictReader(io.StringIO(look("show", "stg_listen_history", "--csv", "--limit", "1").out)))

    assert json.loads(sheet[0]["plays"]) == [
        {"track_id": 1, "position": 1},
        {"track_id": 2, "position": 2},
        {"track_id": 1, "position": 3},
    ]


def test_a_ranking_is_shown_from_its_top(look: Command):
    rows = json.loads(look("show", "track_popularity", "--json").out)

    assert [(row["rank"], row["track_id"], row["listen_count"]) for row in rows] == [(1, 1, 60), (2, 2, 30)]


def test_nothing_to_show_is_an_empty_array_or_a_header(look: Command):
    assert look("show", "generations", "--json", "--limit", "0").out == "[]\n"
    assert look("show", "fct_listens", "--csv", "--limit", "0").out == "user_id,track_id,listened_at,position\n"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        pytest.param(["show", "fct_listen"], 2, "expected one of tracks, users, ", id="unknown_table"),
        pytest.param(["show"], 2, "show TABLE: expected a value, got none", id="no_table"),
        pytest.param(["show", "dim_tracks", "--limit", "-1"], 2, "--limit", id="negative_limit"),
        pytest.param(["show", "dim_tracks", "--json", "--csv"], 2, "got both", id="json_and_csv"),
        pytest.param(["dance"], 2, "No such command 'dance'", id="unknown_command"),
        pytest.param(["state", "reset", "podcasts"], 2, "expected one of tracks, users, ", id="unknown_stream"),
    ],
)
def test_what_cannot_be_shown_is_one_line_on_stderr(
    moovitamix: Command, house: str, arguments: list[str], code: int, message: str
):
    place = [] if arguments == ["dance"] else ["--warehouse", house]

    done = moovitamix(*arguments, *place)

    assert (done.code, done.out) == (code, "")
    assert message in done.err
    assert len(done.err.splitlines()) == 1


def test_state_is_the_list_a_connector_reads(look: Command):
    done = look("state")

    assert look("state", "--json").out == done.out
    assert json.loads(done.out) == [
        {
            "type": "STREAM",
            "stream": {
                "stream_descriptor": {"name": "listen_history"},
                "stream_state": {"updated_at": "2026-01-05T10:00:00"},
            },
        }
    ]


def test_quarantine_list_counts_per_stream_and_rule(look: Command):
    rows = json.loads(look("quarantine", "list", "--json").out)

    assert {tuple(row) for row in rows} == {("stream", "rule", "count", "first_seen", "last_seen")}
    assert [(row["stream"], row["rule"], row["count"]) for row in rows] == [
        ("tracks", "duration_unreadable", 1),
        (None, "not_json", 1),
    ]
    assert rows[0]["first_seen"] == rows[0]["last_seen"] == "2026-01-05T10:00:00.000000Z"


def test_quarantine_show_gives_the_data_to_a_program_and_masks_it_for_a_person(look: Command):
    program = json.loads(look("quarantine", "show", "--json", "--rule", "not_json").out)
    person = look("quarantine", "show", "--rule", "not_json")

    assert [row["data"] for row in program] == ["ada@example.org says hello"]
    assert "a***@example.org says hello" in person.out
    assert "ada@" not in person.out


def test_a_rule_that_nothing_breaks_has_no_rows(look: Command):
    assert look("quarantine", "show", "--rule", "id_null").err == "no rows\n"


def test_check_passes_and_exits_3_only_when_strict(look: Command, moovitamix: Command, house: str):
    plain = look("check", "--json")
    strict = moovitamix("check", "--strict", "--warehouse", house)

    outcomes = {(row["check"], row["subject"]): row["outcome"] for row in json.loads(plain.out)}
    assert outcomes["contract", "fct_listens"] == "passed"
    assert outcomes["ledger", "tracks"] == "passed"
    assert "warned" in outcomes.values()  # track 2 was updated before it was created
    assert strict.code == 3


def test_strict_exits_3_on_a_build_with_warnings_which_is_published_all_the_same(moovitamix: Command, source: Command):
    command = source('track(1, created_at="2026-02-01T00:00:00")')

    run = moovitamix("run", "--source", command, "--strict")
    build = moovitamix("build", "--strict")
    shown_rows = moovitamix("show", "dim_tracks", "--json")

    assert (run.code, build.code, shown_rows.code) == (3, 3, 0), run.err
    assert "warning: 1 tracks updated before they were created" in run.out
    assert len(json.loads(shown_rows.out)) == 1


def test_a_warning_that_the_settings_accept_is_counted_and_is_no_exit_code_3(moovitamix: Command, source: Command):
    command = source("""
track(1, created_at="2026-02-01T00:00:00"), user(7)
for stream in ("tracks", "users", "listen_history"): status(stream, "COMPLETE")
""")
    Path("moovitamix.toml").write_text('[warnings]\naccept = ["tracks_updated_before_created"]\n')

    run = moovitamix("run", "--source", command, "--strict")
    build = moovitamix("build", "--strict")
    check = moovitamix("check", "--strict", "--json")
    Path("moovitamix.toml").write_text('[warnings]\naccept = ["users_updated_before_created"]\n')
    another = moovitamix("build", "--strict")

    assert (run.code, build.code, check.code, another.code) == (0, 0, 0, 3), run.err + check.out
    assert "accepted warning: 1 tracks updated before they were created" in run.out
    outcomes = {row["detail"]: row["outcome"] for row in json.loads(check.out) if row["check"] == "warning"}
    assert outcomes["tracks_updated_before_created: 1 row"] == "accepted"
    assert "\nwarning: 1 tracks updated before" in another.out


def test_what_was_left_out_of_the_tables_is_told_beside_json_too(moovitamix: Command, source: Command):
    run = moovitamix("run", "--source", source("track('x'), print('what?'), sync()"), "--json")

    assert run.err.splitlines()[-1] == "quarantined: 1 record, 1 line; `moovitamix quarantine list` says why"
    assert json.loads(run.out)["status"] == "succeeded"


def test_piped_output_has_no_escape_sequence_and_no_cut_value(look: Command):
    commands = (["tables"], ["show", "dim_tracks"], ["quarantine", "list"], ["quarantine", "show"], ["check"])

    outputs = {" ".join(command): look(*command).out for command in commands}

    assert [command for command, out in outputs.items() if "\x1b" in out] == []
    assert [command for command, out in outputs.items() if "…" in out] == []
    assert "Été à Paris" in outputs["show dim_tracks"]


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(["tables"], id="tables"),
        pytest.param(["show", "dim_tracks"], id="show_wide"),
        pytest.param(["show", "fct_listens"], id="show_narrow"),
        pytest.param(["quarantine", "list"], id="quarantine_list"),
        pytest.param(["check"], id="check"),
    ],
)
def test_a_table_fits_a_terminal_of_80_columns_with_every_name_whole(
    on_terminal: Command, house: str, command: list[str]
):
    seen = on_terminal(*command, "--warehouse", house, columns=80)

    lines = [ESCAPE.sub("", line) for line in seen.out.splitlines()]
    assert seen.code == 0, seen.out
    assert [line for line in lines if len(line) > 80] == []
    whole = {"tables": "user_track_interactions", "show": "track_id", "quarantine": "duration_unreadable"}
    assert any(whole.get(command[0], "user_track_interactions") in line for line in lines), seen.out


@pytest.mark.parametrize("columns", [25, 50])
@pytest.mark.parametrize("command", ["tables", "check"])
def test_where_even_that_is_too_wide_each_row_is_a_block_and_no_value_is_cut(
    on_terminal: Command, moovitamix: Command, house: str, command: str, columns: int
):
    seen = on_terminal(command, "--warehouse", house, columns=columns)

    rows = json.loads(moovitamix(command, "--warehouse", house, "--json").out)
    assert seen.out.count("── row ") == len(rows)
    named = "table" if command == "tables" else "subject"
    assert re.findall(rf"^{named} +(.+)$", seen.out, re.MULTILINE) == [row[named] for row in rows]
    counted = [f"{row['rows']:,}" for row in rows if command == "tables" and row["rows"] is not None]
    assert re.findall(r"^rows +([0-9,]+)$", seen.out, re.MULTILINE) == counted


def test_a_control_character_in_the_data_cannot_reach_the_terminal():
    assert shown("name", "red \x1b[31m\nnext\x9b2J") == "red \\x1b[31m\\nnext\\x9b2J"


def test_a_name_with_marks_is_printed_as_it_is(moovitamix: Command):
    done = moovitamix("tables", "--warehouse", ":smile: {red}")

    assert done.err.startswith("moovitamix: :smile: {red}: expected a warehouse")


@pytest.mark.parametrize(
    ("column", "value", "text"),
    [
        ("rows", 1234567, "1,234,567"),
        ("track_id", 1234567, "1234567"),
        ("is_deleted", True, "yes"),
        ("deleted_at", None, "–"),
        ("at", datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC), "2026-01-02 03:04:05"),
        ("plays", [{"track_id": 1}], '[{"track_id": 1}]'),
    ],
    ids=["count", "id", "boolean", "null", "instant", "list"],
)
def test_a_value_reads_as_a_person_expects(column: str, value: object, text: str):
    assert shown(column, value) == text


@pytest.mark.parametrize("option", ["--json", "--csv", "--limit=100000"])
def test_a_reader_that_closes_early_had_enough(start: Callable[..., subprocess.Popen[str]], house: str, option: str):
    show = start("show", "fct_listens", option, "--warehouse", house, stdout=subprocess.PIPE)
    assert show.stdout is not None
    show.stdout.close()  # before a byte is written: its start-up takes longer than this line

    assert show.stderr is not None
    assert show.stderr.read() == ""
    assert show.wait(20) == 0


def test_output_is_utf_8_in_any_locale(start: Callable[..., subprocess.Popen[str]], house: str, monkeypatch: Any):  # noqa: ANN401
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    show = start("show", "stg_tracks", "--json", "--warehouse", house, encoding="utf-8")

    out, err = show.communicate(timeout=20)

    assert show.returncode == 0, err
    assert "Été à Paris" in {row["track_name"] for row in json.loads(out)}


def test_version_is_the_packages(moovitamix: Command):
    done = moovitamix("--version")

    assert (done.code, done.out) == (0, f"moovitamix {version('moovitamix')}\n")


def commands(group: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:  # noqa: ANN401 - typer's own class
    found = [path]
    for name, command in getattr(group, "commands", {}).items():
        found += commands(command, (*path, name))
    return found


@pytest.mark.parametrize("command", commands(typer.main.get_command(app)), ids=lambda path: " ".join(path) or "none")
def test_the_help_of_every_command_has_an_example_of_it(moovitamix: Command, command: tuple[str, ...]):
    done = moovitamix(*command, "--help")

    assert done.code == 0
    example = re.search(r"^\s*Example: (.+)", done.out, re.M)
    assert example, done.out
    assert " ".join(["moovitamix", *command]) in " ".join(example[1].split()), done.out


@pytest.mark.parametrize("group", [[], ["quarantine"]], ids=["moovitamix", "quarantine"])
def test_without_a_command_the_help_is_shown(moovitamix: Command, group: list[str]):
    done = moovitamix(*group)

    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(" ".join(["Usage: moovitamix", *group, "[OPTIONS] COMMAND"]))


def test_a_usage_error_names_the_help_of_its_command(moovitamix: Command):
    done = moovitamix("quarantine", "show", "--fast")

    assert (done.code, done.err) == (
        2,
        "moovitamix: No such option: --fast (see `moovitamix quarantine show --help`)\n",
    )
