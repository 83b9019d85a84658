"""A pipe or file as blocks of whole lines, with a sign when nothing comes."""

import os
import select
from collections.abc import Iterator

BLOCK_BYTES = 8 * 1024 * 1024
IDLE = b""


def read_blocks(fd: int, idle_seconds: float) -> Iterator[bytes]:
    """Blocks that end at a line's end (the last one may not); IDLE after `idle_seconds` without input.

    Memory: one block, or the longest line.
    """
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
