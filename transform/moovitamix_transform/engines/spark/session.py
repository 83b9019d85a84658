"""A session on a cluster, or what is missing for one."""

import logging
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from moovitamix_transform.engines.spark import settings
from moovitamix_transform.errors import EngineFailed, MissingExtra
from moovitamix_transform.warehouse import Warehouse

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

LEAST_JAVA = 17
_PATIENCE_SECONDS = 5
_AGAIN_SECONDS = 0.05


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
def started(master: str, warehouse: Warehouse, given: dict[str, str]) -> Iterator["SparkSession"]:
    """A session, ended with the block.

    Args:
        warehouse: whose tables it reads and writes.
        given: settings of Spark's by a user.
    Raises:
        UsageError: one of them, or of spark-defaults.conf, would change the tables' rows.
    """
    from pyspark import SparkConf, SparkContext
    from pyspark.java_gateway import launch_gateway
    from pyspark.sql import SparkSession

    settings.require_allowed(given, "build --conf")
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    conf = SparkConf().setMaster(master).setAll(settings.of_session(master, warehouse, given).items())
    with lasting_interrupts():
        with explained(master), _own_interrupt():
            # A Java process of this process's group would end with a Ctrl-C before we can end its work.
            java = SparkContext._gateway or launch_gateway(conf, {"start_new_session": True})
            session = SparkSession(SparkContext(conf=conf, gateway=java))
        try:
            settings.require_allowed(dict(session.sparkContext.getConf().getAll()), "spark-defaults.conf")
            yield session
        finally:
            with suppress(Exception):  # a cluster that is gone cannot be told that we are
                session.stop()


@contextmanager
def lasting_interrupts() -> Iterator[None]:
    """An interrupt that meets py4j is not lost: it asks Java to forget an object in that object's finalizer, and what
    is raised in one goes no further. So it is raised again, a moment later."""
    hook = sys.unraisablehook
    main = threading.main_thread().ident
    number = signal.SIGTERM if signal.getsignal(signal.SIGINT) is signal.SIG_IGN else signal.SIGINT

    def again(ignored: "sys.UnraisableHookArgs") -> None:
        if issubclass(ignored.exc_type, KeyboardInterrupt):
            threading.Timer(_AGAIN_SECONDS, signal.pthread_kill, [main, number]).start()
        else:
            hook(ignored)

    sys.unraisablehook = again
    logging.getLogger().addFilter(_is_no_interrupt)
    try:
        yield
    finally:
        logging.getLogger().removeFilter(_is_no_interrupt)
        sys.unraisablehook = hook


def _is_no_interrupt(record: logging.LogRecord) -> bool:
    """py4j logs a KeyboardInterrupt, with its traceback, before it hands it on."""
    return not record.getMessage().startswith("KeyboardInterrupt")


@contextmanager
def _own_interrupt() -> Iterator[None]:
    """What Ctrl-C does stays ours: Spark's handler asks the Java process first, which may be gone."""
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, handler)


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
