"""PyAirbyte's `read()` into its DuckDB cache, twice. `make test-system` makes the environment."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ENVIRONMENT = HERE.parents[1] / ".venv-system" / "pyairbyte"

pytestmark = [
    pytest.mark.system,
    pytest.mark.timeout(300),
    pytest.mark.skipif(
        sys.version_info >= (3, 13) and not ENVIRONMENT.joinpath("bin", "python").exists(),
        reason="PyAirbyte installs below Python 3.13 only, and make test-system found none",
    ),
]


def listen(day):
    instant = f"2026-01-{day:02}T08:00:00"
    return {"user_id": day, "items": [1, 2], "created_at": instant, "updated_at": instant}


@pytest.fixture
def read_with_pyairbyte(api, tmp_path):
    """A process a read: the second one finds the state where the first left it, in the cache."""

    def read(runner):
        environment = os.environ | {
            "AIRBYTE_OFFLINE_MODE": "1",
            "AIRBYTE_ENABLE_UNSAFE_CODE": "true",
            "AIRBYTE_PROJECT_DIR": str(tmp_path),
            "AIRBYTE_LOGGING_ROOT": str(tmp_path / "logs"),
            "PATH": f"{ENVIRONMENT / 'bin'}{os.pathsep}{os.environ['PATH']}",  # main.py runs by the first python3
        }
        command = [str(ENVIRONMENT / "bin" / "python"), str(HERE / "pyairbyte_read.py"), api.url, str(tmp_path), runner]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=240, check=False
        )
        assert done.returncode == 0, f"expected exit code 0 of {command}, got {done.returncode}: {done.stderr[-3000:]}"
        return json.loads(done.stdout.splitlines()[-1])

    assert (ENVIRONMENT / "bin" / "python").exists(), f"expected PyAirbyte in {ENVIRONMENT}: run `make test-system`"
    return read


def days(result):
    return sorted(row["user_id"] for row in result["rows"]["listen_history"])


def sinces(api):
    return [request.query["updated_since"] for request in api.requests if request.stream == "listen_history"]


@pytest.mark.parametrize("runner", ["executable", "manifest"])
def test_two_reads_into_a_duckdb_cache_hold_each_row_once(runner, read_with_pyairbyte, api):
    """As a local executable the second read is incremental. With `source_manifest` PyAirbyte 0.71 hands the state to
    nobody (its pull requests 1146 and 1164): it reads everything again, and the key merges what it has already."""
    api.rows["tracks"] = [{"id": i, "name": f"track {i}"} for i in range(150)]
    api.rows["users"] = [{"id": 1, "email": "a@example.org"}]
    api.rows["listen_history"] = [listen(day) for day in range(1, 21)]
    first = read_with_pyairbyte(runner)
    api.requests.clear()
    api.rows["listen_history"].append(listen(21))

    second = read_with_pyairbyte(runner)

    assert first["records"] == 150 + 1 + 20
    assert (len(first["rows"]["tracks"]), len(first["rows"]["users"]), days(first)) == (150, 1, list(range(1, 21)))
    assert (len(second["rows"]["tracks"]), len(second["rows"]["users"]), days(second)) == (150, 1, list(range(1, 22)))
    if runner == "executable":
        assert second["records"] == 150 + 1 + 2, "the row equal to the state, and the new one"
        assert sinces(api)[-1] == "2026-01-20T07:55:00.000000"
