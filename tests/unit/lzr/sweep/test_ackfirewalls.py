"""Hosts that answer on any port: remembered within bounds, their pairs found, workers told of each once."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lzr.rows import FRAME
from lzr.sweep.ackfirewalls import _FEW, LOOK, MOST, TOLD, AckFirewalls, pack, unpack
from lzr.sweep.permutation import Permutation
from lzr.sweep.share import Share
from lzr.sweep.space import Space

FIRST = 0xFFFF_0A00_0000


def hosts(*numbers: int, high: int = 0) -> NDArray[Any]:
    rows = np.zeros(len(numbers), FRAME)
    rows["peer_lo"] = np.array(numbers, np.uint64) + np.uint64(FIRST)
    rows["peer_hi"] = high
    return rows


def share(addresses: int, ports: int = 100, mine: tuple[int, ...] = (0,), step: int = 1) -> Share:
    space = Space([(FIRST, FIRST + addresses - 1)], [(1, ports)])
    return Share(space, Permutation.of(space.pairs, (1, 2)), mine, step)


def test_who_was_noted_is_known_whole() -> None:
    ackfirewalls = AckFirewalls(share(1000))
    assert not ackfirewalls.known(hosts(1, 2)).any()
    ackfirewalls.note(hosts(5, 3, 5))
    ackfirewalls.note(hosts(3, 9))
    assert len(ackfirewalls) == 3
    assert ackfirewalls.known(hosts(3, 4, 5, 9)).tolist() == [True, False, True, True]
    assert not ackfirewalls.known(hosts(3, high=1)).any()


def test_the_first_are_remembered() -> None:
    ackfirewalls = AckFirewalls(share(1 << 20), most=100)
    for at in range(0, 500, 50):
        ackfirewalls.note(hosts(*range(at, at + 50)))
    assert len(ackfirewalls) == 100
    assert np.flatnonzero(ackfirewalls.known(hosts(*range(500)))).tolist() == list(range(100))


def test_whose_place_is_taken_is_not_remembered_and_not_confused() -> None:
    numbers = np.random.default_rng(1).choice(1 << 32, 1 << 16, replace=False)
    ackfirewalls = AckFirewalls(share(1000))
    ackfirewalls.note(hosts(*numbers.tolist()))
    known = ackfirewalls.known(hosts(*numbers.tolist()))
    assert len(ackfirewalls) == np.count_nonzero(known)
    assert 0.85 < known.mean() < 1
    ackfirewalls.note(hosts(*numbers.tolist()))
    assert len(ackfirewalls) == np.count_nonzero(known)
    assert not ackfirewalls.known(hosts(*(numbers + (1 << 32)).tolist())).any()


@pytest.mark.parametrize(("mine", "step"), [((0,), 1), ((1, 4), 5)])
def test_their_pairs_are_found_in_any_stretch(mine: tuple[int, ...], step: int) -> None:
    pairs = share(1000, mine=mine, step=step)
    ackfirewalls = AckFirewalls(pairs)
    ackfirewalls.note(hosts(*range(0, 1000, 7)))
    first, count = 17, 10_000
    rows = np.zeros(count, FRAME)
    pairs.pairs(first, rows)
    expected = (rows["peer_lo"] - np.uint64(FIRST)) % np.uint64(7) == 0
    assert np.array_equal(ackfirewalls.among(first, count), expected)
    assert len(ackfirewalls.among(first, 0)) == 0


def test_many_is_a_share_of_the_addresses() -> None:
    ackfirewalls = AckFirewalls(share(10 * _FEW))
    assert not ackfirewalls.many
    ackfirewalls.note(hosts(*range(9)))
    assert not ackfirewalls.many
    ackfirewalls.note(hosts(9))
    assert ackfirewalls.many


def test_how_many_pairs_to_look_at_follows_what_was_found() -> None:
    ackfirewalls = AckFirewalls(share(1000))
    assert 100 <= ackfirewalls.ahead(100) <= 102
    for _ in range(10):
        ackfirewalls.note_looked(1000, 10)
    assert 9000 < ackfirewalls.ahead(100) <= 10_100
    for _ in range(40):
        ackfirewalls.note_looked(LOOK, 0)
    assert ackfirewalls.ahead(1) == ackfirewalls.ahead(1 << 20) == LOOK
    ackfirewalls.note_looked(0, 0)
    for _ in range(40):
        ackfirewalls.note_looked(100, 100)
    assert ackfirewalls.ahead(100) <= 102


def test_each_worker_is_told_of_each_host_once() -> None:
    ackfirewalls = AckFirewalls(share(1 << 20))
    ackfirewalls.note(hosts(*range(TOLD + 5)))
    one = [ackfirewalls.untold("flow-0.1") for _ in range(3)]
    assert [len(part) for part in one] == [2 * TOLD, 10, 0]
    told = np.concatenate(one).reshape(-1, 2)
    assert set(told[:, 1].tolist()) == set(range(FIRST, FIRST + TOLD + 5))
    assert not told[:, 0].any()
    ackfirewalls.note(hosts(1 << 19))
    assert ackfirewalls.untold("flow-0.1").tolist() == [0, FIRST + (1 << 19)]
    assert len(ackfirewalls.untold("flow-1.1")) == 2 * TOLD  # one that comes later hears of all


def some(count: int, high: int = 0) -> NDArray[np.uint64]:
    drawn = np.random.default_rng(count).permutation(1 << 18)[:count].astype(np.uint64)
    return np.stack((np.full(count, high, np.uint64), drawn + np.uint64(FIRST)), 1)


@pytest.mark.parametrize("count", [0, 1, 1000, MOST])
def test_hosts_are_kept_in_few_bytes_and_come_back(count: int) -> None:
    both = np.concatenate([some(count // 2), some(count - count // 2, (1 << 64) - 1)])
    kept = pack(both)
    assert len(kept) < 200 + 3 * count
    assert sorted(map(tuple, unpack(kept).tolist())) == sorted(map(tuple, both.tolist()))
    assert unpack(b"").shape == (0, 2)


@pytest.mark.parametrize(
    "data",
    [
        b"junk", pack(some(100))[:-3], pack(some(100)) + b"x", zlib.compress(bytes(24)),
        zlib.compress(bytes(16 * MOST + 16)), zlib.compress(bytes(1 << 25)),
    ],
    ids=["junk", "cut", "more", "half a host", "too many", "a bomb"],
)  # fmt: skip
def test_bytes_that_hold_no_hosts_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="damaged"):
        unpack(data)


def test_a_resumed_sweep_remembers_who_is_in_it() -> None:
    before, after = AckFirewalls(share(1000)), AckFirewalls(share(300))
    before.note(hosts(*range(0, 1000, 10)))
    assert before.packed() is before.packed()
    kept = before.packed()
    before.note(hosts(1, 2, 3, 4, 5))
    assert before.packed() is kept  # it is not worth the time
    before.note(hosts(6, 7))
    assert len(unpack(before.packed())) == len(before) == len(unpack(kept)) + 7
    after.recall(unpack(kept))
    assert np.flatnonzero(after.known(hosts(*range(1000)))).tolist() == list(range(0, 300, 10))
    told = after.untold("flow-0.1")
    assert len(told) == 2 * len(after) == 60
    after.recall(unpack(b""))
    assert len(after) == 30
