"""The table of failures in docs/moovitamix.md: each row is made to happen, and says what the table says.

The table holds what is expected, this file how to get there, so that neither can drift from the other.
"""

import datetime
import ipaddress
import json
import os
import re
import socket
import ssl
import subprocess
import sys
import threading
import time
from ast import literal_eval
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import requests
import yaml
from airbyte_cdk.logger import PRINT_BUFFER
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

CONNECTOR = Path(__file__).parents[1]
PAGE = (CONNECTOR.parent / "docs" / "moovitamix.md").read_text()
CATALOG = json.loads((CONNECTOR / "integration_tests" / "incremental_catalog.json").read_text())
KEY = "canary-7f3a"
NEW_YEAR = "2026-01-01T00:00:00"


@dataclass(frozen=True)
class Row:
    """A row of the table. `message` leaves text out (…); seconds are None where the command does not fail."""

    situation: str
    failure_type: str
    message: str
    retries: int
    read_seconds: int | None
    check_seconds: int | None

    def fits(self, message):
        parts = [re.escape(part) for part in self.message.split(" … ")]
        return re.search(".*".join(parts), message, re.DOTALL) is not None


def table():
    section = PAGE.partition("### Failures\n")[2].partition("\n#")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")]
    for line in lines[1:]:
        name, *cells = (cell.strip() for cell in line.strip("|").split(" | "))
        failure_type, message, retries, *seconds = (cell.strip("`") for cell in cells)
        yield Row(name, failure_type, message, int(retries), *(None if s == "–" else int(s) for s in seconds))


ROWS = {row.situation: row for row in table()}
SITUATIONS = {}


class Circumstances:
    """What a situation can change: the API's answers, the configuration, the files and the network around it."""

    def __init__(self, api, reply, folder, clock, monkeypatch, stack):
        self.api, self.reply, self.folder, self.clock = api, reply, folder, clock
        self.monkeypatch, self.stack = monkeypatch, stack
        self.config = {"api_url": api.url, "api_key": KEY}
        self.stream = "tracks"
        self.files = {}

    def answer(self, body, status=200, **more):
        self.api.fault = lambda request: self.reply(body, status, **more)

    def serve(self, handler, certificate=None):
        """The address of another server, up until the test ends."""
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        server.daemon_threads = True
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        self.stack.callback(server.server_close)
        self.stack.callback(server.shutdown)
        return f"http{'s' if certificate else ''}://127.0.0.1:{server.server_port}"


def situation(name):
    def register(bring_about):
        SITUATIONS[name] = bring_about
        return bring_about

    return register


@situation("Nothing listens at the address")
def _(it):
    it.api.close()


@situation("The name of the host is unknown")
def _(it):
    def unknown(*_, **__):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    it.monkeypatch.setattr(socket, "getaddrinfo", unknown)  # the network's answer, which no test can wait for
    it.config["api_url"] = "http://moovitamix.invalid"


@situation("The API speaks HTTP, API URL says `https://`")
def _(it):
    it.config["api_url"] = it.api.url.replace("http://", "https://")


@situation("The certificate is not one to trust")
def _(it):
    it.config["api_url"] = it.serve(BaseHTTPRequestHandler, certificate=self_signed(it.folder))


@situation("API URL is no URL")
def _(it):
    it.config["api_url"] = "music.example.org"


@situation("API URL has a host or a port that cannot be")
def _(it):
    it.config["api_url"] = "http://127.0.0.1:99999"


@situation("API URL has an empty part in its host")
def _(it):
    it.config["api_url"] = "http://music..example.org"


@situation("API URL leads in a circle")
def _(it):
    it.api.fault = lambda request: it.reply("", 307, {"Location": f"/tracks?page={request.page}"})


@situation("API URL leads to another host")
def _(it):
    elsewhere = it.serve(LoginPage)
    it.api.fault = lambda request: it.reply("", 302, {"Location": f"{elsewhere}/login"})


@situation("An option has a wrong type")
def _(it):
    it.config["page_size"] = "ten"


@situation("Start date is not in the calendar")
def _(it):
    it.config["start_date"] = "2026-02-30"


@situation("Start date is still to come")
def _(it):
    it.config["start_date"] = "2062-01-01"


