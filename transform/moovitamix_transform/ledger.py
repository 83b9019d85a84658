"""Law 1: every record received is counted in exactly one place, and the counts come from different places."""

from collections import Counter

import narwhals as nw
import polars as pl

from moovitamix_transform import epochs, removals, sources
from moovitamix_transform.engines.engine import Engine, count, element_count, number
from moovitamix_transform.errors import LedgerMismatch
from moovitamix_transform.graph import models
from moovitamix_transform.runs import StreamLedger
from moovitamix_transform.staging.fields import IS_GOOD
from moovitamix_transform.staging.odd_rules import ODD_RULES
from moovitamix_transform.streams import STREAMS
from moovitamix_transform.warehouse import Warehouse

# The marts with a `listen_count`.
COUNTED = ("user_track_interactions", "track_popularity", "user_profiles")
# The key's columns in base_<stream> and stg_<stream>.
KEYS = {"tracks": ["track_id"], "users": ["user_id"], "listen_history": ["user_id", "listened_at"]}
# A row each of its staging table.
DIMENSIONS = {"dim_tracks": "stg_tracks", "dim_users": "stg_users"}


def of_run(warehouse: Warehouse, run_id: str, received: Counter[str | None] | None) -> list[StreamLedger]:
    """received (counted on the wire) = landed (read from the tables' Delta log) + quarantined lines (from _lines).

    Args:
        received: None for a run that was cut off: what it committed counts as received.
    Raises LedgerMismatch, naming the stream and the difference.
    """
    lines = warehouse.scan(sources.path("_lines")).filter(pl.col("run_id") == run_id).group_by("stream").len().collect()
    quarantined: dict[str | None, int] = dict(lines.iter_rows())
    heard_of = {*(received or ()), *quarantined}
    names: list[str | None] = [*STREAMS, *sorted(name for name in heard_of - {*STREAMS} if name)]
    if None in heard_of:
        names.append(None)
    entries = []
    for name in names:
        landed = warehouse.count_where(sources.path(name), "_run_id", run_id) if name in STREAMS and name else 0
        odd_lines = quarantined.get(name, 0)
        entry = StreamLedger(name, landed + odd_lines if received is None else received[name], landed, odd_lines)
        if entry.received != entry.landed + entry.quarantined_lines:
            raise LedgerMismatch(
                f"{name or 'lines without a stream'}: received {entry.received}, expected as many landed and "
                f"quarantined, got {entry.landed} landed and {entry.quarantined_lines} quarantined lines: "
                f"{entry.received - entry.landed - entry.quarantined_lines:+} unaccounted for in run {run_id}"
            )
        entries.append(entry)
    return entries


def of_history(engine: Engine, tables: dict[str, int], before: dict[str, int] | None = None) -> dict[str, StreamLedger]:
    """Every stream's numbers over its whole history, at these table versions.

    Args:
        before: the table versions of a build whose plays were counted; only those of files that it had not are counted
            again. None to count all, as `moovitamix check` does.
    Raises LedgerMismatch, naming the stream or table and the difference.
    """
    entries = {name: of_stream(engine, tables, name) for name in KEYS}
    require_quarantine(engine, tables)
    require_dimensions(engine, tables)
    require_listens(engine, tables, before)
    return entries


def of_stream(engine: Engine, tables: dict[str, int], name: str) -> StreamLedger:
    """landed_total = kept + superseded + quarantined + pruned + erased + closed.

    landed_total comes from the source table's log and what was taken out of it, kept from the staging table's log,
    superseded and quarantined from the judged records, closed from the source table's generations.
    """
    warehouse = engine.warehouse
    good = engine.table(f"base_{name}", tables).filter(IS_GOOD)
    records_per_key = good.group_by(KEYS[name]).agg(nw.len().alias("records"))
    path = sources.path(name)
    pruned, erased = (removals.total(warehouse, path, tables[name], kind) for kind in ("pruned", "erased"))
    entry = StreamLedger(
        name,
        landed_total=warehouse.count(path, tables[name]) + pruned + erased,
        kept=warehouse.count(f"staging/stg_{name}", tables[f"stg_{name}"]),
        superseded=number(engine, records_per_key.select((nw.col("records").cast(nw.Int64()) - 1).sum())),
        quarantined=_quarantined(engine, tables, name),
        pruned=pruned,
        erased=erased,
        closed=_closed(engine, tables, name),
    )
    _require_sum(entry)
    _require_judged(entry, warehouse.count(f"staging/base_{name}", tables[f"base_{name}"]))
    return entry


def new_records(warehouse: Warehouse, run_id: str, stream: str, tables: dict[str, int], before: int | None) -> int:
    """Keys of the run's good records whose latest row the build before did not have, or had with other columns.

    Args:
        tables: the table versions of the run's build.
        before: the version of stg_<stream> in the build before; None when there was none.
    """
    key = KEYS[stream]
    base = warehouse.scan(f"staging/base_{stream}", tables[f"base_{stream}"])
    mine = base.filter(pl.col("run_id") == run_id, pl.col("broken_rules").list.len() == 0).select(key).unique()
    path, version = f"staging/stg_{stream}", tables[f"stg_{stream}"]
    if before is None:
        fresh = warehouse.scan(path, version).join(mine, on=key, how="semi")
    else:
        # Only what this build wrote can be new, and only the run's keys are compared whole.
        columns = pl.struct(pl.all()).hash(seed=0).alias("columns")
        written, replaced = (
            rows.join(mine, on=key, how="semi").select(*key, columns)
            for rows in warehouse.scan_apart(path, version, before)
        )
        fresh = written.join(replaced, on=[*key, "columns"], how="anti")
    return int(fresh.select(pl.len()).collect(engine="streaming").item())


