"""The source as a process: started without a shell, read through a pipe, never left behind."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from moovitamix_transform import connector_spec, supervise
from moovitamix_transform.errors import ReadFailed, UsageError
from moovitamix_transform.masking import HIDDEN, mask, url_users
from moovitamix_transform.streams import STREAMS

STOP_SECONDS = supervise.GRACE_SECONDS + 3.0
END_SECONDS = 10.0
LONGEST_LINE = 64 * 1024  # of stderr, in bytes: a longer one is told in parts
PAGE_ROWS = 100
SHORTEST_SECRET = 4
SHORTEST_NUMBER = 6
_SECRET_NAME = re.compile("key|secret|token|passw|credential", re.IGNORECASE)
OURS = "source-moovitamix"
_PLACEHOLDERS = ("{config}", "{catalog}", "{state}")


@dataclass(frozen=True)
class Source:
    """A command that speaks the Airbyte protocol. `{config}`, `{catalog}`, `{state}` in it stand for file paths."""

    name: str  # in messages; not the whole command, which may hold a password
    command: tuple[str, ...]
    config_path: Path | None = None
    config: str | None = None  # the content of a config of our own making
    secrets: tuple[str, ...] = ()  # of the config: kept out of logs and messages
    shown_config: str | None = None  # the config as JSON, with placeholders for what is secret
    page_rows: int | None = None  # records a page, where that is known

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
    if api_url is not None and config is not None:
        raise UsageError("run: expected one of --api-url URL and --config F, got both")
    if api_url is None and config is None and command is None:
        raise UsageError("run: expected one of --api-url URL, --config F, --source CMD, got none")
    if api_url is not None and not api_url.startswith(("http://", "https://")):
        raise UsageError(f"--api-url: expected a URL such as http://127.0.0.1:8000, got {api_url!r}")
    content: dict[str, object] = _config(config) if config is not None else {"api_url": api_url}
    own = json.dumps(content) if config is None else None
    if command is None:
        _require_spec(content, f"--config {config}" if config is not None else "--api-url")
        ours = (sys.executable, str(connector_folder() / "main.py"), "read")
        files = ("--config", "{config}", "--catalog", "{catalog}", "--state", "{state}")
        size = content.get("page_size", PAGE_ROWS)
        page_rows = size if isinstance(size, int) else PAGE_ROWS
        return Source(OURS, (*ours, *files), config, own, secrets_of(content), _shown(content), page_rows)
    words = _split(command)
    is_used = any("{config}" in word for word in words)
    is_given = config is not None or api_url is not None
    if is_used and not is_given:
        raise UsageError("--source uses {config}: expected --config F or --api-url URL beside it, got neither")
    if is_given and not is_used:
        raise UsageError("--source: expected {config} in the command, where the config goes, got a config without it")
    shown = _shown(content) if is_given else None
    return Source(Path(words[0]).name, words, config, own, secrets_of(content), shown)


def secrets_of(content: object) -> tuple[str, ...]:
    """The texts for which `without_secrets` has a placeholder, longest first: to be kept out of messages.

    But for what would blank out half of every message, and is nobody's secret: flags, nulls, texts of less than
    SHORTEST_SECRET characters and numbers of less than SHORTEST_NUMBER, such as a port or a page size whose name has a
    "key" in it.
    """
    found: set[str] = set()
    _veiled(content, found.add)
    return tuple(sorted(found, key=len, reverse=True))


def without_secrets(content: object) -> object:
    """A config with a placeholder for each value whose name says that it is secret, `api_key` for one, whatever it is;
    for users and passwords in URLs and names in e-mail addresses too."""
    return _veiled(content, lambda _: None)


def _veiled(content: object, on_secret: Callable[[str], None]) -> object:
    """`without_secrets`, and each of `secrets_of` to `on_secret`: one walk, so that both know the same."""
    if isinstance(content, dict):
        shown: dict[object, object] = {}
        for name, value in content.items():
            if _SECRET_NAME.search(str(name)):
                _tell_leaves(value, on_secret)
                shown[name] = HIDDEN
            else:
                shown[name] = _veiled(value, on_secret)
        return shown
    if isinstance(content, list):
        return [_veiled(value, on_secret) for value in content]
    if isinstance(content, str):
        _tell_text(url_users(content), on_secret)
        return mask(content)
    return content


def _tell_leaves(value: object, on_secret: Callable[[str], None]) -> None:
    if isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            _tell_leaves(each, on_secret)
    elif isinstance(value, str):
        _tell_text((value, *url_users(value)), on_secret)
    elif isinstance(value, int | float) and len(str(value)) >= SHORTEST_NUMBER:  # True and False are shorter
        on_secret(str(value))


def _tell_text(texts: Iterable[str], on_secret: Callable[[str], None]) -> None:
    for text in texts:
        if len(text) >= SHORTEST_SECRET:
            on_secret(text)


def _shown(content: object) -> str:
    return json.dumps(without_secrets(content), sort_keys=True, ensure_ascii=False)


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
    """The running source; when the block ends, however it ends, the process and all it started are gone, and with them
    the folder of its config, catalog and state: should this process be killed, the supervisor removes it."""
    with tempfile.TemporaryDirectory(prefix="moovitamix-") as folder:
        argv = source.argv(Path(folder), catalog, state)
        peak_fd, told_fd = os.pipe()
        with open(peak_fd, "rb", buffering=0) as peak:  # noqa: PTH123 - a descriptor, no path
            process = subprocess.Popen(  # noqa: S603 - the command the user asked for, as a list, no shell
                [sys.executable, "-I", supervise.__file__, supervise.REMOVE, folder, *argv],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
                pass_fds=[told_fd],
                env={**os.environ, supervise.PEAK_FD: str(told_fd)},
            )
            os.close(told_fd)
            running = RunningSource(process, source.name, on_stderr)
            try:
                yield running
            finally:
                running.stop()
                running.peak_memory_bytes = int(peak.read(20) or 0) or None


class RunningSource:
    """Its stdout, and how it ended.

    Attributes:
        peak_memory_bytes: the most that one of its processes held at once; None before it has ended, and unless that
            could be told.
    """

    def __init__(self, process: subprocess.Popen[bytes], name: str, on_stderr: Callable[[str], None]) -> None:
        self._process = process
        self._name = name
        self._last_words = ""
        self.peak_memory_bytes: int | None = None
        self._reader = threading.Thread(target=self._drain_stderr, args=(on_stderr,), daemon=True)
        self._reader.start()

    @property
    def stdout_fd(self) -> int:
        assert self._process.stdout is not None  # noqa: S101 - it was asked for above
        return self._process.stdout.fileno()

    def _drain_stderr(self, on_line: Callable[[str], None]) -> None:
        assert self._process.stderr is not None  # noqa: S101
        for line in iter(partial(self._process.stderr.readline, LONGEST_LINE), b""):
            text = line.decode(errors="backslashreplace").rstrip()
            if text:
                self._last_words = text
                on_line(text)

    def failure(self) -> str | None:
        """Why its end is no good one; None after exit code 0."""
        try:
            code = self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            return (
                f"the source {self._name} closed its stdout but went on running: expected it to end within "
                f"{END_SECONDS:.0f} s. It is ended now"
            )
        if code == 0:
            return None
        self._reader.join(STOP_SECONDS)  # its last words are on their way
        words = f": {self._last_words}" if self._last_words else " and no word on stderr"
        if code == supervise.NOT_STARTED:
            return f"the source {self._name} could not be started{words}"
        return f"the source {self._name} ended with {_end(code)}, expected exit code 0{words}"

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
        assert self._process.stdout is not None  # noqa: S101
        assert self._process.stderr is not None  # noqa: S101
        self._process.stdout.close()
        self._reader.join(STOP_SECONDS)
        if not self._reader.is_alive():  # else someone holds the other end: closing would wait for them
            self._process.stderr.close()


def _end(code: int) -> str:
    """An exit code in words; 128 + n is what a shell makes of signal n."""
    number = -code if code < 0 else code - 128
    if number in set(signal.Signals):
        return f"signal {signal.Signals(number).name}"
    return f"exit code {code}"


def _require_spec(content: dict[str, object], where: str) -> None:
    """A config that our connector refuses fails before there is a warehouse of it."""
    shown = without_secrets(content)
    assert isinstance(shown, dict)  # noqa: S101 - as the content is
    refused = connector_spec.refusal(connector_folder() / "manifest.yaml", content, shown)
    if refused is not None:
        raise UsageError(f"{where}: {refused}")


def _split(command: str) -> tuple[str, ...]:
    try:
        words = tuple(shlex.split(command))
    except ValueError as error:
        # Without the command: it may hold a password.
        raise UsageError(f"--source: expected a command line that a shell would take, got: {error}") from None
    if not words:
        raise UsageError("--source: expected a command line, got an empty one")
    return words


def _config(path: Path) -> dict[str, object]:
    """A config that no connector can read fails before anything starts."""
    try:
        content = json.loads(path.read_text())
    except OSError as error:
        raise UsageError(f"--config {path}: expected a readable JSON file, got: {error.strerror}") from None
    except ValueError as error:
        raise UsageError(f"--config {path}: expected a JSON object, got no JSON: {error}") from None
    if not isinstance(content, dict):
        raise UsageError(f"--config {path}: expected a JSON object, got {type(content).__name__}")
    return content
