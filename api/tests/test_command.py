"""The command `moovitamix-api`, as a person or a supervisor meets it."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import requests
from moovitamix_api.command import settings_from

COMMAND = [sys.executable, "-m", "moovitamix_api"]


def run(*flags: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *flags], capture_output=True, text=True, timeout=30, check=False, env=os.environ | variables
    )


def test_the_first_line_is_a_url_that_answers(start_api: Callable[..., object]):
    url = start_api("--size", "2", "--listens", "2").url

    assert re.fullmatch(r"http://127\.0\.0\.1:\d+", url)
    assert requests.get(f"{url}/health", timeout=10).json() == {"status": "ok"}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "ctrl_c"])
def test_a_signal_ends_it_with_0_and_without_a_word(number: signal.Signals):
    process = subprocess.Popen(
        [*COMMAND, "--port", "0", "--size", "1", "--listens", "1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    url = process.stdout.readline()

    process.send_signal(number)

    assert (url[:7], process.communicate(timeout=20), process.returncode) == ("http://", ("", ""), 0)


def test_a_signal_while_the_library_is_built_ends_it_as_cleanly(tmp_path: Path):
    with (tmp_path / "stderr").open("w+") as errors, socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
        free.close()
        process = subprocess.Popen([*COMMAND, "--port", str(port), "--listens", "5000000"], stderr=errors)
        while process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:  # it listens, so it is past its imports
                    break
        process.terminate()

        assert process.wait(timeout=20) == 0
        errors.seek(0)
        assert errors.read() == ""


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        pytest.param(["--port", "70000"], "--port: expected an integer from 0 to 65535, got '70000'", id="port"),
        pytest.param(["--seed", "x"], "--seed: expected an integer, got 'x'", id="seed"),
        pytest.param(["--size", "-1"], "--size: expected an integer from 0 to 10000000, got '-1'", id="size"),
        pytest.param(
            ["--size", "0"],
            "--listens: expected an integer from 0 to 10000000, and 0 if --size is 0 (there is nobody to listen), "
            "got 1000",
            id="listens_of_nobody",
        ),
        pytest.param(
            ["--now", "9999-01-01"],
            "--now: expected an instant up to 2100-01-01T00:00:00Z, such as 2026-03-01 or 2026-03-01T12:00:00Z, "
            "got '9999-01-01'",
            id="now_too_late",
        ),
        pytest.param(
            ["--now", "20260301"],
            "--now: expected an instant up to 2100-01-01T00:00:00Z, such as 2026-03-01 or 2026-03-01T12:00:00Z, "
            "got '20260301'",
            id="now_a_bare_number",
        ),
        pytest.param(["--api-key", ""], "--api-key: expected at least one character, got none", id="api_key"),
        pytest.param(["--rate-limit", "0"], "--rate-limit: expected an integer from 1 to 1000000, got '0'", id="limit"),
        pytest.param(["--latency-ms", "1.5"], "--latency-ms: expected an integer from 0 to 600000, got '1.5'", id="ms"),
        pytest.param(
            ["--scenario", "calm"],
            "--scenario: expected list, or one of throttled, flaky, html, moving, skewed, nulls, restart, mixed, "
            "with :SEED (an integer) if wanted, got 'calm'",
            id="scenario",
        ),
        pytest.param(["--colour", "blue"], "--colour: no such flag", id="unknown_flag"),
        pytest.param(["blue"], "expected flags only, got a value without one", id="no_flag"),
    ],
)
def test_a_bad_value_is_refused_with_one_line_that_names_it(
    flags: list[str], message: str, capsys: pytest.CaptureFixture[str]
):
    with pytest.raises(SystemExit) as exit_:
        settings_from(flags)

    assert exit_.value.code == 2
    assert capsys.readouterr() == ("", f"moovitamix-api: {message}. Nothing was started; see --help.\n")


def test_a_bad_variable_is_named_as_a_variable_and_ends_the_process_with_2():
    done = run(MOOVITAMIX_API_PORT="http")

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "moovitamix-api: --port (variable MOOVITAMIX_API_PORT): expected an integer from 0 to 65535, got 'http'. "
        "Nothing was started; see --help.\n"
    )


@pytest.mark.parametrize(
    "flags",
    [["--api-key", "sesame", "--port", "x"], ["--api-kye", "sesame"], ["--api-kye=sesame"]],
    ids=["beside_a_bad_flag", "behind_a_misspelt_flag", "in_a_misspelt_flag"],
)
def test_the_api_key_is_never_printed(flags: list[str], capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        settings_from(flags)

    assert "sesame" not in "".join(capsys.readouterr())


def test_a_port_in_use_is_told(api_url: str):
    port = api_url.rpartition(":")[2]

    done = run("--port", port)

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"moovitamix-api: cannot listen on --host 127.0.0.1 --port {port}: Address already in use\n"


def test_help_names_every_flag_and_shows_examples():
    done = run("--help")

    assert done.returncode == 0
    flags = {
        "--host",
        "--port",
        "--seed",
        "--size",
        "--listens",
        "--now",
        "--api-key",
        "--rate-limit",
        "--latency-ms",
        "--scenario",
    }
    assert flags <= set(re.findall(r"--[a-z-]+", done.stdout))
    assert "moovitamix-api --listens 1000000" in done.stdout


def test_flags_win_over_variables(start_api: Callable[..., object]):
    url = start_api("--size", "3", "--now", "2026-01-01", MOOVITAMIX_API_SIZE="5", MOOVITAMIX_API_LISTENS="7").url

    totals = [requests.get(f"{url}/{stream}", timeout=10).json()["total"] for stream in ("users", "listen_history")]

    assert totals == [3, 7]


def test_two_processes_with_one_seed_answer_the_same(start_api: Callable[..., object]):
    flags = ["--seed", "5", "--size", "50", "--listens", "90", "--now", "2026-06-01"]
    one, two = (start_api(*flags, PYTHONHASHSEED=salt).url for salt in ("1", "2"))

    for stream in ("tracks", "users", "listen_history"):
        assert requests.get(f"{one}/{stream}", timeout=10).text == requests.get(f"{two}/{stream}", timeout=10).text


def test_it_listens_on_ipv6_too(start_api: Callable[..., object]):
    url = start_api("--host", "::1", "--size", "1", "--listens", "1").url

    assert re.fullmatch(r"http://\[::1\]:\d+", url)
    assert requests.get(f"{url}/health", timeout=10).status_code == 200
