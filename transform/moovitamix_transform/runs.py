"""_meta/runs: every run, land and build, with its ledger; a row when it starts, a second one when it ends.

A table of an older moovitamix has fewer columns: what it did not record is None, and the next run's row widens it.
"""

import hashlib
import secrets
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any, Literal

import polars as pl

from moovitamix_transform import surroundings
from moovitamix_transform.errors import WarehouseInUse
from moovitamix_transform.warehouse import Warehouse

TABLE = "_meta/runs"
Kind = Literal["run", "land", "build"]
Status = Literal["running", "succeeded", "failed", "interrupted"]
SyncMode = Literal["full_refresh", "incremental"]
Level = Literal["warn", "error"]

MOST_FILES = 200
_START = ("run_id", "kind", "started_at", "status")
_INSTANT = pl.Datetime("us", "UTC")
_STREAM = pl.Struct(
    {
        "stream": pl.String(),
        "received": pl.Int64(),
        "landed": pl.Int64(),
        "quarantined_lines": pl.Int64(),
        "new": pl.Int64(),
        "landed_total": pl.Int64(),
        "kept": pl.Int64(),
        "superseded": pl.Int64(),
        "quarantined": pl.Int64(),
        "pruned": pl.Int64(),
        "erased": pl.Int64(),
        "closed": pl.Int64(),
        "quarantined_records": pl.Int64(),
        "sync_mode": pl.String(),
        "state_before": pl.String(),
        "state_after": pl.String(),
    }
)
SCHEMA = pl.Schema(
    {
        "run_id": pl.String(),
        "kind": pl.String(),
        "started_at": _INSTANT,
        "ended_at": _INSTANT,
        "status": pl.String(),
        "message": pl.String(),
        "build_id": pl.Int64(),
        "version": pl.String(),
        "streams": pl.List(_STREAM),
        "tables": pl.List(pl.Struct({"table": pl.String(), "rows": pl.Int64(), "seconds": pl.Float64()})),
        "warnings": pl.List(pl.Struct({"name": pl.String(), "table": pl.String(), "count": pl.Int64()})),
        "started_by": pl.String(),
        "versions": pl.List(pl.Struct({"package": pl.String(), "version": pl.String()})),
        "config": pl.String(),
        "config_sha256": pl.String(),
        "peak_memory_bytes": pl.Int64(),
        "child_peak_memory_bytes": pl.Int64(),
        "nulls": pl.List(
            pl.Struct({"table": pl.String(), "column": pl.String(), "nulls": pl.Int64(), "rows": pl.Int64()})
        ),
        "alarms": pl.List(
            pl.Struct({"kind": pl.String(), "subject": pl.String(), "level": pl.String(), "detail": pl.String()})
        ),
    }
)


UNUSUAL_PARTS = ("pruned", "erased", "closed")
PARTS = ("kept", "superseded", "quarantined", *UNUSUAL_PARTS)


@dataclass
class StreamLedger:
    """One stream's numbers. `stream` is None for lines that name none.

    Of the run: received = landed + quarantined_lines; `new` of them are keys never seen or seen with other columns.
    Of the whole history, None without a build: landed_total = kept + superseded + quarantined + pruned + erased +
    closed (records of closed epochs).
    Of the run again: `quarantined_records` of those it landed, None without a build; how a `run` asked for the stream,
    None for other kinds; the stream's committed state before and after, as JSON texts.
    """

    stream: str | None
    received: int = 0
    landed: int = 0
    quarantined_lines: int = 0
    new: int | None = None
    landed_total: int | None = None
    kept: int | None = None
    superseded: int | None = None
    quarantined: int | None = None
    pruned: int | None = None
    erased: int | None = None
    closed: int | None = None
    quarantined_records: int | None = None
    sync_mode: SyncMode | None = None
    state_before: str | None = None
    state_after: str | None = None

    def parts(self) -> dict[str, int]:
        """What became of the landed records, exactly one of these of each; the unusual ones where there are some."""
        counts = {name: getattr(self, name) or 0 for name in PARTS}
        return {name: count for name, count in counts.items() if count or name not in UNUSUAL_PARTS}


@dataclass
class TableResult:
    table: str
    rows: int
    seconds: float


@dataclass
class WarningCount:
    name: str
    table: str
    count: int


@dataclass
class NullCount:
    """How many of a table's rows have no value in a column."""

    table: str
    column: str
    nulls: int
    rows: int


@dataclass
class Alarm:
    """What is wrong with the run, or with what it built: of what and how bad; see `alarms.verdict`."""

    kind: str
    subject: str
    level: Level
    detail: str


