"""A session on a cluster, or what is missing for one."""

import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from moovitamix_transform.errors import EngineFailed, MissingExtra

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

LEAST_JAVA = 17
_PATIENCE_SECONDS = 5
_LOG = Path(__file__).with_name("log4j2.properties")

# What the tables' rows depend on. The rest is the user's: spark-defaults.conf in SPARK_CONF_DIR, or `--conf`.
_FIXED = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",  # Delta's; the default is one that Delta lacks
    "spark.sql.ansi.enabled": "true",  # a number out of range is an error, not another number
    "spark.hadoop.mapreduce.fileoutputcommitter.marksuccessfuljobs": "false",
}
_QUIET = {
    "spark.app.name": "moovitamix build",
    "spark.ui.showConsoleProgress": "false",
    "spark.driver.extraJavaOptions": f"-Dlog4j2.configurationFile={_LOG.as_uri()}",
}


def require_spark(master: str) -> None:
    """MissingExtra or EngineFailed unless there is pyspark, a Java that runs it, and somebody at the master's URL."""
    try:
        import pyspark  # noqa: F401 - whether it is there
    except ModuleNotFoundError as error:
        raise MissingExtra(
            f"build --engine spark: expected the package {error.name}, found none; install the extra: "
            "`pip install 'moovitamix[spark]'`. Nothing is built."
        ) from error
    _require_java()
    _require_master(master)


def _require_java() -> None:
    home = os.environ.get("JAVA_HOME")
    java = str(Path(home, "bin", "java")) if home else shutil.which("java")
    hint = (
        f"install Java {LEAST_JAVA}, such as Debian's openjdk-{LEAST_JAVA}-jre-headless, and set JAVA_HOME where it is "
        "not the first on the PATH. Nothing is built."
    )
    if java is None or not Path(java).exists():
        where = f"JAVA_HOME={home}" if home else "on the PATH"
        raise EngineFailed(f"Spark: expected Java {LEAST_JAVA} or newer, found none {where}; {hint}")
    told = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr  # noqa: S603
    version = re.search(r'version "(?:1\.)?([0-9]+)', told)
    if version is None or int(version[1]) < LEAST_JAVA:
        got = version[0] if version else told.strip() or "no version"
        raise EngineFailed(f"Spark: expected Java {LEAST_JAVA} or newer, got {got} ({java}); {hint}")


def _require_master(master: str) -> None:
    """Spark itself would try for a minute, and say so in a log."""
    for address in master.removeprefix("spark://").split(",") if master.startswith("spark://") else ():
        url = urlsplit(f"spark://{address}")
        try:
            with socket.create_connection((url.hostname or "", url.port or 7077), timeout=_PATIENCE_SECONDS):
                return
        except (OSError, ValueError) as error:
            failure = error
    if master.startswith("spark://"):
        raise EngineFailed(
            f"{master}: expected a Spark master, nobody answers there ({failure}). Nothing is built."
        ) from failure


@contextmanager
def started(master: str, more: dict[str, str]) -> Iterator["SparkSession"]:
    """A session, ended with the block.

    Args:
        more: settings of Spark's; those that the tables' rows depend on stay.
    """
    from pyspark.sql import SparkSession

    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder = SparkSession.builder.master(master)
    for name, value in {**_QUIET, **_loopback(master), **more, **_FIXED}.items():
        builder = builder.config(name, value)
    with explained(master):
        session = builder.getOrCreate()
    try:
        yield session
    finally:
        with suppress(Exception):  # a cluster that is gone cannot be told that we are
            session.stop()


def _loopback(master: str) -> dict[str, str]:
    """A driver that no other machine has to reach listens on loopback alone, and shows no page."""
    host = urlsplit(master).hostname if master.startswith("spark://") else "localhost"
    if host not in ("localhost", "127.0.0.1"):
        return {}
    return {
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.ui.enabled": "false",
    }


@contextmanager
def explained(master: str) -> Iterator[None]:
    """What went wrong on the cluster, in a line."""
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException

    try:
        yield
    except (PySparkException, Py4JError) as error:
        raise _failed(master, _cause(str(error))) from error
    except ConnectionError as error:
        raise _failed(master, f"its Java process here has ended ({error})") from error


def _failed(master: str, what: str) -> EngineFailed:
    return EngineFailed(f"Spark at {master}: {what}. The build is not published; the one before stays.")


def _cause(text: str) -> str:
    """The first line that says more than that something went wrong; of a Python error on an executor, its last."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if trace := next((at for at, line in enumerate(lines) if line.startswith("Traceback (most recent")), None):
        errors = [line for line in lines[trace:] if re.match(r"[A-Za-z_.]+(Error|Exception|Broken|Failed)\b", line)]
        if errors:
            return errors[0].rstrip(".")
    telling = [line for line in lines if "An error occurred while calling" not in line]
    return (telling or lines or ["it failed without a word"])[0].rstrip(".")
