"""--trace-pcap: what was sent and received, in a file. Without the option nothing here is used.

Our frames bypass the queueing discipline, and with it every packet capture on this host. So a traced scan
sends through it, and one more packet socket sees the frames of all workers, in order; a process of its own
(workers/pcapwriter.py) writes them.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable

from coordinator.files.opening import is_deleted, is_regular, push
from coordinator.network.raw_sockets import open_tap
from lzr.errors import UsageError

_ROOM = 1 << 26  # bytes of frames that may wait to be written
_TIMEOUT = 5.0  # seconds for what waits to be written at the end


class Trace:
    """The packet socket of a trace, and the process that writes what it sees."""

    def __init__(
        self,
        name: str,
        descriptor: int,
        links: tuple[int, ...],
        ports: tuple[int, int],
        run_as: tuple[int, int],
    ) -> None:
        """name, descriptor: of the file, which is emptied: a trace is of one run. links: of the scan, by
        index. run_as: user and group of the writer.

        Raises UsageError.
        """
        self._say: Callable[[str], None] = lambda _: None
        self._descriptor, self._name = descriptor, name
        self._closed = False
        names = []
        for link in links:
            with contextlib.suppress(OSError):
                names.append(socket.if_indextoname(link))
        try:
            with open_tap(ports, _ROOM) as sock:
                if is_regular(descriptor):
                    os.ftruncate(descriptor, 0)
                words = (sock.fileno(), descriptor, *run_as, *names)
                self._process = subprocess.Popen(
                    [sys.executable, "-P", "-m", "workers.pcapwriter", *map(str, words)],
                    pass_fds=(sock.fileno(), descriptor),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    start_new_session=True,
                    text=True,
                )
        except OSError as error:
            raise UsageError(f"--trace-pcap: cannot see what passes: {error.strerror}") from error
        assert self._process.stdout is not None
        if self._process.stdout.readline() != "ready\n":
            self.close()
            raise UsageError("--trace-pcap: its writer did not start")
        self._thread = threading.Thread(target=self._listen, daemon=True, name="lzr: trace")

    def tell(self, say: Callable[[str], None]) -> None:
        """From now on pass on why not all is in the file."""
        self._say = say
        self._thread.start()

    def close(self) -> None:
        """Wait, for a bounded time, until everything that was seen is written. May be called twice."""
        if self._closed:
            return
        self._closed = True
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            ended = self._process.wait(_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            ended = self._process.wait()
        thread = getattr(self, "_thread", None)
        if thread is not None and thread.is_alive():
            thread.join(_TIMEOUT)
        if thread is None or not thread.is_alive():
            assert self._process.stdout is not None
            self._process.stdout.close()
        if ended:
            self._say(f"--trace-pcap: its writer was ended ({ended}), and what came then is not in it")
            return
        try:
            push(self._descriptor)
        except OSError as error:
            self._say(f"--trace-pcap: the trace cannot be written: {error.strerror}")
        if is_deleted(self._descriptor, self._name):
            self._say("--trace-pcap: the file was deleted while it was written")

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._say(f"--trace-pcap: {line.strip()}")
