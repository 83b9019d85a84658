"""The records of Airbyte's lines as Parquet by dlt, one table a stream: `dlt_lander.py FOLDER LINES`."""

import sys
from itertools import islice
from pathlib import Path

import dlt
import orjson

CHUNK_LINES = 10_000
folder, lines = sys.argv[1:]


@dlt.resource(max_table_nesting=0)  # a list of tracks stays one value, as it does in the source tables
def messages():
    with Path(lines).open("rb") as file:
        while chunk := list(islice(file, CHUNK_LINES)):
            rows = {}
            for line in chunk:
                message = orjson.loads(line)
                if message["type"] == "RECORD":
                    record = message["record"]
                    rows.setdefault(record["stream"], []).append(record["data"])
            for stream, records in rows.items():
                yield dlt.mark.with_table_name(records, stream)


pipeline = dlt.pipeline(
    "landing",
    destination=dlt.destinations.filesystem(f"file://{folder}/tables"),
    dataset_name="landing",
    pipelines_dir=f"{folder}/state",
)
pipeline.run(messages(), loader_file_format="parquet", write_disposition="replace")
print(pipeline.last_trace.last_normalize_info.row_counts)
