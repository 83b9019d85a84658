"""Our connector's `check`, asked before a scheduled run."""

import json
import socket
from pathlib import Path

import pytest
from moovitamix_transform import connector, source_check
from moovitamix_transform.errors import ReadFailed


def test_an_api_that_is_away_is_told_without_a_secret(tmp_path: Path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # held, and never listened on: nobody answers there
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        config = tmp_path / "config.json"
        config.write_text(json.dumps({"api_url": url, "api_key": "hush-hush"}))

        with pytest.raises(ReadFailed) as failed:
            source_check.check(connector.source_of(None, config, None))

    said = str(failed.value)
    assert said.startswith("source-moovitamix check: expected SUCCEEDED, got ")
    assert f"GET {url}/tracks" in said
    assert "hush" not in said


def test_a_config_of_our_own_making_is_checked_too():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        source = connector.source_of(f"http://127.0.0.1:{taken.getsockname()[1]}", None, None)

        with pytest.raises(ReadFailed, match=r"check: expected SUCCEEDED, got .*api_url"):
            source_check.check(source)


def test_a_command_of_ones_own_has_no_check():
    assert not source_check.can_be_checked(connector.source_of(None, None, "python source.py"))
    assert source_check.can_be_checked(connector.source_of("http://127.0.0.1:1", None, None))
