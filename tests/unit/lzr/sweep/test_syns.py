"""From positions to frames on the wire, which scapy reads."""

from __future__ import annotations

import numpy as np
import pytest
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether

from lzr.addresses import parse
from lzr.addresstext import ranges_of
from lzr.layout import MAX_FRAME
from lzr.ownaddresses import OwnAddresses
from lzr.packet.segments import Builder, LinkHeader
from lzr.packet.ways import Way, WayKind, everywhere, make
from lzr.rows import NO_PROBE, SYN, V4_MAPPED
from lzr.sweep.cookie import Cookies
from lzr.sweep.permutation import Permutation
from lzr.sweep.share import Share
from lzr.sweep.space import Space
from lzr.sweep.syns import Syns

pytestmark = pytest.mark.usefixtures("kernels")

COOKIES = Cookies((5, 6), 77, (32768, 61000))


def syns(*networks: str, own: tuple[str, ...] = ("10.1.0.2", "10.1.0.3", "2001:db8::1")) -> Syns:
    space = Space([one for network in networks for one in ranges_of(network)], [(80, 81)])
    pools = [[parse(text) for text in own if (":" in text) == v6] for v6 in (False, True)]
    share = Share(space, Permutation.of(space.pairs, (1, 2)))
    return Syns(share, OwnAddresses(pools[0], pools[1], (3, 4)), COOKIES)


def test_each_pair_is_asked_once_from_one_of_our_addresses() -> None:
    made = syns("192.0.2.0/24", "2001:db8:1::/120")
    rows, lost = made.take(0, made.share.total, everywhere())
    assert not len(lost)
    assert len(np.unique(rows[["peer_hi", "peer_lo", "peer_port"]])) == made.share.total == 1024
    assert (rows["flags"] == SYN).all()
    assert (rows["probe"] == NO_PROBE).all()
    for half in (rows[rows["peer_hi"] == 0], rows[rows["peer_hi"] != 0]):
        assert len(half) == 512
    chosen = {parse("10.1.0.2")[1], parse("10.1.0.3")[1], parse("2001:db8::1")[1]}
    assert set(rows["own_lo"].tolist()) == chosen
    by_host: dict[tuple[int, int], set[int]] = {}
    for row in rows:
        by_host.setdefault((int(row["peer_hi"]), int(row["peer_lo"])), set()).add(int(row["own_lo"]))
    assert {len(seen) for seen in by_host.values()} == {1}
    assert COOKIES.sent(rows).all()
    parts = [made.take(first, 100, everywhere())[0] for first in range(0, 1000, 100)]
    assert np.array_equal(np.concatenate([*parts, made.take(1000, 24, everywhere())[0]]), rows)


def test_some_are_not_asked() -> None:
    made = syns("192.0.2.0/24")
    whole, _ = made.take(100, 8, everywhere())
    skip = np.array([0, 1, 1, 0, 0, 0, 0, 1], bool)
    assert np.array_equal(made.take(100, 8, everywhere(), skip)[0], whole[~skip])
    assert not len(made.take(100, 8, everywhere(), ~np.zeros(8, bool))[0])


def test_the_way_decides_on_our_address_and_who_has_none_is_told() -> None:
    made = syns("192.0.2.0/24", "2001:db8:1::/120", own=("10.1.0.2",))
    edges = [V4_MAPPED | 0xC0000280, V4_MAPPED | 0xC00002C0]

    def way(first: int, last: int) -> Way:
        if first >= edges[1]:
            return Way(WayKind.NONE) if first < 1 << 64 else Way(WayKind.RING)
        return Way(WayKind.KERNEL, parse("10.7.0.1")) if first >= edges[0] else Way(WayKind.RING)

    ways = make([*edges, 1 << 64], way, Way(WayKind.RING))
    rows, lost = made.take(0, 1024, ways)
    hosts = rows["peer_lo"] & np.uint64(0xFF)
    assert len(rows) == 2 * 192
    assert set(rows["own_lo"][hosts >= 128].tolist()) == {parse("10.7.0.1")[1]}
    assert set(rows["own_lo"][hosts < 128].tolist()) == {parse("10.1.0.2")[1]}
    assert COOKIES.sent(rows).all()
    assert len(lost) == 2 * 64 + 2 * 256


def test_on_the_wire() -> None:
    rows, _ = syns("192.0.2.0/30").take(0, 8, everywhere())
    out = np.zeros((8, MAX_FRAME), np.uint8)
    lengths = Builder(LinkHeader(bytes(6), bytes(6), bytes(6)), ()).build(rows, out)
    for row, frame, length in zip(rows, out, lengths, strict=True):
        packet = Ether(frame[:length].tobytes())
        assert packet[TCP].flags == "S"
        assert packet[TCP].seq == row["seq"]
        assert packet[TCP].dport == row["peer_port"]
        assert packet[IP].dst in {f"192.0.2.{at}" for at in range(4)}
        right = Ether(bytes(packet))
        del right[IP].chksum, right[TCP].chksum
        assert bytes(Ether(bytes(right))) == frame[:length].tobytes()