@situation("API URL has a user, a password or a query")
def _(it):
    it.config["api_url"] = f"https://me:{KEY}@music.example.org"


@situation("API key is one that no header can carry")
def _(it):
    it.config["api_key"] = f"{KEY}\n"


@situation("HTTP 401")
def _(it):
    it.answer({"detail": f"no, {KEY}"}, 401, headers={"X-Echo": KEY})


@situation("HTTP 403")
def _(it):
    it.answer({"detail": f"no, {KEY}"}, 403, headers={"X-Echo": KEY})


@situation("HTTP 404, 410")
def _(it):
    it.answer({"detail": "Not Found"}, 404)


@situation("HTTP 405")
def _(it):
    it.answer({"detail": "Method Not Allowed"}, 405)


@situation("HTTP 400, 413, 422")
def _(it):
    it.answer({"detail": [{"loc": ["query", "size"], "input": KEY}]}, 422)


@situation("HTTP 429 for ever")
def _(it):
    it.answer({"detail": f"slow down, {KEY}"}, 429)


@situation("HTTP 429 that asks for more than Longest wait")
def _(it):
    it.answer({"detail": "come back tomorrow"}, 429, headers={"Retry-After": "86400"})


@situation("HTTP 500, 502, 503, 504, 520, 521, 522, 523, 524, 408, 425 for ever")
def _(it):
    it.answer(f"<html>busy, {KEY}</html>", 503)


@situation("No answer at all")
def _(it):
    quiet = it.stack.enter_context(quiet_server())
    it.config["api_url"] = f"http://127.0.0.1:{quiet.getsockname()[1]}"
    send = requests.Session.send

    def send_impatiently(session, request, **options):
        connect, silent = options["timeout"]
        try:
            return send(session, request, **options | {"timeout": (connect, silent / 100)})
        except requests.Timeout:
            it.clock.now += silent  # what it would have waited
            raise

    it.monkeypatch.setattr(requests.Session, "send", send_impatiently)


@situation("A page of HTML with 200")
def _(it):
    it.answer(f"<html>log in, {KEY}</html>")


@situation("JSON that is no page")
def _(it):
    it.answer({"detail": f"nothing here, {KEY}"})


@situation("Another page than asked")
def _(it):
    it.answer({"items": [{"id": 1}], "total": 900, "page": 9, "size": 100, "pages": 9})


@situation("Fewer rows than announced")
def _(it):
    it.answer({"items": [{"id": 1}], "total": 90, "page": 1, "size": 100, "pages": 1})


@situation("A body that is cut")
def _(it):
    it.answer('{"items": [{"id": 1}]', cut=True)


@situation("A cursor that is no date")
def _(it):
    it.stream = "listen_history"
    it.api.rows["listen_history"] = [
        {"user_id": 1, "created_at": NEW_YEAR, "updated_at": NEW_YEAR},
        {"user_id": 2, "created_at": NEW_YEAR, "updated_at": "yesterday"},
    ]


@situation("A file is not what its flag wants")
def _(it):
    it.files["state"] = {"listen_history": {"updated_at": NEW_YEAR}}


def quiet_server():
    """Takes every connection and reads nothing."""
    return socket.create_server(("127.0.0.1", 0), backlog=64)


class LoginPage(BaseHTTPRequestHandler):
    """Of another host: repeats the key, should it get one."""

    def do_GET(self):
        content = f"<html>log in, {self.headers.get('X-API-Key', 'stranger')}</html>".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


def self_signed(folder):
    """A file with a certificate for 127.0.0.1 that nobody vouches for, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "MooVitamix")])
    now = datetime.datetime.now(datetime.UTC)
    day = datetime.timedelta(days=1)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now - day, now + day)
    host = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = builder.add_extension(host, critical=False).sign(key, hashes.SHA256())
    encoding = serialization.Encoding.PEM
    private = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path = folder / "certificate.pem"
    path.write_bytes(certificate.public_bytes(encoding) + private)
    return path


@dataclass(frozen=True)
class Outcome:
    """What one command printed, how often it asked, and how long it took by the test's clock."""

    output: str
    requests: int
    seconds: float

    @property
    def messages(self):
        return [json.loads(line) for line in self.output.splitlines() if line.startswith("{")]

    @property
    def first_error(self):
        return next(m["trace"]["error"] for m in self.messages if m.get("trace", {}).get("type") == "ERROR")

    @property
    def status(self):
        [status] = [m["connectionStatus"] for m in self.messages if m["type"] == "CONNECTION_STATUS"]
        message = status.get("message", "")
        return status["status"], literal_eval(message) if message[:1] in ("'", '"') else message  # the CDK's repr


