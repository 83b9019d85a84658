"""moto's S3 server on a free port of loopback, which it prints, with a gate at which a test can hold a request.

PUT /-/gate with `SKIP PATTERN`: of the requests whose method and path match, the first after so many that pass waits
until DELETE /-/gate; GET /-/gate is answered once it does. PUT /-/loss with a PATTERN: the first that matches is
done, and told as failed. Whoever signs with the key WRONG is told what S3 tells them.
"""

import re
import sys
import threading
from collections.abc import Callable, Iterable
from typing import Any

from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

Environ = dict[str, Any]
Respond = Callable[[str, list[tuple[str, str]]], Any]
SECONDS = 60
DENIED = b"<Error><Code>InvalidAccessKeyId</Code><Message>The AWS Access Key Id does not exist.</Message></Error>"


class Gate:
    def __init__(self) -> None:
        self.pattern, self.skip = "", 0
        self.reached, self.opened = threading.Event(), threading.Event()

    def asked(self, method: str, body: str) -> bool:
        if method == "PUT":
            self.reached.clear()
            self.opened.clear()
            skip, self.pattern = body.split(" ", 1)
            self.skip = int(skip)
        elif method == "DELETE":
            self.pattern = ""
            self.opened.set()
        return method != "GET" or self.reached.wait(SECONDS)

    def stop(self, request: str) -> None:
        if not self.pattern or self.reached.is_set() or not re.search(self.pattern, request):
            return
        self.skip -= 1
        if self.skip < 0:
            self.reached.set()
            self.opened.wait(SECONDS)


class Store:
    def __init__(self) -> None:
        self.moto = DomainDispatcherApplication(create_backend_app)
        self.gate = Gate()
        self.loss = ""

    def __call__(self, environ: Environ, respond: Respond) -> Iterable[bytes]:
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        if path == "/-/gate":
            body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)).decode()
            is_done = self.gate.asked(method, body)
            return answer(respond, "200 OK" if is_done else "408 Request Timeout", b"")
        if path == "/-/loss":
            self.loss = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])).decode()
            return answer(respond, "200 OK", b"")
        self.gate.stop(f"{method} {path}")
        if self.loss and re.search(self.loss, f"{method} {path}"):
            self.loss = ""
            list(self.moto(environ, lambda *_: None))
            return answer(respond, "500 Internal Server Error", b"")
        if "Credential=WRONG/" in environ.get("HTTP_AUTHORIZATION", ""):
            return answer(respond, "403 Forbidden", DENIED)
        answered: Iterable[bytes] = self.moto(environ, respond)
        return answered


def answer(respond: Respond, status: str, body: bytes) -> list[bytes]:
    respond(status, [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))])
    return [body]


class Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"  # one connection for all requests

    def log(self, *_: object) -> None: ...


if __name__ == "__main__":
    server = make_server("127.0.0.1", 0, Store(), threaded=True, request_handler=Quiet)
    sys.stdout.write(f"{server.server_port}\n")
    sys.stdout.flush()
    server.serve_forever()
