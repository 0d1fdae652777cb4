"""Receives the reports of all children; how much memory each can make us use is bounded in bytes.

A child sends by ZeroMQ; we read its connection ourselves (`lzr.ipc.zmtp`), and nothing ahead of need: what
has not been read stays in the child's memory, apart from what the kernel's buffer of a socket holds. So a
child that sends too much has to wait, and takes no memory here but that of the one message that it has begun.
"""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import time
from collections import deque
from collections.abc import Callable

from lzr.ipc.messages import SchemaError
from lzr.ipc.zmtp import Decoder

_CHUNK = 1 << 18
"""Bytes read of one connection before the next has its turn."""
_TURNS = 16
"""Times that each connection is read in one call while no message is complete."""
_EVENTS = 64  # of epoll, taken together
_CONNECTIONS = 4
"""Connections that one process may have; it needs one."""
_CREDENTIALS = struct.Struct("3i")


class _Connection:
    def __init__(self, sock: socket.socket, pid: int) -> None:
        self.sock = sock
        self.pid = pid
        self.decoder = Decoder()


class Inbox:
    """The receiving end of all children's reports.

    listener: descriptor of the listening socket, which is closed with the inbox. most: from a pid to the
    bytes that a message of this process may have just now.
    """

    def __init__(self, listener: int, most: Callable[[int], int]) -> None:
        self._listener = socket.socket(fileno=listener)
        self._listener.setblocking(False)
        self._most = most
        self._connections: dict[int, _Connection] = {}
        self._found: deque[tuple[int, list[bytes] | SchemaError]] = deque()
        self._epoll = select.epoll()
        self._epoll.register(listener, select.EPOLLIN)

    def fileno(self) -> int:
        """Becomes readable when something comes."""
        return self._epoll.fileno()

    def receive(self) -> tuple[int, list[bytes]] | None:
        """The next message, if one is complete, and the pid of who sent it.

        Raises Unbelievable for what is none; its connection is closed then.
        """
        for _ in range(_TURNS):
            if self._found:
                break
            if not self._read():
                return None
        if not self._found:
            return None
        pid, found = self._found.popleft()
        if isinstance(found, SchemaError):
            raise Unbelievable(str(found), pid)
        return pid, found

    def poll(self, milliseconds: float) -> bool:
        """Wait at most so long until `receive` has something to give or to raise."""
        until = time.monotonic() + milliseconds / 1000
        while not self._found:
            left = until - time.monotonic()
            if left < 0:
                return False
            self._epoll.poll(left, 1)
            self._read()
        return True

    def close(self) -> None:
        for connection in self._connections.values():
            connection.sock.close()
        self._connections.clear()
        self._epoll.close()
        self._listener.close()

    def _read(self) -> bool:
        """Read up to `_CHUNK` bytes of each connection that has some; whether there were any."""
        events = self._epoll.poll(0, _EVENTS)
        for descriptor, _ in events:
            connection = self._connections.get(descriptor)
            if connection is None:
                self._accept()
            else:
                self._read_chunk(connection)
        return bool(events)

    def _accept(self) -> None:
        try:
            sock, _ = self._listener.accept()
        except OSError:  # it has gone again, or we are out of descriptors: that is told elsewhere
            return
        pid = 0
        with contextlib.suppress(OSError):
            credentials = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
            pid, _, _ = _CREDENTIALS.unpack(credentials)
        if sum(one.pid == pid for one in self._connections.values()) >= _CONNECTIONS:
            sock.close()
            self._found.append((pid, SchemaError(f"more than {_CONNECTIONS} connections")))
            return
        sock.setblocking(False)
        with contextlib.suppress(OSError):  # it may have gone, and yet have left a message
            sock.send(Decoder.answer)  # there is room for it: it is the first
        self._connections[sock.fileno()] = _Connection(sock, pid)
        self._epoll.register(sock.fileno(), select.EPOLLIN)

    def _read_chunk(self, connection: _Connection) -> None:
        try:
            data = connection.sock.recv(_CHUNK)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        try:
            messages = connection.decoder.feed(data, self._most(connection.pid))
        except SchemaError as error:
            self._found.append((connection.pid, error))
            data = b""
        else:
            self._found += [(connection.pid, parts) for parts in messages]
        if not data:
            del self._connections[connection.sock.fileno()]
            self._epoll.unregister(connection.sock)
            connection.sock.close()


class Unbelievable(SchemaError):
    """pid: whose connection it was."""

    def __init__(self, reason: str, pid: int) -> None:
        super().__init__(reason)
        self.pid = pid
