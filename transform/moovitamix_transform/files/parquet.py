"""A Parquet file of one of Airbyte's destinations, raw or flattened → the records it was made of, as JSON texts."""

from collections.abc import Iterator

import msgspec
import polars as pl

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
    return [
        joined((name, _encoder.encode(value)) for name, value in row.items()) for row in readable.iter_rows(named=True)
    ]


def _iso(name: str, dtype: pl.DataType) -> pl.Expr:
    """An instant as the API writes it: without a zone, without a fraction where it is zero; one that no calendar has as
    its number. Other columns as they are."""
    column = pl.col(name)
    if not isinstance(dtype, pl.Datetime):
        return column
    number = column.to_physical()
    factor, divisor = _MICROSECONDS[dtype.time_unit]
    earliest, latest = (each * 1000 * divisor // factor for each in EMITTED_AT_RANGE)
    known = pl.when(number.is_between(earliest, latest)).then(column)
    at = (known.dt.convert_time_zone("UTC").dt.replace_time_zone(None) if dtype.time_zone else known).dt.cast_time_unit(
        "us"
    )
    whole, exact = at.dt.to_string("%Y-%m-%dT%H:%M:%S"), at.dt.to_string("%Y-%m-%dT%H:%M:%S.%6f")
    text = pl.when(at.dt.microsecond() == 0).then(whole).otherwise(exact)
    return text.fill_null(number.cast(pl.String)).alias(name)


def _encoded(row: pl.DataFrame) -> bytes:
    """A whole row that is no record, as one JSON object."""
    readable = row.select(_iso(name, dtype) for name, dtype in row.schema.items())
    return _encoder.encode(readable.row(0, named=True))
