"""The command `moovitamix-api`."""

import signal
import sys
from types import FrameType


def main() -> None:
    """Serves the API until SIGTERM or Ctrl-C; see `--help`."""
    # Before the imports, which take a second: a stop in that second is as clean as a later one.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stop)
    from .command import settings_from
    from .server import serve

    serve(settings_from(sys.argv[1:]))


def _stop(_number: int, _frame: FrameType | None) -> None:
    sys.exit(0)


if __name__ == "__main__":
    main()
