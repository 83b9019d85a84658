"""Fields that the API's records begin or cease to have: told once, in the build that reads them first."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import narwhals as nw
import polars as pl

from moovitamix_transform import fields_seen, runs, sources
from moovitamix_transform.builds import Build
from moovitamix_transform.engines.engine import Engine, Frame
from moovitamix_transform.fields_seen import Row
from moovitamix_transform.graph import fields_read
from moovitamix_transform.masking import mask
from moovitamix_transform.news import News
from moovitamix_transform.staging import layouts
from moovitamix_transform.streams import STREAMS

SHOWN_CHARACTERS = 80
MOST_LAYOUTS = 5  # looked for in a batch
_COLUMNS = ["_airbyte_raw_id", "_run_id", "_airbyte_data"]
_SEEN = pl.Schema(
    {
        "run_id": pl.String(),
        "field": pl.String(),
        "count": pl.Int64(),
        "first_raw_id": pl.String(),
        "first_value": pl.String(),
    }
)


@dataclass(frozen=True)
class Seen:
    """A field in the records of one run: in how many it is not null, and what it was in the first of them."""

    count: int
    first_raw_id: str  # ids of one run are in the order of its records
    first_value: str

    def and_also(self, other: "Seen") -> "Seen":
        first = min(self, other, key=lambda each: each.first_raw_id)
        return replace(first, count=self.count + other.count)


def notice(engine: Engine, before: Build | None, found: News, build_id: int) -> list[Row]:
    """The changes in the runs that no build has read yet, as rows of _meta/fields, in the runs' order."""
    warehouse = engine.warehouse
    known = fields_seen.rows(warehouse, before.tables.get("fields") if before else None)
    order = {run_id: place for place, run_id in enumerate(reversed(runs.starts(warehouse)["run_id"].to_list()))}
    noticed: list[Row] = []
    for stream in STREAMS:
        if before and before.tables.get(stream) == found.versions[stream]:
            continue
        last = fields_seen.last_changes(known).get(stream, {})
        by_run = _fields_by_run(engine, _unread(engine, stream, before, found))
        for run_id in sorted(by_run, key=lambda each: (order.get(each, len(order)), each)):
            for row in _changes(stream, run_id, by_run[run_id], last):
                last[row["field"]] = row
                noticed.append({**row, "build_id": build_id})
    return noticed


def _changes(stream: str, run_id: str, seen: dict[str, Seen], last: dict[str, Row]) -> Iterator[Row]:
    row = {"run_id": run_id, "stream": stream}
    for field, first in sorted(seen.items()):
        before = last[field]["change"] if field in last else None
        if before not in (None, "vanished"):
            continue
        change = "returned" if before else "known" if field in fields_read(stream) else "appeared"
        yield {
            **row,
            "field": field,
            "change": change,
            "record_count": first.count if change == "appeared" else None,
            "first_raw_id": first.first_raw_id,
            "first_value": first.first_value,
        }
    for field in sorted(field for field, each in last.items() if each["change"] != "vanished" and field not in seen):
        nothing = dict.fromkeys(("record_count", "first_raw_id", "first_value"))
        yield {**row, "field": field, "change": "vanished", **nothing}


def described(row: Row) -> str:
    """`tracks: the field 'isrc' appeared in 12 records, first "US-1" in …; it is kept in _airbyte_data, no table …`."""
    where = f"{row['stream']}: the field {row['field']!r}"
    if row["change"] == "vanished":
        return f"{where} vanished: no record of run {row['run_id']} has it, earlier runs' had"
    value = mask(row["first_value"])
    shown = value if len(value) <= SHOWN_CHARACTERS else value[:SHOWN_CHARACTERS] + "…"
    count = "" if row["record_count"] is None else f"{row['record_count']:,} records, "
    text = f"{where} {row['change']} in run {row['run_id']}: {count}first {shown}"
    return text if row["field"] in fields_read(row["stream"]) else f"{text}; no table has it, the raw text keeps it"


def _unread(engine: Engine, stream: str, before: Build | None, found: News) -> Frame:
    """The records of the runs that no build has read anything of.

    On a folder those are all that such a run landed. On a store a build may run beside a landing: what that run lands
    after it is not looked at any more, and a field that is in nothing else is told of the next run that has it.
    """
    path, version = sources.path(stream), found.versions[stream]
    if before is None:
        return engine.scan(path, version)
    if stream in found.lost:
        read = runs.starts(engine.warehouse).filter(pl.col("started_at") < before.built_at)["run_id"].to_list()
        return engine.scan(path, version).filter(~nw.col("_run_id").is_in(read))
    known = before.tables[stream]
    read_runs = engine.scan(path, known).select("_run_id").unique()
    return engine.scan_apart(path, version, known).join(read_runs, on="_run_id", how="anti")


def _fields_by_run(engine: Engine, records: Frame) -> dict[str, dict[str, Seen]]:
    """Every run there is, with the fields that are not null in at least one of its records."""
    by_run: dict[str, dict[str, Seen]] = {}
    for row in engine.collect(engine.in_batches(records.select(_COLUMNS), _seen, _SEEN)).iter_rows(named=True):
        fields = by_run.setdefault(row["run_id"], {})
        if row["field"] is not None:
            seen = Seen(row["count"], row["first_raw_id"], row["first_value"])
            fields[row["field"]] = fields[row["field"]].and_also(seen) if row["field"] in fields else seen
    return by_run


def _seen(records: pl.DataFrame) -> pl.DataFrame:
    """Of one batch: one row per run and field, and one without a field for a run all of whose records are empty."""
    rows: list[tuple[str, str | None, int, str | None, str | None]] = []
    for (run_id,), part in records.partition_by("_run_id", as_dict=True, maintain_order=True).items():
        fields = _fields(part)
        rows += [(str(run_id), name, seen.count, seen.first_raw_id, seen.first_value) for name, seen in fields.items()]
        rows += [] if fields else [(str(run_id), None, 0, None, None)]
    return pl.DataFrame(rows, schema=_SEEN, orient="row")


def _fields(records: pl.DataFrame) -> dict[str, Seen]:
    """Of one run's records. Most have values for the same names in the same order as an earlier one: a pattern finds
    those, and only the others are taken apart."""
    found: dict[str, Seen] = {}
    rest = records.select("_airbyte_raw_id", "_airbyte_data").sort("_airbyte_raw_id")
    for _ in range(MOST_LAYOUTS):
        if rest.is_empty():
            break
        raw_id, text = rest.row(0)
        fields = layouts.fields_of(text)
        layout = layouts.pattern(
            {name: "null" if value == "null" else layouts.NOT_NULL for name, value in fields.items()}
        )
        if layout is None:
            break
        is_alike = rest["_airbyte_data"].str.contains(layout)
        is_alike[0] = True
        _count(found, fields, raw_id, int(is_alike.sum()))
        rest = rest.filter(~is_alike)
    for raw_id, text in rest.iter_rows():
        _count(found, layouts.fields_of(text), raw_id, 1)
    return found


def _count(found: dict[str, Seen], fields: dict[str, str], raw_id: str, records: int) -> None:
    for name, value in fields.items():
        if value != "null":
            seen = Seen(records, raw_id, value)
            found[name] = found[name].and_also(seen) if name in found else seen
