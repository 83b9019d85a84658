"""What no table needs any more: repeated observations, old builds, the files of both. A full rebuild gives the same."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import narwhals as nw
import polars as pl

from moovitamix_transform import builds, removals, runs, sources
from moovitamix_transform.builds import Build
from moovitamix_transform.errors import NoSuchBuild, WarehouseError
from moovitamix_transform.graph import SOURCES, models
from moovitamix_transform.ledger import KEYS
from moovitamix_transform.marts.deletions import departures
from moovitamix_transform.staging.latest import ORDER, latest
from moovitamix_transform.streams import STREAMS
from moovitamix_transform.tables import scan
from moovitamix_transform.warehouse import Warehouse

_NOT_OBSERVED = {"raw_id", "run_id", "extracted_at", "generation_id", "created_at", "updated_at", "broken_rules"}


@dataclass(frozen=True)
class Plan:
    """What a prune takes out.

    Attributes:
        records: by stream, `_airbyte_raw_id` and `_airbyte_generation_id` of the records that may go.
        text_bytes: by stream, how long their JSON texts are together.
        kept_builds: those that stay readable, newest first; beside the one that the prune makes where it has records.
    """

    records: dict[str, pl.DataFrame]
    text_bytes: dict[str, int]
    kept_builds: list[Build]
    old_builds: list[Build]

    @property
    def has_records(self) -> bool:
        """Some may go: then the prune makes a build without them."""
        return any(rows.height for rows in self.records.values())


def plan(warehouse: Warehouse, before: datetime) -> Plan:
    """What can go of all that was observed, and of the builds that were published, before an instant.

    Raises NoSuchBuild when nothing is built: only judged records can be told to be superfluous.
    """
    newest = builds.newest(warehouse)
    if newest is None:
        raise NoSuchBuild(f"{warehouse.root}: expected a build, none is published yet. Nothing was pruned.")
    every = builds.every(warehouse)
    records, text_bytes = {}, {}
    for stream in STREAMS:
        found = _repeated(warehouse, newest.tables, stream, before).collect(engine="streaming")
        text_bytes[stream] = int(found["bytes"].sum())
        records[stream] = found.drop("bytes")
    has_repeated = any(rows.height for rows in records.values())
    # Once the records are out, a new build takes the newest one's place, with the same tables.
    kept = [build for build in every if build.built_at >= before or (build == newest and not has_repeated)]
    return Plan(records, text_bytes, kept, [build for build in every if build not in kept])


def take_out(warehouse: Warehouse, planned: Plan, rebuild: Callable[[], Build]) -> None:
    """Deletes the records, each stream's in one commit that counts them, and builds from what is left.

    The caller holds the warehouse's lock; `rebuild` publishes a build.
    Raises WarehouseError, with everything put back, if a table would change.
    """
    before = builds.newest(warehouse)
    assert before is not None  # noqa: S101 - the plan was made of it
    paths = {stream: sources.path(stream) for stream, rows in planned.records.items() if rows.height}
    versions = {stream: warehouse.version(path) for stream, path in paths.items()}
    thinned = {
        stream: removals.take_out(warehouse, path, "pruned", planned.records[stream]) for stream, path in paths.items()
    }
    after = rebuild() if paths else before
    # On an object store others may land meanwhile: then the tables have reasons of their own to be other ones.
    is_alone = all(after.tables[name] == thinned.get(name, before.tables[name]) for name in SOURCES)
    changed = [name for name in models() if not name.startswith("base_") and after.tables[name] != before.tables[name]]
    if changed and is_alone:
        for stream, path in paths.items():
            removals.put_back(warehouse, path, versions[stream], after=thinned[stream])
        rebuild()
        raise WarehouseError(
            f"a defect of moovitamix: without the pruned records {', '.join(changed)} would have other rows. They were "
            "put back, and nothing was pruned."
        )
    if planned.old_builds:
        builds.forget(warehouse, [build.build_id for build in planned.old_builds])


def reclaim(
    warehouse: Warehouse, kept: list[Build], *, is_dry: bool, on_table: Callable[[str], None] = lambda _: None
) -> int:
    """Compacts small files, and removes those that neither a kept build nor a newest version needs.

    Returns the bytes of the files that go. A dry one compacts nothing, so it finds a little less.
    """
    freed = 0
    tables = {name: sources.path(name) for name in (*STREAMS, "_lines", "generations")} | {"runs": runs.TABLE}
    for name, path in (tables | {name: model.path for name, model in models().items()}).items():
        if warehouse.exists(path):
            on_table(name)
            if name in tables and not is_dry:
                warehouse.compact(path, carries=path != runs.TABLE)
            versions = {build.tables[name] for build in kept if name in build.tables}
            freed += warehouse.vacuum(path, versions, is_dry=is_dry)
    return freed


def _repeated(warehouse: Warehouse, tables: dict[str, int], stream: str, before: datetime) -> pl.LazyFrame:
    base, source = scan(warehouse, f"base_{stream}", tables), scan(warehouse, stream, tables)
    if STREAMS[stream].incremental:
        raw_ids = _superseded_listens(base, source, KEYS[stream], before)
    else:
        generations = scan(warehouse, "generations", tables)
        raw_ids = _repeated_observations(base, source, generations, stream, KEYS[stream][0], before)
    rows = source.join(raw_ids, left_on="_airbyte_raw_id", right_on="raw_id", how="semi")
    text_bytes = pl.col("_airbyte_data").str.len_bytes().alias("bytes")
    return rows.select("_airbyte_raw_id", "_airbyte_generation_id", text_bytes)


def _superseded_listens(base: pl.LazyFrame, source: pl.LazyFrame, key: list[str], before: datetime) -> pl.LazyFrame:
    """Superseded records with the attributes of the record they superseded themselves: never a key's first or last."""
    good = base.filter(pl.col("broken_rules").list.len() == 0)
    contested = good.join(good.group_by(key).len().filter(pl.col("len") > 1), on=key, how="semi")
    texts = source.select(pl.col("_airbyte_raw_id").alias("raw_id"), "_airbyte_data")
    ordered = contested.join(texts, on="raw_id", how="left").sort([*key, *ORDER])
    numbered = ordered.with_columns(
        shown=_shown(base, key), place=pl.int_range(pl.len()).over(key), records=pl.len().over(key)
    ).with_columns(shown_before=pl.col("shown").shift(1).over(key))
    is_between = (pl.col("place") > 0) & (pl.col("place") < pl.col("records") - 1)
    is_repeated = pl.col("shown") == pl.col("shown_before")
    return numbered.filter(is_between & is_repeated & (pl.col("extracted_at") < before)).select("raw_id")


