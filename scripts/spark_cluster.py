"""A Spark cluster on this machine: `spark_cluster.py [--workers N] [--cores N] [--memory SIZE]`.

A master and its workers, of the PySpark package, each a process of its own, on loopback. Prints one line of JSON once
every worker is there: {"master": URL, "workers": [process id, …]}. Ends them all when its stdin is closed, or with
Ctrl-C or SIGTERM.
"""

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

HOST = "127.0.0.1"


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--workers", type=int, default=2)
    options.add_argument("--cores", type=int, default=1, help="of each worker")
    options.add_argument("--memory", default="1g", help="of each worker")
    given = options.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with suppress(KeyboardInterrupt), ExitStack() as stack:
        work = stack.enter_context(tempfile.TemporaryDirectory(prefix="spark-", ignore_cleanup_errors=True))
        _, master = stack.enter_context(_daemon("Master", r"Starting Spark master at (spark://\S+)"))
        flags = ["--cores", str(given.cores), "--memory", given.memory, "--work-dir", work, master]
        workers = [
            stack.enter_context(_daemon("Worker", "(Successfully registered with master)", *flags))[0]
            for _ in range(given.workers)
        ]
        sys.stdout.write(json.dumps({"master": master, "workers": workers}) + "\n")
        sys.stdout.flush()
        sys.stdin.read()


@contextmanager
def _daemon(kind: str, says: str, *arguments: str) -> Iterator[tuple[int, str]]:
    """One process of the cluster, from its first word on. Gives its id, and what it said.

    Raises SystemExit when it ends before it says so.
    """
    import pyspark

    home = Path(pyspark.__file__).parent
    environment = os.environ | {
        "SPARK_HOME": str(home),
        "SPARK_LOCAL_IP": HOST,
        "SPARK_DAEMON_MEMORY": "256m",
        "PYSPARK_PYTHON": sys.executable,
    }
    name = f"org.apache.spark.deploy.{kind.lower()}.{kind}"
    command = [str(home / "bin" / "spark-class"), name, "--host", HOST, "--port", "0", "--webui-port", "0", *arguments]
    process = subprocess.Popen(  # noqa: S603 - Spark's own
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None  # noqa: S101 - a pipe
    heard: list[str] = []
    try:
        for line in process.stderr:
            heard.append(line)
            if found := re.search(says, line):
                break
        else:
            raise SystemExit(f"Spark's {kind} ended before it was there:\n{''.join(heard)}")
        # What it says from here on has to go somewhere, or it would wait for a reader.
        reader = threading.Thread(target=process.stderr.read, daemon=True)
        reader.start()
        yield process.pid, found[1]
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(10)
        process.kill()
        process.wait()


if __name__ == "__main__":
    main()
