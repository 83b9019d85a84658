"""A pipe or file as blocks of whole lines, with a sign when nothing comes."""

import fcntl
import os
import select
from collections.abc import Iterator
from contextlib import suppress

BLOCK_BYTES = 1024 * 1024
IDLE = b""


def read_blocks(fd: int, idle_seconds: float) -> Iterator[bytes]:
    """Blocks that end at a line's end (the last one may not); IDLE after `idle_seconds` without input.

    Memory: one block, or the longest line.
    """
    with suppress(AttributeError, OSError):  # a pipe on Linux: blocks of 1 MiB instead of 64 KiB cost a fifth less
        fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, BLOCK_BYTES)
    rest: list[bytes] = []
    while True:
        if not select.select([fd], [], [], idle_seconds)[0]:
            yield IDLE
            continue
        chunk = os.read(fd, BLOCK_BYTES)
        if not chunk:
            break
        end = chunk.rfind(b"\n") + 1
        if end == 0:
            rest.append(chunk)
            continue
        yield b"".join([*rest, chunk[:end]])
        rest = [chunk[end:]] if end < len(chunk) else []
    if rest:
        yield b"".join(rest)
