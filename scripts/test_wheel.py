"""`make test-wheel`: what is shipped is what was tested. Builds the wheel, installs it into an environment of its own,
and runs the tests and one `moovitamix run` there."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="moovitamix-wheel-") as name:
        folder = Path(name)
        call(sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder))
        (wheel,) = folder.glob("*.whl")
        call(sys.executable, "-m", "venv", str(folder / "venv"))
        python = str(folder / "venv" / "bin" / "python")
        lock = str(REPOSITORY / "requirements-dev.lock")
        call(python, "-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes", "-r", lock)
        call(python, "-m", "pip", "install", "--quiet", "--no-deps", str(wheel))
        call(python, "-m", "pytest", "-n", "2", "-p", "no:cacheprovider")
        call(
            python, str(REPOSITORY / "scripts" / "run.py"), cwd=folder
        )  # outside the checkout: only the wheel is there
    return 0


def call(*command: str, cwd: Path = REPOSITORY) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    subprocess.run(command, cwd=cwd, env=environment, check=True)  # noqa: S603 - our own commands, as lists


if __name__ == "__main__":
    sys.exit(main())
