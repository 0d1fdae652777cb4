"""An answer is believed if it belongs to a SYN that we have sent, and nothing else is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lzr.packet.sharding import cookie
from lzr.rows import ACK, FIN, FRAME, PSH, RST, SEGMENT, SYN, V4_MAPPED
from lzr.sweep.cookie import ANSWERED, REFUSED, UNRELATED, Cookies
from tests.effort import examples

pytestmark = [pytest.mark.usefixtures("kernels"), pytest.mark.attack]

COOKIES = Cookies((5, 6), 0x1234567800ABCDEF, (32768, 61000))


def asked(count: int, seed: int = 0, *, v6: bool = False, cookies: Cookies = COOKIES) -> NDArray[Any]:
    """SYNs that left, as FRAME rows."""
    draw = np.random.default_rng(seed)
    rows = np.zeros(count, FRAME)
    rows["peer_lo"] = V4_MAPPED | draw.integers(0, 2**32, count, np.uint64)
    rows["own_lo"] = V4_MAPPED | 0x0A010001
    if v6:
        for side in ("peer_hi", "peer_lo", "own_hi"):
            rows[side] = draw.integers(1 << 60, 1 << 63, count, np.uint64)
    rows["peer_port"] = draw.integers(0, 65536, count)
    rows["own_port"], rows["seq"] = cookies.expected(rows)
    return rows


def answers(frames: NDArray[Any], flags: int) -> NDArray[Any]:
    found = np.zeros(len(frames), SEGMENT)
    for name in ("peer_hi", "peer_lo", "own_hi", "own_lo", "peer_port", "own_port"):
        found[name] = frames[name]
    found["ack"], found["flags"] = frames["seq"] + np.uint32(1), flags
    return found


@pytest.mark.parametrize("v6", [False, True])
def test_what_is_believed(v6: bool) -> None:
    frames = asked(500, v6=v6)
    assert (COOKIES.judge(answers(frames, SYN | ACK)) == ANSWERED).all()
    assert (COOKIES.judge(answers(frames, SYN | ACK | PSH)) == ANSWERED).all()
    assert (COOKIES.judge(answers(frames, RST | ACK)) == REFUSED).all()
    assert COOKIES.sent(frames).all()
    for flags in (ACK, SYN, RST, FIN | ACK, SYN | RST, SYN | ACK | RST, 0):
        assert (COOKIES.judge(answers(frames, flags)) == UNRELATED).all()
    assert not len(COOKIES.judge(answers(frames[:0], SYN | ACK)))


@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from(["peer_hi", "peer_lo", "own_hi", "own_lo", "peer_port", "own_port", "ack"]),
    st.integers(0, 63),
)
@settings(deadline=None, max_examples=examples(100))
def test_a_bit_that_is_wrong_anywhere_is_not_believed(seed: int, name: str, bit: int) -> None:
    """But for one in 2^38, which is what a guess comes to."""
    rows = answers(asked(3, seed), SYN | ACK)
    size = rows.dtype[name].itemsize * 8
    rows[name][1] ^= rows.dtype[name].type(1 << bit % size)
    assert COOKIES.judge(rows).tolist() == [ANSWERED, UNRELATED, ANSWERED]


def test_source_ports_are_ours_and_evenly_used_and_isns_too() -> None:
    ports, isns = COOKIES.expected(asked(1 << 16))
    assert ports.min() >= 32768
    assert ports.max() <= 61000
    for numbers, most in ((ports.astype(np.int64) - 32768, 28233), (isns.astype(np.int64), 1 << 32)):
        counts = np.bincount(numbers * 64 // most, minlength=64)
        assert abs(((counts - 1024) ** 2 / 1024).sum() - 63) < 6 * (2 * 63) ** 0.5
    one = Cookies((5, 6), 1, (40000, 40000)).expected(asked(10))[0]
    assert set(one.tolist()) == {40000}


def test_what_one_host_is_sent_says_nothing_of_its_neighbour() -> None:
    """Half of the bits differ between two ports, two hosts, two of our addresses, two keys."""
    base = asked(4096)
    first = COOKIES.expected(base)[1] >> np.uint32(8)
    for name in ("peer_lo", "own_lo", "peer_port"):
        other = base.copy()
        other[name] ^= other.dtype[name].type(1)
        changed = first ^ (COOKIES.expected(other)[1] >> np.uint32(8))
        assert 0.49 < np.unpackbits(changed.view(np.uint8).reshape(-1, 4)[:, :3]).mean() < 0.51
    changed = first ^ (Cookies((5, 7), COOKIES.filter, COOKIES.ports).expected(base)[1] >> np.uint32(8))
    assert 0.49 < np.unpackbits(changed.view(np.uint8).reshape(-1, 4)[:, :3]).mean() < 0.51


def test_the_kernels_filter_lets_the_answers_in() -> None:
    frames = asked(100)
    assert np.array_equal(frames["seq"] & np.uint32(0xFF), cookie(frames, COOKIES.filter))


def test_what_icmp_quotes_must_be_a_syn_of_ours() -> None:
    frames = asked(4)
    frames["seq"][1] += 1
    frames["own_port"][2] ^= 1
    assert COOKIES.sent(frames).tolist() == [True, False, False, True]
