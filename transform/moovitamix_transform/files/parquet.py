"""A Parquet file of one of Airbyte's destinations, raw or flattened → the records it was made of, as JSON texts."""

from collections.abc import Iterator
from math import isfinite
from typing import Any

import msgspec
import polars as pl
from polars.datatypes import DataTypeClass

from moovitamix_transform.errors import FileRefused
from moovitamix_transform.files.flat_rows import DATA, META, Batch, Row, fields_of, has_changes, joined
from moovitamix_transform.messages import EMITTED_AT_RANGE, OddLine

BATCH_ROWS = 20_000
_RAW_ID, _EXTRACTED_AT, _GENERATION_ID = "_airbyte_raw_id", "_airbyte_extracted_at", "_airbyte_generation_id"
_META = "_airbyte_meta"
_MICROSECONDS = {"ms": (1000, 1), "us": (1, 1), "ns": (1, 1000)}  # of a unit, as a fraction
_encoder = msgspec.json.Encoder(decimal_format="number")


def read_parquet(rows: pl.LazyFrame, stream: str) -> Iterator[Batch]:
    """Memory: a row group. Raises FileRefused when a column is lacking that every destination writes."""
    _require_columns(rows.collect_schema())
    number = 0
    for frame in rows.collect_batches(chunk_size=BATCH_ROWS, maintain_order=True):
        yield _batch(frame, number + 1, stream)
        number += frame.height


def _require_columns(columns: pl.Schema) -> None:
    is_there = {
        _RAW_ID: columns.get(_RAW_ID) == pl.String,
        _EXTRACTED_AT: isinstance(columns.get(_EXTRACTED_AT), pl.Datetime | pl.Int64),
        _GENERATION_ID: columns.get(_GENERATION_ID, pl.Null()).is_integer(),
        DATA: isinstance(columns.get(DATA, pl.String()), pl.String | pl.Struct),
    }
    if not all(is_there.values()):
        got = ", ".join(f"{name} {dtype}" for name, dtype in columns.items()) or "none"
        raise FileRefused(
            f"expected the columns {_RAW_ID} (text), {_EXTRACTED_AT} (an instant), {_GENERATION_ID} (an integer) and, "
            f"unless it is flattened, {DATA} (a text or a record), got {got}"
        )
    is_record = [name for name in columns.names() if name == DATA or not name.startswith(META)]
    if in_bytes := [name for name in is_record if _holds(columns[name], pl.Binary)]:
        raise FileRefused(
            f"expected texts in UTF-8, got bytes in {', '.join(in_bytes)}; Airbyte's destinations write none"
        )


def _batch(frame: pl.DataFrame, first: int, stream: str) -> Batch:
    batch = Batch()
    columns = (
        frame[_RAW_ID],
        _microseconds(frame[_EXTRACTED_AT]),
        frame[_GENERATION_ID],
        _texts(frame),
        _changes(frame),
    )
    for at, (raw_id, instant, generation_id, data, is_changed) in enumerate(zip(*columns, strict=True)):
        row = None
        if raw_id is not None and instant is not None and generation_id is not None and data is not None:
            row = Row(raw_id, instant, generation_id, data, bool(is_changed))
        if row is not None and row.is_sound:
            batch.take(first + at, row)
        else:
            batch.take(first + at, OddLine("not_a_message", _encoded(frame[at]).decode(), stream))
    return batch


