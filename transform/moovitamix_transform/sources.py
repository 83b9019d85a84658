"""The source tables: what landed, exactly as it came, append-only."""

import polars as pl

from moovitamix_transform import epochs, fields_seen
from moovitamix_transform.files import registry
from moovitamix_transform.streams import STREAMS
from moovitamix_transform.warehouse import Warehouse

INSTANT = pl.Datetime("us", "UTC")

# Grain: one row per landed record. `_airbyte_data` is the record's JSON text, byte for byte.
RECORDS = pl.Schema(
    {
        "_airbyte_raw_id": pl.String(),
        "_airbyte_extracted_at": INSTANT,
        "_airbyte_generation_id": pl.Int64(),
        "_run_id": pl.String(),
        "_airbyte_data": pl.String(),
    }
)

# Grain: one row per line that is no record of a known stream.
LINES = pl.Schema(
    {
        "raw_id": pl.String(),
        "run_id": pl.String(),
        "received_at": INSTANT,
        "stream": pl.String(),
        "rule": pl.String(),
        "text": pl.String(),
    }
)

# Grain: one row per read of a stream. `completed_at` is null when the read did not come to its end, or is known to have
# lost records. Of a destination's files: one row per generation when its first one is landed, and one more when it is
# complete or has more odd lines.
GENERATIONS = pl.Schema(
    {
        "stream": pl.String(),
        "generation_id": pl.Int64(),
        "run_id": pl.String(),
        "started_at": INSTANT,
        "completed_at": INSTANT,
        "unreadable_count": pl.Int64(),
    }
)

META = {
    "generations": GENERATIONS,
    "epochs": epochs.SCHEMA,
    "fields": fields_seen.SCHEMA,
    "files": registry.SCHEMA,
}


def record_frame(
    run_id: str, generation_id: int, ordinals: list[int], emitted_at_ms: list[int], data: list[bytes]
) -> pl.DataFrame:
    """Records as rows of RECORDS. `ordinals` are the positions of their messages in the run, from 1.

    Raises polars' ComputeError when a text is not UTF-8.
    """
    return pl.DataFrame(
        [
            pl.Series("ordinal", ordinals, pl.Int64),
            pl.Series("_airbyte_extracted_at", emitted_at_ms, pl.Int64),
            pl.Series("_airbyte_data", data, pl.Binary),
        ]
    ).select(
        pl.format("{}-{}", pl.lit(run_id), pl.col("ordinal").cast(pl.String).str.zfill(9)).alias("_airbyte_raw_id"),
        (pl.col("_airbyte_extracted_at") * 1000).cast(pl.Datetime("us")).dt.replace_time_zone("UTC"),
        pl.lit(generation_id, pl.Int64).alias("_airbyte_generation_id"),
        pl.lit(run_id).alias("_run_id"),
        pl.col("_airbyte_data").cast(pl.String),
    )


def path(name: str) -> str:
    """Where a source table lies; `generations` is read by models as one of them."""
    return f"_meta/{name}" if name in META else f"source/{name}"


def make_missing(warehouse: Warehouse) -> None:
    """Every source table exists, if without rows, so that a build has all it reads."""
    tables = {path(stream): RECORDS for stream in STREAMS} | {path("_lines"): LINES}
    for table, columns in (tables | {path(name): columns for name, columns in META.items()}).items():
        if not warehouse.exists(table):
            warehouse.append(table, pl.DataFrame(schema=columns))


def states(warehouse: Warehouse) -> dict[str, str]:
    """The newest committed state of each stream that has one: the JSON text of the STATE's `stream` object."""
    found = {stream: warehouse.metadata(path(stream)).get("state") for stream in STREAMS}
    return {stream: state for stream, state in found.items() if state is not None}


def state_list(by_stream: dict[str, str]) -> str:
    """The JSON list that a connector's `read --state` accepts."""
    return "[" + ", ".join(f'{{"type": "STREAM", "stream": {state}}}' for state in by_stream.values()) + "]"


def reset_state(warehouse: Warehouse, stream: str) -> None:
    """Forgets the stream's state in a commit of its own: the next incremental sync reads it whole."""
    version = warehouse.version(path(stream))
    metadata = warehouse.metadata(path(stream), version)
    warehouse.append(path(stream), pl.DataFrame(schema=RECORDS), {**metadata, "state": None}, after=version)


def open_generation(warehouse: Warehouse, stream: str) -> int:
    """Begins a generation of the stream that has no record yet, and forgets its state. Returns its number."""
    version = warehouse.version(path(stream))
    metadata = warehouse.metadata(path(stream), version)
    number = int(metadata.get("generation_id") or 0) + 1
    moved = {**metadata, "generation_id": number, "state": None}
    warehouse.append(path(stream), pl.DataFrame(schema=RECORDS), moved, after=version)
    return number
