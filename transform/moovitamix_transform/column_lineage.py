"""Every column followed to the API: which fields its values are computed from, and which decide its table's rows.

What a column is made of stands beside it in its contract (`contracts.made_of`, `Contract.rows_by`); of a base table its
FIELDS say it. A source table's columns are the ends: the API's fields in `_airbyte_data`, by their own names, and those
of the envelope that Airbyte puts around a record. Two words, because a record counts or does not count as a whole: one
that breaks a rule in any field is in no table, and of those with one key the last tie is broken by the whole text.
"""

from dataclasses import dataclass
from functools import cache

from moovitamix_transform.errors import UnknownTable, UsageError
from moovitamix_transform.graph import SOURCES, fields_of, fields_read, models
from moovitamix_transform.streams import STREAMS

_ENVELOPE = {
    "raw_id": "_airbyte_raw_id",
    "run_id": "_run_id",
    "extracted_at": "_airbyte_extracted_at",
    "generation_id": "_airbyte_generation_id",
}
_TEXT = "_airbyte_data"
UNTRACED = ("quarantine",)  # its rows are whole records and lines, with the rule's words


@dataclass(frozen=True)
class Lineage:
    """Where a column is from, as sorted `stream.field`.

    Attributes:
        values: another value of such a field is another value in the column, or the same values in other rows.
        rows: these decide which rows there are, and which records they are made of. A field may be in both.
    """

    table: str
    column: str
    values: tuple[str, ...]
    rows: tuple[str, ...]


def columns(chosen: str | None = None) -> list[Lineage]:
    """The traced columns, in the tables' and contracts' order: all, one table's, or one (`table.column`).

    Raises UnknownTable for a table that is not traced, UsageError for a column that it does not have.
    """
    table, _, column = (chosen or "").partition(".")
    tables = [name for name in models() if name not in UNTRACED]
    if table and table not in tables:
        raise UnknownTable(f"expected one of {', '.join(tables)}, got {table!r}")
    names = [(each, name) for each in tables if table in ("", each) for name in models()[each].contract.columns()]
    found = [Lineage(*name, tuple(sorted(_values(*name))), tuple(sorted(_rows(*name)))) for name in names]
    if not column:
        return found
    if (table, column) not in names:
        raise UsageError(f"{table}: expected one of its columns {', '.join(name for _, name in names)}, got {column!r}")
    return [each for each in found if each.column == column]


def made_of(table: str, column: str) -> tuple[str, ...]:
    """What the column is declared to be made of, one step back: `table.column` of tables before it."""
    if table.startswith("base_"):
        return _of_record(table.removeprefix("base_"), column)
    # Inherited: `class DimTracks(StgTracks)` has the columns of stg_tracks as they are.
    if column not in vars(models()[table].contract):
        return (f"{_parent(table)}.{column}",)
    return _declared(table, column, "made_of")


def shortened(fields: tuple[str, ...]) -> list[str]:
    """For a person: `tracks.*` in place of every field of the API's tracks. The envelope's columns keep their names."""
    left = list(fields)
    for stream in STREAMS:
        whole = [f"{stream}.{name}" for name in fields_read(stream)]
        if set(whole) <= set(left):
            left = [f"{stream}.*", *(field for field in left if field not in whole)]
    return sorted(left)


@cache
def _values(table: str, column: str) -> frozenset[str]:
    if table in SOURCES:
        names = fields_read(table) if column == _TEXT else (column,)
        return frozenset(f"{table}.{name}" for name in names)
    return frozenset().union(*(_values(*origin.split(".")) for origin in made_of(table, column)))


@cache
def _rows(table: str, column: str) -> frozenset[str]:
    """What decides the table's rows, and those of every table that the column's values come through."""
    if table in SOURCES:
        return frozenset()
    decides = [*models()[table].contract.rows_by, *_declared(table, column, "chosen_by")]
    found = [_values(*each.split(".")) | _rows(*each.split(".")) for each in decides]
    return frozenset().union(*found, *(_rows(*each.split(".")) for each in made_of(table, column)))


def _declared(table: str, column: str, word: str) -> tuple[str, ...]:
    return tuple((models()[table].contract.columns()[column].metadata or {}).get(word, ()))


def _of_record(stream: str, column: str) -> tuple[str, ...]:
    if column in _ENVELOPE:
        return (f"{stream}.{_ENVELOPE[column]}",)
    if column == "broken_rules":
        return (f"{stream}.{_TEXT}",)
    return tuple(f"{stream}.{field.name}" for field in fields_of(stream) if field.column == column)


def _parent(table: str) -> str:
    parents = models()[table].contract.__mro__[1:]
    return next(name for name in models()[table].reads if name in models() and models()[name].contract in parents)