def _microseconds(instants: pl.Series) -> list[int | None]:
    """Since 1970; a number is milliseconds. Not by Polars, whose product may wrap around."""
    factor, divisor = _MICROSECONDS[instants.dtype.time_unit if isinstance(instants.dtype, pl.Datetime) else "ms"]
    return [None if number is None else number * factor // divisor for number in instants.to_physical().to_list()]


def _changes(frame: pl.DataFrame) -> list[bool | None]:
    """Whether Airbyte changed the record before it wrote it."""
    kind = frame.schema.get(_META)
    if isinstance(kind, pl.Struct) and isinstance(dict(kind).get("changes"), pl.List):
        return frame.select(pl.col(_META).struct.field("changes").list.len() > 0).to_series().to_list()
    if kind == pl.String:
        return [has_changes((text or "").encode()) for text in frame[_META]]
    return [None] * frame.height


def _texts(frame: pl.DataFrame) -> list[bytes | None]:
    """Each record's JSON text; None where there is none."""
    kind = frame.schema.get(DATA)
    if kind == pl.String:
        return [_object(text) for text in frame[DATA]]
    if isinstance(kind, pl.Struct):
        is_there = frame[DATA].is_not_null().to_list()
        return [
            text if there else None
            for text, there in zip(_flattened(frame[DATA].struct.unnest()), is_there, strict=True)
        ]
    return _flattened(frame.drop(name for name in frame.columns if name.startswith(META)))


def _object(text: str | None) -> bytes | None:
    try:
        fields_of(text or "")
    except (msgspec.MsgspecError, RecursionError):
        return None
    return (text or "").encode()


def _flattened(records: pl.DataFrame) -> list[bytes | None]:
    readable = records.select(_iso(name, dtype) for name, dtype in records.schema.items())
    may_be_odd = any(_holds(dtype, pl.Float16, pl.Float32, pl.Float64) for dtype in records.dtypes)
    return [
        joined((name, _encoder.encode(value)) for name, value in row.items())
        if not may_be_odd or _writable(row) == row
        else None
        for row in readable.iter_rows(named=True)
    ]


def _holds(dtype: pl.DataType | DataTypeClass, *kinds: type[pl.DataType]) -> bool:
    """Whether values of the type, or values inside them, are of one of the kinds."""
    if isinstance(dtype, pl.List | pl.Array):
        return _holds(dtype.inner, *kinds)
    if isinstance(dtype, pl.Struct):
        return any(_holds(field.dtype, *kinds) for field in dtype.fields)
    return dtype in kinds


def _writable(value: Any) -> Any:  # noqa: ANN401 - whatever a cell holds
    """The value with its name for each number that JSON has not, `nan` and `inf`: an encoder writes null for them."""
    if isinstance(value, float) and not isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {name: _writable(each) for name, each in value.items()}
    return [_writable(each) for each in value] if isinstance(value, list) else value


def _iso(name: str, dtype: pl.DataType) -> pl.Expr:
    """An instant as the API writes it: without a zone, without a fraction where it is zero; one that no calendar has as
    its number. Other columns as they are, instants inside lists and objects to the microsecond."""
    column = pl.col(name)
    if not isinstance(dtype, pl.Datetime):
        return column
    number = column.to_physical()
    factor, divisor = _MICROSECONDS[dtype.time_unit]
    earliest, latest = (each * 1000 * divisor // factor for each in EMITTED_AT_RANGE)
    known = pl.when(number.is_between(earliest, latest)).then(column)
    local = known.dt.convert_time_zone("UTC").dt.replace_time_zone(None) if dtype.time_zone else known
    at = local.dt.cast_time_unit("us")
    whole, exact = at.dt.to_string("%Y-%m-%dT%H:%M:%S"), at.dt.to_string("%Y-%m-%dT%H:%M:%S.%6f")
    text = pl.when(at.dt.microsecond() == 0).then(whole).otherwise(exact)
    if dtype.time_unit == "ns":  # what no microsecond is stays as it came, for the build to judge
        text = pl.when(number % divisor != 0).then(local.dt.to_string("%Y-%m-%dT%H:%M:%S%.9f")).otherwise(text)
    return text.fill_null(number.cast(pl.String)).alias(name)


def _encoded(row: pl.DataFrame) -> bytes:
    """A whole row that is no record, as one JSON object."""
    readable = row.select(_iso(name, dtype) for name, dtype in row.schema.items())
    return _encoder.encode(_writable(readable.row(0, named=True)))
