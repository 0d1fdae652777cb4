"""--trace-pcap: what we sent and received, in a file. Nothing of this exists where it is not asked for.

Our frames pass the queueing discipline by, and with it every tap of this host. So a scan that is traced sends
through it, and one more packet socket sees all workers' frames whoever they are just then, in their order;
what it sees is written by a process of its own (workers/tracer.py).
"""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import threading
from collections.abc import Callable

from coordinator.network.raw_sockets import open_tap
from lzr.errors import UsageError

_ROOM = 1 << 26  # bytes of frames that may wait to be written
_PATIENCE = 5.0  # seconds for what waits to be written at the end


class Trace:
    def __init__(
        self, descriptor: int, links: tuple[int, ...], ports: tuple[int, int], run_as: tuple[int, int]
    ) -> None:
        """descriptor: of the file. links: of the scan, by index. run_as: whom its writer runs as.

        Raises UsageError.
        """
        names = []
        for link in links:
            with contextlib.suppress(OSError):
                names.append(socket.if_indextoname(link))
        try:
            with open_tap(ports, _ROOM) as sock:
                words = (sock.fileno(), descriptor, *run_as, *names)
                self._process = subprocess.Popen(
                    [sys.executable, "-P", "-m", "workers.tracer", *map(str, words)],
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
        self._say: Callable[[str], None] = lambda _: None
        self._thread = threading.Thread(target=self._listen, daemon=True, name="lzr: trace")

    def tell(self, say: Callable[[str], None]) -> None:
        """From now on what the writer has to say is passed on."""
        self._say = say
        self._thread.start()

    def close(self) -> None:
        """Until all that was seen is written, within bounds."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if getattr(self, "_thread", None) is not None and self._thread.is_alive():
            self._thread.join(_PATIENCE)

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._say(f"--trace-pcap: {line.strip()}")
