"""A worker or collector as the coordinator sees it: its sockets, what is on the way to it, what it knows."""

from __future__ import annotations

import os
import secrets
from collections import deque
from collections.abc import Sequence

import zmq
from msgspec import Struct, field

from lzr.ipc import messages, packing
from lzr.ipc.schema import Buffer, Message

# As plain numbers: what an enumeration's operators take is much of the cost of a small turn.
_NOBLOCK = int(zmq.NOBLOCK)
_EVENTS, _POLLOUT = int(zmq.EVENTS), int(zmq.POLLOUT)


class Child(Struct):
    """A flow worker or a collector."""

    role: str
    index: int
    name: str
    number: int
    orders: zmq.Socket[bytes]
    feed: zmq.Socket[bytes] | None
    pid: int = 0
    replaces: bool = False  # it took the place of one that died
    distrusted: bool = False  # it has sent what cannot be: nothing more of it is believed
    token: bytes = field(default_factory=lambda: secrets.token_bytes(16))  # it shows this with its reports
    written: int = 0  # a flow worker's: the last of its messages whose results are written
    acknowledged: int = 0  # the last of them that it knows to be written
    releasing: int = 0  # shards that it has been told to give away, flows and all
    waiting: deque[list[Buffer]] = field(default_factory=deque)  # orders that it had no room for
    unbound: list[tuple[zmq.Socket[bytes], str, int]] = field(default_factory=list)
    """Its sockets that nobody may connect to yet: (socket, address, listening descriptor)."""

    def open_to(self, pid: int) -> None:
        """Let the process with this pid, as the kernel knows it, connect to the child's sockets, and no
        other.

        ZeroMQ shares what is sent among all that are connected, so another process would get some of the
        targets.
        """
        self.pid = pid
        for sock, address, listener in self.unbound:
            sock.setsockopt(zmq.IPC_FILTER_PID, pid)
            sock.setsockopt(zmq.USE_FD, listener)
            sock.bind(address)
        self.unbound.clear()

    def tell_written(self) -> None:
        """Tell a flow worker up to which message its results are written, unless it knows that already."""
        if self.written > self.acknowledged:
            self.order(messages.WrittenUpTo(self.written))
            self.acknowledged = self.written

    def order(self, order: Message) -> None:
        """Send an order, or queue it until there is room."""
        self.waiting.append(packing.pack(order))
        self.push_orders()

    def push_orders(self) -> None:
        """Send queued orders while there is room. A process that has just died takes nothing, and must not
        stop us.
        """
        while self.waiting:
            try:
                packing.send(self.orders, self.waiting[0], _NOBLOCK)
            except zmq.Again:
                return
            self.waiting.popleft()

    def close(self) -> None:
        """Close its sockets, and those that listen for it."""
        for _, _, listener in self.unbound:
            os.close(listener)
        self.unbound.clear()
        self.orders.close(linger=0)
        if self.feed is not None:
            self.feed.close(linger=0)


def has_room(child: Child) -> bool:
    """Whether a flow worker's feed has room for a message: by `benchmarks.endtoend` nine of ten looks say
    no, and a message that is made in vain costs some thirty times as much as a look."""
    assert child.feed is not None
    events = child.feed.get(_EVENTS)
    return isinstance(events, int) and bool(events & _POLLOUT)


def try_feed(child: Child, parts: Sequence[Buffer]) -> bool:
    """Send a flow worker a message in its feed if there is room; whether there was."""
    assert child.feed is not None
    try:
        packing.send(child.feed, parts, _NOBLOCK)
    except zmq.Again:
        return False
    return True
