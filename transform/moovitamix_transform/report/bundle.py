"""Vega, Vega-Lite and Vega-Embed as one script, from vl-convert's wheel: no network is asked for it."""

import subprocess
import sys
from types import TracebackType
from typing import Self

from altair import SCHEMA_VERSION

# In a process of its own: it holds Python's lock for two seconds, in which the figures can be read.
_PROGRAM = """
import sys, vl_convert
script = vl_convert.javascript_bundle(vl_version=sys.argv[1])
sys.stdout.buffer.write(script.encode())
"""


class Bundling:
    """Begins when it is made; `script()` waits for its end. Leaving the block early ends it."""

    def __init__(self) -> None:
        # The version that Altair writes for: Vega-Embed complains of another one.
        version = ".".join(SCHEMA_VERSION.removeprefix("v").split(".")[:2])
        self._process = subprocess.Popen([sys.executable, "-c", _PROGRAM, version], stdout=subprocess.PIPE)  # noqa: S603 - our own program

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.communicate()

    def script(self) -> str:
        """JavaScript that a script element may hold: no text in it ends the element."""
        script, _ = self._process.communicate()
        if self._process.returncode:
            raise subprocess.CalledProcessError(self._process.returncode, "vl_convert.javascript_bundle")
        return script.decode().replace("</script", r"<\/script").replace("<!--", r"<\!--")
