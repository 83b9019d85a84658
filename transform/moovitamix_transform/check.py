"""The newest build, judged again from its tables as they lie: contracts, ledger, warnings."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import polars as pl

from moovitamix_transform import builds, ledger
from moovitamix_transform.build import count_of, scan
from moovitamix_transform.builds import Build
from moovitamix_transform.contracts import require
from moovitamix_transform.data_warnings import DataWarning, all_warnings
from moovitamix_transform.errors import ContractBroken, LedgerMismatch, NoSuchTable, WarehouseError, first_line
from moovitamix_transform.graph import models
from moovitamix_transform.warehouse import Warehouse

Outcome = Literal["passed", "failed", "warned"]
Judgement = tuple[Outcome, str]  # with its detail
Judge = Callable[[Warehouse, Build], Judgement]


@dataclass(frozen=True)
class CheckResult:
    """`subject` is a table or a stream, `detail` the numbers or the message."""

    check: str
    subject: str
    outcome: Outcome
    detail: str


def check(warehouse: Warehouse) -> list[CheckResult]:
    """Each contract, the ledger of each stream and each warning of the newest build. A table that cannot be read any
    more fails what reads it, and nothing else."""
    build = builds.newest(warehouse)
    if build is None:
        raise NoSuchTable(f"{warehouse.root}: expected a build to check, none is published yet; run `moovitamix build`")
    damage = {name: warehouse.damage(model.path, build.tables[name]) for name, model in models().items()}
    judgements: list[tuple[str, str, tuple[str, ...], Judge]] = [
        *(("contract", name, (name,), partial(_contract, name)) for name in models()),
        *(("ledger", name, (f"base_{name}", f"stg_{name}"), partial(_ledger, name)) for name in ledger.KEYS),
        ("ledger", "quarantine", ("quarantine", *(f"base_{name}" for name in ledger.KEYS)), _quarantine),
        *(("warning", warning.table, warning.reads, partial(_warning, warning)) for warning in all_warnings()),
    ]
    results = []
    for kind, subject, reads, judge in judgements:
        damaged = next((damage[name] for name in reads if damage[name]), None)
        judgement: Judgement = (
            _judged(subject, partial(judge, warehouse, build)) if damaged is None else ("failed", damaged)
        )
        results.append(CheckResult(kind, subject, *judgement))
    return results


def _judged(subject: str, judge: Callable[[], Judgement]) -> Judgement:
    try:
        return judge()
    except (ContractBroken, LedgerMismatch) as error:
        return "failed", str(error)
    except (WarehouseError, pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        return "failed", f"{subject}: could not be read: {first_line(error)}"


def _contract(name: str, warehouse: Warehouse, build: Build) -> Judgement:
    require(name, scan(warehouse, name, build.tables), models()[name].contract)
    return "passed", models()[name].grain


def _ledger(stream: str, warehouse: Warehouse, build: Build) -> Judgement:
    entry = ledger.of_stream(warehouse, build.tables, stream)
    parts = f"{entry.kept} kept + {entry.superseded} superseded + {entry.quarantined} quarantined"
    return "passed", f"{entry.landed_total} landed = {parts}"


def _quarantine(warehouse: Warehouse, build: Build) -> Judgement:
    ledger.require_quarantine(warehouse, build.tables)
    return "passed", "each quarantined record and line is in it"


def _warning(warning: DataWarning, warehouse: Warehouse, build: Build) -> Judgement:
    count = count_of(warehouse, build, warning)
    return "warned" if count else "passed", f"{warning.name}: {count} rows"
