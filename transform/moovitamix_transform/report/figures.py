"""Everything the report shows, as the functions behind the commands give it."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from moovitamix_transform import builds, listings, run_history
from moovitamix_transform.builds import Build
from moovitamix_transform.data_warnings import all_warnings
from moovitamix_transform.report import null_rates, samples
from moovitamix_transform.report.null_rates import NullRate
from moovitamix_transform.report.samples import Sample
from moovitamix_transform.runs import Run, StreamLedger
from moovitamix_transform.warehouse import Warehouse

Row = dict[str, Any]


@dataclass(frozen=True)
class Figures:
    """
    Attributes:
        runs: every run, newest first.
        read_by: the newest run that read a source and has its numbers; None when nothing was read yet.
        counted_by: the newest run whose build counted what became of all that landed; None without a build.
        tables: as `moovitamix tables` lists them, with `changed_at`: when the newest rows came or were published.
        quarantine: as `moovitamix quarantine list` counts it.
        builds: as `moovitamix builds` lists them.
    """

    where: str
    made_at: datetime
    runs: list[Run]
    read_by: Run | None
    counted_by: Run | None
    tables: list[Row]
    null_rates: list[NullRate]
    quarantine: list[Row]
    samples: list[Sample]
    builds: list[Row]
    warnings: list[Row]


def figures(warehouse: Warehouse) -> Figures:
    """All of one build. A warehouse in which nothing landed, or nothing was built, has empty lists."""
    while True:
        kept = builds.every(warehouse)
        found = _figures(warehouse, kept)
        if builds.every(warehouse) == kept:
            return found
        # A build was published meanwhile: some of it is of the one before, some of this one.


def _figures(warehouse: Warehouse, kept: list[Build]) -> Figures:
    runs = run_history.every(warehouse)
    counted_by = next((run for run in runs if any(each.landed_total is not None for each in run.streams)), None)
    return Figures(
        where=_place(warehouse),
        made_at=datetime.now(UTC),
        runs=runs,
        read_by=next((run for run in runs if run.kind != "build" and run.streams), None),
        counted_by=counted_by,
        tables=[row | {"changed_at": _changed_at(row, runs, kept)} for row in listings.tables(warehouse)],
        null_rates=null_rates.of_builds(warehouse, kept),
        quarantine=listings.quarantine(warehouse).to_dicts() if kept else [],
        samples=samples.of_newest_build(warehouse) if kept else [],
        builds=listings.builds(warehouse),
        warnings=_warnings(counted_by),
    )


def _place(warehouse: Warehouse) -> str:
    """Where the warehouse is, without what a URL may carry beside it: a user, a password, a signature."""
    if warehouse.is_local:
        return warehouse.root
    url = urlsplit(warehouse.root)
    return f"{url.scheme}://{url.netloc.rpartition('@')[2]}{url.path}"


def _changed_at(row: Row, runs: list[Run], kept: list[Build]) -> datetime | None:
    """Of a built table: when its version was first published, as far as the kept builds tell. Of a source table: the
    end of the newest run that landed something in it."""
    name = row["table"]
    if row["layer"] == "source":
        came = (run for run in runs for each in run.streams if _came(name, each))
        return next((run.ended_at or run.started_at for run in came), None)
    if row["build_id"] is None:
        return None
    same = [build.built_at for build in kept if build.tables.get(name) == row["version"]]
    return min(same, default=None)


def _came(table: str, entry: StreamLedger) -> bool:
    return bool(entry.quarantined_lines if table == "_lines" else entry.stream == table and entry.landed)


def _warnings(run: Run | None) -> list[Row]:
    meanings = {warning.name: warning.meaning for warning in all_warnings()}
    counted = run.warnings if run else []
    return [{**vars(each), "meaning": meanings.get(each.name, "")} for each in counted]
