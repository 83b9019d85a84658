"""Which requests a scenario disturbs, and what their undisturbed answer is."""

from starlette.types import ASGIApp, Message, Receive, Scope

_PATHS = ("/tracks", "/users", "/listen_history")


def is_page(scope: Scope) -> bool:
    """Whether a request asks for a page of a collection: the docs and /health always work."""
    return scope["type"] == "http" and scope["path"] in _PATHS


async def answer(app: ASGIApp, scope: Scope, receive: Receive) -> tuple[Message, bytes]:
    """The application's answer: its start message, its whole body."""
    messages: list[Message] = []

    async def keep(message: Message) -> None:
        messages.append(message)

    await app(scope, receive, keep)
    return messages[0], b"".join(message.get("body", b"") for message in messages[1:])


def with_length(start: Message, length: int) -> Message:
    """A start message that announces a body of another length."""
    headers = [(name, value) for name, value in start["headers"] if name != b"content-length"]
    return {**start, "headers": [*headers, (b"content-length", str(length).encode())]}
