"""An API on loopback whose rows and answers a test decides, and the connector read against it in this process."""

import importlib.util
import json
import socket
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from math import ceil
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import uvicorn

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # the CDK marks classes of its own as experimental, once, when they are imported
    from airbyte_cdk.models import (
        AirbyteStateMessage,
        AirbyteStateMessageSerializer,
        ConfiguredAirbyteCatalog,
        TraceType,
    )
    from airbyte_cdk.sources.declarative import concurrent_declarative_source
    from airbyte_cdk.test import entrypoint_wrapper
    from airbyte_cdk.test.entrypoint_wrapper import EntrypointOutput
    from airbyte_cdk.test.models import ConnectorTestScenario

# The CDK parses its own schema anew for every source, which takes longer than a small read.
concurrent_declarative_source.get_declarative_component_schema = cache(
    concurrent_declarative_source.get_declarative_component_schema
)

CONNECTOR = Path(__file__).parent
STREAMS = ("tracks", "users", "listen_history")


@dataclass(frozen=True)
class Request:
    stream: str
    page: int
    query: dict[str, str]
    headers: dict[str, str]
    at: float  # time.monotonic()

    def under(self, stream: str) -> "Request":
        return replace(self, stream=stream)


@dataclass(frozen=True)
class Reply:
    body: bytes | str | dict[str, Any]
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    cut: bool = False  # announce more bytes than follow

    def content(self) -> bytes:
        if isinstance(self.body, bytes):
            return self.body
        return (self.body if isinstance(self.body, str) else json.dumps(self.body)).encode()


Answer = Callable[[Request], Reply | None]


class FakeApi:
    """Pages `rows` as the client's API does, unless `fault` has another answer to a request."""

    def __init__(self) -> None:
        self.rows: dict[str, list[dict[str, Any]]] = {stream: [] for stream in STREAMS}
        self.requests: list[Request] = []
        self.fault: Answer = lambda request: None
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def pages(self, stream: str) -> list[int]:
        return [request.page for request in self.requests if request.stream == stream]

    def page(self, request: Request, **changed: Any) -> Reply:  # noqa: ANN401 (any JSON value)
        """The honest answer, with some of its fields changed."""
        rows, size = self.rows[request.stream], int(request.query.get("size", 100))
        start = (request.page - 1) * size
        pages = ceil(len(rows) / size)
        body = {"items": rows[start : start + size], "total": len(rows), "page": request.page, "size": size}
        return Reply(body | {"pages": pages} | changed)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = 1 << 16  # one packet an answer: two would wait for each other (Nagle's algorithm)

            def do_GET(self) -> None:
                url = urlsplit(self.path)
                query = dict(parse_qsl(url.query))
                request = Request(
                    url.path.strip("/"), int(query.get("page", 1)), query, dict(self.headers), time.monotonic()
                )
                with api._lock:
                    api.requests.append(request)
                    reply = api.fault(request) or (
                        api.page(request) if request.stream in api.rows else Reply({"detail": "Not Found"}, 404)
                    )
                content = reply.content()
                self.send_response(reply.status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content) + (10 if reply.cut else 0)))
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                if reply.cut:
                    self.send_header("Connection", "close")
                    self.close_connection = True
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                pass

        return Handler


@pytest.fixture
def reply() -> type[Reply]:
    return Reply


@pytest.fixture
def api() -> Iterator[FakeApi]:
    server = FakeApi()
    yield server
    server.close()


