"""How fast the API answers: a delay before each answer, a limit of answers a second. /health is exempt from both."""

import asyncio
import time
from collections import deque
from math import ceil

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

EXEMPT = "/health"


class Latency:
    """Waits before it lets a request through."""

    def __init__(self, app: ASGIApp, latency_ms: int) -> None:
        self._app, self._seconds = app, latency_ms / 1000

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] != EXEMPT:
            await asyncio.sleep(self._seconds)
        await self._app(scope, receive, send)


class RateLimit:
    """Lets `rate_limit` requests through in any one second, all clients together; answers 429 to the others.

    A refused request does not count. Retry-After is in whole seconds, as HTTP wants it: the time until the oldest
    counted request is a second old, rounded up, hence always 1.
    """

    def __init__(self, app: ASGIApp, rate_limit: int) -> None:
        self._app = app
        self._admitted_at: deque[float] = deque(maxlen=rate_limit)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] == EXEMPT:
            await self._app(scope, receive, send)
            return
        now = time.monotonic()
        admitted = self._admitted_at
        if len(admitted) == admitted.maxlen and (wait := admitted[0] + 1 - now) > 0:
            refusal = JSONResponse(
                {"detail": f"expected at most {admitted.maxlen} requests a second"},
                status_code=429,
                headers={"Retry-After": str(ceil(wait))},
            )
            await refusal(scope, receive, send)
            return
        admitted.append(now)
        await self._app(scope, receive, send)
