"""One person out of a warehouse: by commits out of the newest build, then out of every file of every version."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import polars as pl

from moovitamix_transform import builds, removals, sources
from moovitamix_transform.erasing import erasure, person, unfinished
from moovitamix_transform.erasing.person import Person
from moovitamix_transform.errors import NoSuchUser, UsageError, WarehouseError
from moovitamix_transform.graph import models
from moovitamix_transform.recording import recorded
from moovitamix_transform.report.writing import written
from moovitamix_transform.run import build_into
from moovitamix_transform.warehouse import Warehouse

# Who the person is, is read from these: they go last, so that a forget that was cut off can be done again.
_LAST = ("source/listen_history", "source/_lines", "source/users")


@dataclass(frozen=True)
class TableTraces:
    """Where a person is in one table.

    Attributes:
        rows: of the newest build; of a table that no build makes, of its newest version.
        copies: rows in its files, of all versions: one that three files repeat counts three times.
    """

    table: str
    rows: int
    copies: int
    files: int


@dataclass(frozen=True)
class Plan:
    """What a forget would erase, in the order in which it does.

    Attributes:
        began_at: when an earlier forget of the same user began that was not finished.
        others_began_at: the same of other users.
    """

    person: Person
    tables: list[TableTraces]
    began_at: datetime | None
    others_began_at: list[datetime]


@dataclass
class Forgotten:
    """What a forget erased; `build_id` is the first build without the person."""

    build_id: int
    tables: list[TableTraces]
    notices: list[str] = field(default_factory=list)


def plan(warehouse: Warehouse, user_id: int) -> Plan:
    """Looks through every file of the warehouse, and changes nothing.

    Raises NoSuchUser when nothing there is of the user, UsageError on an object store.
    """
    if not warehouse.is_local:
        raise UsageError(
            f"forget: expected a warehouse in a local folder, whose files can be changed where they lie, got "
            f"{warehouse.root}. Nothing was changed."
        )
    warehouse.open()
    root = Path(warehouse.root)
    if not -(2**63) <= user_id < 2**63:
        raise _unknown(warehouse, user_id)
    who = person.find(warehouse, user_id)
    found = [traces for table in _tables(root) if (traces := _traces(warehouse, table, who)).copies]
    began_at = unfinished.began_at(root, user_id)
    if began_at is None and not any(each.table not in _META for each in found):
        raise _unknown(warehouse, user_id)
    return Plan(who, found, began_at, unfinished.others(root, user_id))


def forget(warehouse: Warehouse, user_id: int, on_table: Callable[[str], None] = lambda _: None) -> Forgotten:
    """Erases a person for good. Recorded in _meta/runs, as the build it makes; counted by the ledger as `erased`.

    The aggregates of builds before (track_popularity), whose rows name no person, stay as they were.
    Killed at any moment, it is finished by the next forget of the same user.
    """
    root = Path(warehouse.root)
    with warehouse.writing(), recorded(warehouse, "build") as run:
        planned = plan(warehouse, user_id)
        # What landed since the last build is judged first: what stands in the way of a build is told before it starts.
        judged = build_into(warehouse, run, on_table=on_table)
        unfinished.begin(root, user_id)
        _take_out(warehouse, planned.person)
        result = build_into(warehouse, run, on_table=on_table)
        try:
            for table in _tables(root):
                on_table(table)
                erasure.erase(root, table, planned.person.trace)
        finally:
            warehouse.forget_opened()
        told = [_unquoted(notice, planned.person) for notice in judged.notices] if judged.is_published else []
        notices = [*told, *result.notices, *_outside_of_tables(root, planned.person)]
        _require_gone(root, planned.person)
        unfinished.end(root, user_id)
        return Forgotten(result.build.build_id, planned.tables, notices)


def _unknown(warehouse: Warehouse, user_id: int) -> NoSuchUser:
    return NoSuchUser(
        f"{warehouse.root}: expected a user with the id {user_id}, no record is of one. Nothing was changed."
    )


_META = ("runs", "fields")


def _tables(root: Path) -> list[str]:
    """Every table there is, those last that tell who the person is."""
    return sorted(erasure.tables(root), key=lambda table: (table in _LAST and _LAST.index(table) + 1, table))


def _traces(warehouse: Warehouse, table: str, who: Person) -> TableTraces:
    found = erasure.count(Path(warehouse.uri(table)), who.trace)
    name = table.rpartition("/")[2]
    return TableTraces(name, _rows_now(warehouse, table, name, who) if found.rows else 0, found.rows, found.files)


def _rows_now(warehouse: Warehouse, table: str, name: str, who: Person) -> int:
    newest = builds.newest(warehouse)
    version = newest.tables.get(name) if newest and name in models() else None
    rows = warehouse.scan(table, version)
    trace = who.trace(rows.collect_schema().names())
    return int(rows.filter(trace.rows).select(pl.len()).collect(engine="streaming").item()) if trace else 0


def _take_out(warehouse: Warehouse, who: Person) -> None:
    """Deletes the person's records and lines of today, each table's in one commit that counts them as erased."""
    for name in ("users", "listen_history", "_lines"):
        path = sources.path(name)
        key = "raw_id" if name == "_lines" else "_airbyte_raw_id"
        generation = pl.lit(0, pl.Int64) if name == "_lines" else pl.col("_airbyte_generation_id")
        mine = warehouse.scan(path).filter(pl.col(key).is_in(list(who.raw_ids)))
        records = mine.select(key, generation.alias("_airbyte_generation_id")).collect(engine="streaming")
        if records.height:
            removals.take_out(warehouse, path, "erased", records)


def _unquoted(notice: str, who: Person) -> str:
    """What the build of the last records noticed, without the person's values: a notice is printed, and may be kept."""
    return "a field of the API changed: `moovitamix show fields`" if who.is_quoted_in(notice) else notice


def _outside_of_tables(root: Path, who: Person) -> Iterator[str]:
    """A report is made of the tables, so it goes; other files are not ours, and are named."""
    for report in written(root):
        report.unlink()
        yield f"{report} was made of the tables as they were, and is removed; `moovitamix report` makes it anew"
    for path in erasure.others(root):
        if _mentions(path, who):
            yield f"{path}: no file of moovitamix, so it stays, with an e-mail address of the user in it"


def _mentions(path: Path, who: Person) -> bool:
    content = path.read_bytes().lower()
    return any(email.encode() in content for email in who.emails if "@" in email)


def _require_gone(root: Path, who: Person) -> None:
    left = [table for table in erasure.tables(root) if erasure.count(root / table, who.trace).rows]
    if left:
        raise WarehouseError(f"a defect of moovitamix: rows of the user are left in {', '.join(left)}, expected none")
