"""_meta/runs: every run, land and build, with its ledger; a row when it starts, a second one when it ends."""

import secrets
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any, Literal

import polars as pl

from moovitamix_transform.warehouse import Warehouse

TABLE = "_meta/runs"
Kind = Literal["run", "land", "build"]
Status = Literal["running", "succeeded", "failed", "interrupted"]

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
class Run:
    """One row of _meta/runs."""

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

    @property
    def seconds(self) -> float | None:
        """How long it took; None while it runs, and when nobody saw its end."""
        return None if self.ended_at is None else round((self.ended_at - self.started_at).total_seconds(), 3)

    def end(self, status: Status, message: str | None = None) -> None:
        self.status, self.message, self.ended_at = status, message, datetime.now(UTC)


def new_run_id() -> str:
    """Sorts by time; the tail keeps two runs of one second apart."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}"


def record(warehouse: Warehouse, run: Run) -> None:
    warehouse.append(TABLE, pl.DataFrame([asdict(run)], schema=SCHEMA))


def unfinished(warehouse: Warehouse) -> list[Run]:
    """The runs whose second row is missing, oldest first."""
    if not warehouse.exists(TABLE):
        return []
    rows = warehouse.scan(TABLE)
    ended = rows.filter(pl.col("status") != "running")
    left = rows.join(ended, on="run_id", how="anti").sort("started_at").collect()
    return [_run(row) for row in left.iter_rows(named=True)]


def every(warehouse: Warehouse) -> list[Run]:
    """Each run once, newest first, as its last row has it: one without a second row is `running`, killed or not."""
    if not warehouse.exists(TABLE):
        return []
    rows = warehouse.scan(TABLE).sort(pl.col("status") == "running").unique("run_id", keep="first", maintain_order=True)
    newest_first = rows.sort("started_at", "run_id", descending=True).collect()
    return [_run(row) for row in newest_first.iter_rows(named=True)]


def _run(row: dict[str, Any]) -> Run:
    parts = {
        "streams": [StreamLedger(**each) for each in row["streams"]],
        "tables": [TableResult(**each) for each in row["tables"]],
        "warnings": [WarningCount(**each) for each in row["warnings"]],
    }
    return Run(**{**row, **parts})
