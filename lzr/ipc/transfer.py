"""Sends and receives the parts of a message on a ZeroMQ socket with as little work as possible.

pyzmq's own multipart calls look at every part first and make enumerations of every flag: by `python -m
benchmarks.stages` they took a third of a hop of eight targets. Nothing is opened or waited for here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lzr.ipc.schema import Buffer

_MORE = 2
"""ZMQ_SNDMORE. A plain number: what an enumeration's operators take is much of the cost of a small turn."""


def send(sock: Any, parts: Sequence[Buffer], flags: int = 0, *, copy: bool = True) -> None:
    """Send one message, whole or not at all. Raises what the socket raises; then nothing was sent."""
    for part in parts[:-1]:
        sock.send(part, flags | _MORE, copy)
    sock.send(parts[-1], flags, copy)


def receive(sock: Any, flags: int = 0) -> list[bytes]:
    """The parts of the next message. Raises what the socket raises."""
    frame = sock.recv(flags, False)
    parts: list[bytes] = [frame.bytes]
    while frame.more:
        frame = sock.recv(flags, False)
        parts.append(frame.bytes)
    return parts
