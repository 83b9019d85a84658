"""Streams that are dead, not merely without news: read whole, and not one record came, where there were some before."""

from collections import Counter
from collections.abc import Iterable

import narwhals as nw

from moovitamix_transform import epochs, sources
from moovitamix_transform.warehouse import Warehouse

DETAIL = "expected records, as in the reads before, got none, though it was read whole"


def message(stream: str) -> str:
    """Why a run with a dead stream fails."""
    return (
        f"{stream}: {DETAIL}. Its tables stay as they were, no key counts as gone; if the API has none left, "
        "`moovitamix run --allow-empty` takes its word for it"
    )


def dead(warehouse: Warehouse, received: Counter[str | None], whole: Iterable[str]) -> list[str]:
    """The dead streams of a read.

    A read that goes on from a state may well have no news; a lookback window makes it read a part again, but how much
    lies in it nobody can know. Its zero is judged by its volume, beside the reads before.

    Args:
        received: lines per stream.
        whole: the streams that were read from their beginning. Those too of which nothing was heard at all, unless the
            source left them out.
    """
    return [stream for stream in whole if not received[stream] and _has_records(warehouse, stream)]


def _has_records(warehouse: Warehouse, stream: str) -> bool:
    """In this epoch."""
    epoch = epochs.at(warehouse, warehouse.version(epochs.TABLE))
    rows = epoch.cut(stream, nw.from_native(warehouse.scan(sources.path(stream)))).select(nw.len())
    return bool(rows.to_native().collect(engine="streaming").item())
