"""A wire that reorders and duplicates: frames carried between two interfaces of one namespace.

`python -m tests.lab.forwarder LEFT RIGHT --reorder 10 --duplicate 10 --lose 0 --seconds 60`

Only TCP is disturbed; ARP and neighbour discovery pass. A reordered frame is held back until a few later
ones have passed, or 20 ms. Ends by itself after --seconds.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import select
import socket
import sys
import time
from collections import deque
from dataclasses import dataclass, field

ETH_P_ALL = 3
_SOL_PACKET = 263
_IGNORE_OUTGOING = 23
_SO_RCVBUFFORCE = 33
_HELD_SECONDS = 0.02


def is_tcp(frame: bytes) -> bool:
    kind = frame[12:14]
    at = {b"\x08\x00": 23, b"\x86\xdd": 20}.get(kind)
    return at is not None and frame[at : at + 1] == b"\x06"


@dataclass
class Direction:
    """One way through the wire: what to do with each frame is `carry`'s answer."""

    reorder: float
    duplicate: float
    lose: float
    rng: random.Random
    held: deque[tuple[float, bytes]] = field(default_factory=deque)

    def carry(self, frame: bytes, now: float) -> list[bytes]:
        """The frames to send now that `frame` has come."""
        if not is_tcp(frame):
            return [frame]
        if self.rng.random() < self.lose:
            return self.release(now)
        if self.rng.random() < self.reorder:
            self.held.append((now + _HELD_SECONDS, frame))
            return self.release(now)
        out = [frame]
        if self.rng.random() < self.duplicate:
            out.append(frame)
        return out + self.release(now, at_least=1 if self.rng.random() < 0.3 else 0)

    def release(self, now: float, at_least: int = 0) -> list[bytes]:
        """Held frames whose time has come, and `at_least` so many more."""
        out: list[bytes] = []
        while self.held and (self.held[0][0] <= now or len(out) < at_least):
            out.append(self.held.popleft()[1])
        return out


def open_wire(interface: str) -> socket.socket:
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    wire.setsockopt(_SOL_PACKET, _IGNORE_OUTGOING, 1)
    wire.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, 1 << 24)
    wire.bind((interface, ETH_P_ALL))
    wire.setblocking(False)
    return wire


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="forwarder")
    parser.add_argument("left")
    parser.add_argument("right")
    parser.add_argument("--reorder", type=float, default=0, help="percent")
    parser.add_argument("--duplicate", type=float, default=0, help="percent")
    parser.add_argument("--lose", type=float, default=0, help="percent")
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(argv)

    wires = [open_wire(options.left), open_wire(options.right)]
    ways = [
        Direction(
            options.reorder / 100,
            options.duplicate / 100,
            options.lose / 100,
            random.Random(options.seed + side),
        )
        for side in (0, 1)
    ]
    print("ready", flush=True)
    deadline = time.monotonic() + options.seconds
    while (now := time.monotonic()) < deadline:
        wait = 0.005 if any(way.held for way in ways) else 0.5
        ready, _, _ = select.select(wires, [], [], wait)
        for side, way in enumerate(ways):
            out: list[bytes] = []
            if wires[side] in ready:
                with contextlib.suppress(BlockingIOError):
                    for _ in range(256):
                        out += way.carry(wires[side].recv(65536), now)
            out += way.release(now)
            for frame in out:
                with contextlib.suppress(OSError):
                    wires[1 - side].send(frame)
    return 0


if __name__ == "__main__":
    sys.exit(main())
