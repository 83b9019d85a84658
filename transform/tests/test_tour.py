"""docs/tour.py, the notebook: every cell runs on a real warehouse, and what it tells is what the tables have."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

TOUR = Path(__file__).resolve().parents[2] / "docs" / "tour.py"
TITLES = ("How often one user listened to one track", "Tracks that users met for the first time", "The long tail")


def listened(user: int, tracks: list[int], day: int) -> dict[str, object]:
    at = f"2026-01-{day:02}T10:00:00"
    return {"user_id": user, "items": tracks, "created_at": at, "updated_at": at}


@pytest.fixture
def warehouse(pipeline, record: Callable[..., bytes]) -> str:
    """Two builds: user 7 listened to 1, twice, and to 2; then user 8 to 1."""
    pipeline.land([record("listen_history", listened(7, [1, 2, 1], 5))])
    pipeline.build()
    pipeline.land([record("listen_history", listened(8, [1], 20))])
    pipeline.build()
    return pipeline.warehouse.root


def run(command: list[str], warehouse: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "MOOVITAMIX_WAREHOUSE": warehouse}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=100)


def test_the_notebook_tells_what_the_tables_have(warehouse: str):
    shown = """
import runpy, sys
app = runpy.run_path(sys.argv[1])["app"]
_, values = app.run()
print(values["growth"].select("build_id", "pairs", "listens").rows())
print(values["new_pairs"].select("user_id", "track_id", "listen_count").rows())
print(values["counts"].rows())
print(values["met"].select("pairs").rows())
print(values["tail"].rows())
"""
    done = run([sys.executable, "-W", "error", "-c", shown, str(TOUR)], warehouse)

    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "[(1, 2, 3), (2, 3, 4)]",
        "[(8, 1, 1)]",
        "[(1, 2), (2, 1)]",
        "[(2,), (1,)]",
        "[(1, 0.75), (2, 1.0)]",
    ]


def test_the_notebook_runs_as_a_script(warehouse: str):
    done = run([sys.executable, str(TOUR)], warehouse)

    assert (done.returncode, done.stderr) == (0, "")


def test_the_notebook_becomes_a_page_without_an_error_in_a_cell(warehouse: str, tmp_path: Path):
    page = tmp_path / "tour.html"
    copy = shutil.copy(TOUR, tmp_path)  # marimo notes a session beside the notebook

    done = run([sys.executable, "-m", "marimo", "export", "html", str(copy), "--output", str(page)], warehouse)

    assert done.returncode == 0, done.stderr
    text = page.read_text()
    assert [title for title in TITLES if title not in text] == []


def test_without_a_warehouse_the_notebook_says_what_to_do(tmp_path: Path):
    done = run([sys.executable, str(TOUR)], str(tmp_path / "nothing"))

    assert done.returncode == 1
    assert "`make run` makes one" in done.stderr
    assert "Traceback" not in done.stderr
