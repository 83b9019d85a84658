"""Runs a command and ends it, with all it started, when its own parent is gone: `supervise.py [--remove FOLDER] COMMAND
[ARG …]`.

Its stdin is the lifeline: whatever ends the parent, SIGKILL included, closes the other end. Started by path with the
standard library alone, so that it costs no imports. Where MOOVITAMIX_PEAK_FD names an open file, it says there at the
end how much memory the command took. A folder to remove goes with the command.
"""

import contextlib
import ctypes
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections import defaultdict
from pathlib import Path

GRACE_SECONDS = 2.0
NOT_STARTED = 127  # as a shell says it
PEAK_FD = "MOOVITAMIX_PEAK_FD"
REMOVE = "--remove"
_IGNORED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)  # the lifeline alone ends it
_ROUNDS = 100
_DIE_WITH_PARENT, _ADOPT_ORPHANS = 1, 36  # Linux: PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER


def main(command: list[str]) -> int:
    folder, command = (command[1], command[2:]) if command[0] == REMOVE else (None, command)
    peak_fd = os.environ.pop(PEAK_FD, None)
    for number in _IGNORED:
        signal.signal(number, signal.SIG_IGN)
    _process_control(_ADOPT_ORPHANS, 1)
    try:
        child = subprocess.Popen(  # noqa: S603 - the user's own command, no shell
            command, stdin=subprocess.DEVNULL, start_new_session=True, preexec_fn=_in_the_child
        )
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        sys.stderr.write(f"{command[0]}: {reason}\n")
        return NOT_STARTED
    os.close(1)  # the pipe ends when the command does
    threading.Thread(target=_end_with_parent, args=(child,), daemon=True).start()
    code = child.wait()
    _kill_all(child)  # what it left behind
    if folder:
        import shutil  # not on top: it takes as long as all the others

        shutil.rmtree(folder, ignore_errors=True)
    if peak_fd:
        _tell_peak(int(peak_fd))
    return code if code >= 0 else 128 - code


def _tell_peak(fd: int) -> None:
    """The most bytes that the command, or a process below it that it waited for, held at once.

    Asked here: what the kernel tells the one who started this process begins with the memory of that one.
    """
    unit = 1 if sys.platform == "darwin" else 1024
    with contextlib.suppress(OSError):  # who asked is gone
        os.write(fd, str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * unit).encode())


def _in_the_child() -> None:
    _process_control(_DIE_WITH_PARENT, signal.SIGKILL)  # should the supervisor itself be killed
    for number in _IGNORED:
        signal.signal(number, signal.SIG_DFL)


def _process_control(option: int, value: int) -> None:
    """prctl(2). Elsewhere than on Linux only the command's process group is ended."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value)


def _end_with_parent(child: subprocess.Popen[bytes]) -> None:
    while os.read(0, 1):
        pass
    _signal_all(child, signal.SIGTERM)
    try:
        child.wait(GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        _kill_all(child)


def _kill_all(child: subprocess.Popen[bytes]) -> None:
    """Again until none is left: one killed while it forks leaves a new one."""
    for _ in range(_ROUNDS):
        if not _signal_all(child, signal.SIGKILL):
            return
        time.sleep(0.01)


def _signal_all(child: subprocess.Popen[bytes], number: int) -> list[int]:
    """Signals the child's group, and its descendants in groups of their own; returns those that were alive."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, number)
    alive = _descendants()
    for pid in alive:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)
    return alive


def _descendants() -> list[int]:
    """The processes below this one that have not ended, from /proc; none where there is no /proc."""
    children = defaultdict(list)
    for status in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, parent = status.read_text(errors="replace").rpartition(")")[2].split()[:2]
            if state != "Z":
                children[int(parent)].append(int(status.parent.name))
    found: list[int] = []
    new = children[os.getpid()]
    while new:
        found += new
        new = [pid for parent in new for pid in children[parent]]
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