@pytest.fixture(scope="module")
def serve() -> Iterator[Callable[[Any], str]]:
    """Serves one ASGI application after the other, in this process and on one port; gives their URL."""
    current: dict[str, Any] = {}

    async def switch(scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 (ASGI's)
        await current["app"](scope, receive, send)

    listener = socket.create_server(("127.0.0.1", 0))
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    server = uvicorn.Server(uvicorn.Config(switch, log_config=None, lifespan="off", timeout_keep_alive=10**6))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)

    def use(app: Any) -> str:  # noqa: ANN401 (an ASGI application)
        current["app"] = app
        return f"http://127.0.0.1:{listener.getsockname()[1]}"

    yield use
    server.should_exit = server.force_exit = True
    thread.join(10)


class Clock:
    """A clock that sleeping moves: no test waits for a real back-off."""

    def __init__(self) -> None:
        self.now = 1_000_000.0
        self.slept: list[float] = []
        self._lock = threading.Lock()
        self._yield = time.sleep

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self.slept.append(seconds)
            self.now += seconds
        self._yield(0.0005)  # let the other threads run

    def read(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Stands in for time.sleep, time.time and time.monotonic, which the CDK's back-off and ours use."""
    fake = Clock()
    monkeypatch.setattr(time, "sleep", fake.sleep)
    monkeypatch.setattr(time, "monotonic", fake.read)
    monkeypatch.setattr(time, "time", fake.read)
    return fake


@pytest.fixture(scope="session")
def source_module() -> ModuleType:
    """main.py, which registers components.py under the name the manifest uses."""
    spec = importlib.util.spec_from_file_location("source_moovitamix_main", CONNECTOR / "main.py")
    if spec is None or spec.loader is None:
        raise ImportError("main.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def components(source_module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """components.py as main.py loaded it; the CDK's own suite registers copies of its own."""
    monkeypatch.setitem(sys.modules, "source_declarative_manifest.components", source_module.components)
    monkeypatch.setattr(source_module.components, "_PACES", {})
    return source_module.components


class Sync:
    """What one read gave, by stream."""

    def __init__(self, output: EntrypointOutput) -> None:
        self.output = output
        self.errors = [message.trace.error for message in output.errors]
        self.logs = [message.log.message for message in output.logs]
        self.state = [AirbyteStateMessageSerializer.dump(message.state) for message in output.state_messages]

    def rows(self, stream: str) -> list[dict[str, Any]]:
        return [message.record.data for message in self.output.records if message.record.stream == stream]

    def cursor(self) -> str:
        states = [state["stream"] for state in self.state]
        last = [state for state in states if state["stream_descriptor"]["name"] == "listen_history"][-1]
        return last["stream_state"]["updated_at"]

    def statuses(self, stream: str) -> list[str]:
        return [status.value for status in self.output.get_stream_statuses(stream)]

    def summaries(self) -> list[dict[str, Any]]:
        """What the TRACE ANALYTICS messages say of each stream, or of each of its windows."""
        analytics = [message.trace.analytics for message in self.output.analytics_messages]
        return [json.loads(each.value) for each in analytics if each.type == "moovitamix-stream-summary"]

    def estimates(self) -> dict[str, int]:
        traces = [message.trace for message in self.output.trace_messages]
        return {t.estimate.name: t.estimate.row_estimate for t in traces if t.type == TraceType.ESTIMATE}


Read = Callable[..., Sync]


@pytest.fixture(scope="session")
def every_stream(source_module: ModuleType) -> ConfiguredAirbyteCatalog:
    return source_module.every_stream()


@pytest.fixture
def read(
    source_module: ModuleType, components: ModuleType, api: FakeApi, every_stream: ConfiguredAirbyteCatalog
) -> Read:
    """Reads streams of `api`, every one incrementally that can be, as `main.py read` does."""

    def read_streams(*streams: str, state: list[dict[str, Any]] | None = None, **config: object) -> Sync:
        configuration = {"api_url": api.url, **config}
        catalog = ConfiguredAirbyteCatalog(
            streams=[stream for stream in every_stream.streams if stream.stream.name in (streams or STREAMS)]
        )
        states: list[AirbyteStateMessage] = [AirbyteStateMessageSerializer.load(item) for item in state or []]
        source = source_module.SourceMoovitamix(configuration, catalog, states)
        allow_any = ConnectorTestScenario().expected_outcome
        return Sync(entrypoint_wrapper.read(source, configuration, catalog, states, expected_outcome=allow_any))

    return read_streams


@dataclass(frozen=True)
class Run:
    """What a process of the connector left behind."""

    code: int
    stdout: str
    stderr: str

    @property
    def messages(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.stdout.splitlines()]

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [message[kind.lower()] for message in self.messages if message["type"] == kind.upper()]

    def rows(self, stream: str) -> list[dict[str, Any]]:
        return [record["data"] for record in self.of("record") if record["stream"] == stream]

    def errors(self) -> list[dict[str, Any]]:
        return [trace["error"] for trace in self.of("trace") if trace["type"] == "ERROR"]


@pytest.fixture
def source(tmp_path: Path, api: FakeApi) -> Callable[..., Run]:
    """`python main.py COMMAND …` as a process in an empty directory. Files given as objects are written as JSON."""

    def run(command: str, *flags: str, **files: object) -> Run:
        arguments = [sys.executable, str(CONNECTOR / "main.py"), command, *flags]
        if command in ("check", "discover", "read"):
            files.setdefault("config", {"api_url": api.url})
        for name, content in files.items():
            path = tmp_path / f"{name}.json"
            path.write_text(content if isinstance(content, str) else json.dumps(content))
            arguments += [f"--{name}", str(path)]
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir(exist_ok=True)
        done = subprocess.run(  # noqa: S603 (the connector itself)
            arguments, cwd=elsewhere, capture_output=True, text=True, timeout=60, check=False
        )
        return Run(done.returncode, done.stdout, done.stderr)

    return run
