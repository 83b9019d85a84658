"""`make run`: the API on a free loopback port, one `moovitamix run` against it, the end of the API."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from moovitamix_transform import supervise

BIN = Path(sys.executable).parent
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main() -> int:
    with started_api() as api:
        assert api.stdout is not None  # noqa: S101 - it was asked for below
        url = api.stdout.readline().strip()  # the API prints it when it answers
        if not url:
            return api.wait() or 1
        command = [BIN / "moovitamix", "run", "--api-url", url, *sys.argv[1:]]
        run = subprocess.Popen(command, process_group=0)  # noqa: S603 - a terminal's Ctrl-C reaches it once, from here
        for number in SIGNALS:
            signal.signal(number, lambda number, _: run.send_signal(number))
        code = run.wait()
        return code if code >= 0 else 1


@contextmanager
def started_api() -> Iterator[subprocess.Popen[str]]:
    """Ended with the block; should this process be killed, the API sees the end of its lifeline, which is stdin."""
    api = subprocess.Popen(  # noqa: S603
        [sys.executable, "-I", supervise.__file__, BIN / "moovitamix-api", "--port", "0"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield api
    finally:
        assert api.stdin is not None  # noqa: S101
        api.stdin.close()
        api.wait()


if __name__ == "__main__":
    for number in SIGNALS:
        signal.signal(number, lambda *_: sys.exit(1))  # before there is a run to tell
    sys.exit(main())
