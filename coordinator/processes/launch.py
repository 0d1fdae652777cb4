"""Starts the fork server: the earlier, the more of what it loads is there when it is needed."""

from __future__ import annotations

import socket
import subprocess
import sys

from coordinator.processes import ulimits
from coordinator.processes.childoutput import ChildOutput
from lzr.errors import ROOM_FOR_PROCESSES, UsageError

_FORKSERVER = """\
import gc; gc.disable()
try:
    from workers.forkserver import main
except (ImportError, MemoryError) as error:
    inner = error
    while inner is not None:
        error, inner = inner, inner.__cause__ or inner.__context__
    if str(getattr(error, "name", None)).partition(".")[0] in ("lzr", "workers"):
        raise
    raise SystemExit("lzr: a package that workers need cannot be loaded: " + str(error)[:200]) from None
main()
"""
"""The program of the fork server. What it loads stays: looking for garbage in it would take 13 ms."""


class Launched:
    """A fork server that has been started and does not know yet what for.

    printed: takes the output of the fork server and its children, so that they hold no descriptor of the
    terminal. control: our end of the socket to it. Raises UsageError where it cannot be had.
    """

    def __init__(self) -> None:
        ulimits.raise_descriptors()  # for it, and for the children that it forks
        ulimits.raise_threads()
        self.printed = ChildOutput()
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.taken = False  # by a pool, which ends it
        try:
            with theirs:
                self.process = subprocess.Popen(
                    # -P: not whatever lies in the directory we were called from, we are root.
                    [sys.executable, "-P", "-c", _FORKSERVER, str(theirs.fileno())],
                    pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL,
                    stdout=self.printed.theirs,
                    stderr=self.printed.theirs,
                    start_new_session=True,
                )
        except OSError as error:
            self.control.close()
            self.printed.handed_over()
            self.printed.close()
            raise UsageError(f"no process can be started: {error.strerror}; {ROOM_FOR_PROCESSES}") from error
        self.printed.handed_over()
        self.control.setblocking(False)

    def abandon(self) -> None:
        """End it, unless a pool has it: a mistake was found before it was needed."""
        if not self.taken:
            self.taken = True
            self.control.close()
            self.process.kill()
            self.process.wait()
            self.printed.close()
