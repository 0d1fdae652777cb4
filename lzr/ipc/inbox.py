"""What comes in from ZeroMQ's PUSH sockets: what each sender may make us hold is bounded in bytes.

Nothing is read ahead: what we have not come to stays in the sender's own memory, but for what the kernel
holds of a socket. So a sender that floods us waits, and takes no memory here but that of the one message
which it has begun. Sockets and their epoll set are given: nothing is opened here, and nobody waited for.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

from lzr.ipc.schema import SchemaError
from lzr.ipc.zmtp import Decoder

_CHUNK = 1 << 18
"""Bytes read of one connection before the next has its turn. A judgement: as many as a pipe or a Unix socket
of the largest size holds, so that one system call empties it."""
_TURNS = 16
"""How often each is read while no message is complete, until the caller may look after other things. A
judgement: 4 MB, which take a few milliseconds."""
_EVENTS = 64
"""Connections that one look at the epoll set tells of. A judgement: more than a scan has, mostly."""
_READABLE = 1  # EPOLLIN


class Closing(Protocol):
    """A socket that can be closed."""

    def close(self) -> None: ...


class Connection(Protocol):
    """A stream socket that does not block."""

    def fileno(self) -> int: ...
    def recv(self, size: int, /) -> bytes: ...
    def send(self, data: bytes, /) -> int: ...
    def close(self) -> None: ...


class Epoll(Protocol):
    """An epoll set (epoll(7))."""

    def register(self, descriptor: int, events: int, /) -> None: ...
    def unregister(self, descriptor: int, /) -> None: ...
    def poll(self, timeout: float, most: int, /) -> Sequence[tuple[int, int]]: ...
    def fileno(self) -> int: ...
    def close(self) -> None: ...


Accept = Callable[[], tuple[Connection, int] | None]
"""The next connection and the pid of who made it (0: not known), None if there is none after all."""


class _Sender:
    def __init__(self, sock: Connection, pid: int) -> None:
        self.sock = sock
        self.pid = pid
        self.decoder = Decoder()


class Inbox:
    """accept: takes a connection, when `epoll`, in which the listening socket is, says that one has come.
    listener: that socket, ours to close.

    most: bytes that a message of the process with this pid may have just now. connections: that one process
    may have.
    """

    def __init__(
        self,
        listener: Closing,
        epoll: Epoll,
        accept: Accept,
        most: Callable[[int], int],
        connections: int,
    ) -> None:
        self._listener = listener
        self._epoll = epoll
        self._accept = accept
        self._most = most
        self._allowed = connections
        self._connections: dict[int, _Sender] = {}
        self._found: deque[tuple[int, list[bytes] | SchemaError]] = deque()

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

    def wait(self, seconds: float) -> bool:
        """Wait once, at most so long, and read. Whether `receive` has something to give or to raise."""
        if not self._found:
            self._epoll.poll(seconds, 1)
            self._read()
        return bool(self._found)

    def close(self) -> None:
        """All connections, the listening socket, and the epoll set."""
        for sender in self._connections.values():
            sender.sock.close()
        self._connections.clear()
        self._epoll.close()
        self._listener.close()

    def _read(self) -> bool:
        """A piece of each connection that has one; whether there was anything."""
        events = self._epoll.poll(0, _EVENTS)
        for descriptor, _ in events:
            sender = self._connections.get(descriptor)
            if sender is None:
                self._let_in()
            else:
                self._read_piece(sender)
        return bool(events)

    def _let_in(self) -> None:
        accepted = self._accept()
        if accepted is None:
            return
        sock, pid = accepted
        if sum(one.pid == pid for one in self._connections.values()) >= self._allowed:
            sock.close()
            self._found.append((pid, SchemaError(f"more than {self._allowed} connections")))
            return
        with contextlib.suppress(OSError):  # it may have gone, and yet have left a message
            sock.send(Decoder.answer)  # there is room for it: it is the first
        self._connections[sock.fileno()] = _Sender(sock, pid)
        self._epoll.register(sock.fileno(), _READABLE)

    def _read_piece(self, sender: _Sender) -> None:
        try:
            data = sender.sock.recv(_CHUNK)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        try:
            messages = sender.decoder.feed(data, self._most(sender.pid))
        except SchemaError as error:
            self._found.append((sender.pid, error))
            data = b""
        else:
            self._found += [(sender.pid, parts) for parts in messages]
        if not data:
            del self._connections[sender.sock.fileno()]
            self._epoll.unregister(sender.sock.fileno())
            sender.sock.close()


class Unbelievable(SchemaError):
    """pid: whose connection it was."""

    def __init__(self, reason: str, pid: int) -> None:
        super().__init__(reason)
        self.pid = pid
