"""The source as a process: started without a shell, read through a pipe, never left behind."""

import json
import shlex
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from moovitamix_transform import supervise
from moovitamix_transform.errors import ReadFailed, UsageError
from moovitamix_transform.streams import STREAMS

STOP_SECONDS = supervise.GRACE_SECONDS + 3.0
_PLACEHOLDERS = ("{config}", "{catalog}", "{state}")


@dataclass(frozen=True)
class Source:
    """A command that speaks the Airbyte protocol. `{config}`, `{catalog}`, `{state}` in it stand for file paths."""

    command: tuple[str, ...]
    config_path: Path | None = None
    config: str | None = None  # the content of a config of our own making

    def __post_init__(self) -> None:
        if self._uses("{config}") and self.config_path is None and self.config is None:
            raise UsageError("--source uses {config}: expected --config F or --api-url URL beside it, got neither")

    def _uses(self, placeholder: str) -> bool:
        return any(placeholder in word for word in self.command)

    def argv(self, folder: Path, catalog: str, state: str) -> list[str]:
        """The command with the placeholders replaced by files, written to `folder`."""
        paths = {name: folder / f"{name[1:-1]}.json" for name in _PLACEHOLDERS}
        paths["{catalog}"].write_text(catalog)
        paths["{state}"].write_text(state)
        if self.config_path is not None:
            paths["{config}"] = self.config_path.resolve()
        elif self.config is not None:
            paths["{config}"].write_text(self.config)
        argv = []
        for word in self.command:
            for name, file in paths.items():
                word = word.replace(name, str(file))
            argv.append(word)
        return argv


def source_of(api_url: str | None, config: Path | None, command: str | None) -> Source:
    """The source that the options of `run` name: a command, or our connector with a config. Raises UsageError."""
    if command is not None:
        words = _split(command)
        return Source(words, config, json.dumps({"api_url": api_url}) if api_url else None)
    if (api_url is None) == (config is None):
        raise UsageError("run: expected one of --api-url URL, --config F, --source CMD")
    if config is not None:
        _check_config(config)
    ours = (sys.executable, str(connector_folder() / "main.py"), "read")
    files = ("--config", "{config}", "--catalog", "{catalog}", "--state", "{state}")
    return Source((*ours, *files), config, json.dumps({"api_url": api_url}) if api_url else None)


def connector_folder() -> Path:
    """source-moovitamix: beside this module in an installed wheel, at the root of a checkout."""
    here = Path(__file__).resolve()
    folders = [here.parent / "source-moovitamix", here.parents[2] / "source-moovitamix"]
    for folder in folders:
        if (folder / "main.py").is_file():
            return folder
    raise ReadFailed(f"expected the connector in {folders[0]} or {folders[1]}, found it in neither")


def configured_catalog(full_refresh: frozenset[str]) -> str:
    """All three streams, as Airbyte's ConfiguredAirbyteCatalog."""
    return json.dumps({"streams": [_configured(name, name in full_refresh) for name in STREAMS]})


def _configured(name: str, is_full_refresh: bool) -> dict[str, object]:
    stream = STREAMS[name]
    incremental = stream.incremental and not is_full_refresh
    return {
        "stream": {
            "name": name,
            "json_schema": {"type": "object"},
            "supported_sync_modes": ["full_refresh", *(["incremental"] if stream.incremental else [])],
            "source_defined_primary_key": [[field] for field in stream.key],
        },
        "sync_mode": "incremental" if incremental else "full_refresh",
        "destination_sync_mode": "append_dedup" if incremental else "overwrite",
        "primary_key": [[field] for field in stream.key],
    }


@contextmanager
def started(source: Source, catalog: str, state: str, on_stderr: Callable[[str], None]) -> Iterator["RunningSource"]:
    """The running source; when the block ends, however it ends, the process and all it started are gone."""
    with tempfile.TemporaryDirectory(prefix="moovitamix-") as folder:
        argv = source.argv(Path(folder), catalog, state)
        process = subprocess.Popen(  # noqa: S603 - the command the user asked for, as a list, no shell
            [sys.executable, "-I", supervise.__file__, *argv],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        running = RunningSource(process, argv[0])
        reader = threading.Thread(target=running.drain_stderr, args=(on_stderr,), daemon=True)
        reader.start()
        try:
            yield running
        finally:
            running.stop()
            reader.join(STOP_SECONDS)


class RunningSource:
    """Its stdout, and how it ended."""

    def __init__(self, process: subprocess.Popen[bytes], name: str) -> None:
        self._process = process
        self._name = name
        self._last_words = ""

    @property
    def stdout_fd(self) -> int:
        assert self._process.stdout is not None  # noqa: S101 - it was asked for above
        return self._process.stdout.fileno()

    def drain_stderr(self, on_line: Callable[[str], None]) -> None:
        assert self._process.stderr is not None  # noqa: S101
        for line in self._process.stderr:
            text = line.decode(errors="backslashreplace").rstrip()
            if text:
                self._last_words = text
                on_line(text)

    def failure(self) -> str | None:
        """Why its end is no good one; None after exit code 0."""
        code = self._process.wait()
        if code == 0:
            return None
        words = f": {self._last_words}" if self._last_words else ""
        return f"the source {self._name} ended with exit code {code}, expected 0{words}"

    def stop(self) -> None:
        """Cuts the lifeline: SIGTERM to the source and all it started, SIGKILL 2 seconds later."""
        assert self._process.stdin is not None  # noqa: S101
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for pipe in (self._process.stdout, self._process.stderr):
            assert pipe is not None  # noqa: S101
            pipe.close()


def _split(command: str) -> tuple[str, ...]:
    try:
        words = tuple(shlex.split(command))
    except ValueError as error:
        raise UsageError(f"--source: expected a command line, got {command!r}: {error}") from None
    if not words:
        raise UsageError("--source: expected a command line, got an empty one")
    return words


def _check_config(config: Path) -> None:
    """A config that no connector can read fails before anything starts."""
    try:
        content = json.loads(config.read_text())
    except OSError as error:
        raise UsageError(f"--config {config}: expected a readable JSON file, got: {error.strerror}") from None
    except ValueError as error:
        raise UsageError(f"--config {config}: expected a JSON object, got no JSON: {error}") from None
    if not isinstance(content, dict):
        raise UsageError(f"--config {config}: expected a JSON object, got {type(content).__name__}")
