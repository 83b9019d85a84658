"""What a run records of itself: who, with what, from which state to which; and a table that an older version wrote."""

import hashlib
import json
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import polars as pl
import pytest
from moovitamix_transform import connector, run_history, runs, surroundings
from moovitamix_transform.errors import NewerLayout
from moovitamix_transform.progress import RunProgress
from moovitamix_transform.recording import recorded
from moovitamix_transform.run import sync_and_build
from moovitamix_transform.runs import Run, StreamLedger
from moovitamix_transform.upkeep import prune
from moovitamix_transform.warehouse import Warehouse
from rich.console import Console

MONDAY = datetime(2026, 1, 5, 12, tzinfo=UTC)
OLD_STREAM = pl.Struct({"stream": pl.String(), "received": pl.Int64(), "landed": pl.Int64()})
OLD_SCHEMA = pl.Schema(
    {
        "run_id": pl.String(),
        "kind": pl.String(),
        "started_at": pl.Datetime("us", "UTC"),
        "ended_at": pl.Datetime("us", "UTC"),
        "status": pl.String(),
        "streams": pl.List(OLD_STREAM),
        "tables": pl.List(pl.Struct({"table": pl.String(), "rows": pl.Int64(), "seconds": pl.Float64()})),
    }
)
SYNC = """
import json
AT = "2026-01-05T10:00:00"
def say(**message):
    print(json.dumps(message))
def record(stream, **data):
    say(type="RECORD", record={"stream": stream, "emitted_at": 1767607200000,
        "data": {"created_at": AT, "updated_at": AT, **data}})
record("tracks", id=1), record("users", id=7), record("listen_history", user_id=7, items=[1])
record("tracks", id=1.5)
say(type="STATE", state={"type": "STREAM",
    "stream": {"stream_descriptor": {"name": "listen_history"}, "stream_state": {"updated_at": AT}}})
"""


def silent() -> RunProgress:
    return RunProgress(Console(quiet=True), "ERROR")


def synced(house: Warehouse, tmp_path: Path, **config: object) -> Run:
    script, file = tmp_path / "source.py", tmp_path / "config.json"
    script.write_text(SYNC)
    file.write_text(json.dumps(config))
    source = connector.source_of(None, file, f"{sys.executable} '{script}' {{config}}")
    sync_and_build(house, source, silent())
    return run_history.every(house)[0]


def test_a_run_records_who_started_it_with_which_versions_and_how_much_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("MOOVITAMIX_STARTED_BY", "nightly job 7")

    run = synced(Warehouse(str(tmp_path / "house")), tmp_path)

    assert run.started_by == "nightly job 7"
    assert set(run.versions) == {"python", "moovitamix", "polars", "deltalake", "airbyte-cdk"}
    assert run.versions["polars"] == version("polars")
    assert run.peak_memory_bytes is not None
    assert run.peak_memory_bytes > 50 * 2**20, "polars alone takes as much"
    assert run.child_peak_memory_bytes is not None
    assert 2**20 < run.child_peak_memory_bytes < run.peak_memory_bytes, "the source is a bare Python, not this process"


