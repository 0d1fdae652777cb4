"""What a SYN of a sweep costs beside the floor of sending it: pair, port and ISN, frame, kernel.

    sudo .venv/bin/python -m benchmarks.syns [--pairs 400000] [--repeat 3]

The floor (benchmarks/floor.c --syns) sends a SYN to each address with sendmmsg; ours are those of
`lzr.sweep.syns`, built into the rows of a transmit ring as a worker does it. Nobody answers. Both run in the
same namespaces, in turns; the medians are printed, and what each step costs alone. Asked for: at most 1.5
times the floor, and 5 million pairs a second out of the permutation.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np

from coordinator.network.raw_sockets import close_shards, open_shards
from lzr.addresses import parse
from lzr.addresstext import ranges_of
from lzr.layout import MAX_FRAME
from lzr.ownaddresses import OwnAddresses
from lzr.packet.segments import Builder, LinkHeader
from lzr.packet.ways import everywhere
from lzr.rows import FRAME
from lzr.secrets import Secrets
from lzr.sweep.cookie import Cookies
from lzr.sweep.permutation import Permutation
from lzr.sweep.share import Share
from lzr.sweep.space import Space
from lzr.sweep.syns import Syns
from tests.lab.net import lab
from tests.lab.responder import FIRST, PORT, SCANNER, Range, build
from workers.flow.ring import Ring

BATCH = 2048
PORTS = (32768, 61000)
RING = (1024, 4096)
SECRETS = Secrets.derive(1)
WAYS = everywhere()


def syns_of(networks: str, ports: tuple[int, int]) -> Syns:
    space = Space(ranges_of(networks), [ports])
    cookies = Cookies(SECRETS.syn, SECRETS.cookie, PORTS)
    own = OwnAddresses([parse(SCANNER)], [], SECRETS.addresses)
    return Syns(Share(space, Permutation.of(space.pairs, SECRETS.order)), own, cookies)


def floor(arena: Range, pairs: int) -> float:
    """µs of CPU a SYN."""
    words = ("--syns", "--interface", "eth0", "--first", FIRST, "--count", str(pairs), "--source", SCANNER)
    more = ("--gateway-mac", arena.gateway_mac, "--port", str(PORT))
    figures = json.loads(arena.scanner.run(build("floor"), *words, *more, timeout=300).stdout)
    assert figures["frames_sent"] == pairs
    return float(figures["cpu_us_per_flow"])


def ours(arena: Range, pairs: int) -> float:
    """The same of `pairs` SYNs by a ring."""
    syns = syns_of(f"{FIRST}/8", (PORT, PORT))
    mac = bytes.fromhex(arena.gateway_mac.replace(":", ""))
    builder = Builder(LinkHeader(b"\2\0\0\0\0\1", mac, mac), ())
    sockets = arena.scanner.call(lambda: open_shards("eth0", 1, SECRETS, PORTS, frames=RING))
    ring = Ring(sockets[0], np.zeros(2, np.int64), RING, 0)
    sent, begun = 0, time.process_time()
    while sent < pairs:
        rows, _ = syns.take(sent, min(BATCH, pairs - sent), WAYS)
        placed = 0
        while placed < len(rows):
            placed += ring.out.send(rows[placed:], builder)
            ring.out.flush()
        sent += len(rows)
    while not ring.out.flush():
        pass
    took = time.process_time() - begun
    assert ring.out.sent == pairs
    ring.close()
    close_shards(sockets)
    return took / pairs * 1e6


def alone(work: Callable[[], object], rounds: int = 200) -> float:
    """µs of CPU a row, of work on BATCH rows."""
    work()
    begun = time.process_time()
    for _ in range(rounds):
        work()
    return (time.process_time() - begun) / rounds / BATCH * 1e6


def stages() -> dict[str, float]:
    """Each step on all of IPv4 with all ports: 2^48 pairs."""
    syns = syns_of("0.0.0.0/0", (0, 65535))
    order = syns.share.order
    numbers, (rows, _) = order.take(12345, 3, BATCH), syns.take(12345, BATCH, WAYS)
    out, placed = np.zeros((BATCH, MAX_FRAME), np.uint8), np.zeros(BATCH, FRAME)
    builder = Builder(LinkHeader(bytes(6), bytes(6), bytes(6)), ())
    return {
        "permutation": alone(lambda: order.take(12345, 3, BATCH)),
        "number to pair": alone(lambda: syns.share.space.place(numbers, placed)),
        "port and ISN": alone(lambda: syns.cookies.expected(rows)),
        "SYN rows, all of it": alone(lambda: syns.take(12345, BATCH, WAYS)),
        "pair to place": alone(lambda: syns.share.places(rows)),
        "frames": alone(lambda: builder.build(rows, out)),
    }


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="syns", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pairs", type=int, default=400_000)
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args(argv)
    for stage, cost in stages().items():
        print(f"{stage:<22} {cost:7.3f} µs a pair, {1 / cost:6.1f} million a second")
    found = []
    with lab() as made:
        arena = Range(made)
        for _ in range(options.repeat):
            found.append((floor(arena, options.pairs), ours(arena, options.pairs)))
    ratios = [mine / base for base, mine in found]
    print(f"floor                  {statistics.median(base for base, _ in found):7.3f} µs a SYN")
    print(f"ours                   {statistics.median(mine for _, mine in found):7.3f} µs a SYN")
    rounds = ", ".join(f"{ratio:.2f}" for ratio in ratios)
    print(f"ratio                  {statistics.median(ratios):7.2f} (rounds: {rounds})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
