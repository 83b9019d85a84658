"""A cluster of a master and two workers, each a process of its own."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from moovitamix_transform import load_table
from moovitamix_transform.graph import models
from polars.testing import assert_frame_equal

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]
BIN = Path(sys.executable).parent

Landed = Callable[[str, int], str]


@pytest.fixture
def landed(tmp_path: Path, record, status) -> Landed:
    """A warehouse with so many lists of ten tracks in its source tables, twice the same at each call."""

    def land(name: str, lists: int) -> str:
        day = {"created_at": "2026-01-01T00:00:00", "updated_at": "2026-01-02T00:00:00"}
        lines = [record("tracks", {"id": at, "name": f"track {at}", "duration": "3:45", **day}) for at in range(50)]
        lines += [record("users", {"id": at, "email": f"{at}@example.org", **day}) for at in range(20)]
        for at in range(lists):
            when = f"2026-01-{1 + at // 86400:02}T{at // 3600 % 24:02}:{at // 60 % 60:02}:{at % 60:02}"
            items = [(at * step) % 50 for step in range(1, 11)]
            listen = {"user_id": at % 20, "items": items, "created_at": when, "updated_at": when}
            lines.append(record("listen_history", listen))
        lines += [status(stream, "COMPLETE") for stream in ("tracks", "users", "listen_history")]
        warehouse = str(tmp_path / name)
        subprocess.run(
            [BIN / "moovitamix", "land", "--warehouse", warehouse],
            input=b"\n".join(lines),
            check=True,
            capture_output=True,
        )
        return warehouse

    return land


def test_a_build_ends_right_though_a_worker_is_killed_in_the_middle_of_it(cluster, landed: Landed, tmp_path: Path):
    warehouse = landed("cluster", 20_000)
    subprocess.run(["cp", "-r", warehouse, tmp_path / "here"], check=True)
    on_spark = ["build", "--engine", "spark", "--master", cluster.master, "--json", "--warehouse", warehouse]
    build = subprocess.Popen([BIN / "moovitamix", *on_spark], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    assert build.stderr is not None
    for line in build.stderr:
        if "stg_listen_history" in line:
            break
    cluster.kill_a_worker()
    out, err = build.communicate()

    assert build.returncode == 0, err
    assert json.loads(out)["status"] == "succeeded"
    subprocess.run([BIN / "moovitamix", "build", "--warehouse", tmp_path / "here"], check=True, capture_output=True)
    for name in models():
        built_here = load_table(str(tmp_path / "here"), name).collect()
        assert_frame_equal(load_table(warehouse, name).collect(), built_here, check_row_order=False)
