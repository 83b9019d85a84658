"""Column lineage is true: a field of one record is changed, all is built anew, and what changed is what is named.

Sound: no change of a field ever changes a column that does not name it. Tight: each field that a column names is seen
to change it. Of the values a column's fields are told apart: they change it while the table's keys stay, and what the
tables are made of are the same records.
"""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from random import Random

import narwhals as nw
import polars as pl
import pytest
from moovitamix_transform import column_lineage
from moovitamix_transform.column_lineage import Lineage
from moovitamix_transform.errors import UnknownTable, UsageError
from moovitamix_transform.graph import MARTS, SOURCES, fields_read, models
from moovitamix_transform.sources import GENERATIONS, LINES, RECORDS
from moovitamix_transform.staging.latest import latest
from moovitamix_transform.streams import STREAMS
from polars.io.plugins import register_io_source

Row = dict[str, object]
Tables = dict[str, pl.DataFrame]
ENVELOPE = ("_airbyte_raw_id", "_airbyte_extracted_at", "_airbyte_generation_id", "_run_id")
KEYS = {"tracks": ["track_id"], "users": ["user_id"], "listen_history": ["user_id", "listened_at"]}
UNREADABLE = {"id": 1.5, "user_id": True, "items": [1, None], "duration": "9:99", "created_at": "x", "updated_at": "x"}
LINEAGE = {f"{each.table}.{each.column}": each for each in column_lineage.columns() if each.table in MARTS}
SOURCE_SCHEMAS = dict.fromkeys(STREAMS, RECORDS) | {"generations": GENERATIONS, "_lines": LINES}


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "table",
    [
        pytest.param("tracks", marks=pytest.mark.long),
        pytest.param("users", marks=pytest.mark.long),
        "listen_history",
        "generations",
    ],
)
def test_a_field_changes_the_columns_that_name_it_and_no_other(table: str):
    bench = Bench(library())
    claimed = named(table)
    unseen = set(claimed)

    for change in in_any_order(changes(bench.library, table)):
        if change.field in {name for _, name, _ in claimed} - {name for _, name, _ in unseen}:
            continue  # it was seen to change all that names it; what it must not change, `make soak` tries to the end
        seen = bench.see(change)
        assert_sound(seen)
        unseen -= pairs(seen)

    assert not unseen, f"the lineage names what no change of {table} was seen to change: {sorted(unseen)}"


@pytest.mark.soak
@pytest.mark.parametrize("table", [*STREAMS, "generations"])
def test_no_change_of_a_field_changes_a_column_that_does_not_name_it(table: str):
    bench = Bench(library())

    for change in changes(bench.library, table):
        assert_sound(bench.see(change))


@pytest.mark.parametrize("lineage", column_lineage.columns(), ids=lambda each: f"{each.table}.{each.column}")
def test_a_column_is_made_of_columns_of_tables_before_it(lineage: Lineage):
    contract = models()[lineage.table].contract
    decides = (contract.columns()[lineage.column].metadata or {}).get("chosen_by", ())

    for named in (*column_lineage.made_of(lineage.table, lineage.column), *contract.rows_by, *decides):
        table, _, column = named.partition(".")
        assert table in before(lineage.table), f"{lineage.table}.{lineage.column}: {named} is of no table before it"
        assert column in columns_of(table), f"{lineage.table}.{lineage.column}: {table} has no column {column}"
    assert lineage.values, f"{lineage.table}.{lineage.column}: its contract does not say what it is made of"


def test_every_field_of_the_api_is_in_some_mart():
    found = Counter(name for lineage in LINEAGE.values() for name in lineage.values)

    lost = [f"{stream}.{name}" for stream in STREAMS for name in fields_read(stream)]

    assert [name for name in lost if name not in found] == ["listen_history.updated_at"]  # it only decides which counts


def test_the_columns_of_one_table_or_one_column_can_be_asked_for():
    (top_genre,) = column_lineage.columns("user_profiles.top_genre")

    assert top_genre.values == ("listen_history.items", "listen_history.user_id", "tracks.genres", "tracks.id")
    assert [each.column for each in column_lineage.columns("fct_listens")] == [
        "user_id",
        "track_id",
        "listened_at",
        "position",
    ]
    with pytest.raises(UnknownTable, match=r"expected one of base_tracks, .*, got 'nothing'"):
        column_lineage.columns("nothing")
    with pytest.raises(UsageError, match=r"expected one of its columns user_id, .*, got 'nothing'"):
        column_lineage.columns("fct_listens.nothing")


