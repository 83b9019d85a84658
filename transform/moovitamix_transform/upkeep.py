"""Builds that a person asks for, to keep the warehouse in order: prune, and the replay of the quarantine."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from moovitamix_transform import builds
from moovitamix_transform import prune as planner
from moovitamix_transform.build import BuildResult
from moovitamix_transform.catalog import resolve
from moovitamix_transform.progress import RunProgress
from moovitamix_transform.recording import recorded
from moovitamix_transform.run import build_into
from moovitamix_transform.warehouse import Warehouse


@dataclass(frozen=True)
class Pruned:
    """What a prune took out, or would; `bytes` are those of the files it removes, and a kept build may be its own."""

    streams: dict[str, dict[str, int]]
    old_builds: int
    kept_builds: int
    bytes: int


def prune(
    warehouse: Warehouse,
    before: datetime,
    progress: RunProgress,
    *,
    apply: bool,
    tell: Callable[[str], None] = lambda _: None,
) -> Pruned:
    """Takes out what was observed before an instant and no table needs. Recorded in _meta/runs, as the build it makes.

    Without `apply` nothing is written, and no lock is needed.

    Args:
        tell: is given what the build of what landed last has to say, at once: no later one says it again.
    """
    warehouse.open()
    if not apply:
        return _pruned(warehouse, planner.plan(warehouse, before), None)
    with warehouse.writing(), recorded(warehouse, "build") as run:
        judged = build_into(warehouse, run, on_table=progress.step)  # what landed since the last build comes first
        for notice in judged.notices:
            tell(notice)
        planned = planner.plan(warehouse, before)
        planner.take_out(warehouse, planned, lambda: build_into(warehouse, run, on_table=progress.step).build)
        freed = planner.reclaim(warehouse, builds.every(warehouse), is_dry=False, on_table=progress.step)
        return _pruned(warehouse, planned, freed)


def _pruned(warehouse: Warehouse, planned: planner.Plan, freed: int | None) -> Pruned:
    streams = {
        stream: {"records": rows.height, "bytes of text": planned.text_bytes[stream]}
        for stream, rows in planned.records.items()
    }
    if freed is not None:
        return Pruned(streams, len(planned.old_builds), len(builds.every(warehouse)), freed)
    kept = len(planned.kept_builds) + planned.has_records  # whose place a build of the prune takes
    return Pruned(streams, len(planned.old_builds), kept, planner.reclaim(warehouse, planned.kept_builds, is_dry=True))


@dataclass(frozen=True)
class Replay:
    """What became of the quarantine's records and lines, once all were judged anew.

    Attributes:
        rows: one per stream and rule that was or is broken; `released` broke it and break nothing now, `held` break it
            still, or another rule instead, `caught` did not break it before.
    """

    result: BuildResult
    rows: pl.DataFrame


def replay(warehouse: Warehouse, progress: RunProgress) -> Replay:
    """Judges all that ever landed by today's rules, and builds every table of it. Recorded in _meta/runs.

    Raises NoSuchTable when nothing is built: then there is no quarantine to replay.
    """
    key = ["stream", "rule", "raw_id"]
    before = resolve(warehouse.open(), "quarantine").select(key).collect()
    with warehouse.writing(), recorded(warehouse, "build") as run:
        result = build_into(warehouse, run, full_refresh=True, on_table=progress.step)
        after = resolve(warehouse, "quarantine").select(key).collect()
    return Replay(result, _compared(before, after))


def _compared(before: pl.DataFrame, after: pl.DataFrame) -> pl.DataFrame:
    is_held = pl.col("raw_id").is_in(after["raw_id"].implode())
    old = before.group_by("stream", "rule").agg(
        (~is_held).sum().cast(pl.Int64).alias("released"), is_held.sum().cast(pl.Int64).alias("held")
    )
    fresh = after.join(before, on=["rule", "raw_id"], how="anti").group_by("stream", "rule").len("caught")
    rows = old.join(fresh, on=["stream", "rule"], how="full", coalesce=True, nulls_equal=True)
    counts = (pl.col(name).fill_null(0).cast(pl.Int64) for name in ("released", "held", "caught"))
    return rows.select("stream", "rule", *counts).sort("stream", "rule", nulls_last=True)
