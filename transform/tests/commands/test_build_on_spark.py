"""`build --engine spark`: what is said when it cannot be, before anything is built."""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from moovitamix_transform.engines.spark import session
from moovitamix_transform.warehouse import Warehouse

Command = Callable[..., object]

# As in an environment without the extra.
WITHOUT_PYSPARK = """
import sys
sys.modules["pyspark"] = None
from moovitamix_transform.cli.app import run_command
sys.exit(run_command(sys.argv[1:]))
"""


@pytest.fixture
def landed(moovitamix: Command, source: Callable[[str], str]) -> None:
    """A warehouse with one build."""
    moovitamix("run", "--source", source("sync()"))


@pytest.fixture
def with_pyspark() -> None:
    pytest.importorskip("pyspark", reason="make test-system installs it")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param(["--master", "local[1]"], "expected --engine spark beside them", id="a_master_of_no_engine"),
        pytest.param(["--conf", "spark.ui.port=1"], "expected --engine spark beside them", id="a_setting_of_no_engine"),
        pytest.param(
            ["--engine", "spark", "--conf", "memory"], "expected NAME=VALUE with a name such as", id="no_setting"
        ),
        pytest.param(["--engine", "dask"], "expected one of polars, spark, got 'dask'", id="an_engine_there_is_not"),
        pytest.param(
            ["--engine", "spark", "--conf", "spark.sql.files.ignoreMissingFiles=true"],
            "expected spark.sql.files.ignoreMissingFiles=false, which the tables' rows depend on, got 'true'",
            id="a_setting_that_loses_rows",
        ),
    ],
)
def test_what_cannot_be_meant_is_a_usage_error(moovitamix: Command, landed: None, options: list[str], message: str):
    done = moovitamix("build", *options)

    assert done.code == 2
    assert message in " ".join(done.err.split())


def test_the_value_of_a_setting_that_is_refused_is_not_shown(moovitamix: Command, landed: None):
    done = moovitamix("build", "--engine", "spark", "--conf", "fs.s3a.secret.key=canary")

    assert done.code == 2
    assert "fs.s3a.secret.key" in done.err
    assert "canary" not in done.err


def test_without_the_extra_it_says_how_to_install_it(landed: None):
    build = [sys.executable, "-c", WITHOUT_PYSPARK, "build", "--engine", "spark"]

    done = subprocess.run(build, capture_output=True, text=True, check=False)

    assert done.returncode == 1
    assert "expected the package pyspark, found none" in done.stderr
    assert "pip install 'moovitamix[spark]'" in done.stderr


@pytest.mark.spark
@pytest.mark.parametrize(
    ("version", "message"),
    [
        pytest.param(None, "expected Java 17 or newer, found none JAVA_HOME=", id="none"),
        pytest.param('openjdk version "11.0.2" 2019-01-15', 'got version "11', id="too_old"),
        pytest.param('java version "1.8.0_402"', 'got version "1.8', id="of_the_old_counting"),
    ],
)
def test_without_a_java_that_runs_spark_it_says_what_to_install(
    moovitamix: Command,
    landed: None,
    with_pyspark: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    version: str | None,
    message: str,
):
    home = tmp_path / "java home"
    if version is not None:
        (home / "bin").mkdir(parents=True)
        (home / "bin" / "java").write_text(f"#!/bin/sh\necho '{version}' >&2\n")
        (home / "bin" / "java").chmod(0o755)
    monkeypatch.setenv("JAVA_HOME", str(home))

    done = moovitamix("build", "--engine", "spark")

    assert done.code == 1
    assert message in done.err
    assert "openjdk-17-jre-headless" in done.err
    assert "Nothing is built" in done.err


@pytest.mark.spark
def test_defaults_of_a_cluster_that_change_the_rows_are_refused(
    moovitamix: Command, start: Command, landed: None, with_pyspark: None, tmp_path: Path
):
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "spark-defaults.conf").write_text("spark.sql.legacy.sizeOfNull true\n")

    build = start(
        *("build", "--engine", "spark", "--master", "local[1]"),
        env={**os.environ, "SPARK_CONF_DIR": str(tmp_path / "conf")},
    )
    _, err = build.communicate()

    assert build.returncode == 2, err
    assert "spark-defaults.conf: expected no spark.sql.legacy.… setting, got spark.sql.legacy.sizeOfNull" in err


@pytest.mark.spark
def test_a_master_that_does_not_answer_is_told_at_once(moovitamix: Command, landed: None, with_pyspark: None):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        master = f"spark://127.0.0.1:{unused.getsockname()[1]}"

        done = moovitamix("build", "--engine", "spark", "--master", master)

    assert done.code == 1
    assert f"{master}: expected a Spark master, nobody answers there" in done.err


class InterruptedAsItEnds:
    def __del__(self) -> None:
        signal.raise_signal(signal.SIGINT)


def test_an_interrupt_in_a_finalizer_is_raised_once_it_is_over():
    def work() -> None:
        InterruptedAsItEnds()
        threading.Event().wait(10)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with session.lasting_interrupts(), pytest.raises(KeyboardInterrupt):
            work()
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.spark
@pytest.mark.timeout(300)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["as_ctrl_c_does", "as_a_service_manager_does"])
def test_a_signal_to_the_whole_group_interrupts_a_build_as_it_does_with_polars(
    start: Command, landed: None, history, until, with_pyspark: None, tmp_path: Path, number: signal.Signals
):
    """It reaches Spark's Java process too."""
    house = Warehouse(str(tmp_path / "warehouse"))
    before = house.version("staging/base_tracks")
    build = start(*("build", "--engine", "spark", "--master", "local[1]", "--full-refresh"), start_new_session=True)
    until(lambda: house.version("staging/base_tracks") > before, "the first table", seconds=200)

    os.killpg(build.pid, number)
    _, err = build.communicate()

    assert build.returncode == 1
    assert err.splitlines()[-1] == "moovitamix: interrupted; what was committed stays, the next run goes on from there"
    assert "Traceback" not in err
    assert history("warehouse")[-1]["status"] == "interrupted"
