"""One PyAirbyte read of every stream into a DuckDB cache: `pyairbyte_read.py API_URL FOLDER manifest|executable`.

Runs in PyAirbyte's own environment; test_pyairbyte.py starts it. The last line on stdout is JSON: how many records were
read, and what the cache then holds.
"""

import json
import sys
from pathlib import Path

import airbyte
from airbyte.caches import DuckDBCache

CONNECTOR = Path(__file__).parents[1]
RUNNERS = {
    "manifest": {"source_manifest": CONNECTOR / "manifest.yaml"},
    "executable": {"local_executable": CONNECTOR / "main.py"},
}


def main(api_url: str, folder: str, runner: str) -> None:
    source = airbyte.get_source("source-moovitamix", config={"api_url": api_url}, **RUNNERS[runner])
    source.check()
    source.select_all_streams()
    cache = DuckDBCache(db_path=Path(folder) / f"{runner}.duckdb", cache_dir=Path(folder) / runner)

    result = source.read(cache=cache)

    rows = {name: [dict(row) for row in dataset] for name, dataset in result.streams.items()}
    sys.stdout.write(json.dumps({"records": result.processed_records, "rows": rows}, default=str) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
