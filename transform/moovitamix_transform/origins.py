"""Where a stream's records come from, messages or files: each numbers its generations itself, so never both."""

from typing import Literal

from moovitamix_transform import sources
from moovitamix_transform.errors import WrongOrigin
from moovitamix_transform.warehouse import Warehouse

Origin = Literal["messages", "files"]
_TOLD: dict[Origin, str] = {
    "messages": "from a source's messages (`run`, `land`)",
    "files": "from a destination's files (`land --from`)",
}


def require(warehouse: Warehouse, stream: str, origin: Origin) -> None:
    """WrongOrigin when the stream's records came another way so far. A stream without any may come either way."""
    metadata = warehouse.metadata(sources.path(stream))
    # Before there were two origins, none was written down.
    known: Origin | None = metadata.get("origin") or ("messages" if metadata.get("generation_id") else None)
    if known not in (None, origin):
        raise WrongOrigin(
            f"{stream}: expected its records {_TOLD[known]} as all before them, got some {_TOLD[origin]}: the two "
            "number their generations apart, and a key gone in the one is not gone in the other. Nothing of them was "
            "written, what was committed before stays; another warehouse (--warehouse) takes them"
        )
