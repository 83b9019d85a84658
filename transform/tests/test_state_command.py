"""`moovitamix state`: how far each stream was read, as a connector takes it back."""

from collections.abc import Callable
from pathlib import Path

import pytest
from moovitamix_transform.cli.app import run_command

Line = Callable[..., bytes]


@pytest.mark.filterwarnings("ignore:This class is experimental")  # the CDK warns of its own when it is imported
def test_the_states_are_what_a_connector_reads(
    pipeline, state: Line, capsys: pytest.CaptureFixture[str], tmp_path: Path
):
    from airbyte_cdk.sources.source import Source

    odd_state = state("users", "1").replace(b'"updated_at": "1"', '"é":\t[1.0, null,"\\u00e9"]'.encode())
    pipeline.land([state("listen_history", "2026-01-01"), odd_state])

    code = run_command(["state", "--warehouse", pipeline.warehouse.root])

    printed = capsys.readouterr().out
    (tmp_path / "state.json").write_text(printed)
    read = {each.stream.stream_descriptor.name: each for each in Source.read_state(str(tmp_path / "state.json"))}
    assert code == 0
    assert {name: (each.type.value, vars(each.stream.stream_state)) for name, each in read.items()} == {
        "users": ("STREAM", {"é": [1.0, None, "é"]}),
        "listen_history": ("STREAM", {"updated_at": "2026-01-01"}),
    }


def test_a_states_text_is_the_bytes_the_source_sent(pipeline, state: Line, capsys: pytest.CaptureFixture[str]):
    sent = state("users", "1").replace(b'"updated_at": "1"', '"é":\t[1.0, 1e400,"\\u00e9"]'.encode())
    pipeline.land([sent])

    run_command(["state", "--warehouse", pipeline.warehouse.root])

    assert capsys.readouterr().out == (
        '[{"type": "STREAM", "stream": {"stream_descriptor": {"name": "users"}, '
        '"stream_state": {"é":\t[1.0, 1e400,"\\u00e9"]}}}]\n'
    )


def test_without_a_state_the_list_is_empty(pipeline, record: Line, capsys: pytest.CaptureFixture[str]):
    pipeline.land([record("users", {"id": 1})])

    code = run_command(["state", "--warehouse", pipeline.warehouse.root])

    assert (code, capsys.readouterr().out) == (0, "[]\n")


def test_without_a_warehouse_there_is_no_state(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    code = run_command(["state", "--warehouse", str(tmp_path / "nowhere")])

    printed = capsys.readouterr()
    assert (code, printed.out) == (1, "")
    assert "expected a warehouse, found nothing" in printed.err
    assert not (tmp_path / "nowhere").exists()


def test_a_reset_forgets_the_state_of_one_stream_and_no_record(pipeline, record: Line, state: Line):
    listens = record("listen_history", {"user_id": 1})
    pipeline.land([listens, state("listen_history", "1"), state("users", "1")])

    code = run_command(["state", "reset", "listen_history", "--warehouse", pipeline.warehouse.root])

    assert (code, pipeline.cursors()) == (0, {"users": "1"})
    assert pipeline.texts("listen_history") == ['{"user_id": 1}']


def test_after_a_reset_the_stream_keeps_its_generation_and_takes_the_next_state(pipeline, record: Line, state: Line):
    listens = record("listen_history", {"user_id": 1})
    pipeline.land([listens, state("listen_history", "1")])
    run_command(["state", "reset", "listen_history", "--warehouse", pipeline.warehouse.root])

    pipeline.land([listens])
    without = pipeline.cursors()
    pipeline.land([listens, state("listen_history", "2")])

    assert (without, pipeline.cursors()) == ({}, {"listen_history": "2"})
    assert pipeline.landed("listen_history")["_airbyte_generation_id"].to_list() == [1, 1, 1]


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["state", "reset", "users", "--warehouse"], id="behind"),
        pytest.param(["state", "--warehouse", "", "reset", "users"], id="before"),
    ],
)
def test_the_warehouse_may_be_named_before_or_behind_reset(pipeline, state: Line, arguments: list[str]):
    pipeline.land([state("users", "1")])
    root = pipeline.warehouse.root

    code = run_command([argument or root for argument in arguments] + [root] * (arguments[-1] == "--warehouse"))

    assert (code, pipeline.cursors()) == (0, {})


def test_a_reset_of_an_unknown_stream_is_a_usage_error(pipeline, state: Line, capsys: pytest.CaptureFixture[str]):
    pipeline.land([state("users", "1")])

    code = run_command(["state", "reset", "artists", "--warehouse", pipeline.warehouse.root])

    assert code == 2
    expected = "state reset: expected one of tracks, users, listen_history, got 'artists'\n"
    assert capsys.readouterr().err == f"moovitamix: {expected}"
    assert pipeline.cursors() == {"users": "1"}