def _repeated_observations(
    base: pl.LazyFrame, source: pl.LazyFrame, generations: pl.LazyFrame, stream: str, key: str, before: datetime
) -> pl.LazyFrame:
    """All records of a key in a generation, when each shows what the generation before it had shown of the key.

    Not a key's newest, not those of a generation that shows that some key left or came back, and not those of one
    that reaches, by its clock, into a later one.
    """
    shown = _shown(base, [key])
    good = base.filter(pl.col("broken_rules").list.len() == 0)
    seen = _polars(latest(nw.from_native(base), nw.from_native(source), [key, "generation_id"]))
    in_order = (
        seen.sort(key, "generation_id")
        .select(key, "generation_id", shown=shown)
        .with_columns(
            shown_before=pl.col("shown").shift(1).over(key),
            later_id=pl.col("generation_id").shift(-1).over(key),
        )
    )
    repeated = in_order.filter(pl.col("later_id").is_not_null() & (pl.col("shown") == pl.col("shown_before")))
    of_one_kind = good.group_by(key, "generation_id").agg(
        is_uniform=shown.n_unique() == 1, last_at=pl.col("extracted_at").max()
    )
    groups = repeated.join(of_one_kind, on=[key, "generation_id"]).filter(
        pl.col("is_uniform") & (pl.col("last_at") < before)
    )
    groups = groups.join(_telling(base, generations, stream, key), on="generation_id", how="anti")
    return good.join(groups, on=[key, "generation_id"], how="semi").select("raw_id")


def _telling(base: pl.LazyFrame, generations: pl.LazyFrame, stream: str, key: str) -> pl.LazyFrame:
    """The generations that must stay whole: of a departure, of a return, or out of the clock's order."""
    left = _polars(departures(nw.from_native(base), nw.from_native(generations), stream, key))
    spans = base.group_by("generation_id").agg(
        first_at=pl.col("extracted_at").min(), last_at=pl.col("extracted_at").max()
    )
    later_first = pl.col("first_at").reverse().cum_min().reverse().shift(-1)
    reaching = spans.sort("generation_id").filter(pl.col("last_at") > later_first).select("generation_id")
    ids = [
        left.select(pl.col("proof_id").alias("generation_id")),
        left.filter(pl.col("next_id").is_not_null()).select(pl.col("next_id").alias("generation_id")),
        reaching,
    ]
    return pl.concat(ids).unique()


def _shown(base: pl.LazyFrame, key: list[str]) -> pl.Expr:
    """All attributes of a record as one JSON text, so that nulls, and lists, compare as they are."""
    names = base.collect_schema().names()
    return pl.struct([name for name in names if name not in _NOT_OBSERVED and name not in key]).struct.json_encode()


def _polars(frame: nw.LazyFrame[Any]) -> pl.LazyFrame:
    native = frame.to_native()
    assert isinstance(native, pl.LazyFrame)  # noqa: S101 - it was made of them
    return native
