"""`land --from`, cut off or killed at any moment, beside another writer, with a file larger than memory shall hold."""

import gzip
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from destination_files import KILLED, MOOVITAMIX, begin, counts, lines, rows, write
from moovitamix_transform import run as runner
from moovitamix_transform import runs, sources
from moovitamix_transform.errors import FileRefused, WarehouseInUse
from moovitamix_transform.files.landing import FileLanding
from moovitamix_transform.files.named import find
from moovitamix_transform.progress import RunProgress
from moovitamix_transform.warehouse import Warehouse
from polars.testing import assert_frame_equal
from rich.console import Console

LINE_TEXTS = lines(rows([{"id": n, "name": "x" * 60} for n in range(18)])).splitlines(keepends=True)
MIXED = b"".join([*LINE_TEXTS[:3], b"odd 1\n", *LINE_TEXTS[3:9], b"odd 2\n", b"odd 3\n", *LINE_TEXTS[9:]])
LANDED_ONCE = {
    "source/users": ["_airbyte_raw_id", "_airbyte_data"],
    "source/tracks": ["_airbyte_raw_id", "_airbyte_data"],
    "source/_lines": ["stream", "rule", "text"],
    "_meta/files": ["url", "row_count", "line_count", "sha256"],
}


class Cut(BaseException):
    """The power goes."""


def test_a_land_that_is_cut_off_at_every_commit_lands_each_row_once(
    pipeline, new_pipeline, land_from, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    write(tmp_path, "tracks", rows([{"id": 1}], prefix="track"))
    write(tmp_path, "users", []).write_bytes(MIXED)
    land_from(tmp_path / "*" / "*")
    cut, progress = new_pipeline(), RunProgress(Console(quiet=True), "ERROR")
    with cut.warehouse.writing():
        sources.make_missing(cut.warehouse)
    monkeypatch.setattr("moovitamix_transform.files.json_lines.BLOCK_BYTES", 1_000)
    monkeypatch.setattr("moovitamix_transform.files.read.FLUSH_BYTES", 1_000)
    append, committed = Warehouse.append, []

    def append_once(warehouse: Warehouse, table: str, *rest: object, **more: object) -> int:
        if table != "_meta/runs":
            if committed:
                raise Cut
            committed.append(table)
        return append(warehouse, table, *rest, **more)

    monkeypatch.setattr(Warehouse, "append", append_once)
    order = []
    for _ in range(12):
        committed.clear()
        with suppress(Cut):
            runner.land_files(cut.warehouse, [str(tmp_path / "*" / "*")], progress)
        order += committed

    of_a_file = [*["source/_lines", "source/users"] * 2, *["source/users"] * 2]
    expected = ["source/tracks", "_meta/files", *of_a_file, "_meta/files", "_meta/generations"]
    assert order == expected, "expected each run to come one commit further, and none to be made a second time"
    for table, columns in LANDED_ONCE.items():
        got, expected = (each.warehouse.scan(table).select(columns).collect() for each in (cut, pipeline))
        assert_frame_equal(got, expected, check_row_order=False)
    entries = [entry for run in runs.every(cut.warehouse) for entry in run.streams]
    assert all(entry.received == entry.landed + entry.quarantined_lines for entry in entries)
    assert sum(entry.landed for entry in entries) == 19


def test_a_land_that_is_killed_between_lines_and_records_is_gone_on_with(pipeline, land_from, tmp_path: Path):
    path = write(tmp_path, "users", [])
    path.write_bytes(MIXED)
    command = [sys.executable, "-c", KILLED, "land", "--from", str(path), "--warehouse", pipeline.warehouse.root]

    killed = subprocess.run(command, capture_output=True, text=True, timeout=60)
    lines_then = pipeline.warehouse.count("source/_lines")
    run = land_from(path)

    assert (killed.returncode, lines_then) == (-signal.SIGKILL, 3), killed.stderr
    assert counts(run) == [("users", 18, 18, 0)]
    assert (pipeline.landed("users").height, pipeline.warehouse.count("source/_lines")) == (18, 3)
    assert [(each.status, each.streams[1].received) for each in reversed(runs.every(pipeline.warehouse))] == [
        ("interrupted", 3),
        ("succeeded", 18),
    ]


def test_a_file_that_changed_after_its_run_was_killed_is_refused(pipeline, land_from, tmp_path: Path):
    path = write(tmp_path, "users", rows([{"id": 1}, {"id": 2}]))
    begin(pipeline, path)
    write(tmp_path, "users", rows([{"id": 3}, {"id": 4}], prefix="other"))

    with pytest.raises(FileRefused, match="expected record raw-2 as its row 2, up to which a run that was killed"):
        land_from(path)

    assert pipeline.texts("users") == ['{"id":1}', '{"id":2}']


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(b"what else?\n" * 20, id="another_line"),
        pytest.param(b"", id="none"),
    ],
)
def test_a_file_whose_odd_lines_changed_after_its_run_was_killed_is_refused(
    pipeline, land_from, tmp_path: Path, other: bytes
):
    path = write(tmp_path, "users", [])
    path.write_bytes(MIXED)
    command = [sys.executable, "-c", KILLED, "land", "--from", str(path), "--warehouse", pipeline.warehouse.root]
    subprocess.run(command, capture_output=True, timeout=60, check=False)
    path.write_bytes(other + lines(rows([{"id": 1}], prefix="other")))

    with pytest.raises(FileRefused, match=r"expected the line that is no record as its row .*, up to which a run that"):
        land_from(path)

    assert (pipeline.landed("users").height, pipeline.warehouse.count("source/_lines")) == (0, 3)


