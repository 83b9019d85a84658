"""The connector beside its peers, all on one server's /listen_history: `read.py [--runs N] [--quick] [--only PART]`.

PART: throughput, latency, no-news, memory. A run of all parts writes RESULTS.md, any other prints its sections.
"""

import argparse
import json
import platform
import sys
import tempfile
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from processes import OURS, PEERS, REPOSITORY, Contender, alternate, api, table

READERS = REPOSITORY / "bench" / "readers"
RESULTS = REPOSITORY / "bench" / "RESULTS.md"
CONNECTOR = REPOSITORY / "source-moovitamix"
NOW = "2026-01-01T00:00:00"  # the library's start: as many listens as asked for, to the row
UNSAFE = {"AIRBYTE_ENABLE_UNSAFE_CODE": "true"}
CATALOG = {
    "streams": [
        {
            "stream": {
                "name": "listen_history",
                "json_schema": {"type": "object"},
                "supported_sync_modes": ["full_refresh", "incremental"],
            },
            "sync_mode": "incremental",
            "destination_sync_mode": "append_dedup",
        }
    ]
}


PROFILE = """\
## Where the time of 200,000 records goes

Samples of the thread that holds the interpreter's lock (`py-spy record --gil`), 2026-11-24, airbyte-cdk 7.39.1:

| share | what | what would remove it |
|---|---|---|
| 29 % | importing the CDK, as for `spec`: all its models, destinations, the Builder | lazy imports |
| 40 % | the CDK's main thread: queue, dataclass to dict, dict to JSON, `print`, each record | a page at a time |
| 18 % | the requests; a quarter of it the CDK's templates and retry wrappers | larger pages |
| 13 % | ours: dates compared, keys hashed, messages put on the CDK's queue | a page at a time |

The CDK's cursor, shown every record, took another 24 % of the time before: it is shown one moment a page."""


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--runs", type=int, default=5)
    options.add_argument("--quick", action="store_true", help="a tenth of the rows")
    options.add_argument("--only", choices=("throughput", "latency", "no-news", "memory"), help="one part")
    given = options.parse_args()
    scale = 10 if given.quick else 1
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        parts = {
            "throughput": lambda: _throughput(folder, given.runs, 200_000 // scale, latency_ms=0),
            "latency": lambda: _throughput(folder, given.runs, 40_000 // scale, latency_ms=20),
            "no-news": lambda: _no_news(folder, given.runs, 200_000 // scale),
            "memory": lambda: _memory(folder, (20_000 // scale, 1_000_000 // scale)),
        }
        sections = [part() for name, part in parts.items() if given.only in (None, name)]
    if given.quick or given.only:
        sys.stdout.write("\n\n".join(sections) + "\n")
    else:
        RESULTS.write_text(_head() + "\n\n".join([*sections, PROFILE]) + "\n")
        sys.stdout.write(f"written: {RESULTS.relative_to(REPOSITORY)}\n")


def ours(folder: Path, url: str, *more: str) -> Contender:
    config, catalog = _files(folder, url)
    command = [str(OURS / "python"), str(CONNECTOR / "main.py"), "read", "--config", config, "--catalog", catalog]
    return Contender("source-moovitamix, main.py", [*command, *more])


def _throughput(folder: Path, runs: int, listens: int, *, latency_ms: int) -> str:
    flags = ("--listens", str(listens), "--now", NOW, "--latency-ms", str(latency_ms))
    with api(*flags) as url:
        config, catalog = _files(folder, url)
        arguments = ["--config", config, "--catalog", catalog]
        console_script = str(OURS / "source-declarative-manifest")
        mine = ours(folder, url)
        contenders = [
            mine,
            Contender(
                "source-moovitamix, source-declarative-manifest",
                [
                    *(console_script, "read", *arguments, "--manifest-path", str(CONNECTOR / "manifest.yaml")),
                    *("--components-path", str(CONNECTOR / "components.py")),
                ],
                UNSAFE,
            ),
            Contender(
                "the CDK as documented (is_client_side_incremental, DpathExtractor)",
                [console_script, "read", *arguments, "--manifest-path", str(READERS / "cdk_documented/manifest.yaml")],
            ),
            Contender("Singer SDK tap", [str(PEERS / "python"), str(READERS / "singer_tap.py"), url, str(folder)]),
            Contender("dlt, iterated", [str(PEERS / "python"), str(READERS / "dlt_reader.py"), url, "", "iterate"]),
            Contender("requests + orjson loop", [str(OURS / "python"), str(READERS / "raw_reader.py"), url]),
        ]
        alternate(contenders, runs)
    title = f"## {listens:,} listen records, {latency_ms} ms a page"
    return f"{title}\n\n{table(contenders, mine)}"


def _no_news(folder: Path, runs: int, listens: int) -> str:
    """The second sync of a history without news, beside `spec`, which is the interpreter's and the CDK's start."""
    with api("--listens", str(listens), "--now", NOW) as url:
        state = folder / "state.json"
        cursor = {"stream_descriptor": {"name": "listen_history"}, "stream_state": {"updated_at": f"{NOW}.000000"}}
        state.write_text(json.dumps([{"type": "STREAM", "stream": cursor}]))
        mine = ours(folder, url, "--state", str(state))
        spec = Contender("spec", [str(OURS / "python"), str(CONNECTOR / "main.py"), "spec"])
        alternate([mine, spec], runs)
    over = mine.median_seconds - spec.median_seconds
    return (
        f"## An incremental sync without news, {listens:,} listen records\n\n{table([mine, spec], mine)}\n\n"
        f"Over `spec`: {over:.2f} s."
    )


def _memory(folder: Path, sizes: tuple[int, int]) -> str:
    rows = ["| listen records | peak MB | over `spec` |", "|---|---|---|"]
    spec = Contender("spec", [str(OURS / "python"), str(CONNECTOR / "main.py"), "spec"])
    alternate([spec], 1)
    for size in sizes:
        with api("--listens", str(size), "--now", NOW) as url:
            mine = ours(folder, url)
            alternate([mine], 1)
        peak = mine.median_bytes
        rows.append(f"| {size:,} | {peak / 1e6:.0f} | {(peak - spec.median_bytes) / 1e6:.0f} MB |")
    return "## Peak memory\n\n" + "\n".join(rows)


def _files(folder: Path, url: str) -> tuple[str, str]:
    config, catalog = folder / "config.json", folder / "catalog.json"
    config.write_text(json.dumps({"api_url": url}))
    catalog.write_text(json.dumps(CATALOG))
    return str(config), str(catalog)


def _head() -> str:
    return (
        "# Results\n\n"
        f"{datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, Python {platform.python_version()}, "
        f"airbyte-cdk {version('airbyte-cdk')}; whole processes in turns, medians (least–most). `make bench`.\n\n"
        "What landing and building cost, step by step, is in [TRANSFORM.md](TRANSFORM.md).\n\n"
    )


if __name__ == "__main__":
    main()
