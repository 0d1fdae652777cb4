"""A child's ZeroMQ sockets, with explicit high-water marks: a slow stage pushes back, nothing is dropped."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import zmq

from lzr import messages
from lzr.messages import Buffer, Message

FEED_MARK = 4
"""Batches that may wait for a flow worker beside those on the wire."""
RESULT_MARK = 64
REPORT_MARK = 0  # to the coordinator: small, and it must always be able to take them

# As plain numbers: what an enumeration's operators take is much of the cost of a small turn.
_NOBLOCK, _POLLIN, _EVENTS = int(zmq.NOBLOCK), int(zmq.POLLIN), int(zmq.EVENTS)


def pull(context: zmq.Context[Any], endpoint: str, *, bind: bool = False, mark: int) -> zmq.Socket[bytes]:
    return _open(context.socket(zmq.PULL), endpoint, bind, zmq.RCVHWM, mark)


def push(context: zmq.Context[Any], endpoint: str, *, bind: bool = False, mark: int) -> zmq.Socket[bytes]:
    return _open(context.socket(zmq.PUSH), endpoint, bind, zmq.SNDHWM, mark)


def _open(sock: Any, endpoint: str, bind: bool, which: int, mark: int) -> zmq.Socket[bytes]:
    sock.setsockopt(which, mark)
    sock.setsockopt(zmq.LINGER, 0)
    if bind:
        sock.bind(endpoint)
    else:
        sock.connect(endpoint)
    found: zmq.Socket[bytes] = sock
    return found


def try_send(sock: zmq.Socket[bytes], parts: Sequence[Buffer]) -> bool:
    """Send one message if there is room for it."""
    try:
        sock.send_multipart(parts, _NOBLOCK, copy=sum(map(len, parts)) < 65536)
    except zmq.Again:
        return False
    return True


def try_receive(sock: zmq.Socket[bytes]) -> Message | None:
    """The next message, if there is one."""
    if not has_message(sock):  # far cheaper than an exception, and mostly there is none
        return None
    return messages.unpack(sock.recv_multipart(_NOBLOCK))


def has_message(sock: zmq.Socket[bytes]) -> bool:
    events = sock.get(_EVENTS)
    return isinstance(events, int) and bool(events & _POLLIN)


def descriptor(sock: zmq.Socket[bytes]) -> int:
    """What to poll; it tells of changes only, so look with `has_message` first."""
    fd = sock.getsockopt(zmq.FD)
    assert isinstance(fd, int)
    return fd