@pytest.fixture
def circumstances(api, reply, tmp_path, clock, monkeypatch):
    with ExitStack() as stack:
        yield Circumstances(api, reply, tmp_path, clock, monkeypatch, stack)


@pytest.fixture
def run_here(source_module, components, clock, tmp_path, capfd, monkeypatch):
    """main.py in this process, by a clock that waiting moves, as if started anew each time."""
    clock.now = datetime.datetime(2026, 11, 24, 12, tzinfo=datetime.UTC).timestamp()  # TLS takes no year before 2025
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)

    def run(command, config, stream="tracks", debug=False, **files):
        files["config"] = config
        if command == "read":
            files["catalog"] = {"streams": [s for s in CATALOG["streams"] if s["stream"]["name"] == stream]}
        arguments = [command, "--debug"] if debug else [command]
        for name, content in files.items():
            path = tmp_path / f"{name}.json"
            path.write_text(json.dumps(content))
            arguments += [f"--{name}", str(path)]
        components._PACES.clear()
        started, sent, send = clock.now, [], requests.Session.send

        def counted(session, request, **options):
            if options.get("allow_redirects", True):  # not where a redirect leads
                sent.append(request.url)
            return send(session, request, **options)

        with monkeypatch.context() as patch:
            patch.setattr(requests.Session, "send", counted)
            try:
                source_module.run(arguments)
            except Exception:
                sys.excepthook(*sys.exc_info())
        PRINT_BUFFER.flush()
        return Outcome("".join(capfd.readouterr()), len(sent), clock.now - started)

    return run


def test_the_table_and_these_situations_are_the_same():
    assert list(ROWS) == [*SITUATIONS, "Nobody reads stdout any more", "Stdout cannot be written"]


@pytest.mark.parametrize("name", SITUATIONS)
def test_a_failure_is_the_one_its_row_in_the_docs_says(name, circumstances, run_here):
    row = ROWS[name]
    SITUATIONS[name](circumstances)

    read = run_here("read", circumstances.config, circumstances.stream, **circumstances.files)
    check = run_here("check", circumstances.config, debug=True)

    error = read.first_error
    assert (error["failure_type"], row.fits(error["message"])) == (row.failure_type, True), error["message"]
    assert max(0, read.requests - 1) == row.retries
    assert round(read.seconds) == row.read_seconds
    if row.check_seconds is None:
        assert check.status == ("SUCCEEDED", "")
    else:
        status, message = check.status
        assert (status, row.fits(message)) == ("FAILED", True), message
        assert round(check.seconds) == row.check_seconds
    for outcome in (read, check):
        assert KEY not in outcome.output
        assert "Traceback" not in "".join(line for line in outcome.output.splitlines() if not line.startswith("{"))


def test_the_key_goes_along_where_a_redirect_stays_with_its_host_and_to_no_other(circumstances, run_here):
    """requests takes Authorization off on the way to another host, and no other header."""
    keys_elsewhere = []

    class Elsewhere(BaseHTTPRequestHandler):
        def do_GET(self):
            keys_elsewhere.append(self.headers.get("X-API-Key"))
            self.send_error(503)

        def log_message(self, *_):
            pass

    it, elsewhere = circumstances, circumstances.serve(Elsewhere)
    hops = {"tracks": "/moved", "moved": f"{elsewhere}/tracks"}
    it.api.fault = lambda request: it.reply("", 302, {"Location": hops[request.stream]})

    run_here("read", it.config | {"max_retries": 2})

    assert [(request.stream, request.headers["X-API-Key"]) for request in it.api.requests] == [
        ("tracks", KEY),
        ("moved", KEY),
    ] * 3, "a retry has it again"
    assert keys_elsewhere == [None] * 3