def test_all_fields_of_a_stream_are_shown_as_one():
    names = tuple(f"listen_history.{name}" for name in fields_read("listen_history"))

    shown = column_lineage.shortened((*names, "tracks.id", "tracks._airbyte_extracted_at"))

    assert shown == ["listen_history.*", "tracks._airbyte_extracted_at", "tracks.id"]


def before(table: str) -> set[str]:
    """The tables that a table comes after."""
    reads = models()[table].reads if table in models() else ()
    return set(reads).union(*(before(read) for read in reads))


def columns_of(table: str) -> set[str]:
    """Of a source table those of its records too, by the API's names."""
    if table in SOURCES:
        return {*SOURCE_SCHEMAS[table], *(fields_read(table) if table in STREAMS else ())}
    return set(models()[table].contract.columns())


Pair = tuple[str, str, str]


def named(table: str) -> set[Pair]:
    """What the lineage claims of the table's fields. Of a key column only that it changes: its other value is another
    row."""
    found = set()
    for column, lineage in LINEAGE.items():
        is_key = lineage.column in models()[lineage.table].contract.primary_key()
        found |= {("changes", name, column) for name in (*lineage.values, *lineage.rows)}
        found |= {("changes the values of", name, column) for name in lineage.values if not is_key}
    return {pair for pair in found if pair[1].split(".")[0] == table}


def pairs(seen: "Seen") -> set[Pair]:
    name = seen.change.field
    return {("changes", name, each) for each in seen.columns} | {
        ("changes the values of", name, each) for each in seen.values
    }


def assert_sound(seen: "Seen") -> None:
    unnamed = {each for each in seen.columns if seen.change.field not in LINEAGE[each].values + LINEAGE[each].rows}
    assert not unnamed, f"{seen.change} changed {sorted(unnamed)}, which do not name {seen.change.field}"
    unnamed = {each for each in seen.values if seen.change.field not in LINEAGE[each].values}
    assert not unnamed, f"{seen.change} changed the values of {sorted(unnamed)}, which do not say so"


def in_any_order(changes: "list[Change]") -> "list[Change]":
    """Shuffled, always the same way: a field's changes of one kind, and of one record, tell much the same."""
    return Random(1).sample(changes, len(changes))


def instant(minute: int) -> datetime:
    return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minute)


@dataclass
class Library:
    """Source tables by hand: `records` of a stream are (the envelope, the API's fields)."""

    records: dict[str, list[tuple[Row, Row]]] = field(default_factory=dict)
    generations: list[Row] = field(default_factory=list)

    def sources(self) -> Tables:
        tables = {
            stream: pl.DataFrame([{**envelope, "_airbyte_data": json.dumps(data)} for envelope, data in rows], RECORDS)
            for stream, rows in self.records.items()
        }
        return tables | {
            "generations": pl.DataFrame(self.generations, GENERATIONS),
            "_lines": pl.DataFrame(schema=LINES),
        }


@dataclass(frozen=True)
class Change:
    """One field of one record, or of one row of `generations`, with another value."""

    table: str
    row: int
    column: str
    value: object

    @property
    def field(self) -> str:
        return f"{self.table}.{self.column}"

    def applied(self, library: Library) -> Library:
        if self.table == "generations":
            rows = [*library.generations]
            rows[self.row] = {**rows[self.row], self.column: self.value}
            return replace(library, generations=rows)
        records = [*library.records[self.table]]
        envelope, data = records[self.row]
        changed = {self.column: self.value}
        is_envelope = self.column in ENVELOPE
        records[self.row] = ({**envelope, **changed}, data) if is_envelope else (envelope, {**data, **changed})
        return replace(library, records={**library.records, self.table: records})


@dataclass(frozen=True)
class Seen:
    """What a change did to the marts: the columns that changed, and of them those of tables whose rows stayed."""

    change: Change
    columns: frozenset[str]
    values: frozenset[str]


def records(stream: str, *rows: tuple[int, int, Row]) -> list[tuple[Row, Row]]:
    """Of (generation, minute of extraction, the API's fields) each."""
    return [
        (
            {
                "_airbyte_raw_id": f"run-{at}",
                "_airbyte_extracted_at": instant(minute),
                "_airbyte_generation_id": generation,
                "_run_id": "run",
            },
            data,
        )
        for at, (generation, minute, data) in enumerate(rows)
    ]


