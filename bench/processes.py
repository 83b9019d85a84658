"""Whole processes, timed in turns: A B C, A B C, … so that a machine that slows down slows all of them."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

REPOSITORY = Path(__file__).resolve().parents[1]
OURS = REPOSITORY / "bench" / ".venv-ours" / "bin"
PEERS = REPOSITORY / "bench" / ".venv" / "bin"
SHOWN_CHARACTERS = 2000


@dataclass
class Contender:
    """A command and what its runs cost: seconds by the clock, CPU seconds, peak memory in bytes.

    Attributes:
        stdin: a file that the command reads.
        prepare: called before each run, its time not counted.
    """

    name: str
    command: list[str]
    environment: dict[str, str] = field(default_factory=dict)
    stdin: Path | None = None
    prepare: Callable[[], object] = lambda: None
    seconds: list[float] = field(default_factory=list)
    cpu_seconds: list[float] = field(default_factory=list)
    peak_bytes: list[int] = field(default_factory=list)
    lines: int = 0

    @property
    def median_seconds(self) -> float:
        return median(self.seconds)

    @property
    def median_bytes(self) -> float:
        return median(self.peak_bytes)

    def run(self) -> None:
        """One run to its end; its output is counted, not kept."""
        self.prepare()
        source = os.open(self.stdin or os.devnull, os.O_RDONLY)
        with tempfile.TemporaryFile() as errors:
            started = time.monotonic()
            # A child's peak is never below its parent's size when it began: this process stays small, see `apart`.
            process = subprocess.Popen(
                self.command,
                stdin=source,
                stdout=subprocess.PIPE,
                stderr=errors,
                env={**os.environ, **self.environment},
            )
            os.close(source)
            self.lines = _count_lines(process)
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            self.seconds.append(time.monotonic() - started)
            self.cpu_seconds.append(usage.ru_utime + usage.ru_stime)
            self.peak_bytes.append(usage.ru_maxrss * 1024)
            if process.returncode != 0:
                errors.seek(0)
                words = errors.read().decode(errors="backslashreplace")[-SHOWN_CHARACTERS:]
                raise SystemExit(
                    f"{self.name}: expected exit code 0, got {process.returncode}: {self.command}\n{words}"
                )


def _count_lines(process: "subprocess.Popen[bytes]") -> int:
    assert process.stdout is not None
    with process.stdout as output:
        return sum(block.count(b"\n") for block in iter(lambda: output.read(1 << 20), b""))


def alternate(contenders: list[Contender], runs: int) -> None:
    """Each contender `runs` times, in turns."""
    for number in range(runs):
        for contender in contenders:
            sys.stderr.write(f"run {number + 1} of {runs}: {contender.name} … ")
            sys.stderr.flush()
            contender.run()
            sys.stderr.write(f"{contender.seconds[-1]:.2f} s, {contender.lines} lines\n")


def apart(*command: object) -> None:
    """Work that is not measured, in a process of its own."""
    words = [str(word) for word in command]
    sys.stderr.write(f"{' '.join(Path(word).name for word in words)} …\n")
    if subprocess.run(words, stdout=subprocess.DEVNULL, check=False).returncode != 0:
        raise SystemExit(f"expected exit code 0 of {' '.join(words)}; nothing was measured after it")


@contextmanager
def api(*flags: str) -> Iterator[str]:
    """The API on a free loopback port; gives its URL."""
    process = subprocess.Popen([OURS / "moovitamix-api", "--port", "0", *flags], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait()


def table(contenders: list[Contender], reference: Contender) -> str:
    """A Markdown table of medians; the last column is this contender's time over the reference's."""
    rows = ["| | seconds | CPU seconds | peak MB | time / ours |", "|---|---|---|---|---|"]
    for each in contenders:
        ratio = each.median_seconds / reference.median_seconds
        low, high = min(each.seconds), max(each.seconds)
        rows.append(
            f"| {each.name} | {each.median_seconds:.2f} ({low:.2f}–{high:.2f}) | {median(each.cpu_seconds):.2f} "
            f"| {each.median_bytes / 1e6:.0f} | {ratio:.2f} |"
        )
    return "\n".join(rows)
