"""What cannot be right whatever is in the warehouse is a usage error: exit code 2, one line, nothing written."""

import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from moovitamix_transform.cli.app import run_command

Command = Callable[..., Any]

USAGE = {
    "no_such_command": ("recommend", "No such command 'recommend'"),
    "no_such_option": ("check --fast", "No such option: --fast"),
    "limit_below_zero": ("history --limit -1", "history --limit: expected 0 or more, got '-1'"),
    "limit_of_letters": ("show fct_listens --limit all", "show --limit: expected an integer, got 'all'"),
    "retry_delay_of_letters": ("schedule --retry-delay soon", "schedule --retry-delay: expected a number, got 'soon'"),
    "forget_a_name": ("forget users ada", "forget ID: expected an integer, got 'ada'"),
    "engine_of_no_kind": ("build --engine duckdb", "build --engine: expected one of polars, spark, got 'duckdb'"),
    "log_level_of_no_kind": ("run --log-level LOUD", "run --log-level: expected one of TRACE, DEBUG, INFO, WARN, "),
    "option_without_value": ("land --from", "Option '--from' requires an argument."),
    "show_nothing": ("show", "show TABLE: expected a value, got none"),
    "show_no_table": ("show podcasts", "expected one of tracks, users, listen_history, _lines, base_tracks, "),
    "graph_of_no_table": ("graph --columns podcasts", ", got 'podcasts'"),
    "store_of_no_kind": ("tables -w ftp://host/house", "expected a folder or a URL of s3, s3a, "),
    "store_of_no_kind_to_write": ("run --source true -w ftp://host/house", "got one of 'ftp'"),
    "as_of_no_day": ("show fct_listens --as-of 2026-02-30", "expected a day of the calendar, got '2026-02-30'"),
    "as_of_a_word": ("show fct_listens --as-of yesterday", "got 'yesterday'"),
    "diff_of_words": ("diff a b", "expected the number of a build"),
    "json_and_csv": ("show fct_listens --json --csv", "expected one of --json and --csv, got both"),
    "explain_no_stream": ("explain podcasts 7", "expected one of tracks, users, listen_history, got 'podcasts'"),
    "explain_no_key": ("explain users seven", "expected a number, such as 7, got 'seven'"),
    "reset_no_stream": ("state reset podcasts", "expected one of tracks, users, listen_history, got 'podcasts'"),
    "quarantine_of_no_rule": ("quarantine show --rule nope", "expected one of album_unreadable, artist_unreadable, "),
    "quarantine_of_no_stream": ("quarantine show --stream nope", "expected one of listen_history, tracks, users, got"),
    "forget_no_person": ("forget tracks 7", "only a person can be forgotten"),
    "keep_a_word": ("prune --keep forever", "expected a number of hours, days or weeks"),
    "settings_missing": ("check --settings no.toml", "no.toml: expected a readable TOML file"),
    "notify_nobody": ("check --notify", "expected channels in [notify] urls"),
    "schedule_never": ("schedule --api-url http://x", "expected one of --cron '0 5 * * *' and --every 1h, got none"),
    "schedule_a_word": ("schedule --every day --api-url http://x", "such as 1h, got 'day'"),
    "schedule_of_a_bad_url": ("schedule --every 1h --api-url http://", "got 'http://'"),
    "schedule_of_no_config": ("schedule --every 1h --config no.json", "no.json: expected a readable JSON file"),
    "run_of_no_config": ("run --config no.json", "no.json: expected a readable JSON file"),
    "run_of_a_bad_url": (
        "run --api-url http://",
        "--api-url: api_url: expected https://host[:port][/path], got 'http://'",
    ),
    "run_of_nothing": ("run", "expected one of --api-url URL, --config F, --source CMD, got none"),
    "land_a_stream_of_messages": ("land --stream users", "expected --from beside it"),
    "land_from_no_bucket": ("land --from s3://", "expected a URL such as s3://bucket/prefix/**, got 's3://'"),
    "land_no_stream": ("land --from x.jsonl --stream podcasts", "expected one of tracks, users, listen_history"),
    "build_for_spark": ("build --master local", "expected --engine spark beside them"),
    "spark_of_no_setting": ("build --engine spark --conf fast", "expected NAME=VALUE"),
    "graph_of_no_column": ("graph --columns fct_listens.mood", "expected one of its columns"),
}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, saying: str) -> Path:
    """A warehouse with a build, in which each of them could be right."""
    folder = tmp_path_factory.mktemp("usage")
    (folder / "source.py").write_text(saying + "sync()")
    command = shlex.join([sys.executable, str(folder / "source.py")])
    assert run_command(["run", "--source", command, "--warehouse", str(folder / "house")]) == 0
    return folder / "house"


@pytest.mark.parametrize(("line", "message"), USAGE.values(), ids=USAGE.keys())
def test_what_cannot_be_right_exits_2_in_one_line_and_writes_nothing(
    moovitamix: Command, house: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, message: str
):
    monkeypatch.setenv("MOOVITAMIX_WAREHOUSE", str(house))
    before = sorted([*tmp_path.rglob("*"), *house.rglob("*")])

    done = moovitamix(*shlex.split(line))

    assert done.code == 2, done.out + done.err
    assert message in done.err
    assert len(done.err.splitlines()) == 1, "expected one line"
    assert done.out == ""
    assert sorted([*tmp_path.rglob("*"), *house.rglob("*")]) == before