def catalogue(stream: str) -> list[tuple[Row, Row]]:
    """Tracks or users. `one` and `two` differ in every field but their key, and tie by updated_at."""
    names = fields_read(stream)[1:-2]
    one: Row = {name: "1:00" if name == "duration" else "A" for name in names}
    two: Row = {name: "2:30" if name == "duration" else "B" for name in names}
    one |= {"created_at": instant(1).isoformat(), "updated_at": instant(3).isoformat()}
    two |= {"created_at": instant(2).isoformat(), "updated_at": instant(3).isoformat()}
    later = {"updated_at": instant(4).isoformat()}
    last = 5
    rows = [
        # 1 stays as it is, changes, and changes back.
        *[
            (2, 20, {"id": 1, **one}),
            (3, 30, {"id": 1, **one}),
            (4, 40, {"id": 1, **two}),
            (last, 50, {"id": 1, **one}),
        ],
        # 2 to 4 come twice in one generation: extraction decides, updated_at decides, the text decides.
        *[(last, 7, {"id": 2, **one}), (last, 8, {"id": 2, **two})],
        *[(last, 7, {"id": 3, **two, **later}), (last, 8, {"id": 3, **one})],
        *[(last, 7, {"id": 4, **one}), (last, 7, {"id": 4, **two})],
        # 5 leaves and comes back while the clock goes back; 6 leaves for good; 7 stays, by a record that is unreadable.
        *[(1, 95, {"id": 5, **one}), (3, 44, {"id": 5, **two}), (last, 9, {"id": 5, **one})],
        *[(1, 11, {"id": 6, **one}), (2, 21, {"id": 6, **two})],
        *[(last - 1, 5, {"id": 7, **two}), (last, 6, {"id": 7, **one, names[0]: [1]})],
        # 8 is there until the last generation, which has no record of it; 10 is there once.
        *[(last - 1, 4, {"id": 8, **two}), (last, 10, {"id": 10, **two})],
    ]
    return records(stream, *rows)


def history() -> list[tuple[Row, Row]]:
    """Listens, of tracks that are in the catalogue and of one that is not."""

    def listens(user: int, at: int, items: object, updated: int = 3) -> Row:
        instants = {"created_at": instant(at).isoformat(), "updated_at": instant(updated).isoformat()}
        return {"user_id": user, "items": items, **instants}

    return records(
        "listen_history",
        *[(1, 1, listens(1, 10, [1, 2, 1])), (1, 1, listens(1, 20, [1])), (1, 1, listens(1, 30, [3, 8]))],
        *[(1, 1, listens(2, 11, [1, 3])), (1, 1, listens(2, 31, [2, 2, 99]))],
        # 3 and 4 have one list each, sent twice: the other one is empty, has other tracks.
        *[(1, 3, listens(3, 12, [4, 4])), (1, 2, listens(3, 12, []))],
        *[(1, 2, listens(4, 13, [])), (2, 1, listens(4, 13, [5, 1]))],
        *[(1, 2, listens(5, 14, [6, 7, 7])), (1, 1, listens(5, 14, [8], updated=4)), (1, 1, listens(5, 15, [1]))],
        *[(1, 1, listens(6, 40, [3, 10, 10])), (1, 1, listens(6, 41, [1]))],
    )


def library() -> Library:
    """Source tables in which every join, order, tie and absence decides something."""
    made = Library({"tracks": catalogue("tracks"), "users": catalogue("users"), "listen_history": history()})
    for stream in ("tracks", "users"):
        last = max(int(str(envelope["_airbyte_generation_id"])) for envelope, _ in made.records[stream])
        for generation in range(1, last + 2):
            is_whole = generation not in (2, last + 1)
            read = {"stream": stream, "generation_id": generation, "run_id": "run", "started_at": instant(0)}
            completed = instant(10 * generation + 5) if is_whole or generation == last + 1 else None
            unreadable = 1 if generation == last + 1 else 0
            made.generations.append({**read, "completed_at": completed, "unreadable_count": unreadable})
    return made


