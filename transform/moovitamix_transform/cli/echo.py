"""Committed STATE lines on stdout, byte for byte: whoever reads them may forget what came before."""

import sys

from moovitamix_transform.errors import ReadFailed


def echo_state(line: bytes) -> None:
    """Writes the line at once. Raises ReadFailed when nobody can read it."""
    if sys.stdout is None:
        raise ReadFailed(_message("a closed stdout"))
    try:
        sys.stdout.buffer.write(line + b"\n")
        sys.stdout.buffer.flush()
    except OSError as error:
        raise ReadFailed(_message(error.strerror or str(error))) from None


def _message(got: str) -> str:
    return f"stdout: expected a reader for the committed states, got: {got}; what was committed stays"
