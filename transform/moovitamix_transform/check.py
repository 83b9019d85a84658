"""The newest build, judged again from its tables as they lie: contracts, ledger, drift, warnings, alarms."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal

import polars as pl

from moovitamix_transform import builds, drift, fields_seen, ledger
from moovitamix_transform.alarms.verdict import KINDS, Verdict
from moovitamix_transform.alarms.watch import default_settings, now
from moovitamix_transform.builds import Build
from moovitamix_transform.data_warnings import DataWarning, all_warnings
from moovitamix_transform.engines.on_polars import OnPolars
from moovitamix_transform.errors import ContractBroken, LedgerMismatch, NoSuchTable, WarehouseError, first_line
from moovitamix_transform.graph import fields_read, models
from moovitamix_transform.streams import STREAMS
from moovitamix_transform.tables import scan
from moovitamix_transform.warehouse import Warehouse
from moovitamix_transform.wording import counted

if TYPE_CHECKING:
    # pydantic takes a tenth of a second, which only the commands that judge shall wait for.
    from moovitamix_transform.alarms.settings import Settings

Outcome = Literal["passed", "failed", "warned", "accepted"]  # accepted: a warning that the settings name
Judgement = tuple[Outcome, str]  # with its detail
Judge = Callable[[Warehouse, Build], Judgement]


@dataclass(frozen=True)
class CheckResult:
    """`subject` is a table or a stream, `detail` the numbers or the message."""

    check: str
    subject: str
    outcome: Outcome
    detail: str


def check(warehouse: Warehouse, settings: "Settings | None" = None) -> list[CheckResult]:
    """Each contract, the ledger and the fields of each stream, each warning of the newest build, and the alarms. A
    table that cannot be read any more fails what reads it, and nothing else."""
    build = builds.newest(warehouse)
    if build is None:
        raise NoSuchTable(f"{warehouse.root}: expected a build to check, none is published yet; run `moovitamix build`")
    settings = settings or default_settings()
    damage = {name: warehouse.damage(model.path, build.tables[name]) for name, model in models().items()}
    judgements: list[tuple[str, str, tuple[str, ...], Judge]] = [
        *(("contract", name, (name,), partial(_contract, name)) for name in models()),
        *(("ledger", name, (f"base_{name}", f"stg_{name}"), partial(_ledger, name)) for name in ledger.KEYS),
        ("ledger", "quarantine", ("quarantine", *(f"base_{name}" for name in ledger.KEYS)), _quarantine),
        ("ledger", "dimensions", (), _dimensions),  # by what the tables' logs say, whose files need not be there
        ("ledger", "listens", ("stg_listen_history", "fct_listens", *ledger.COUNTED), _listens),
        *(("drift", name, (), partial(_drift, name)) for name in STREAMS),
        *(
            ("warning", warning.table, warning.reads, partial(_warning, warning, settings))
            for warning in all_warnings()
        ),
    ]
    results = []
    for kind, subject, reads, judge in judgements:
        damaged = next((damage[name] for name in reads if damage[name]), None)
        judgement: Judgement = (
            _judged(subject, partial(judge, warehouse, build)) if damaged is None else ("failed", damaged)
        )
        results.append(CheckResult(kind, subject, *judgement))
    return [*results, *_alarms(warehouse, settings)]


def _alarms(warehouse: Warehouse, settings: "Settings") -> Iterator[CheckResult]:
    """Each alarm, as things are now; and of the kinds without one, that there is none."""
    try:
        verdicts = now(warehouse, settings)
    except (WarehouseError, pl.exceptions.PolarsError, OSError) as error:
        yield CheckResult("alarm", "alarms", "failed", f"could not be judged: {first_line(error)}")
        return
    for kind in (kind for kind in KINDS if kind not in settings.off):
        mine = [verdict for verdict in verdicts if verdict.kind == kind]
        raised = [verdict for verdict in mine if verdict.level]
        for verdict in raised:
            # A run that failed says nothing of the build that stands, which is what is checked.
            outcome: Outcome = "failed" if verdict.level == "error" and kind != "run" else "warned"
            yield CheckResult("alarm", f"{kind} {verdict.subject}", outcome, verdict.detail)
        if mine and not raised:
            yield CheckResult("alarm", kind, "passed", _told_of(mine))


def _told_of(verdicts: list[Verdict]) -> str:
    details = {verdict.detail for verdict in verdicts}
    return details.pop() if len(details) == 1 else f"none of {len(verdicts)} is unusual"


def _judged(subject: str, judge: Callable[[], Judgement]) -> Judgement:
    try:
        return judge()
    except (ContractBroken, LedgerMismatch) as error:
        return "failed", str(error)
    except (WarehouseError, pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        return "failed", f"{subject}: could not be read: {first_line(error)}"


def _contract(name: str, warehouse: Warehouse, build: Build) -> Judgement:
    models()[name].require(scan(warehouse, name, build.tables))
    return "passed", models()[name].grain


def _ledger(stream: str, warehouse: Warehouse, build: Build) -> Judgement:
    entry = ledger.of_stream(OnPolars(warehouse), build.tables, stream)
    parts = " + ".join(f"{count} {part}" for part, count in entry.parts().items())
    return "passed", f"{entry.landed_total} landed = {parts}"


def _quarantine(warehouse: Warehouse, build: Build) -> Judgement:
    ledger.require_quarantine(OnPolars(warehouse), build.tables)
    return "passed", "each quarantined record and line is in it"


def _dimensions(warehouse: Warehouse, build: Build) -> Judgement:
    rows = ledger.require_dimensions(OnPolars(warehouse), build.tables)
    return "passed", ", ".join(f"{name} has all {count} of {ledger.DIMENSIONS[name]}" for name, count in rows.items())


def _listens(warehouse: Warehouse, build: Build) -> Judgement:
    """By their numbers, as in each build, and fct_listens row by row: as many others have the same numbers."""
    engine, model = OnPolars(warehouse), models()["fct_listens"]
    listens = ledger.require_listens(engine, build.tables)
    if not engine.has_same_rows(engine.whole(model, build.tables), engine.table(model.name, build.tables)):
        raise LedgerMismatch(
            "fct_listens: expected the plays of stg_listen_history, got as many other rows; `moovitamix build "
            "--full-refresh` makes it anew"
        )
    return "passed", f"{counted(listens, 'play')}: all in fct_listens, all counted by the marts"


def _drift(stream: str, warehouse: Warehouse, build: Build) -> Judgement:
    """Warned in the build that noticed a change; later ones say which fields no table has."""
    noticed = [row for row in fields_seen.rows(warehouse, build.tables.get("fields")) if row["stream"] == stream]
    news = [row for row in noticed if row["build_id"] == build.build_id and row["change"] != "known"]
    if news:
        return "warned", "; ".join(map(drift.described, news))
    last = fields_seen.last_changes(noticed).get(stream, {})
    unread = [name for name, row in last.items() if name not in fields_read(stream) and row["change"] != "vanished"]
    gone = [name for name, row in last.items() if name in fields_read(stream) and row["change"] == "vanished"]
    parts = [f"in the raw text only: {', '.join(unread)}"] if unread else []
    parts += [f"vanished: {', '.join(gone)}"] if gone else []
    return "passed", "; ".join(parts) or "the fields are those the tables read"


def _warning(warning: DataWarning, settings: "Settings", warehouse: Warehouse, build: Build) -> Judgement:
    count = warning.count(OnPolars(warehouse), build.tables)
    odd: Outcome = "accepted" if warning.name in settings.warnings.accept else "warned"
    return odd if count else "passed", f"{warning.name}: {counted(count, 'row')}"