def changes(library: Library, table: str) -> list[Change]:
    """Each field of each record: another record's value, one that is nowhere else, null, unreadable."""
    if table == "generations":
        last = max(int(str(row["generation_id"])) for row in library.generations)
        others: dict[str, list[object]] = {
            "stream": ["tracks", "users"],
            "generation_id": [1, 2, 3, last, last + 1],
            "run_id": ["other"],
            "started_at": [instant(1)],
            "completed_at": [None, instant(0), instant(900)],
            "unreadable_count": [0, 1],
        }
        rows = library.generations
    else:
        rows = [envelope | data for envelope, data in library.records[table]]
        new = {"id": 9, "user_id": 9, "items": [9, 1], "duration": "0:09"}
        new |= {"created_at": instant(9).isoformat(), "updated_at": instant(9).isoformat()}
        others = {
            name: [*(row[name] for row in rows), new.get(name, "C"), None, UNREADABLE.get(name, [name])]
            for name in fields_read(table)
        }
        others |= {
            "_airbyte_raw_id": ["other"],
            "_run_id": ["other"],
            "_airbyte_extracted_at": [instant(0), instant(900)],
            "_airbyte_generation_id": [1, 2, 3, max(row["_airbyte_generation_id"] for row in rows)],
        }
    found = []
    for at, row in enumerate(rows):
        for column, values in others.items():
            distinct = {repr(value): value for value in values if value != row[column]}
            found += [Change(table, at, column, value) for value in distinct.values()]
    return found


class Bench:
    """Every table of a library, and of the same library after a change. The models are planned once: it is most of the
    work when the tables are this small."""

    def __init__(self, library: Library) -> None:
        self.library = library
        self._tables: Tables = {}
        self._plans = {}
        self._schemas: dict[str, pl.Schema] = {}
        for name, frame in library.sources().items():
            self._set(name, frame)
        for name, model in models().items():
            if name != "quarantine":
                plan = model.frame({read: self._placeholder(read) for read in model.reads})
                self._plans[name] = plan
                self._set(name, plan.collect())
        self._winners = {
            stream: [
                latest(
                    nw.from_native(self._placeholder(f"base_{stream}")),
                    nw.from_native(self._placeholder(stream)),
                    [*KEYS[stream], *more],
                )
                .select("raw_id")
                .to_native()
                for more in ([], ["generation_id"])
            ]
            for stream in STREAMS
        }
        self._before = {**self._tables}
        self._counted = {stream: self._counting(stream) for stream in STREAMS}

    def see(self, change: Change) -> Seen:
        self._tables = self._before | {
            name: frame for name, frame in change.applied(self.library).sources().items() if name == change.table
        }
        touched = {change.table}
        for name, plan in self._plans.items():
            if touched & set(models()[name].reads):
                self._tables[name] = plan.collect()
                if not self._tables[name].equals(self._before[name]):
                    touched.add(name)
        is_same = change.table not in STREAMS or self._counting(change.table) == self._counted[change.table]
        columns, values = set(), set()
        for mart in touched & set(MARTS):
            before, after = self._before[mart], self._tables[mart]
            key = models()[mart].contract.primary_key()
            changed = {f"{mart}.{name}" for name in changed_columns(before, after, key)}
            columns |= changed
            values |= changed if is_same and before.select(key).sort(key).equals(after.select(key).sort(key)) else set()
        return Seen(change, frozenset(columns), frozenset(values))

    def _counting(self, stream: str) -> list[set[str]]:
        """The records that the tables are made of: the latest of each key, and of each key in each generation."""
        return [set(plan.collect()["raw_id"]) for plan in self._winners[stream]]

    def _set(self, name: str, frame: pl.DataFrame) -> None:
        self._tables[name] = frame
        self._schemas[name] = frame.schema

    def _placeholder(self, name: str) -> pl.LazyFrame:
        def rows(columns: list[str] | None, predicate: pl.Expr | None, *_: object) -> Iterator[pl.DataFrame]:
            frame = self._tables[name].lazy()
            frame = frame if predicate is None else frame.filter(predicate)
            yield (frame if columns is None else frame.select(columns)).collect()

        return register_io_source(rows, schema=self._schemas[name])


def changed_columns(before: pl.DataFrame, after: pl.DataFrame, key: list[str]) -> set[str]:
    """Those with other values in all, or with another value in a row that both have."""
    others = [name for name in before.columns if name not in key]
    both = before.join(after, on=key, suffix=" after", nulls_equal=True)
    moved = both.select(pl.col(name).ne_missing(pl.col(f"{name} after")).any() for name in others).row(0)
    bags = {name for name in before.columns if not before[name].sort().equals(after[name].sort(), null_equal=True)}
    return bags | {name for name, is_moved in zip(others, moved, strict=True) if is_moved}
