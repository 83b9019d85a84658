"""The command line: `moovitamix COMMAND`. Every command reads its arguments, calls one function, prints the result."""

import os
import signal
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main() -> None:
    """The console script. What it imports takes a moment, in which Ctrl-C must not end in a traceback."""
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup, and a shell's background jobs, keep theirs ignored
            signal.signal(number, _leave)

    from moovitamix_transform.cli.app import run_and_exit

    run_and_exit()


def _leave(number: int, frame: FrameType | None) -> None:
    os.write(2, b"moovitamix: interrupted before anything began\n")
    os._exit(1)
