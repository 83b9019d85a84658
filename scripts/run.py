"""`make run`: the API on a free loopback port, one `moovitamix run` against it, the end of the API."""

import subprocess
import sys
from pathlib import Path

BIN = Path(sys.executable).parent


def main() -> int:
    api = subprocess.Popen(  # noqa: S603
        [BIN / "moovitamix-api", "--port", "0"], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True
    )
    try:
        assert api.stdout is not None  # noqa: S101 - it was asked for above
        url = api.stdout.readline().strip()  # the API prints it when it answers
        if not url:
            return api.wait() or 1
        return subprocess.run([BIN / "moovitamix", "run", "--api-url", url], check=False).returncode  # noqa: S603
    except KeyboardInterrupt:
        return 1
    finally:
        api.terminate()
        api.wait()


if __name__ == "__main__":
    sys.exit(main())
