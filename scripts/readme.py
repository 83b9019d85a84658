"""The commands in README.md and what they print: `readme.py check` compares, `readme.py write` writes anew.

In a ```console block each line `$ COMMAND` is run, in order, all in one empty folder with a frozen API clock, and the
lines below it are its stdout. A line `…` stands for any lines. Run ids differ each time and are not compared.
"""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
README = REPOSITORY / "README.md"
NOW = "2026-11-24T12:00:00"
NOT_RUN = ("make test",)  # it runs this check
_BLOCK = re.compile(r"(?<=^```console\n).*?(?=^```$)", re.M | re.S)
_RUN_ID = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{8}")


def check() -> list[str]:
    """One message per command that prints something else than the README says."""
    return [
        f"README.md: $ {command}\nexpected (README):\n{expected}\ngot:\n{got}"
        for command, expected, got in _results(README.read_text())
        if not _matches(expected, got)
    ]


def write() -> None:
    """The README with the output of every command as it is now; outputs with a `…` are left as they are."""
    text = README.read_text()
    for command, expected, got in list(_results(text)):
        if "…\n" not in expected:
            text = text.replace(f"$ {command}\n{expected}", f"$ {command}\n{got}", 1)
    README.write_text(text)


def _results(text: str) -> Iterator[tuple[str, str, str]]:
    with tempfile.TemporaryDirectory() as folder:
        for block in _BLOCK.findall(text):
            for part in re.split(r"^\$ ", block, flags=re.M)[1:]:
                command, _, expected = part.partition("\n")
                if command not in NOT_RUN:
                    yield command, expected, _output(command, Path(folder))


def _output(command: str, folder: Path) -> str:
    if command == "make run":
        command = f"{sys.executable} {REPOSITORY / 'scripts' / 'run.py'}"
    own = Path(sys.executable).parent
    environment = {**os.environ, "PATH": f"{own}:{os.environ['PATH']}", "MOOVITAMIX_API_NOW": NOW}
    environment.pop("MOOVITAMIX_WAREHOUSE", None)
    done = subprocess.run(  # noqa: S603 - the README's own commands, which use pipes
        ["/bin/sh", "-c", command], cwd=folder, env=environment, capture_output=True, text=True, timeout=120
    )
    return "\n".join(line.rstrip() for line in done.stdout.splitlines()) + "\n" if done.stdout else done.stderr


def _matches(expected: str, got: str) -> bool:
    pattern = re.escape(_RUN_ID.sub("RUN", expected)).replace("…\n", r"(?:.*\n)*?")
    return re.fullmatch(pattern, _RUN_ID.sub("RUN", got)) is not None


if __name__ == "__main__":
    if sys.argv[1:] == ["write"]:
        write()
    elif sys.argv[1:] == ["check"]:
        sys.exit("\n\n".join(check()) or None)
    else:
        sys.exit("usage: readme.py check|write")
