"""The data dictionary: every table and column, in the words of the contracts."""

from collections.abc import Iterator
from typing import get_args

import polars as pl

from moovitamix_transform import builds, fields_seen, runs, sources
from moovitamix_transform.alarms import incidents, verdict
from moovitamix_transform.catalog import GRAINS
from moovitamix_transform.column_lineage import UNTRACED, columns, shortened
from moovitamix_transform.data_warnings import all_warnings
from moovitamix_transform.graph import Model, fields_of, models
from moovitamix_transform.staging.odd_rules import ODD_RULES
from moovitamix_transform.streams import STREAMS

_HEAD = """\
# Data dictionary

Written by `make docs` from the contracts beside the models; a test fails when it is stale. All instants are
`datetime[us, UTC]`. A key column is never null; the columns of a key together are unique. The API's datetimes carry no
zone and are read as UTC. It gives one instant for a whole list of tracks: `listened_at` is the record's `created_at`.

*From* are the API's fields that a column's values are computed from, with those its rows are joined, grouped and sorted
by; `_airbyte_…` is what Airbyte notes of a record, `generations` of a read. Other fields beside them decide which rows
there are, and which records they are made of: one that breaks a rule in any field is in none. `moovitamix graph
--columns` names both kinds. A test changes each field, builds, and sees exactly the columns change that name it.
"""
_LAYERS = {
    "staging": "## Staging: typed, judged, the latest good record per key",
    "marts": "## Marts: what notebooks and the recommender read",
}


# Of columns that have few values.
_VALUES: dict[str, dict[str, list[str]]] = {
    fields_seen.TABLE: {"change": [*get_args(fields_seen.Change)]},
    runs.TABLE: {
        "kind": [*get_args(runs.Kind)],
        "status": [*get_args(runs.Status)],
        "sync_mode": [*get_args(runs.SyncMode)],
        "level": [*get_args(runs.Level)],
    },
    incidents.TABLE: {"kind": [*get_args(verdict.Kind)], "event": [*get_args(incidents.Event)]},
}


def markdown() -> str:
    """The whole document."""
    parts = [_HEAD]
    for layer, title in _LAYERS.items():
        parts.append(title)
        parts.extend(_table(model) for model in models().values() if model.layer == layer)
    parts += ["## Source tables and records of what was done", *_source_tables()]
    parts += ["## Rules: what sends a record or line to the quarantine", _rules()]
    parts += ["## Warnings: odd but true, counted and shown, kept", _warnings()]
    return "\n\n".join(part.rstrip() for part in parts) + "\n"


def _table(model: Model) -> str:
    is_traced = model.name not in UNTRACED
    rows = ["| column | type | | what it is | from |", "|---|---|---|---|---|"]
    if not is_traced:
        rows = ["| column | type | | what it is |", "|---|---|---|---|"]
    origins = {each.column: each for each in columns(model.name)} if is_traced else {}
    schema = model.contract.create_empty().schema
    for name, column in model.contract.columns().items():
        place = "key" if column.primary_key else "" if column.nullable else "not null"
        row = f"| `{name}` | {type_name(schema[name])} | {place} | {column.description or ''} |"
        rows.append(row + (f" {_listed(shortened(origins[name].values))} |" if is_traced else ""))
    return f"### {model.name}\n\n{model.grain} Made of {_listed(list(model.reads))}.\n\n" + "\n".join(rows)


def _listed(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _source_tables() -> Iterator[str]:
    named = {sources.path(name): sources.RECORDS for name in STREAMS} | {sources.path("_lines"): sources.LINES}
    named |= {sources.path(name): schema for name, schema in sources.META.items()}
    named |= {module.TABLE: module.SCHEMA for module in (builds, runs, incidents)}
    for path, schema in named.items():
        columns = ", ".join(f"`{column}` {type_name(dtype)}" for column, dtype in schema.items())
        values = [f"`{column}` is one of {_listed(each)}." for column, each in _VALUES.get(path, {}).items()]
        yield "\n\n".join([f"### {path}", GRAINS[path.rpartition("/")[2]], columns, *values])


def _rules() -> str:
    rows = ["| rule | stream | expected |", "|---|---|---|"]
    for stream in STREAMS:
        for field in fields_of(stream):
            rows.append(f"| `{field.name}_unreadable` | {stream} | {field.expected}, for `{field.column}` |")
            if field.is_required:
                rows.append(f"| `{field.name}_null` | {stream} | a value |")
    rows += [f"| `{rule}` | – | {expected.removeprefix('expected ')} |" for rule, expected in ODD_RULES.items()]
    return "\n".join(rows)


def _warnings() -> str:
    rows = ["| warning | table | what is odd |", "|---|---|---|"]
    return "\n".join(rows + [f"| `{each.name}` | `{each.table}` | {each.meaning} |" for each in all_warnings()])


def type_name(dtype: pl.DataType) -> str:
    """As the design and the docstrings write it: i64, str, list[struct{track_id i64, position i32}]."""
    if isinstance(dtype, pl.List):
        return f"list[{type_name(_inner(dtype))}]"
    if isinstance(dtype, pl.Struct):
        return "struct{" + ", ".join(f"{field.name} {type_name(_made(field.dtype))}" for field in dtype.fields) + "}"
    if isinstance(dtype, pl.Datetime):
        return "instant"
    return {"Int64": "i64", "Int32": "i32", "Float64": "f64", "String": "str", "Boolean": "bool"}[str(dtype)]


def _inner(dtype: pl.List) -> pl.DataType:
    return _made(dtype.inner)


def _made(dtype: object) -> pl.DataType:
    made = dtype() if isinstance(dtype, type) else dtype
    assert isinstance(made, pl.DataType)  # noqa: S101 - what a schema consists of
    return made
