"""The commands in README.md and what they print: `readme.py check` compares, `readme.py write` writes anew.

In a ```console block each line `$ COMMAND` is run, in order, all in one empty folder with a frozen API clock, and the
lines below it are its stdout. A line `…` stands for any lines. Run ids differ each time and are not compared. A command
that exits with another code than 0, in a pipe too, fails both; one that shall is shown with its `; echo $?`.
"""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
README = REPOSITORY / "README.md"
NOW = "2026-11-24T12:00:00"
NOT_RUN = ("make test",)  # it runs this check
_BLOCK = re.compile(r"(?<=^```console\n).*?(?=^```$)", re.M | re.S)
_RUN_ID = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{8}")


@dataclass(frozen=True)
class Shown:
    """A command of the README, what it shows of it, and what it does: its stdout, its exit code, its stderr."""

    command: str
    expected: str
    got: str
    code: int
    err: str

    @property
    def failure(self) -> str | None:
        if self.code == 0:
            return None
        return f"README.md: $ {self.command}\nexpected exit code 0, got {self.code}:\n{self.got}{self.err}"


def check(text: str) -> list[str]:
    """One message per command that fails, or prints something else than the README says."""
    return [
        shown.failure or f"README.md: $ {shown.command}\nexpected (README):\n{shown.expected}\ngot:\n{shown.got}"
        for shown in _results(text)
        if shown.failure or not _matches(shown.expected, shown.got)
    ]


def write() -> list[str]:
    """The README with the output of every command as it is now; outputs with a `…` are left as they are.

    Returns one message per command that fails; then nothing is written.
    """
    text = README.read_text()
    results = list(_results(text))
    failures = [shown.failure for shown in results if shown.failure]
    if failures:
        return failures
    for shown in results:
        if "…\n" not in shown.expected:
            text = text.replace(f"$ {shown.command}\n{shown.expected}", f"$ {shown.command}\n{shown.got}", 1)
    README.write_text(text)
    return []


def _results(text: str) -> Iterator[Shown]:
    with tempfile.TemporaryDirectory() as folder:
        for block in _BLOCK.findall(text):
            for part in re.split(r"^\$ ", block, flags=re.M)[1:]:
                command, _, expected = part.partition("\n")
                if command not in NOT_RUN:
                    done = _run(command, Path(folder))
                    got = "".join(f"{line.rstrip()}\n" for line in done.stdout.splitlines())
                    yield Shown(command, expected, got, done.returncode, done.stderr)


def _run(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    if command == "make run":
        command = f"{sys.executable} {REPOSITORY / 'scripts' / 'run.py'}"
    own = Path(sys.executable).parent
    environment = {**os.environ, "PATH": f"{own}:{os.environ['PATH']}", "MOOVITAMIX_API_NOW": NOW}
    environment.pop("MOOVITAMIX_WAREHOUSE", None)
    return subprocess.run(  # noqa: S603 - the README's own commands, which use pipes
        ["/bin/bash", "-o", "pipefail", "-c", command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )


def _matches(expected: str, got: str) -> bool:
    pattern = re.escape(_RUN_ID.sub("RUN", expected)).replace("…\n", r"(?:.*\n)*?")
    return re.fullmatch(pattern, _RUN_ID.sub("RUN", got)) is not None


if __name__ == "__main__":
    if sys.argv[1:] == ["write"]:
        sys.exit("\n\n".join(write()) or None)
    elif sys.argv[1:] == ["check"]:
        sys.exit("\n\n".join(check(README.read_text())) or None)
    else:
        sys.exit("usage: readme.py check|write")
