"""Requests that fail now, and work when they are tried again."""

import asyncio
import socket
import struct
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from email.utils import formatdate
from functools import partial
from hashlib import blake2b
from http import HTTPStatus
from typing import TypeAlias

from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from moovitamix_api.library.dice import Dice

from .answers import answer, is_page, with_length

Fault: TypeAlias = Callable[[ASGIApp, Scope, Receive, Send], Awaitable[None]]

_LOGIN_PAGE = "<!DOCTYPE html><html><head><title>Sign in</title></head><body><form>Password</form></body></html>"
_LATE_SECONDS = 1.0


class Faults:
    """Lets some requests fail: one in three, of the same request never three times in a row.

    What fails depends on the request (path, query) and on how often it came before, so that the order of concurrent
    requests does not matter.
    """

    def __init__(self, app: ASGIApp, seed: int, faults: Sequence[Fault]) -> None:
        self._app, self._faults = app, faults
        self._dice = Dice(seed, "scenarios/faults")
        self._attempts: Counter[bytes] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        fault = self._fault(scope["path"].encode() + b"?" + scope["query_string"]) if is_page(scope) else None
        if fault is None:
            await self._app(scope, receive, send)
        else:
            await fault(self._app, scope, receive, send)

    def _fault(self, request: bytes) -> Fault | None:
        attempt = self._attempts[request]
        self._attempts[request] += 1
        place = int.from_bytes(blake2b(request, digest_size=8).digest(), "little")
        bits = int(self._dice.roll(place, attempt)[0])
        if attempt % 4 > 1 or bits % 3:
            return None
        return self._faults[bits // 3 % len(self._faults)]


async def _too_many(_app: ASGIApp, scope: Scope, receive: Receive, send: Send, *, as_date: bool) -> None:
    retry_after = formatdate(time.time() + 2, usegmt=True) if as_date else "1"
    refusal = JSONResponse({"detail": "Too Many Requests"}, status_code=429, headers={"Retry-After": retry_after})
    await refusal(scope, receive, send)


async def _error(_app: ASGIApp, scope: Scope, receive: Receive, send: Send, *, status: HTTPStatus) -> None:
    await PlainTextResponse(status.phrase, status_code=status)(scope, receive, send)


async def _login_page(_app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    await HTMLResponse(_LOGIN_PAGE)(scope, receive, send)


async def _late(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    await asyncio.sleep(_LATE_SECONDS)
    await app(scope, receive, send)


async def _half(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """A proxy that cuts the body and corrects its length: sound HTTP, broken JSON."""
    start, body = await answer(app, scope, receive)
    half = body[: len(body) // 2]
    await send(with_length(start, len(half)))
    await send({"type": "http.response.body", "body": half})


async def _cut(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """A connection that dies in the middle of the body."""
    start, body = await answer(app, scope, receive)
    await send(start)
    await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
    await _hang_up(receive, send)


async def _reset(_app: ASGIApp, _scope: Scope, receive: Receive, send: Send) -> None:
    """A connection that is reset before any answer."""
    await _hang_up(receive, send, with_reset=True)


async def _hang_up(receive: Receive, send: Send, *, with_reset: bool = False) -> None:
    """Ends the connection. ASGI has no word for it; uvicorn's `send` is a method of what holds the connection."""
    transport = getattr(getattr(send, "__self__", None), "transport", None)
    if transport is None:
        raise ConnectionResetError("the scenario hangs up")
    if with_reset:
        # Closing a socket that lingers for 0 seconds sends a RST in place of a FIN.
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
    while (await receive())["type"] != "http.disconnect":
        pass


THROTTLED: Sequence[Fault] = (partial(_too_many, as_date=False), partial(_too_many, as_date=True))
FLAKY: Sequence[Fault] = (
    *(partial(_error, status=HTTPStatus(status)) for status in (408, 500, 502, 503, 504)),
    _late,
    _half,
    _cut,
    _reset,
)
HTML: Sequence[Fault] = (_login_page,)
