"""The three streams of source-moovitamix, as the transform reads them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Stream:
    """A collection of the API: its name, its key in the API's fields, and how it is synced."""

    name: str
    key: tuple[str, ...]
    incremental: bool


STREAMS = {
    "tracks": Stream("tracks", ("id",), incremental=False),
    "users": Stream("users", ("id",), incremental=False),
    "listen_history": Stream("listen_history", ("user_id", "created_at"), incremental=True),
}
