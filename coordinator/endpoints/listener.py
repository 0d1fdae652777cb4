"""A small server inside a loop that must never wait: bounded in clients, bytes and time.

Whatever a client does (sends a byte an hour, reads nothing, sends a gigabyte, opens a thousand connections),
`handle` returns at once and memory stays bounded. Where there are too many clients, a new one is accepted and
the oldest of the address with the most connections is dropped, so one that only holds connections keeps
nobody out. Where more was answered in a second than may be, or no descriptor is left, new clients wait for
the next, so that a flood of requests takes no more of the loop's time. There is one descriptor to wait for
(`fileno`, an epoll set that is itself pollable); without a client it costs nothing.
"""

from __future__ import annotations

import contextlib
import errno
import select
import socket
from collections import Counter
from collections.abc import Callable

from msgspec import Struct

_ACCEPTED = 256  # connections that one call accepts at most
_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)  # accept(2): the connection stays

Answer = tuple[bytes, bytes, bool]
"""(what is left of the request bytes, the reply, whether to close after it)."""

Respond = Callable[[bytes], Answer]
"""Called with the request bytes so far. Returning all of them and no reply means: not complete yet."""


class _Client(Struct):
    sock: socket.socket
    since: float
    peer: str = ""
    request: bytes = b""
    reply: bytes = b""
    closing: bool = False


class Listener:
    """Serves `respond` on a listening socket. most_answers: a second; None for any number."""

    def __init__(
        self,
        sock: socket.socket,
        respond: Respond,
        *,
        too_long: bytes,
        most_clients: int = 16,
        most_request: int = 4096,
        timeout: float = 5.0,
        most_answers: int | None = None,
        admit: Callable[[socket.socket], bool] = lambda _: True,
    ) -> None:
        self._sock = sock
        self._respond = respond
        self._too_long = too_long
        self._most_clients, self._most_request, self._timeout = most_clients, most_request, timeout
        self._admit = admit
        self._most_answers = most_answers
        self._answers, self._second = 0, 0.0  # since when they are counted
        self._resting = False  # nobody is let in
        self._clients: dict[int, _Client] = {}
        sock.setblocking(False)
        self._epoll = select.epoll()
        self._epoll.register(sock.fileno(), select.EPOLLIN)

    def fileno(self) -> int:
        """Readable when `handle` has something to do."""
        return self._epoll.fileno()

    def handle(self, now: float) -> None:
        """Serve whoever is ready. Call it when `fileno` is readable, and once a second for the time-outs."""
        if not self._second <= now < self._second + 1:
            self._answers, self._second = 0, now
            self._rest(False)
        for fd, events in self._epoll.poll(0):
            if fd == self._sock.fileno():
                self._accept(now)
                continue
            client = self._clients.get(fd)
            if client is None:
                continue
            if events & select.EPOLLOUT:
                self._write(client)
            elif client.reply:  # it hung up without taking its answer
                self._drop(client)
            else:
                self._read(client, now)
        for client in [c for c in self._clients.values() if now - c.since > self._timeout]:
            self._drop(client)

    def close(self) -> None:
        for client in list(self._clients.values()):
            self._drop(client)
        self._epoll.close()
        self._sock.close()

    def _rest(self, rest: bool) -> None:
        """Set whether new clients have to wait in the kernel's queue."""
        if rest != self._resting:
            self._resting = rest
            self._epoll.modify(self._sock.fileno(), 0 if rest else select.EPOLLIN)

    def _accept(self, now: float) -> None:
        for _ in range(_ACCEPTED):
            try:
                sock, address = self._sock.accept()
            except OSError as error:  # nobody (any more), or out of descriptors: never the scan's problem
                if error.errno in _EXHAUSTED:  # who waits makes the set readable again and again
                    self._rest(True)
                return
            sock.setblocking(False)
            if not self._admit(sock):
                sock.close()
                continue
            if len(self._clients) >= self._most_clients:
                self._drop(self._dispensable())
            client = _Client(sock, now, address[0] if isinstance(address, tuple) else "")
            self._clients[sock.fileno()] = client
            self._epoll.register(sock.fileno(), select.EPOLLIN)
            if self._read(client, now):  # before anybody can push it out
                return

    def _dispensable(self) -> _Client:
        """The client to drop: the oldest of the address with the most connections, first one that sent
        nothing.
        """
        crowd = Counter(client.peer for client in self._clients.values())
        most = max(crowd.values())
        theirs = [client for client in self._clients.values() if crowd[client.peer] == most]
        idle = [client for client in theirs if not client.request and not client.reply]
        return (idle or theirs)[0]

    def _read(self, client: _Client, now: float) -> bool:
        """Read what a client has sent, and answer if it is complete; whether it was answered."""
        try:
            data = client.sock.recv(self._most_request)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if not data:
            self._drop(client)
            return False
        client.request += data
        while client.request and not client.closing:
            left, reply, client.closing = self._respond(client.request)
            if left == client.request and not reply:
                break
            client.request, client.since = left, now
            client.reply += reply
        if len(client.request) > self._most_request:
            client.reply, client.closing = client.reply + self._too_long, True
        answered = bool(client.reply)
        if answered:
            self._answers += 1
            if self._most_answers is not None and self._answers >= self._most_answers:
                self._rest(True)
            self._write(client)
        return answered

    def _write(self, client: _Client) -> None:
        try:
            sent = client.sock.send(client.reply)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._drop(client)
            return
        client.reply = client.reply[sent:]
        if client.reply:  # it is not read from while it does not take its answer
            self._epoll.modify(client.sock.fileno(), select.EPOLLOUT)
        elif client.closing:
            self._drop(client)
        else:
            self._epoll.modify(client.sock.fileno(), select.EPOLLIN)

    def _drop(self, client: _Client) -> None:
        fd = client.sock.fileno()
        if self._clients.pop(fd, None) is None:
            return
        with contextlib.suppress(OSError):
            self._epoll.unregister(fd)
        with contextlib.suppress(OSError):  # a full stop rather than a reset, should bytes be unread
            client.sock.shutdown(socket.SHUT_WR)
        client.sock.close()
