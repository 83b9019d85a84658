"""A real API in a process of its own, and the client's recorded answers to hold it against."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from moovitamix_api.command import settings_from
from moovitamix_api.server import listen, server_for, url_of

RECORDED = Path(__file__).parent / "recorded"


@dataclass(frozen=True)
class Running:
    """A started API: where it answers, and its process."""

    url: str
    process: subprocess.Popen[str]


@pytest.fixture(scope="session")
def recorded() -> Callable[[str], Any]:
    """The JSON of one recorded answer, by file name without `.json`."""
    return lambda name: json.loads((RECORDED / f"{name}.json").read_text())


@pytest.fixture(scope="module")
def start_api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Running]]:
    """Starts `python -m moovitamix_api` on a free port with more flags; all are ended after the module's tests."""
    started: list[subprocess.Popen[str]] = []

    def start(*flags: str, **variables: str) -> Running:
        errors = tmp_path_factory.mktemp("api") / "stderr"
        with errors.open("w") as sink:
            process = subprocess.Popen(
                [sys.executable, "-m", "moovitamix_api", "--port", "0", *flags],
                stdout=subprocess.PIPE,
                stderr=sink,
                text=True,
                env=os.environ | variables,
            )
        started.append(process)
        url = process.stdout.readline().strip()
        assert url, f"moovitamix_api {flags} did not start: {errors.read_text()}"
        return Running(url, process)

    yield start
    for process in started:
        process.terminate()
    for process in started:
        process.communicate(timeout=20)


@pytest.fixture
def serve() -> Iterator[Callable[..., str]]:
    """Serves the API with some flags from a thread, over HTTP as well but a second sooner; gives its URL."""
    with ExitStack() as served:

        def start(*flags: str) -> str:
            settings = settings_from(["--port", "0", *flags])
            listener = served.enter_context(listen(settings.host, settings.port))
            server = server_for(settings, listener)
            thread = Thread(target=server.run, kwargs={"sockets": [listener]})
            thread.start()
            served.callback(thread.join)
            served.callback(setattr, server, "should_exit", True)
            return url_of(listener)  # it listens, so connections wait until the server is up

        yield start


@pytest.fixture(scope="session")
def api_url() -> Iterator[str]:
    """An API at the library's start with a thousand of everything, as recorded; shared, so read only."""
    command = [sys.executable, "-m", "moovitamix_api", "--port", "0", "--now", "2026-01-01"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        yield process.stdout.readline().strip()
        process.terminate()
