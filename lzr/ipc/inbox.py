"""Messages from ZeroMQ's PUSH sockets, where the bytes that one sender can make us hold are bounded.

Nothing is read ahead: a message that has not been read yet stays in the sender's memory, except for what the
kernel's socket buffer holds. So a sender that floods us has to wait, and the only memory it takes here is
that of the one message it has begun. Sockets and their epoll set are arguments: nothing is opened here.

ZeroMQ's own PULL socket limits the bytes of one part and the number of waiting messages of each connection,
but it takes a message of endlessly many parts until memory is gone. `ZmtpDecoder` bounds a message in bytes
and in parts; the protocol is ZMTP 3.0 with the mechanism NULL (https://rfc.zeromq.org/spec/23).
"""

from __future__ import annotations

import contextlib
import struct
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

from lzr.ipc.schema import MOST_PARTS, SchemaError

_CHUNK = 1 << 18
"""Bytes read of one connection before the next has its turn. A judgement: as many as a pipe or a Unix socket
of the largest size holds, so that one system call empties it."""
_TURNS = 16
"""Rounds of reading while no message is complete, after which the caller may do other things. A judgement: 4
MB, which take a few milliseconds."""
_EVENTS = 64
"""Connections handled in one look at the epoll set. A judgement: more than a scan mostly has."""
_READABLE = 1  # EPOLLIN
_GREETING = 64
_SIGNATURE = b"\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f"
_MECHANISM = b"NULL".ljust(20, b"\0")
_MORE, _LONG, _COMMAND = 1, 2, 4
_LONGEST_COMMAND = 512  # bytes of a command of ZMTP; READY has fewer than 100
_READY = b"\x05READY"
_IS_PULL = b"\x0bSocket-Type" + struct.pack(">I", 4) + b"PULL"


class ZmtpDecoder:
    """Makes messages of the bytes of one connection. answer: bytes to send to the other side as soon as it
    has connected.
    """

    answer = (
        _SIGNATURE
        + b"\x03\x00"
        + _MECHANISM
        + bytes(32)
        + bytes([_COMMAND, len(_READY) + len(_IS_PULL)])
        + _READY
        + _IS_PULL
    )

    def __init__(self) -> None:
        self._held = bytearray()
        self._parts: list[bytes] = []
        self._octets = 0  # of the parts
        self._greeted = self._ready = False

    @property
    def begun(self) -> bool:
        """Whether a message is read in part."""
        return bool(self._held or self._parts)

    def feed(self, data: bytes, most: int) -> list[list[bytes]]:
        """The messages that are complete with these bytes. most: bytes that one message may have.

        Raises SchemaError where the stream is not ZMTP or exceeds a bound; nothing may be fed after that.
        """
        self._held += data
        found: list[list[bytes]] = []
        if not self._greeted and not self._greet():
            return found
        while (frame := self._frame(most)) is not None:
            flags, body = frame
            if flags & _COMMAND:
                if self._ready or not body.startswith(_READY):
                    raise SchemaError("a command of ZeroMQ's that is not expected")
                self._ready = True
                continue
            if not self._ready:
                raise SchemaError("a message before the handshake")
            self._parts.append(body)
            self._octets += len(body)
            if not flags & _MORE:
                found.append(self._parts)
                self._parts, self._octets = [], 0
            elif len(self._parts) >= MOST_PARTS:
                raise SchemaError(f"a message of more than {MOST_PARTS} parts")
        return found

    def _greet(self) -> bool:
        held = self._held
        if held and held[0] != _SIGNATURE[0]:
            raise SchemaError("no greeting of ZeroMQ's")
        if len(held) < _GREETING:
            return False
        if held[9] != _SIGNATURE[9] or held[10] < 3 or held[12:32] != _MECHANISM:
            raise SchemaError("a greeting of another version or mechanism")
        del held[:_GREETING]
        self._greeted = True
        return True

    def _frame(self, most: int) -> tuple[int, bytes] | None:
        """Flags and body of the next frame, if all of it is there."""
        held = self._held
        if not held:
            return None
        flags = held[0]
        if flags & ~(_MORE | _LONG | _COMMAND):
            raise SchemaError("a frame with flags that there are not")
        start = 9 if flags & _LONG else 2
        if len(held) < start:
            return None
        length = struct.unpack_from(">Q", held, 1)[0] if flags & _LONG else held[1]
        room = _LONGEST_COMMAND if flags & _COMMAND else most - self._octets
        if length > room:  # before any of it is awaited
            raise SchemaError(f"a message of more than {most:,} bytes")
        if len(held) < start + length:
            return None
        with memoryview(held) as view:
            body = bytes(view[start : start + length])
        del held[: start + length]
        return flags, body


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
"""Accepts the next connection: its socket and its peer's pid (0: not known); None if it has gone again."""


class _Sender:
    def __init__(self, sock: Connection, pid: int) -> None:
        self.sock = sock
        self.pid = pid
        self.decoder = ZmtpDecoder()


class Inbox:
    """The messages of all connections to one listening socket.

    listener: the listening socket, registered in `epoll`; `close` closes both. accept: accepts one
    connection. most: called with the sender's pid, gives the bytes that one of its messages may have just
    now. connections: most connections of one process.
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
        """A descriptor that becomes readable when something arrives."""
        return self._epoll.fileno()

    @property
    def begun(self) -> bool:
        """Whether a message is read in part: what is left of it is on its way, or waits for us to read on."""
        return any(sender.decoder.begun for sender in self._connections.values())

    def receive(self) -> tuple[int, list[bytes]] | None:
        """The next complete message and its sender's pid, or None if none is complete.

        Raises InvalidMessage where a sender has broken the protocol or a bound; its connection is closed
        then.
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
            raise InvalidMessage(str(found), pid)
        return pid, found

    def wait(self, seconds: float) -> bool:
        """Poll once, at most so long, and read; whether `receive` has a message or an error."""
        if not self._found:
            self._epoll.poll(seconds, 1)
            self._read()
        return bool(self._found)

    def close(self) -> None:
        """Close all connections, the listening socket and the epoll set."""
        for sender in self._connections.values():
            sender.sock.close()
        self._connections.clear()
        self._epoll.close()
        self._listener.close()

    def _read(self) -> bool:
        """Read a piece of each connection that is readable; whether there was one."""
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
            sock.send(ZmtpDecoder.answer)  # there is room for it: it is the first
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


class InvalidMessage(SchemaError):
    """A sender has broken the protocol or a bound. pid: the sender's."""

    def __init__(self, reason: str, pid: int) -> None:
        super().__init__(reason)
        self.pid = pid
