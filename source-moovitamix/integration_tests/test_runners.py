"""The same folder under Airbyte's other runners of manifest-only connectors."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

CONNECTOR = Path(__file__).parents[1]
HERE = Path(__file__).parent


@pytest.fixture
def declarative_manifest(tmp_path, api):
    """`source-declarative-manifest`, the CDK's console script, on this folder's manifest and components."""

    def run(command, **environment):
        config = tmp_path / "config.json"
        config.write_text(json.dumps({"api_url": api.url}))
        arguments = [str(Path(sys.executable).parent / "source-declarative-manifest"), command, "--config", str(config)]
        arguments += ["--manifest-path", str(CONNECTOR / "manifest.yaml")]
        arguments += ["--components-path", str(CONNECTOR / "components.py")]
        if command == "read":
            arguments += ["--catalog", str(HERE / "incremental_catalog.json")]
        environment = {**os.environ, **environment}
        return subprocess.run(
            arguments, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=False
        )

    return run


def test_source_declarative_manifest_reads_what_main_py_reads(declarative_manifest, api):
    api.rows["tracks"] = [{"id": i} for i in range(250)]
    api.rows["listen_history"] = [
        {"user_id": 1, "created_at": "2026-01-01T00:00:00", "updated_at": "2026-01-01T00:00:00"}
    ]

    done = declarative_manifest("read", AIRBYTE_ENABLE_UNSAFE_CODE="true")

    messages = [json.loads(line) for line in done.stdout.splitlines()]
    rows = {"tracks": [], "users": [], "listen_history": []}
    for message in messages:
        if message["type"] == "RECORD":
            rows[message["record"]["stream"]].append(message["record"]["data"])
    assert done.returncode == 0
    assert rows == api.rows


def test_source_declarative_manifest_refuses_components_unless_they_are_allowed(declarative_manifest, api):
    done = declarative_manifest("check", AIRBYTE_ENABLE_UNSAFE_CODE="false")

    assert done.returncode == 1
    assert "AIRBYTE_ENABLE_UNSAFE_CODE" in done.stdout
    assert api.requests == []
