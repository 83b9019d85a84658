"""Nulls where a reader hopes for values; the client's own document allows some of them."""

import json
from hashlib import blake2b

from starlette.types import ASGIApp, Receive, Scope, Send

from moovitamix_api.library.dice import Dice

from .answers import answer, is_page, with_length

_FIELDS = ("user_id", "items", "created_at", "updated_at")


class Nulls:
    """Sets one of the fields that may be null, in one row in ten; the total, in one page in three.

    A row is the same at each request: what is null depends on the row alone.
    """

    def __init__(self, app: ASGIApp, seed: int) -> None:
        self._app = app
        self._dice = Dice(seed, "scenarios/nulls")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not is_page(scope):
            await self._app(scope, receive, send)
            return
        start, body = await answer(self._app, scope, receive)
        if start["status"] == 200:
            body = self._with_nulls(body)
        await send(with_length(start, len(body)))
        await send({"type": "http.response.body", "body": body})

    def _with_nulls(self, body: bytes) -> bytes:
        page = json.loads(body)
        for row in page["items"]:
            bits = self._bits(json.dumps(row).encode())
            if bits % 10 == 0:
                fields = [field for field in _FIELDS if field in row]
                row[fields[bits // 10 % len(fields)]] = None
        if self._bits(body) % 3 == 0:
            page["total"] = None
        return json.dumps(page, ensure_ascii=False, separators=(",", ":")).encode()

    def _bits(self, text: bytes) -> int:
        return int(self._dice.roll(int.from_bytes(blake2b(text, digest_size=8).digest(), "little"))[0])
