"""A cluster of processes, of Spark as the PySpark package has it."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import pytest


@dataclass(frozen=True)
class Cluster:
    master: str
    workers: list[int]

    def kill_a_worker(self) -> None:
        os.kill(self.workers[0], signal.SIGKILL)


@pytest.fixture
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """A standalone master and two workers of one core, each a process of its own, on loopback."""
    script = request.config.rootpath / "scripts" / "spark_cluster.py"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, script], **pipes) as process:
        assert process.stdout is not None
        said = process.stdout.readline()
        assert said, "the cluster did not start: its last words are above"
        yield Cluster(**json.loads(said))
