"""A pair from its place and a place from its pair, for every pair of a share and for none of another."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from lzr.addresstext import ranges_of
from lzr.rows import FRAME, V4_MAPPED
from lzr.sweep.permutation import MOST, Permutation
from lzr.sweep.share import Share
from lzr.sweep.space import Space

KEYS = st.tuples(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))


def share_of(*networks: str, step: int = 1, mine: tuple[int, ...] = (0,)) -> Share:
    space = Space([one for network in networks for one in ranges_of(network)], [(80, 82), (443, 443)])
    return Share.of(space, Permutation.of(space.pairs, (1, 2)), mine, step)


def test_boxes_share_them_out_and_each_knows_its_own_again() -> None:
    networks = ("192.0.2.0/26", "198.51.100.7/32", "2001:db8::/122", "2001:db8:0:1::/123")
    found: list[tuple[int, int, int]] = []
    for box in range(3):
        share = share_of(*networks, step=3, mine=(box,))
        rows = np.zeros(share.total, FRAME)
        share.pairs(0, rows)
        assert share.places(rows).tolist() == list(range(share.total))
        other = share_of(*networks, step=3, mine=((box + 1) % 3,))
        assert (other.places(rows) == -1).all()
        found += rows[["peer_hi", "peer_lo", "peer_port"]].tolist()
    assert len(set(found)) == len(found) == (64 + 1 + 64 + 32) * 4


SHARES = st.lists(st.integers(0, 4), min_size=1, max_size=40)


@given(SHARES, st.data())
@settings(deadline=None)
def test_boxes_with_several_shards_have_every_pair_once(boxes: list[int], data: st.DataObject) -> None:
    """boxes: by shard, whose it is."""
    networks = ("192.0.2.0/29", "198.51.100.7/32", "2001:db8::/126")
    whole = share_of(*networks)
    everything = np.zeros(whole.total, FRAME)
    whole.pairs(0, everything)
    found: list[tuple[int, int, int]] = []
    for box in set(boxes):
        mine = tuple(shard for shard, owner in enumerate(boxes) if owner == box)
        share = share_of(*networks, step=len(boxes), mine=mine)
        rows = np.zeros(share.total, FRAME)
        share.pairs(0, rows)
        assert share.places(rows).tolist() == list(range(share.total))
        if share.total:
            place = data.draw(st.integers(0, share.total - 1))
            part = np.zeros(data.draw(st.integers(0, share.total - place)), FRAME)
            share.pairs(place, part)
            assert (part == rows[place : place + len(part)]).all()
        ours = {tuple(row) for row in rows[["peer_hi", "peer_lo", "peer_port"]].tolist()}
        rest = [tuple(row) not in ours for row in everything[["peer_hi", "peer_lo", "peer_port"]].tolist()]
        assert (share.places(everything[rest]) == -1).all()
        order = whole.places(rows)
        assert (np.diff(order) > 0).all()
        assert set((order % len(boxes)).tolist()) <= set(mine)
        found += ours
    assert len(set(found)) == len(found) == whole.total


def test_who_was_never_asked_has_no_place() -> None:
    share = share_of("192.0.2.0/26", "2001:db8::/122")
    rows = np.zeros(6, FRAME)
    rows["peer_lo"] = V4_MAPPED | 0xC0000200
    rows["peer_port"] = 80
    assert share.places(rows[:1])[0] >= 0
    rows["peer_port"][1:3] = 79, 444
    rows["peer_lo"][3] += np.uint64(64)
    rows["peer_lo"][4] -= np.uint64(1)
    rows["peer_hi"][5] = 0x20010DB8 << 32
    assert share.places(rows[1:]).tolist() == [-1] * 5
    assert share.places(rows[:0]).tolist() == []


@given(st.integers(1, MOST), KEYS, st.data())
@settings(deadline=None, max_examples=100)
def test_the_order_backwards(size: int, key: tuple[int, int], data: st.DataObject) -> None:
    order = Permutation.of(size, key)
    first = data.draw(st.integers(0, size - 1))
    count = min(50, size - first)
    assert order.places(order.take(first, 1, count)).tolist() == list(range(first, first + count))


def test_in_another_process_it_is_the_same() -> None:
    space = share_of("192.0.2.0/26", "2001:db8::/122").space
    again = Space.of(space.ranges, space.ports)
    assert (again.pairs, again.addresses) == (space.pairs, space.addresses)
    for name in ("starts", "hi", "lo", "ports", "ranges"):
        assert np.array_equal(getattr(again, name), getattr(space, name))
