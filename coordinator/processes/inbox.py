"""Where the reports of all children come in (`lzr.ipc.inbox`): a socket that listens in the run's directory.

A child speaks by ZeroMQ; we read its connection ourselves: what each may make us hold is bounded in bytes.
"""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import time
from collections.abc import Callable

from lzr.ipc import inbox
from lzr.ipc.inbox import Unbelievable

__all__ = ["Inbox", "Unbelievable"]

_CONNECTIONS = 4
"""Of one process: one is what it needs."""
_CREDENTIALS = struct.Struct("3i")


class Inbox(inbox.Inbox):
    """listener: descriptor of the listening socket, ours from now on. most: bytes that a message of the
    process with this pid may have just now.
    """

    def __init__(self, listener: int, most: Callable[[int], int]) -> None:
        self._door = socket.socket(fileno=listener)
        self._door.setblocking(False)
        epoll = select.epoll()
        epoll.register(listener, select.EPOLLIN)
        super().__init__(self._door, epoll, self._connection, most, _CONNECTIONS)

    def _connection(self) -> tuple[socket.socket, int] | None:
        try:
            sock, _ = self._door.accept()
        except OSError:  # it has gone again, or we are out of descriptors: that is told elsewhere
            return None
        pid = 0
        with contextlib.suppress(OSError):
            credentials = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
            pid, _, _ = _CREDENTIALS.unpack(credentials)
        sock.setblocking(False)
        return sock, pid

    def poll(self, milliseconds: float) -> bool:
        """Wait at most so long until `receive` has something to give or to raise."""
        until = time.monotonic() + milliseconds / 1000
        while not self.wait(max(0.0, until - time.monotonic())):
            if time.monotonic() >= until:
                return False
        return True
