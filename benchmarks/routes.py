"""What it costs to decide for each target where its packets leave: python -m benchmarks.routes (root)

The look-up of the way of each of a burst's packets, beside a scan in which all take one way (no look-up); and
a packet that the kernel routes, from a FRAME row to the other end of a veth pair.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from coordinator.network.raw_sockets import open_routed
from lzr import addresses, kernels
from lzr.packet.segments import Builder, LinkHeader
from lzr.packet.ways import END, Way, WayKind, make
from lzr.rows import FRAME, NO_PROBE, SYN, TARGET, V4_MAPPED
from tests.lab.net import Lab
from workers.flow.sendpaths import Routed

BURST = 1024


def best(do: Callable[[], object], count: int, rounds: int = 50) -> float:
    """Seconds for each of `count`, of the best of some rounds: what others do at the time does not count."""
    found = []
    for _ in range(rounds):
        begun = time.perf_counter()
        do()
        found.append(time.perf_counter() - begun)
    return min(found) / count


def lookups() -> None:
    rng = np.random.default_rng(1)
    rows = np.zeros(BURST, TARGET)
    rows["peer_lo"] = (0xFFFF << 32) | rng.integers(1 << 24, 223 << 24, BURST)
    for count in (4, 32, 1024):
        starts = [V4_MAPPED | int(at) for at in rng.integers(0, 1 << 32, count - 2)]
        table = make([0, *starts, END - 1], lambda first, last: Way(first % 3 % 2), Way(WayKind.RING))
        each = best(lambda table=table: table.of(rows), BURST)  # type: ignore[misc]
        print(f"way of a packet, {len(table.intervals):,} intervals: {each * 1e9:.0f} ns")


def routed() -> None:
    with Lab() as lab:
        us, them = lab.namespace("us"), lab.namespace("them")
        lab.link(us, them, a_addresses=["10.0.0.1/24"], b_addresses=["10.0.0.2/24"])
        sockets = us.call(lambda: open_routed(None))
        them.run("sh", "-c", "echo 1 > /proc/sys/net/ipv4/icmp_echo_ignore_all")
        them.nft("table ip t { chain c { type filter hook input priority 0; policy drop; }; }")
        us.ip("neigh", "replace", "10.0.0.2", "lladdr", them.mac("eth0"), "dev", "eth0")
        rows = np.zeros(BURST, FRAME)
        rows["own_hi"], rows["own_lo"] = addresses.parse("10.0.0.1")
        rows["peer_hi"], rows["peer_lo"] = addresses.parse("10.0.0.2")
        rows["flags"], rows["probe"] = SYN, NO_PROBE
        table = make([0], lambda first, last: Way(WayKind.KERNEL), Way(WayKind.RING))
        made, codes = Routed(sockets), table.of(rows)
        builder = Builder(LinkHeader(bytes(6), bytes(6), bytes(6)), ())
        out = np.empty((BURST, 2048), np.uint8)
        whole = best(lambda: made.send(rows, codes, table, builder), BURST)
        frame = best(lambda: builder.build(rows.copy(), out), BURST)
        for each in sockets:
            each.close()
    print(
        f"packet that the kernel routes: {whole * 1e6:.1f} us, of which {frame * 1e6:.2f} us make the frame"
    )


if __name__ == "__main__":
    print(kernels.sentence())
    lookups()
    routed()
