"""`schedule`, served by a real Prefect server that the test starts. `make test-system` makes the environment."""

import json
import os
import shutil
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from moovitamix_transform.graph import models
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

ENVIRONMENT = Path(__file__).parents[3] / ".venv-system" / "prefect" / "bin"
BROWSER, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
SECONDS = 120.0  # a flow run starts two interpreters that import Prefect
pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def prefect(tmp_path_factory: pytest.TempPathFactory, until: Callable[..., object]) -> Iterator[dict[str, str]]:
    """The environment of a Prefect that knows a server on loopback; ended after the module's tests."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}/api"
    environment = os.environ | {
        "PREFECT_HOME": str(tmp_path_factory.mktemp("prefect")),
        "PREFECT_API_URL": url,
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_RUNNER_POLL_FREQUENCY": "1",
        "DO_NOT_TRACK": "1",
    }
    command = [ENVIRONMENT / "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    server = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def is_up() -> bool:
        assert server.poll() is None, "expected a Prefect server, it ended"
        try:
            return urllib.request.urlopen(f"{url}/health").status == 200  # noqa: S310 - the server above
        except OSError:
            return False

    try:
        until(is_up, "a Prefect server that answers", SECONDS)
        yield environment
    finally:
        server.terminate()
        server.wait(30)


@pytest.fixture
def ask(prefect: dict[str, str], until: Callable[..., Any]) -> Callable[..., Any]:
    """Prefect's own REST API: what is posted to a path, and what it answers. While its database is locked it answers
    503, and is asked again, as its own client does."""

    def post(path: str, body: dict[str, Any] | None = None) -> Any:  # noqa: ANN401 - what JSON says
        request = urllib.request.Request(  # noqa: S310 - the server above
            f"{prefect['PREFECT_API_URL']}{path}",
            None if body is None else json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )

        def answered() -> tuple[Any] | None:
            try:
                with urllib.request.urlopen(request) as answer:  # noqa: S310
                    return (json.load(answer),)
            except urllib.error.HTTPError as error:
                if error.code != HTTPStatus.SERVICE_UNAVAILABLE:
                    raise
                return None

        return until(answered, f"an answer of Prefect's to {path}", SECONDS)[0]

    return post


@pytest.fixture
def served(
    prefect: dict[str, str], start: Callable[..., Any], ask: Callable[..., Any], until: Callable[..., object]
) -> Callable[..., dict[str, Any]]:
    """Serves a schedule, asks for one run of it now, and gives that run when it has ended."""

    def run(*options: str | Path) -> dict[str, Any]:
        start(
            "schedule",
            "--every",
            "1d",
            *options,
            program=ENVIRONMENT / "moovitamix",
            env=prefect,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

        house = str(options[options.index("--warehouse") + 1])

        def deployment() -> str | None:
            try:
                found = ask("/deployments/name/moovitamix/moovitamix")
            except urllib.error.HTTPError:
                return None
            is_mine = found["parameters"]["warehouse"] == house
            return found["id"] if is_mine and found["status"] == "READY" else None

        which = until(deployment, "a deployment that is polled for", SECONDS)
        made = ask(
            f"/deployments/{which}/create_flow_run", {"state": {"type": "SCHEDULED"}, "idempotency_key": uuid4().hex}
        )
        ended = ("COMPLETED", "FAILED", "CRASHED")

        def end() -> dict[str, Any] | None:
            found = ask(f"/flow_runs/{made['id']}")
            return found if found["state_type"] in ended else None

        return until(end, "the end of the flow run", SECONDS)

    return run


def tasks(ask: Callable[..., Any], run: dict[str, Any]) -> list[tuple[str, str]]:
    """The name and the end of each task of a flow run, in their order."""
    found = ask("/task_runs/filter", {"flow_runs": {"id": {"any_": [run["id"]]}}, "limit": 200})
    return [(each["name"], each["state_type"]) for each in sorted(found, key=lambda each: each["start_time"])]


def artifacts(ask: Callable[..., Any], run: dict[str, Any]) -> dict[str, Any]:
    """What a flow run leaves for a person, by key."""
    found = ask("/artifacts/filter", {"flow_runs": {"id": {"any_": [run["id"]]}}})
    return {each["key"]: each["data"] for each in found}


@pytest.fixture
def api() -> Iterator[str]:
    """A small API on loopback: its URL."""
    command = [Path(sys.executable).parent / "moovitamix-api", "--port", "0", "--size", "50", "--listens", "200"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.terminate()


def test_each_step_is_a_task_and_the_ledger_is_kept(
    api: str,
    served: Callable[..., dict[str, Any]],
    ask: Callable[..., Any],
    tmp_path: Path,
    history: Callable[..., Any],
):
    house = tmp_path / "house"

    limits = tmp_path / "limits.toml"
    limits.write_text("[freshness.tables.dim_users]\nwarn_hours = 1e-9\n")

    run = served("--api-url", api, "--settings", limits, "--warehouse", house)

    assert run["state_type"] == "COMPLETED", run["state"]
    names = ["check", "sync", *(f"build {name}" for name in models()), "report"]
    assert tasks(ask, run) == [(name, "COMPLETED") for name in names]
    (mine,) = history(house)
    assert [(each["kind"], each["subject"]) for each in mine["alarms"]] == [("freshness", "users")]
    kept = {entry["stream"]: entry["kept"] for entry in mine["streams"]}
    left = artifacts(ask, run)
    assert {row["stream"]: row["kept"] for row in json.loads(left["ledger"])} == kept
    assert (house / "report.html").as_uri() in left["report"]
    assert mine["started_by"] == f"prefect:{run['name']}"


def test_only_what_is_transient_is_tried_again(
    served: Callable[..., dict[str, Any]],
    ask: Callable[..., Any],
    source: Callable[[str], str],
    tmp_path: Path,
    history: Callable[..., Any],
):
    failing = """