@dataclass
class Run:
    """One row of _meta/runs. What an older moovitamix did not record is None, or empty."""

    kind: Kind
    run_id: str = field(default_factory=lambda: new_run_id())
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    ended_at: datetime | None = None
    status: Status = "running"
    message: str | None = None
    build_id: int | None = None
    version: str = field(default_factory=lambda: version("moovitamix"))
    streams: list[StreamLedger] = field(default_factory=list)
    tables: list[TableResult] = field(default_factory=list)
    warnings: list[WarningCount] = field(default_factory=list)
    started_by: str | None = field(default_factory=surroundings.started_by)
    versions: dict[str, str] = field(default_factory=surroundings.versions)
    config: str | None = None  # of the source, as JSON, with placeholders for what is secret
    config_sha256: str | None = None
    peak_memory_bytes: int | None = None
    child_peak_memory_bytes: int | None = None  # of the source's largest process
    nulls: list[NullCount] = field(default_factory=list)
    alarms: list[Alarm] = field(default_factory=list)

    @property
    def seconds(self) -> float | None:
        """How long it took; None while it runs, and when nobody saw its end."""
        return None if self.ended_at is None else round((self.ended_at - self.started_at).total_seconds(), 3)

    def end(self, status: Status, message: str | None = None) -> None:
        self.status, self.message, self.ended_at = status, message, datetime.now(UTC)
        self.peak_memory_bytes = surroundings.peak_memory_bytes()

    def is_of_config(self, config: str) -> None:
        """The run read a source with this config, a JSON text without secrets."""
        self.config, self.config_sha256 = config, hashlib.sha256(config.encode()).hexdigest()


def new_run_id() -> str:
    """Sorts by time; the tail keeps two runs of one second apart."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}"


def record(warehouse: Warehouse, run: Run) -> None:
    """Each row is a file of its own: now and then they are made one, or a few years of them take seconds to read."""
    row = asdict(run)
    row["versions"] = [{"package": package, "version": version} for package, version in run.versions.items()]
    warehouse.append(TABLE, pl.DataFrame([row], schema=SCHEMA), is_wider=True)
    if run.status != "running" and warehouse.file_count(TABLE) >= MOST_FILES:
        with suppress(WarehouseInUse):  # another writer's commit, on an object store: the next run does it
            warehouse.compact(TABLE, carries=False)


def unfinished(warehouse: Warehouse) -> list[Run]:
    """The runs whose second row is missing, oldest first."""
    killed = starts(warehouse).filter(pl.col("status") == "running")
    return _read(warehouse, killed)[::-1] if killed.height else []


def every(
    warehouse: Warehouse, *, kind: Kind | None = None, status: Status | None = None, limit: int | None = None
) -> list[Run]:
    """Each run once, newest first, as its last row has it: one without a second row is `running`, killed or not.

    Args:
        kind, status: only such runs.
        limit: only so many, the newest ones: the others are not read whole.
    """
    wanted = starts(warehouse)
    for name, value in (("kind", kind), ("status", status)):
        wanted = wanted if value is None else wanted.filter(pl.col(name) == value)
    wanted = wanted if limit is None else wanted.head(limit)
    return _read(warehouse, wanted) if wanted.height else []


def starts(warehouse: Warehouse) -> pl.DataFrame:
    """run_id, kind, started_at and status of each run, newest first: what costs little of a long history."""
    if not warehouse.exists(TABLE):
        return pl.DataFrame(schema={name: SCHEMA[name] for name in _START})
    return _last_rows(warehouse.scan(TABLE).select(_START)).collect()


def _read(warehouse: Warehouse, wanted: pl.DataFrame) -> list[Run]:
    rows = warehouse.scan(TABLE).join(wanted.lazy().select("run_id"), on="run_id", how="semi")
    return [_run(row) for row in _last_rows(rows).collect().iter_rows(named=True)]


def _last_rows(rows: pl.LazyFrame) -> pl.LazyFrame:
    last = rows.sort(pl.col("status") == "running").unique("run_id", keep="first", maintain_order=True)
    return last.sort("started_at", "run_id", descending=True)


def _run(row: dict[str, Any]) -> Run:
    """A row of this or an older version's table: what is not there is None, or empty."""
    lists: dict[str, type] = {
        "streams": StreamLedger,
        "tables": TableResult,
        "warnings": WarningCount,
        "nulls": NullCount,
        "alarms": Alarm,
    }
    parts: dict[str, Any] = {name: [kind(**each) for each in row.get(name) or ()] for name, kind in lists.items()}
    parts["versions"] = {each["package"]: each["version"] for each in row.get("versions") or ()}
    return Run(**{**dict.fromkeys(SCHEMA.names()), **row, **parts})
