"""ZMap's JSON lines, made beforehand for the responder: half-open connections that never were.

`python -m tests.lab.zmaplines 20000 > lines.json` writes one line for each address from `--first` on, as
`zmap -O json -f saddr,daddr,sport,dport,seqnum,acknum,window` prints them. `seqnum` is the responder's own
hash of the 4-tuple, so the responder takes the connection for one it has accepted. As in Debian's zmap
2.1.1 both numbers are printed as signed 32-bit, about half of them negative, unless `--unsigned`.
"""

from __future__ import annotations

import argparse
import ipaddress
import sys
from collections.abc import Iterator
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray

from tests.lab.responder import CLASSES, FIRST, PORT, SCANNER

U32 = NDArray[np.uint32]


def isn_of(peer: U32, own: int, peer_port: int, own_port: U32) -> U32:
    """The responder's sequence number for each peer: `isn_of` of benchmarks/wire.h."""
    with np.errstate(over="ignore"):
        h = (peer ^ np.uint32(0x9E3779B9)) * np.uint32(0x85EBCA6B)
        h ^= h >> np.uint32(13)
        h = (h ^ np.uint32(own)) * np.uint32(0xC2B2AE35)
        h ^= h >> np.uint32(16)
        h = (h ^ (np.uint32(peer_port) << np.uint32(16) | own_port)) * np.uint32(0x27D4EB2F)
        return h ^ h >> np.uint32(15)


def premade_ack(isn: U32) -> U32:
    """The acknowledgement number that goes with it, so that the responder can check ours."""
    with np.errstate(over="ignore"):
        return isn * np.uint32(0x9E3779B1) ^ np.uint32(0xA5A5A5A5)


def lines(
    count: int,
    *,
    first: str = FIRST,
    port: int = PORT,
    own: str = SCANNER,
    classes: str = CLASSES,
    signed: bool = True,
    own_ports: tuple[int, int] = (32768, 61000),
    skip: int = 0,
) -> Iterator[str]:
    """`count` lines for the addresses from `first` + `skip` on, in a shuffled order that never varies."""
    start = int(ipaddress.IPv4Address(first)) + skip
    me = int(ipaddress.IPv4Address(own))
    letters = np.frombuffer(classes.encode(), np.uint8)
    low, high = own_ports
    for at in range(0, count, 65536):
        size = min(65536, count - at)
        order = np.random.default_rng(at).permutation(size)
        peer = (start + at + order).astype(np.uint32)
        own_port = (low + (order * 7919 + at) % (high - low + 1)).astype(np.uint32)
        isn = isn_of(peer, me, port, own_port)
        ack = premade_ack(isn)
        zero = letters[(peer & 255) % len(letters)] == ord("z")
        kind = np.int32 if signed else np.uint32
        columns = zip(
            peer.tolist(),
            own_port.tolist(),
            isn.view(kind).tolist(),
            ack.view(kind).tolist(),
            zero.tolist(),
            strict=True,
        )
        for p, o, s, a, z in columns:
            yield (
                f'{{ "saddr": "{p >> 24}.{p >> 16 & 255}.{p >> 8 & 255}.{p & 255}", "daddr": "{own}", '
                f'"sport": {port}, "dport": {o}, "seqnum": {s}, "acknum": {a}, '
                f'"window": {0 if z else 64240} }}\n'
            )


def write(out: TextIO, count: int, **options: Any) -> None:
    for line in lines(count, **options):
        out.write(line)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="zmaplines", description=__doc__.splitlines()[0])
    parser.add_argument("count", type=int)
    parser.add_argument("--first", default=FIRST, help="address of the first host (%(default)s)")
    parser.add_argument("--port", type=int, default=PORT, help="port of the hosts (%(default)s)")
    parser.add_argument("--own", default=SCANNER, help="the scanner's address (%(default)s)")
    parser.add_argument("--classes", default=CLASSES, help="the responder's class table (%(default)s)")
    parser.add_argument("--unsigned", action="store_true", help="print numbers as newer ZMaps do")
    options = parser.parse_args(argv)
    write(
        sys.stdout,
        options.count,
        first=options.first,
        port=options.port,
        own=options.own,
        classes=options.classes,
        signed=not options.unsigned,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