say(type="TRACE", trace={"type": "ERROR", "emitted_at": 1767607200000,
    "error": {"message": "the API is away", "failure_type": "FAILURE_TYPE"}})
sys.exit(1)
"""
    ends = {}
    for kind in ("transient_error", "config_error"):
        house = tmp_path / kind

        run = served(
            *("--source", source(failing.replace("FAILURE_TYPE", kind)), "--warehouse", house),
            *("--retries", "2", "--retry-delay", "0"),
        )

        ends[kind] = (run["state_type"], tasks(ask, run), len(history(house)))

    assert ends == {
        "transient_error": ("FAILED", [("sync", "FAILED")] * 3, 3),
        "config_error": ("FAILED", [("sync", "FAILED")], 1),
    }


@pytest.mark.skipif(
    not (BROWSER and DRIVER),
    reason="expected chromium and chromedriver; make test-system installs them as root where apt-get is",
)
def test_the_dashboard_shows_the_tasks(
    prefect: dict[str, str],
    served: Callable[..., dict[str, Any]],
    source: Callable[[str], str],
    tmp_path: Path,
    until: Callable[..., object],
):
    run = served("--source", source("sync()"), "--warehouse", tmp_path / "house")
    options = webdriver.ChromeOptions()
    options.binary_location = str(BROWSER)
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)  # root has no sandbox, a container little /dev/shm
    options.add_argument("--window-size=1280,900")
    with webdriver.Chrome(options=options, service=Service(str(DRIVER))) as browser:
        browser.get(f"{prefect['PREFECT_API_URL'].removesuffix('/api')}/runs/flow-run/{run['id']}")
        expected = ("Completed", f"{len(models()) + 2} Task runs", "\nsync\n")  # its log names each task

        def is_shown() -> bool:
            text = browser.find_element(By.TAG_NAME, "body").text
            return all(each in text for each in expected)

        until(is_shown, f"a page with {expected}", SECONDS)
