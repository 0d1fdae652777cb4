"""The socket on which the coordinator takes the reports of all children: it listens in the run's directory.

A child sends with a ZeroMQ PUSH socket. The coordinator reads each connection itself (`lzr.ipc.inbox`), so
that the bytes which one child can make it hold are bounded.
"""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import time
from collections.abc import Callable

from lzr.ipc import inbox

_CONNECTIONS = 4
"""Connections that one process may have: it needs one."""
_CREDENTIALS = struct.Struct("3i")


class ReportInbox(inbox.Inbox):
    """The messages of all children, in the order in which they are complete.

    listener: descriptor of the listening socket, which is closed with this. most: called with a pid, gives
    the bytes that a message of that process may have just now.
    """

    def __init__(self, listener: int, most: Callable[[int], int]) -> None:
        self._listening = socket.socket(fileno=listener)
        self._listening.setblocking(False)
        epoll = select.epoll()
        epoll.register(listener, select.EPOLLIN)
        super().__init__(self._listening, epoll, self._connection, most, _CONNECTIONS)

    def _connection(self) -> tuple[socket.socket, int] | None:
        """The next connection, and the pid of who made it.

        workers/ipc/channels.py (`inbox`) has the same for a collector, which may not call ioctl.
        """
        try:
            sock, _ = self._listening.accept()
        except OSError:  # it has gone again, or we are out of descriptors: that is told elsewhere
            return None
        pid = 0
        with contextlib.suppress(OSError):
            credentials = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
            pid, _, _ = _CREDENTIALS.unpack(credentials)
        sock.setblocking(False)
        return sock, pid

    def poll(self, milliseconds: float) -> bool:
        """Wait at most so long until `receive` has a message or an error; whether it has."""
        until = time.monotonic() + milliseconds / 1000
        while not self.wait(max(0.0, until - time.monotonic())):
            if time.monotonic() >= until:
                return False
        return True