def test_a_redirect_that_drops_the_query_is_not_taken_for_the_page_asked_for(circumstances, run_here):
    circumstances.api.rows["tracks"] = [{"id": i} for i in range(250)]
    circumstances.api.fault = lambda request: (
        circumstances.reply("", 302, {"Location": "/tracks"}) if request.page == 2 else None
    )

    read = run_here("read", circumstances.config)

    assert "page=2&size=100, redirected to " in read.first_error["message"]
    assert "expected page 2, got page 1" in read.first_error["message"]


@pytest.mark.parametrize("key", [[KEY], {"key": KEY}], ids=["list", "object"])
def test_a_key_of_a_wrong_type_is_not_printed(key, circumstances, run_here):
    config = circumstances.config | {"api_key": key}

    outcomes = [run_here("check", config), run_here("read", config), run_here("discover", config)]

    assert outcomes[0].status[0] == "FAILED"
    assert "api_key: " in outcomes[0].status[1]
    assert [KEY in outcome.output for outcome in outcomes] == [False] * 3


def test_a_password_in_api_url_is_refused_and_not_printed(circumstances, run_here):
    check = run_here("check", circumstances.config | {"api_url": f"https://me:{KEY}@music.example.org"})

    assert "api_url: expected https://host[:port][/path], got an address with @ or ?" in check.status[1]
    assert KEY not in check.output


class Source:
    """Processes of main.py, each with a configuration file of its own."""

    def __init__(self, folder):
        self.folder = folder

    def start(self, command, api_url, stdout=subprocess.PIPE):
        path = self.folder / f"config-{time.monotonic_ns()}.json"
        path.write_text(json.dumps({"api_url": api_url, "api_key": KEY}))
        arguments = [sys.executable, str(CONNECTOR / "main.py"), command]
        arguments += [] if command == "spec" else ["--config", str(path)]
        return subprocess.Popen(arguments, stdout=stdout, stderr=subprocess.PIPE, text=True)


@pytest.fixture
def source(tmp_path):
    return Source(tmp_path)


def test_no_check_of_the_table_takes_5_seconds_or_15_where_nothing_answers():
    slow = ROWS["No answer at all"]
    start_up = 3

    assert max(row.check_seconds or 0 for row in ROWS.values() if row is not slow) + start_up < 5
    assert slow.check_seconds + start_up < 15


def test_a_check_as_a_process_that_nobody_answers_ends_in_time(source):
    """The row that waits longest, by a real clock: from its first connection on, since starting takes what it takes."""
    with quiet_server() as quiet, ThreadPoolExecutor(1) as pool:
        first_connection = pool.submit(lambda: (quiet.accept(), time.monotonic()))
        with source.start("check", f"http://127.0.0.1:{quiet.getsockname()[1]}") as process:
            stdout, stderr = process.communicate(timeout=60)
        (connection, _), connected_at = first_connection.result()
        waited = time.monotonic() - connected_at
        connection.close()

    assert (process.returncode, stderr) == (0, "")
    assert '"status":"FAILED"' in stdout
    assert KEY not in stdout
    assert ROWS["No answer at all"].check_seconds - 1 < waited < 15 - 3


def test_where_nobody_reads_stdout_any_more_it_ends_without_a_word(api, source):
    reading, writing = os.pipe()
    os.close(reading)

    with os.fdopen(writing, "w") as stdout, source.start("check", api.url, stdout) as process:
        _, said = process.communicate(timeout=60)

    assert (process.returncode, said) == (1, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has a device that is always full")
def test_where_stdout_cannot_be_written_it_says_so_on_stderr(api, source):
    with Path("/dev/full").open("w") as stdout, source.start("read", api.url, stdout) as process:
        _, said = process.communicate(timeout=60)

    assert process.returncode == 1
    assert ROWS["Stdout cannot be written"].fits(said)
    assert said.count("\n") == 1, "one line, no traceback"


def test_the_table_has_a_row_for_each_status_code_that_the_manifest_knows():
    manifest = yaml.safe_load((CONNECTOR / "manifest.yaml").read_text())
    filters = manifest["definitions"]["error_handler"]["response_filters"]
    known = {(code, one["failure_type"]) for one in filters for code in one["http_codes"]}

    rows = [row for row in ROWS.values() if row.situation.startswith("HTTP ")]

    assert {(int(code), row.failure_type) for row in rows for code in re.findall(r"\d{3}", row.situation)} == known
