"""The API as a process: one socket, one announcement, a clean end."""

import socket
import sys

import uvicorn

from .app import create_app
from .scenarios.disturb import disturbed
from .settings import Settings


def serve(settings: Settings) -> None:
    """Serves until a signal ends it; exits with 1 and a message when the address cannot be had."""
    # Taken before the library is built: a port in use is told at once.
    with listen(settings.host, settings.port) as listener:
        server_for(settings, listener).run(sockets=[listener])


def server_for(settings: Settings, listener: socket.socket) -> uvicorn.Server:
    """A server that prints its URL as soon as it accepts connections, so that its starter can wait for that line."""
    config = uvicorn.Config(
        disturbed(create_app(settings), settings.disturbance),
        access_log=False,
        log_config=None,  # uvicorn's own prints to stdout; without it, warnings and errors reach stderr
        timeout_keep_alive=75,  # a reader that works on a page for longer than uvicorn's 5 s keeps its connection
        timeout_graceful_shutdown=3,
    )
    return _AnnouncingServer(config, url_of(listener))


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens there; exits with 1 and a message when it cannot be had."""
    try:
        found = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP, flags=socket.AI_PASSIVE
        )
        family, kind, protocol, _, address = found[0]
        # Not `socket.create_server`: it leaves the protocol open, and asyncio then keeps Nagle's algorithm on, which
        # delays the second packet of every answer by 40 ms.
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(2048)
    except OSError as error:
        reason = error.strerror or str(error)
        print(f"moovitamix-api: cannot listen on --host {host} --port {port}: {reason}", file=sys.stderr)  # noqa: T201
        sys.exit(1)
    return listener


def url_of(listener: socket.socket) -> str:
    """The URL under which a listening socket is reached."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class _AnnouncingServer(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, url: str) -> None:
        super().__init__(config)
        self._url = url

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        print(self._url, flush=True)  # noqa: T201 - the promise of the command
