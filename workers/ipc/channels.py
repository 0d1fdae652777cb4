"""A child's ZeroMQ sockets, with explicit high-water marks: a slow stage pushes back, nothing is dropped."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import socket
import struct
from collections.abc import Sequence
from typing import Any

import zmq

from lzr.ipc import packing
from lzr.ipc.inbox import Inbox
from lzr.ipc.packing import Received
from lzr.ipc.schema import MOST_OCTETS, Buffer, Message

RESULT_MARK = 64
"""High-water mark of the results to a collector, in messages. A judgement: what finds no room waits in the
worker's outbox, whose bytes are bounded and stop it from taking more targets."""
REPORT_MARK = 0
"""No limit: reports are small, and a worker must never wait to send one."""

# As plain numbers: what an enumeration's operators take is much of the cost of a small turn.
_NOBLOCK, _POLLIN, _EVENTS = int(zmq.NOBLOCK), int(zmq.POLLIN), int(zmq.EVENTS)


_CONNECTIONS = 2
"""Connections of one process to a collector: the old one may still be there when it connects again."""
_CREDENTIALS = struct.Struct("3i")


def next_report(now: int, every: int) -> int:
    """When a process reports its figures next. now: monotonic ns, every: ns between two reports.

    It is the same moment for all processes, so that the coordinator wakes once for them all.
    """
    return now - now % every + every


def pull(context: zmq.Context[Any], endpoint: str, *, mark: int) -> zmq.Socket[bytes]:
    """A socket that receives."""
    return _open(context.socket(zmq.PULL), endpoint, zmq.RCVHWM, mark)


def push(context: zmq.Context[Any], endpoint: str, *, mark: int) -> zmq.Socket[bytes]:
    """A socket that sends."""
    return _open(context.socket(zmq.PUSH), endpoint, zmq.SNDHWM, mark)


def _open(sock: Any, endpoint: str, which: int, mark: int) -> zmq.Socket[bytes]:
    sock.setsockopt(which, mark)
    sock.setsockopt(zmq.MAXMSGSIZE, MOST_OCTETS)
    sock.setsockopt(zmq.LINGER, 0)
    sock.connect(endpoint)
    found: zmq.Socket[bytes] = sock
    return found


def inbox(listener: int) -> Inbox:
    """Messages from PUSH sockets to a socket that listens already. They are read here, so that they are
    bounded: ZeroMQ bounds a part of a message and the number of messages, but not the message.
    """
    door = socket.socket(fileno=listener)
    _set_non_blocking(listener)
    epoll = select.epoll()
    epoll.register(listener, select.EPOLLIN)

    def accept() -> tuple[socket.socket, int] | None:
        """As `ReportInbox` in coordinator/processes/inbox.py, but without ioctl."""
        try:
            sock, _ = door.accept()
        except OSError:  # it has gone again, or there are no descriptors left
            return None
        pid = 0
        with contextlib.suppress(OSError):
            credentials = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
            pid, _, _ = _CREDENTIALS.unpack(credentials)
        _set_non_blocking(sock.fileno())
        return sock, pid

    return Inbox(door, epoll, accept, lambda _: MOST_OCTETS, _CONNECTIONS)


def _set_non_blocking(descriptor: int) -> None:
    """By fcntl: Python's own way uses ioctl, which workers may not call (lzr/syscalls.py)."""
    flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
    fcntl.fcntl(descriptor, fcntl.F_SETFL, flags | os.O_NONBLOCK)


def try_send(sock: zmq.Socket[bytes], parts: Sequence[Buffer]) -> bool:
    """Send one message if there is room for it."""
    try:
        packing.send(sock, parts, _NOBLOCK, copy=sum(map(len, parts)) < 65536)
    except zmq.Again:
        return False
    return True


def try_receive(
    sock: zmq.Socket[bytes], kinds: Sequence[type[Message]], *, likely: bool = False
) -> Message | None:
    """The next message, if there is one. Raises SchemaError if it is none of these kinds.

    likely: its `descriptor` has just become readable, so that a look beforehand is not worth its cost.
    """
    if likely:
        try:
            return packing.unpack(packing.receive(sock, _NOBLOCK), kinds).message
        except zmq.Again:
            return None
    received = receive(sock, kinds)
    return None if received is None else received.message


def receive(sock: zmq.Socket[bytes], kinds: Sequence[type[Message]]) -> Received | None:
    """As `try_receive`, with the sender's name and token."""
    if not has_message(sock):  # far cheaper than an exception, and mostly there is none
        return None
    return packing.unpack(packing.receive(sock, _NOBLOCK), kinds)


def has_message(sock: zmq.Socket[bytes]) -> bool:
    """Whether a message can be received now."""
    events = sock.get(_EVENTS)
    return isinstance(events, int) and bool(events & _POLLIN)


def descriptor(sock: zmq.Socket[bytes]) -> int:
    """What to poll. It becomes readable only when something changes, so call `has_message` first."""
    fd = sock.getsockopt(zmq.FD)
    assert isinstance(fd, int)
    return fd
