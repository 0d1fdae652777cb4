"""Frames that the host's own firewall drops on their way out: they, and only they, are given up."""

from __future__ import annotations

import time

import numpy as np
import pytest

from lzr import addresses
from tests.lab import net
from tests.system.test_ring import (
    BUILDER,
    THEM,
    US,
    Wire,
    break_it,
    frames,
    mend_it,
    numbers,
    until_all_are_sent,
)
from tests.wire import halves
from workers.flow import refused, transmitring
from workers.flow.refused import segments_of
from workers.flow.ring import Ring
from workers.flow.transmitring import TransmitRing

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("kernels")]

FORBIDDEN = "10.99.0.77"
RULES = (
    "table netdev out { chain out { type filter hook egress device eth0 priority 0; "
    f"ip daddr {FORBIDDEN} drop; }}; }}"
)


def fill(ring: Ring, forbidden: set[int], first: int, count: int) -> None:
    """Numbered frames, of which some go to the forbidden address."""
    burst = frames(first, count)
    which = np.isin(np.arange(first, first + count), list(forbidden))
    burst["peer_hi"][which], burst["peer_lo"][which] = halves(FORBIDDEN)
    assert ring.out.send(burst, BUILDER) == count


def given_up(ring: Ring) -> list[str]:
    rows = segments_of(ring.out.refused.given_up)
    assert all(addresses.text(int(row["peer_hi"]), int(row["peer_lo"])) == US for row in rows)
    return [addresses.text(int(row["own_hi"]), int(row["own_lo"])) for row in rows]


@pytest.mark.parametrize("forbidden", [{0}, {7, 8}, {19}, {0, 1, 5, 18, 19}])
def test_it_holds_nobody_up(lab: net.Lab, forbidden: set[int]) -> None:
    wire = Wire(lab)
    wire.us.nft(RULES)
    one = wire.ring()
    fill(one, forbidden, 0, 20)
    begun = time.monotonic()
    net.wait_for(one.out.flush, "the others to leave")
    others = [number for number in range(20) if number not in forbidden]
    assert sorted(numbers(wire, len(others))) == others
    assert not one.out.stuck
    assert one.out.sent == one.out.placed == len(others)

    def tried_out() -> bool:
        one.out.flush()
        return len(one.out.refused.given_up) == len(forbidden) and not one.out.refused

    net.wait_for(tried_out, "it to be given up")
    assert time.monotonic() - begun > 0.5, "it had its chances"
    assert given_up(one) == [FORBIDDEN] * len(forbidden)
    assert one.out.refused.total == len(forbidden)
    one.out.send(frames(20, 5), BUILDER)
    until_all_are_sent(one)
    assert numbers(wire, 5) == list(range(20, 25))


def test_what_is_let_through_after_all_is_sent_once(lab: net.Lab) -> None:
    wire = Wire(lab)
    wire.us.nft(RULES)
    one = wire.ring()
    fill(one, {3}, 0, 10)
    net.wait_for(one.out.flush, "the others to leave")
    assert len(one.out.refused) == 1
    wire.us.run("nft", "flush", "ruleset")
    net.wait_for(lambda: one.out.flush() and one.out.sent == 10, "the last to leave")
    assert sorted(numbers(wire, 10)) == list(range(10))
    assert not one.out.refused
    assert one.out.refused.total == 0


@pytest.mark.parametrize("count", [1, 10])
def test_let_through_while_others_are_tried(
    lab: net.Lab, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel takes all of them then: none is left to be set aside, and the ring goes on where it is."""
    wire = Wire(lab)
    wire.us.nft(RULES)
    one, push, tried = wire.ring(), TransmitRing._push, []

    def mended(self: TransmitRing, *, trial: bool = False) -> bool:
        if trial and not tried:
            tried.append(wire.us.run("nft", "flush", "ruleset"))
        return push(self, trial=trial)

    monkeypatch.setattr(TransmitRing, "_push", mended)
    fill(one, {0}, 0, count)
    net.wait_for(lambda: one.out.flush() and tried, "all to leave")
    one.out.send(frames(count, 5), BUILDER)
    until_all_are_sent(one)
    assert sorted(numbers(wire, count + 5)) == list(range(count + 5))
    assert (one.out.sent, one.out.placed, len(one.out.refused)) == (count + 5, count + 5, 0)


@pytest.mark.parametrize("how", ["rule", "no carrier"])
def test_one_that_waits_alone(lab: net.Lab, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is behind it that could be tried: a frame of no meaning decides."""
    monkeypatch.setattr(refused, "_PAUSE", 1_000_000)
    monkeypatch.setattr(transmitring, "_PAUSES", (0.002, 0.002))
    wire = Wire(lab)
    one = wire.ring()
    if how == "rule":
        wire.us.nft(RULES)
        fill(one, {0}, 0, 1)
        net.wait_for(lambda: one.out.flush() and one.out.refused.given_up, "it to be given up")
        assert given_up(one) == [FORBIDDEN]
        return
    break_it(wire, "ENOBUFS")
    fill(one, set(), 0, 1)
    net.wait_for(lambda: one.out.flush() or one.out.failures > 3 * transmitring._ALONE, "many attempts")
    assert one.out.stuck
    assert not one.out.refused
    mend_it(wire, "ENOBUFS")
    until_all_are_sent(one)
    assert numbers(wire, 1) == [0]


def test_a_successor_has_what_was_set_aside(lab: net.Lab) -> None:
    wire = Wire(lab)
    wire.us.nft(RULES)
    positions = np.zeros(2, np.int64)
    one = wire.ring(positions)
    fill(one, {3}, 0, 10)
    net.wait_for(one.out.flush, "the others to leave")
    one.close()
    wire.us.run("nft", "flush", "ruleset")
    until_all_are_sent(wire.ring(positions))
    assert sorted(numbers(wire, 10)) == list(range(10))


def test_frames_without_an_ethernet_header(lab: net.Lab) -> None:
    out = np.zeros((1, 2048), np.uint8)
    (length,) = BUILDER.build(frames(0, 1), out)
    frame = out[0, :length].tobytes()
    tagged = frame[:12] + b"\x81\x00\x00\x07" + frame[12:]
    rows = segments_of([frame, frame[14:], tagged])
    assert [addresses.text(int(row["own_hi"]), int(row["own_lo"])) for row in rows] == [THEM] * 3