def quarantined_of_run(warehouse: Warehouse, run_id: str, stream: str, tables: dict[str, int]) -> int:
    """Records of the run that break a rule."""
    base = warehouse.scan(f"staging/base_{stream}", tables[f"base_{stream}"])
    bad = base.filter(pl.col("run_id") == run_id, pl.col("broken_rules").list.len() > 0).select(pl.len())
    return int(bad.collect(engine="streaming").item())


def _quarantined(engine: Engine, tables: dict[str, int], name: str) -> int:
    return count(engine, engine.table(f"base_{name}", tables).filter(~IS_GOOD))


def _closed(engine: Engine, tables: dict[str, int], name: str) -> int:
    """Records of epochs before the build's."""
    first = epochs.at(engine.warehouse, tables.get("epochs")).first_generations.get(name)
    if first is None:
        return 0
    rows = engine.scan(sources.path(name), tables[name])
    return count(engine, rows.filter(nw.col("_airbyte_generation_id") < first))


def _require_sum(entry: StreamLedger) -> None:
    parts = entry.parts()
    missing = (entry.landed_total or 0) - sum(parts.values())
    if missing:
        *most, last = (f"{count} {name}" for name, count in parts.items())
        raise LedgerMismatch(
            f"{entry.stream}: {entry.landed_total} records landed, expected as many in the tables, got "
            f"{', '.join(most)} and {last}: {missing:+} unaccounted for"
        )


def _require_judged(entry: StreamLedger, judged: int) -> None:
    """Lost between landing and judging, with its key's row still there: the sum alone does not see it."""
    expected = (entry.landed_total or 0) - (entry.pruned or 0) - (entry.erased or 0) - (entry.closed or 0)
    if expected != judged:
        raise LedgerMismatch(
            f"{entry.stream}: {expected} records landed, expected as many judged, got {judged}: "
            f"{expected - judged:+} unaccounted for"
        )


def require_quarantine(engine: Engine, tables: dict[str, int]) -> None:
    """The quarantine holds each of them: the records the ledger counts, and every line.

    Raises LedgerMismatch, naming the stream and the difference.
    """
    quarantine = engine.table("quarantine", tables)
    is_line = nw.col("rule").is_in(list(ODD_RULES))
    held = engine.collect(
        quarantine.select("stream", "raw_id", is_line=is_line)
        .unique()
        .group_by("stream", "is_line")
        .agg(nw.len().alias("held"))
    )
    expected = {"lines": count(engine, engine.table("_lines", tables))}
    got = {"lines": held.filter("is_line")["held"].sum()}
    for name in KEYS:
        expected[name] = _quarantined(engine, tables, name)
        got[name] = held.filter(~pl.col("is_line") & (pl.col("stream") == name))["held"].sum()
    for name in expected:
        if expected[name] != got[name]:
            raise LedgerMismatch(
                f"quarantine: expected {expected[name]} of {name}, got {got[name]}: "
                f"{expected[name] - got[name]:+} unaccounted for"
            )


def require_dimensions(engine: Engine, tables: dict[str, int]) -> dict[str, int]:
    """Each dimension has as many rows as its staging table. Returns how many each has.

    Raises LedgerMismatch, naming the table and the difference.
    """
    got = {name: engine.warehouse.count(models()[name].path, tables[name]) for name in DIMENSIONS}
    for name, staged in DIMENSIONS.items():
        expected = engine.warehouse.count(models()[staged].path, tables[staged])
        _require_rows(name, expected, f"rows of {staged}", got[name])
    return got


def require_listens(engine: Engine, tables: dict[str, int], before: dict[str, int] | None = None) -> int:
    """fct_listens has as many rows as the lists have plays, and each mart that counts listens counts as many. Returns
    how many there are.

    Args:
        before: as `of_history` takes it.
    Raises LedgerMismatch, naming the table and the difference.
    """
    listens = engine.warehouse.count(models()["fct_listens"].path, tables["fct_listens"])
    _require_rows("fct_listens", _plays(engine, tables, before), "plays of stg_listen_history", listens)
    for name in COUNTED:
        got = number(engine, engine.table(name, tables).select(nw.col("listen_count").sum()))
        _require_rows(name, listens, "listens, the rows of fct_listens", got)
    return listens


def _plays(engine: Engine, tables: dict[str, int], before: dict[str, int] | None) -> int:
    """The plays in the lists of stg_listen_history. To read them all takes a fourteenth of the seconds of a day, so
    that of files which the build before had too its listens are taken, which were held against them."""
    model = models()["stg_listen_history"]
    version = tables[model.name]
    if before is None or _shares_no_file(engine, model.path, version, before[model.name]):
        return engine.element_count(model, version)
    known = before[model.name]
    counted = engine.warehouse.count(models()["fct_listens"].path, before["fct_listens"])
    if version == known:
        return counted
    added, removed = (engine.scan_apart(model.path, *each) for each in ((version, known), (known, version)))
    return counted + element_count(engine, model, added) - element_count(engine, model, removed)


def _shares_no_file(engine: Engine, path: str, version: int, known: int) -> bool:
    """It was written whole: the other's files are not needed, and may be damaged."""
    now, then = ({each.path for each in engine.warehouse.data_files(path, at)} for at in (version, known))
    return now.isdisjoint(then)


def _require_rows(table: str, expected: int, of: str, got: int) -> None:
    if got != expected:
        raise LedgerMismatch(f"{table}: expected {expected} {of}, got {got}: {expected - got:+} unaccounted for")