def test_without_a_word_a_run_is_started_by_the_user_at_the_host(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("MOOVITAMIX_STARTED_BY", raising=False)
    monkeypatch.setenv("LOGNAME", "ada")

    assert surroundings.started_by().startswith("ada@")


def test_a_run_records_how_each_stream_was_asked_for_its_states_and_what_it_quarantined(tmp_path: Path):
    house = Warehouse(str(tmp_path / "house"))

    first, second = synced(house, tmp_path), synced(house, tmp_path)

    of_first = {entry.stream: entry for entry in first.streams}
    of_second = {entry.stream: entry for entry in second.streams}
    state = of_first["listen_history"].state_after
    assert state is not None
    assert json.loads(state)["stream_state"] == {"updated_at": "2026-01-05T10:00:00"}
    assert of_first["listen_history"].state_before is None
    assert of_second["listen_history"].state_before == state
    assert [of_first[name].sync_mode for name in ("tracks", "listen_history")] == ["full_refresh", "full_refresh"]
    assert [of_second[name].sync_mode for name in ("tracks", "listen_history")] == ["full_refresh", "incremental"]
    assert [of_second[name].quarantined_records for name in ("tracks", "users")] == [1, 0]
    assert of_second["tracks"].quarantined == 2, "of the whole history"
    assert {(each.table, each.column): (each.nulls, each.rows) for each in second.nulls}["stg_users", "email"] == (1, 1)


def test_the_config_is_recorded_without_what_is_secret_and_its_hash_does_not_depend_on_it(tmp_path: Path):
    house = Warehouse(str(tmp_path / "house"))
    url = "https://ada:pa55@api.example.org/v1"

    one = synced(house, tmp_path, api_url=url, api_key="one-secret", deep=[{"password": ["a", "b"]}], page_size=50)
    other = synced(house, tmp_path, api_url=url, api_key="another", deep=[{"password": 7}], page_size=50)
    third = synced(house, tmp_path, api_url=url, api_key="another", deep=[{"password": 7}], page_size=60)

    assert one.config is not None
    assert json.loads(one.config) == {
        "api_key": "****",
        "api_url": "https://****@api.example.org/v1",
        "deep": [{"password": "****"}],
        "page_size": 50,
    }
    assert one.config_sha256 == hashlib.sha256(one.config.encode()).hexdigest()
    assert (one.config, one.config_sha256) == (other.config, other.config_sha256)
    assert third.config_sha256 != one.config_sha256
    stored = b"".join(path.read_bytes() for path in tmp_path.glob("house/_meta/runs/**/*") if path.is_file())
    assert b"one-secret" not in stored
    assert b"pa55" not in stored


def test_a_table_of_an_older_version_is_read_with_nulls_and_written_on(tmp_path: Path):
    house = Warehouse(str(tmp_path))
    with house.writing():
        old = {"run_id": "old", "kind": "run", "started_at": MONDAY, "ended_at": MONDAY, "status": "succeeded"}
        lists = {"streams": [{"stream": "tracks", "received": 3, "landed": 3}], "tables": []}
        house.append(runs.TABLE, pl.DataFrame([old | lists], schema=OLD_SCHEMA))

        (read,) = run_history.every(house)
        with recorded(house, "build") as new:
            new.streams = [StreamLedger("tracks", 5, 5, state_after="{}")]
        found = run_history.every(house)

    assert read.streams == [StreamLedger("tracks", 3, 3)]
    assert (read.started_by, read.versions, read.config, read.peak_memory_bytes) == (None, {}, None, None)
    assert (read.nulls, read.alarms, read.warnings) == ([], [], [])
    assert [run.run_id for run in found] == [new.run_id, "old"]
    assert found[0] == new
    assert found[0].streams[0].landed == 5
    assert found[1].streams[0].received == read.streams[0].received
    assert found[1].versions == {}
    stored = house.scan(runs.TABLE).collect()
    assert dict(stored.schema) == dict(runs.SCHEMA)
    assert stored.filter(pl.col("run_id") == "old")["started_by"].to_list() == [None]


def test_a_table_that_an_older_version_cannot_read_is_in_a_layout_that_it_refuses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    house = Warehouse(str(tmp_path))
    house.append("_meta/layout", pl.DataFrame({"version": [1]}))
    house.append(runs.TABLE, pl.DataFrame(schema=OLD_SCHEMA))

    read = Warehouse(str(tmp_path)).open()
    before = house.scan("_meta/layout").collect()["version"].to_list()
    with house.writing(), recorded(house, "build"):
        pass
    after = house.scan("_meta/layout").collect()["version"].to_list()
    monkeypatch.setattr("moovitamix_transform.warehouse.warehouse.LAYOUT", 1)  # what the older one knows

    assert (read, before, sorted(after)) == (house, [1], [1, 2])
    assert set(house.scan(runs.TABLE).collect_schema()) > set(OLD_SCHEMA)
    with pytest.raises(NewerLayout, match="expected layout 1 at most, got 2"):
        house.open()
    with pytest.raises(NewerLayout), house.writing():
        pass


def test_a_warehouse_of_this_layout_is_not_upgraded_again(tmp_path: Path):
    house = Warehouse(str(tmp_path))

    for _ in range(2):
        with house.writing():
            pass

    assert house.version("_meta/layout") == 0


def test_the_history_survives_a_prune(tmp_path: Path):
    house = Warehouse(str(tmp_path / "house"))
    before = [synced(house, tmp_path) for _ in range(3)]

    pruned = prune(house, datetime.now(UTC), silent(), apply=True)

    kept = {run.run_id: run for run in run_history.every(house)}
    assert pruned.old_builds > 0
    assert [kept[run.run_id] for run in before] == before
