"""Whether our connector can read what its config names, as its `check` command says."""

import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec

from moovitamix_transform.connector import OURS, Source, connector_folder
from moovitamix_transform.errors import ReadFailed
from moovitamix_transform.masking import hide, mask

SECONDS = 60.0  # it answers within 15


class _Status(msgspec.Struct):
    status: str
    message: str | None = None


class _Message(msgspec.Struct, rename="camel"):
    type: str
    connection_status: _Status | None = None


def can_be_checked(source: Source) -> bool:
    """A command of one's own is a `read`: what its check is, nobody said."""
    return source.name == OURS


def check(source: Source) -> None:
    """ReadFailed, with what to change, unless all three streams can be read."""
    with tempfile.TemporaryDirectory(prefix="moovitamix-") as folder:
        config = source.config_path
        if config is None:
            config = Path(folder) / "config.json"
            config.write_text(source.config or "{}")
        command = [sys.executable, str(connector_folder() / "main.py"), "check", "--config", str(config.resolve())]
        try:
            said = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=SECONDS).stdout  # noqa: S603
        except subprocess.TimeoutExpired:
            raise ReadFailed(f"{source.name} check: expected an answer within {SECONDS:.0f} s, got none") from None
    statuses = [message.connection_status for line in said.splitlines() if (message := _read(line))]
    told = next((status for status in statuses if status), None)
    if told is None or told.status != "SUCCEEDED":
        why = told.message if told and told.message else "no CONNECTION_STATUS"
        raise ReadFailed(f"{source.name} check: expected SUCCEEDED, got {hide(mask(why), source.secrets)}")


def _read(line: bytes) -> _Message | None:
    try:
        return msgspec.json.decode(line, type=_Message)
    except msgspec.DecodeError:
        return None  # a line that is no message is no answer
