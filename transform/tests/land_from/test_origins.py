"""`land --from`: a stream is fed by messages or by files, never by both."""

from pathlib import Path

import pytest
from destination_files import Line, rows, versions, write
from moovitamix_transform import run as runner
from moovitamix_transform.cli.app import run_command
from moovitamix_transform.connector import Source
from moovitamix_transform.errors import WrongOrigin
from moovitamix_transform.progress import RunProgress
from rich.console import Console


def test_a_stream_that_is_fed_by_messages_takes_no_file(pipeline, land_from, tmp_path: Path, record: Line):
    pipeline.land([record("users", {"id": 1})])
    land_from(write(tmp_path, "tracks", rows([{"id": 1}])))
    write(tmp_path, "users", rows([{"id": 2}]))
    write(tmp_path, "tracks", rows([{"id": 2}], prefix="more"), name="more")
    before = versions(pipeline)

    with pytest.raises(
        WrongOrigin, match=r"users: expected its records from a source's messages.* got some from a dest"
    ):
        land_from(tmp_path / "*" / "*")

    assert versions(pipeline) == before


def test_a_stream_that_is_fed_by_files_takes_no_message(pipeline, land_from, tmp_path: Path, record: Line):
    land_from(write(tmp_path, "users", rows([{"id": 1}])))
    before = versions(pipeline)

    with pytest.raises(WrongOrigin, match="users: expected its records from a destination's files"):
        pipeline.land([record("tracks", {"id": 1}), record("users", {"id": 2})])
    assert versions(pipeline) == before

    pipeline.land([record("tracks", {"id": 1})])
    assert pipeline.texts("tracks") == ['{"id": 1}']


def test_run_asks_no_source_for_a_stream_that_is_fed_by_files(pipeline, land_from, tmp_path: Path):
    land_from(write(tmp_path, "users", rows([{"id": 1}])))
    asked = tmp_path / "asked"
    source = Source("touch", ("touch", str(asked)))

    with pytest.raises(WrongOrigin, match="users: expected its records from a destination's files"):
        runner.sync_and_build(pipeline.warehouse, source, RunProgress(Console(quiet=True), "ERROR"))

    assert not asked.exists()


def test_the_state_of_a_stream_that_files_feed_is_not_reset(pipeline, land_from, tmp_path: Path, capsys):
    land_from(write(tmp_path, "users", rows([{"id": 1}])))

    code = run_command(["state", "--warehouse", pipeline.warehouse.root, "reset", "users"])

    assert code == 2
    assert "state reset: expected a stream that a source sends, got users, which files feed" in capsys.readouterr().err
