"""The newest build, judged again from its tables as they lie: contracts, ledger, warnings."""

from dataclasses import dataclass
from typing import Literal

from moovitamix_transform import builds, ledger
from moovitamix_transform.build import count_warnings, scan
from moovitamix_transform.contracts import require
from moovitamix_transform.errors import ContractBroken, LedgerMismatch, NoSuchTable, WarehouseError
from moovitamix_transform.graph import models
from moovitamix_transform.warehouse import Warehouse

Outcome = Literal["passed", "failed", "warned"]


@dataclass(frozen=True)
class CheckResult:
    """`subject` is a table or a stream, `detail` the numbers or the message."""

    check: str
    subject: str
    outcome: Outcome
    detail: str


def check(warehouse: Warehouse) -> list[CheckResult]:
    """Each contract, the ledger of each stream and each warning of the newest build."""
    build = builds.newest(warehouse)
    if build is None:
        raise NoSuchTable(f"{warehouse.root}: expected a build to check, none is published yet; run `moovitamix build`")
    results = []
    for name, model in models().items():
        try:
            require(name, scan(warehouse, name, build.tables), model.contract)
            results.append(CheckResult("contract", name, "passed", model.grain))
        except (ContractBroken, WarehouseError) as error:
            results.append(CheckResult("contract", name, "failed", str(error)))
    try:
        for stream, entry in ledger.of_history(warehouse, build.tables).items():
            sum_ = f"{entry.kept} kept + {entry.superseded} superseded + {entry.quarantined} quarantined"
            results.append(CheckResult("ledger", stream, "passed", f"{entry.landed_total} landed = {sum_}"))
    except (LedgerMismatch, WarehouseError) as error:
        results.append(CheckResult("ledger", str(error).partition(":")[0], "failed", str(error)))
    for warning in count_warnings(warehouse, build):
        outcome: Outcome = "warned" if warning.count else "passed"
        results.append(CheckResult("warning", warning.table, outcome, f"{warning.name}: {warning.count} rows"))
    return results
