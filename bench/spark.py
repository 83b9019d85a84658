"""The same lists built by Polars, and by Spark with one and with two workers: `spark.py [--lists N] [--runs N]`.

The cluster is `scripts/spark_cluster.py`, on this machine; its workers have one core each. A run of 5,000,000 lists
writes SPARK.md, any other prints what it found.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from processes import REPOSITORY, Contender, alternate, table

from transform import Bench, copy

RESULTS = REPOSITORY / "bench" / "SPARK.md"
BIN = REPOSITORY / ".venv" / "bin"  # the only environment with pyspark
LISTS = 5_000_000
DAY = 0.01
MEMORY = "5g"  # of a worker; its executor takes all but what Python needs
CONF = ("--conf", "spark.executor.memory=3g", "--conf", "spark.driver.memory=2g")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--lists", type=int, default=LISTS)
    options.add_argument("--runs", type=int, default=1)
    given = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, _cluster(1) as one, _cluster(2) as two:
        bench = Bench(Path(folder), given.runs)
        engines = {"Polars": (), "Spark, 1 worker": _on(one), "Spark, 2 workers": _on(two)}
        text = (
            f"# The same tables on Spark\n\n{datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, {os.cpu_count()} "
            f"cores, Python {platform.python_version()}, polars {version('polars')}, pyspark {version('pyspark')}; "
            f"{given.lists:,} lists, whole processes in turns, medians (least–most). `python bench/spark.py`.\n"
        )
        for title, begin_with in (
            ("The full build", bench.landed(given.lists)),
            (f"A day of {DAY:.0%} new lists", bench.next_day(given.lists, DAY)),
        ):
            contenders = [_build(bench, name, begin_with, *words) for name, words in engines.items()]
            alternate(contenders, given.runs)
            text += f"\n## {title}\n\n{table(contenders, contenders[0])}\n"
        text += (
            "\nCPU seconds and peak memory are those of the command itself: of Spark's its driver, not its executors.\n"
        )
    if given.lists == LISTS:
        RESULTS.write_text(text)
    sys.stdout.write(text)


def _build(bench: Bench, name: str, begin_with: Path, *words: str) -> Contender:
    work = Path(tempfile.mkdtemp(dir=bench.folder))
    command = [str(BIN / "moovitamix"), "build", "--json", "--warehouse", str(work), *words]
    return Contender(name, command, prepare=lambda: copy(begin_with, work))


def _on(master: str) -> tuple[str, ...]:
    return ("--engine", "spark", "--master", master, *CONF)


@contextmanager
def _cluster(workers: int) -> Iterator[str]:
    """A cluster of so many workers; gives its master's URL."""
    script = REPOSITORY / "scripts" / "spark_cluster.py"
    command = [str(BIN / "python"), str(script), "--workers", str(workers), "--memory", MEMORY]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield str(json.loads(process.stdout.readline())["master"])


if __name__ == "__main__":
    main()
