"""Who runs this, with which versions, and how much memory it took: what a run records of its surroundings."""

import getpass
import os
import platform
import resource
import socket
import sys
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

STARTED_BY = "MOOVITAMIX_STARTED_BY"
_PACKAGES = ("moovitamix", "polars", "deltalake", "airbyte-cdk")
_UNIT = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss, in bytes


def started_by() -> str:
    """`user@host`, or what MOOVITAMIX_STARTED_BY says: a scheduler's job, a person behind a service account."""
    given = os.environ.get(STARTED_BY, "").strip()
    if given:
        return given
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"


def versions() -> dict[str, str]:
    """Of Python and of the packages whose versions can change what comes out."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        with suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


def peak_memory_bytes() -> int:
    """The most memory this process held at once, so far.

    Linux' getrusage begins with the memory of the process that started this one; VmHWM does not.
    """
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _UNIT
