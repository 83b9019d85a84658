"""How old what the tables know is: the time since the newest extraction that their build saw."""

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING

import polars as pl

from moovitamix_transform import sources
from moovitamix_transform.alarms.verdict import Verdict
from moovitamix_transform.builds import Build
from moovitamix_transform.graph import models
from moovitamix_transform.runs import Level
from moovitamix_transform.streams import STREAMS
from moovitamix_transform.warehouse import Warehouse

if TYPE_CHECKING:
    # pydantic takes a tenth of a second, which only the commands that judge shall wait for.
    from moovitamix_transform.alarms.settings import Freshness

_HOUR = 3600


def judge(warehouse: Warehouse, build: Build, settings: "Freshness", now: datetime) -> Iterator[Verdict]:
    """One verdict per stream that ever came."""
    extracted = {stream: at for stream in STREAMS if (at := last_extraction(warehouse, build, stream))}
    yield from of_extractions(extracted, settings, now)


def of_extractions(extracted: dict[str, datetime], settings: "Freshness", now: datetime) -> Iterator[Verdict]:
    """One verdict per stream: a table is as old as the oldest of its streams, and is told of there.

    Args:
        extracted: by stream, its newest extraction that the tables know of.
    """
    tables: dict[str, list[str]] = {stream: [] for stream in extracted}
    for table in models():
        known = [stream for stream in _streams_of(table) if stream in extracted]
        if known:
            tables[min(known, key=extracted.__getitem__)].append(table)
    for stream, at in extracted.items():
        yield _verdict(stream, tables[stream], max(0.0, (now - at).total_seconds() / _HOUR), settings)


def last_extraction(warehouse: Warehouse, build: Build, stream: str) -> datetime | None:
    """When the newest record was extracted that the build read of a stream; or when a read began, by our clock, that
    came to its end and brought nothing that the build does not know. None of a stream that never came."""
    path, reads = sources.path(stream), sources.path("generations")
    newest = warehouse.newest(path, "_airbyte_extracted_at", build.tables[stream])
    if newest is None:
        return None
    has_seen_all = warehouse.count(path) == warehouse.count(path, build.tables[stream])
    complete = warehouse.scan(reads, None if has_seen_all else build.tables["generations"]).filter(
        (pl.col("stream") == stream) & pl.col("completed_at").is_not_null()
    )
    began = complete.select(pl.col("started_at").max()).collect().item()
    return newest if began is None else max(newest, began)


def _verdict(stream: str, tables: list[str], hours: float, settings: "Freshness") -> Verdict:
    levels: dict[Level, list[str]] = {"error": [], "warn": []}
    for table in tables:
        ages = settings.of(table)
        if hours >= ages.error_hours:
            levels["error"].append(table)
        elif hours >= ages.warn_hours:
            levels["warn"].append(table)
    for level, old in levels.items():
        if old:
            return Verdict(
                "freshness",
                stream,
                level,
                f"the newest extraction of {stream} that the build saw is {hours:,.0f} h old, too old for "
                f"{', '.join([*old, *(levels['warn'] if level == 'error' else [])])}",
            )
    age = f"{hours:,.0f} h" if hours >= 1 else "less than an hour"
    return Verdict("freshness", stream, None, f"its newest extraction is {age} old")


def _streams_of(table: str) -> set[str]:
    """The streams that a table is made of."""
    found = set()
    for read in models()[table].reads:
        found |= {read} if read in STREAMS else _streams_of(read) if read in models() else set()
    return found
