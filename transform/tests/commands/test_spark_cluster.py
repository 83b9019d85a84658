"""`build --engine spark` on a cluster: a master and two workers, each a process of its own, on loopback."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from moovitamix_transform import load_table
from moovitamix_transform.graph import models
from moovitamix_transform.warehouse import Warehouse
from polars.testing import assert_frame_equal

pytestmark = [pytest.mark.spark, pytest.mark.timeout(600)]

Start = Callable[..., subprocess.Popen[str]]
Until = Callable[..., Any]
LISTS = 20_000


@dataclass(frozen=True)
class Cluster:
    """Attributes:
    workers: their process ids.
    """

    master: str
    workers: list[int]


@pytest.fixture
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    pytest.importorskip("pyspark", reason="make test-system installs it")
    if shutil.which("java") is None and "JAVA_HOME" not in os.environ:
        pytest.skip("there is no Java here, which make test-system installs where it may")
    script = request.config.rootpath / "scripts" / "spark_cluster.py"
    with subprocess.Popen(
        [sys.executable, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        said = process.stdout.readline()
        assert said, "the cluster did not start; what it said is above"
        yield Cluster(**json.loads(said))


@pytest.fixture
def landed(moovitamix, tmp_path: Path, record, status, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A warehouse with lists of ten tracks in its source tables, not built."""
    day = {"created_at": "2026-01-01T00:00:00", "updated_at": "2026-01-02T00:00:00"}
    lines = [record("tracks", {"id": at, "name": f"track {at}", "duration": "3:45", **day}) for at in range(50)]
    lines += [record("users", {"id": at, "email": f"{at}@example.org", **day}) for at in range(20)]
    for at in range(LISTS):
        when = f"2026-01-01T{at // 3600:02}:{at // 60 % 60:02}:{at % 60:02}"
        listen = {"user_id": at % 20, "items": [at * step % 50 for step in range(1, 11)]}
        lines.append(record("listen_history", listen | {"created_at": when, "updated_at": when}))
    lines += [status(stream, "COMPLETE") for stream in ("tracks", "users", "listen_history")]
    messages = tmp_path / "messages.jsonl"
    messages.write_bytes(b"\n".join(lines))
    with messages.open() as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        assert moovitamix("land", "--warehouse", "landed").code == 0
    return tmp_path / "landed"


def test_a_build_ends_right_though_a_worker_is_killed_in_the_middle_of_it(
    cluster: Cluster, landed: Path, moovitamix, start: Start, until: Until, tmp_path: Path
):
    shutil.copytree(landed, tmp_path / "here")
    house = Warehouse(str(landed))
    build = start("build", "--engine", "spark", "--master", cluster.master, "--json", "--warehouse", landed)

    until(lambda: house.exists("staging/base_listen_history"), "the largest base table", seconds=200)
    os.kill(cluster.workers[0], signal.SIGKILL)
    assert not house.exists("marts/fct_listens"), "the worker was killed too late to be missed"
    out, err = build.communicate()

    assert build.returncode == 0, err
    assert json.loads(out)["status"] == "succeeded"
    moovitamix("build", "--warehouse", tmp_path / "here")
    for name in models():
        built_here = load_table(str(tmp_path / "here"), name).collect()
        assert_frame_equal(load_table(str(landed), name).collect(), built_here, check_row_order=False)


def test_a_build_that_is_killed_is_done_again_by_any_engine(
    cluster: Cluster, landed: Path, moovitamix, start: Start, until: Until, tmp_path: Path
):
    shutil.copytree(landed, tmp_path / "here")
    house = Warehouse(str(landed))
    build = start("build", "--engine", "spark", "--master", cluster.master, "--warehouse", landed)

    until(lambda: house.exists("staging/stg_users"), "a table in the middle", seconds=200)
    build.kill()
    build.wait()
    again = moovitamix("build", "--json", "--warehouse", landed)

    assert again.code == 0, again.err
    moovitamix("build", "--warehouse", tmp_path / "here")
    for name in models():
        built_here = load_table(str(tmp_path / "here"), name).collect()
        assert_frame_equal(load_table(str(landed), name).collect(), built_here, check_row_order=False)