def test_a_file_that_was_cut_off_is_gone_on_with_once_it_is_whole(pipeline, land_from, tmp_path: Path):
    path = write(tmp_path, "users", rows([{"id": 1}, {"id": 2}]))
    begin(pipeline, path)
    land_from(write(tmp_path, "users", rows([{"id": 9}], prefix="then"), name="another"))
    write(tmp_path, "users", rows([{"id": 1}, {"id": 2}, {"id": 3}]))

    run = land_from(path)

    assert pipeline.texts("users") == ['{"id":1}', '{"id":2}', '{"id":3}', '{"id":9}']
    assert counts(run) == [("users", 1, 1, 0)]


def test_of_two_writers_without_a_lock_the_later_one_loses_and_no_row_is_doubled(pipeline, land_from, tmp_path: Path):
    path = write(tmp_path, "users", rows([{"id": 1}, {"id": 2}]))
    land_from(write(tmp_path, "users", rows([{"id": 3}], prefix="first"), name="first"))
    losing = FileLanding(
        pipeline.warehouse, "later", lambda _: land_from(path)
    )  # as on an object store, without a lock

    with pytest.raises(WarehouseInUse, match=r"another moovitamix command has committed .* run it again"):
        losing.land(find([str(path)]))

    assert sorted(pipeline.texts("users")) == ['{"id":1}', '{"id":2}', '{"id":3}']
    assert counts(land_from(path)) == []


def test_memory_does_not_grow_with_the_file(tmp_path: Path):
    user = {"id": 1, "name": "".join(map(str, range(2_500)))}  # 9 KB
    member = lines(rows([user] * 250))
    path = write(tmp_path, "users", [], "raw.jsonl.gz")
    path.write_bytes(b"".join(gzip.compress(member.replace(b'"raw-', b'"%d-' % part), 1) for part in range(60)))
    peak = 0

    with subprocess.Popen(
        [MOOVITAMIX, "land", "--from", path, "--warehouse", tmp_path / "house"], stderr=subprocess.PIPE, text=True
    ) as process:
        watched = psutil.Process(process.pid)
        with suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
            while process.poll() is None:
                peak = max(peak, watched.memory_info().rss)
                with suppress(subprocess.TimeoutExpired):
                    process.wait(0.05)
        told = process.stderr.read() if process.stderr else ""

    assert process.returncode == 0, told
    assert "users: 15,000 received, 15,000 landed, 0 quarantined lines" in told
    assert peak < 450 * 1024**2, f"expected less than 450 MiB at its most, got {peak / 1024**2:.0f} MiB"
