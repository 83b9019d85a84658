"""`run` with our connector against a real API: what is new, what fails, what stays secret, what is suggested next."""

import json
import re
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from moovitamix_transform.streams import STREAMS
from moovitamix_transform.warehouse import Warehouse

Command = Callable[..., Any]
BIN = Path(sys.executable).parent
NOW = "2026-03-01T00:00:00"
LATER = "2026-03-08T00:00:00"


@pytest.fixture(scope="module")
def start_api() -> Iterator[Callable[..., str]]:
    """Starts a small API with more flags and gives its URL; ended after the module's tests."""
    started: list[subprocess.Popen[str]] = []

    def start(*flags: str) -> str:
        command = [BIN / "moovitamix-api", "--port", "0", "--size", "50", "--listens", "200", *flags]
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        assert started[-1].stdout is not None
        return started[-1].stdout.readline().strip()

    yield start
    for process in started:
        process.terminate()
        process.communicate(timeout=20)


def rows(url: str, stream: str) -> dict[tuple[Any, ...], dict[str, Any]]:
    """What the API holds, read without our connector."""
    found = {}
    page = pages = 1
    while page <= pages:
        with urllib.request.urlopen(f"{url}/{stream}?page={page}") as answer:  # noqa: S310 - our own API
            body = json.load(answer)
        pages = body["pages"]
        page += 1
        for item in body["items"]:
            found[tuple(item[field] for field in STREAMS[stream].key)] = item
    return found


def streams(out: str) -> dict[str, dict[str, Any]]:
    return {entry["stream"]: entry for entry in json.loads(out)["streams"]}


def test_the_first_run_reads_all_and_the_second_says_what_was_new(moovitamix: Command, start_api: Callable[..., str]):
    before, after = start_api("--now", NOW), start_api("--now", LATER)
    held = {stream: (rows(before, stream), rows(after, stream)) for stream in STREAMS}

    first = moovitamix("run", "--api-url", before, "--json")
    second = moovitamix("run", "--api-url", after, "--json")

    assert (first.code, second.code) == (0, 0), first.err + second.err
    for stream, (old, new) in held.items():
        one, two = streams(first.out)[stream], streams(second.out)[stream]
        assert (one["received"], one["landed"], one["new"], one["kept"]) == (len(old),) * 4, stream
        changed = {key for key, item in new.items() if old.get(key) != item}
        assert changed, f"{stream}: a week must bring something"
        assert two["new"] == len(changed), stream
        assert two["received"] == two["landed"] + two["quarantined_lines"]
        assert two["landed_total"] == two["kept"] + two["superseded"] + two["quarantined"]
    assert streams(second.out)["listen_history"]["received"] < len(held["listen_history"][1]), "expected an increment"
    run_ids = Warehouse("warehouse").scan("_meta/builds").collect()["run_id"].to_list()
    assert sorted(run_ids) == sorted(json.loads(run.out)["run_id"] for run in (first, second))


def test_the_api_key_of_the_config_is_written_nowhere(moovitamix: Command, start_api: Callable[..., str]):
    canary = "canary-5e1f0c9a"
    url = start_api("--now", NOW, "--api-key", canary)
    Path("config.json").write_text(json.dumps({"api_url": url, "api_key": canary, "page_size": 20}))
    Path("wrong.json").write_text(json.dumps({"api_url": url, "api_key": canary[::-1], "max_retries": 0}))

    good = moovitamix("run", "--config", "config.json", "--log-level", "TRACE")
    bad = moovitamix("run", "--config", "wrong.json", "--log-level", "TRACE")

    assert (good.code, bad.code) == (0, 1), good.err
    assert "tracks: 3 of 3 pages, 50 records" in good.err
    assert "401" in bad.err
    written = b"".join(file.read_bytes() for file in Path("warehouse").rglob("*") if file.is_file())
    said = (good.out + good.err + bad.out + bad.err).encode()
    for secret in (canary.encode(), canary[::-1].encode()):
        assert secret not in written
        assert secret not in said


def test_an_api_that_is_down_is_told_of_before_it_is_tried_again_and_ends_as_the_connectors_message_and_exit_1(
    moovitamix: Command, history: Command
):
    Path("config.json").write_text(json.dumps({"api_url": "http://127.0.0.1:9", "max_retries": 1}))

    done = moovitamix("run", "--config", "config.json")

    lines = done.err.splitlines()  # under load among others, of a source that has sent nothing yet
    (told,) = (number for number, line in enumerate(lines) if line.startswith("WARN "))
    assert lines[told].startswith("WARN GET http://127.0.0.1:9/")
    assert "Connection refused" in lines[told]
    assert lines[told].endswith(" Trying once more, for 1 s.")
    assert (done.code, done.out) == (1, "")
    assert any("GET http://127.0.0.1:9/tracks?page=1" in line for line in lines[told + 1 :])
    assert "Gave up after 2 attempts." in done.err
    assert "Check that the API is running" in done.err
    assert "Traceback" not in done.err
    (recorded,) = history("warehouse")
    assert recorded["status"] == "failed"
    assert "Check that the API is running" in recorded["message"]
    assert not Warehouse("warehouse").exists("_meta/builds")


def test_on_a_terminal_a_picture_lives_and_on_a_pipe_there_are_lines(
    start: Command, on_terminal: Command, start_api: Callable[..., str]
):
    url = start_api("--now", NOW)

    seen = on_terminal("run", "--api-url", url, "--warehouse", "seen")
    piped = start("run", "--api-url", url, "--warehouse", "piped")
    _, lines = piped.communicate(timeout=60)

    assert seen.code == piped.returncode == 0, seen.out + lines
    assert "\x1b[1A" in seen.out, "expected a picture that is drawn over"
    assert re.search(r"listen_history \s+4 of 4 pages", seen.out)
    assert "\x1b" not in lines
    told = [line.partition(",")[0] for line in lines.splitlines() if " pages" in line or " page," in line]
    last = {line.partition(":")[0]: line for line in told}
    assert sorted(last.values()) == ["listen_history: 4 of 4 pages", "tracks: 1 of 1 page", "users: 1 of 1 page"]
