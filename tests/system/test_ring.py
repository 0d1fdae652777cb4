"""A packet socket's rings on a real wire: order, wrap-around, overflow, a successor on the same socket."""

from __future__ import annotations

import contextlib
import select
import socket
import time
from typing import Any

import numpy as np
import pytest

from coordinator.network.raw_sockets import PACKET_FANOUT, open_shards
from lzr.layout import MAX_FRAME, SOL_PACKET, STATUS_USER
from lzr.packet.payloads import ProbeTemplate
from lzr.packet.segments import Builder, LinkHeader
from lzr.rows import ACK, FRAME, NO_PROBE, RST
from lzr.secrets import Secrets
from lzr.targets.blocklist import Blocklist
from tests.lab import net
from tests.wire import halves
from workers.flow.ring import Arrivals, OtherRings, Ring
from workers.flow.transmitring import SendFailure

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("kernels")]


US, THEM = "10.99.0.2", "10.99.0.3"
PORTS = (40000, 50000)
LINK = LinkHeader(b"\x02\0\0\0\x98\1", b"\x02\0\0\0\x98\2", b"\x02\0\0\0\x98\2")
SIZE = (64, 64)
BUILDER = Builder(LINK, (ProbeTemplate((b"probe",)),))


class Wire:
    def __init__(self, lab: net.Lab) -> None:
        self._lab = lab
        self.us, self.them = lab.namespace("us"), lab.namespace("them")
        lab.link(self.us, self.them, a_addresses=[f"{US}/24"], b_addresses=[f"{THEM}/24"])
        for side, mac in ((self.us, "02:00:00:00:98:01"), (self.them, "02:00:00:00:98:02")):
            side.ip("link", "set", "eth0", "address", mac)
        self.far = self.them.call(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)))
        self.far.bind(("eth0", 3))
        self.far.settimeout(60)
        self.far.setsockopt(socket.SOL_SOCKET, 33, 1 << 23)  # SO_RCVBUFFORCE
        lab.on_close(self.far.close)
        (self.socket,) = self.us.call(lambda: open_shards("eth0", 1, Secrets.derive(5), PORTS, frames=SIZE))
        lab.on_close(self.socket.close)

    def ring(self, positions: Any = None, max_failures: int = 0) -> Ring:
        ring = Ring(
            self.socket, np.zeros(2, np.int64) if positions is None else positions, SIZE, max_failures
        )
        self._lab.on_close(ring.close)
        return ring

    def send(self, first: int, count: int) -> None:
        """From the far end to us, numbered."""
        burst = frames(first, count, own=THEM, peer=US, flags=RST)
        burst["own_port"], burst["peer_port"] = 443, 40000
        out = np.zeros((count, MAX_FRAME), np.uint8)
        lengths = Builder(LinkHeader(LINK.gateway_v4, LINK.own_mac, LINK.own_mac), ()).build(burst, out)
        for row, length in zip(out, lengths, strict=True):
            self.far.send(row[:length].tobytes())

    def arrived(self, count: int) -> list[bytes]:
        """The next TCP frames at the far end."""
        found: list[bytes] = []
        while len(found) < count:
            frame = self.far.recv(2048)
            if frame[12:14] == b"\x08\x00" and frame[23] == 6 and frame[6:12] == LINK.own_mac:
                found.append(frame)
        return found


def frames(
    first: int, count: int, own: str = US, peer: str = THEM, flags: int = ACK, probe: int = NO_PROBE
) -> Any:
    burst = np.zeros(count, FRAME)
    burst["own_hi"], burst["own_lo"] = halves(own)
    burst["peer_hi"], burst["peer_lo"] = halves(peer)
    burst["flags"], burst["probe"], burst["seq"] = flags, probe, np.arange(first, first + count)
    return burst


def take(ring: Ring, limit: int) -> list[int]:
    came = Arrivals(limit)
    assert ring.take(limit, came) == len(came.segments)
    found: list[int] = came.segments["seq"].tolist()
    return found


def read(ring: Ring, count: int, limit: int = 1024) -> list[int]:
    found: list[int] = []
    deadline = time.monotonic() + 10
    while len(found) < count:
        assert time.monotonic() < deadline, found
        select.select([ring], [], [], 1)
        found += take(ring, min(limit, count - len(found)))
    return found


def test_everything_leaves_in_order_as_built(lab: net.Lab) -> None:
    wire = Wire(lab)
    ring = wire.ring()
    burst = frames(0, 500, probe=0)
    ring.out.send(burst, BUILDER)  # eight times the ring
    ring.out.flush()
    out = np.zeros((500, MAX_FRAME), np.uint8)
    lengths = BUILDER.build(burst, out)
    assert wire.arrived(500) == [row[:length].tobytes() for row, length in zip(out, lengths, strict=True)]
    assert (ring.out.sent, ring.out.sent_octets, ring.out.failures) == (500, int(lengths.sum()), 0)


def test_a_row_is_used_again_while_its_frame_is_still_on_the_way(lab: net.Lab) -> None:
    """The kernel copies: what the receiver has not read yet does not change under it."""
    wire = Wire(lab)
    ring = wire.ring()
    for first in range(0, 192, 32):
        ring.out.send(frames(first, 32), BUILDER)
        ring.out.flush()
    assert [int.from_bytes(frame[38:42], "big") for frame in wire.arrived(192)] == list(range(192))


def test_what_comes_is_read_in_order_round_and_round(lab: net.Lab) -> None:
    wire = Wire(lab)
    ring = wire.ring()
    for first in range(0, 300, 30):
        wire.send(first, 30)
        assert read(ring, 30, limit=7) == list(range(first, first + 30))
    assert ring.received == 300
    assert take(ring, 10) == []
    assert ring.read_drops() == 0


def test_arrival_is_stamped_with_the_time_of_day(lab: net.Lab) -> None:
    wire = Wire(lab)
    ring = wire.ring()
    before = time.time_ns()
    wire.send(0, 1)
    select.select([ring], [], [], 10)
    came = Arrivals(1)
    assert ring.take(1, came) == 1
    assert before <= int(came.segments["ts"][0]) <= time.time_ns()


def test_an_overflow_is_counted_and_survived(lab: net.Lab) -> None:
    wire = Wire(lab)
    ring = wire.ring()
    wire.send(0, 100)
    kept = read(ring, SIZE[0])
    assert kept == list(range(SIZE[0]))
    assert ring.read_drops() == 100 - SIZE[0]
    assert ring.has_dropped(), "whoever else has read the count"
    assert not ring.has_dropped()
    wire.send(200, 5)
    assert read(ring, 5) == [200, 201, 202, 203, 204]
    assert ring.read_drops() == 100 - SIZE[0], "drops are counted once"


def test_a_ring_that_fills_up_is_seen_by_whoever_has_its_socket(lab: net.Lab) -> None:
    wire = Wire(lab)
    positions = np.zeros(2 * 8, np.int64)
    ring, others = wire.ring(positions[:2]), OtherRings([wire.socket], positions, SIZE)
    for first in range(0, 5 * 48, 48):  # round and round
        assert (ring.filling, others.filling(())) == (False, False)
        wire.send(first, 16)
        wait(ring, first + 16)
        assert (ring.filling, others.filling(())) == (False, False)  # a quarter
        wire.send(first + 16, 32)
        wait(ring, first + 48)
        assert (ring.filling, others.filling(())) == (True, True)
        assert not others.filling({0})
        read(ring, 48)


def wait(ring: Ring, count: int) -> None:
    """Until so many frames have come to the ring, read or not."""
    net.wait_for(lambda: ring.received + np.count_nonzero(ring._status & STATUS_USER) >= count, "frames", 60)


@pytest.mark.parametrize("waiting", [1, 30, 63, 64])
def test_a_successor_reads_on_where_its_predecessor_stopped(lab: net.Lab, waiting: int) -> None:
    """Even where the predecessor left no word of its place, and the frames go round the end of the ring."""
    wire = Wire(lab)
    first = wire.ring()
    wire.send(0, 40)
    assert read(first, 40) == list(range(40))
    wire.send(1000, waiting)
    deadline = time.monotonic() + 10
    while np.count_nonzero(first._status & 1) < waiting:
        assert time.monotonic() < deadline
    assert read(wire.ring(), waiting) == list(range(1000, 1000 + waiting))


def test_a_successor_of_a_ring_that_was_empty_keeps_the_place(lab: net.Lab) -> None:
    wire = Wire(lab)
    positions = np.zeros(2, np.int64)
    first = wire.ring(positions)
    wire.send(0, 40)
    read(first, 40)
    successor = wire.ring(positions)
    wire.send(50, 3)
    assert read(successor, 3) == [50, 51, 52]


def test_a_successor_begins_with_the_oldest_where_the_kernel_is_filling_a_frame(lab: net.Lab) -> None:
    wire = Wire(lab)
    positions = np.zeros(2, np.int64)
    first = wire.ring(positions)
    wire.send(0, 40)
    assert read(first, 40) == list(range(40))
    wire.send(100, 30)  # round the end of the ring
    net.wait_for(lambda: np.count_nonzero(first._status & 1) == 30, "the frames")
    first._status[3] = 0
    assert read(wire.ring(positions), 27) == list(range(100, 127))


class Killed(Exception):
    """Instead of SIGKILL: the process does nothing more."""


class Dies:
    """An array in whose place a process is killed when it writes to it, before or after it has."""

    def __init__(self, array: Any, *, after: bool) -> None:
        self.array, self.after = array, after

    def __getitem__(self, at: Any) -> Any:
        return self.array[at]

    def __setitem__(self, at: Any, value: Any) -> None:
        if self.after:
            self.array[at] = value
        raise Killed


@pytest.mark.parametrize("what", ["_status", "_positions"])
@pytest.mark.parametrize("after", [False, True])
def test_whoever_is_killed_as_it_gives_frames_back_leaves_no_place_that_is_passed(
    lab: net.Lab, what: str, after: bool
) -> None:
    """A successor that waited behind the kernel would be deaf until that has come round to it."""
    wire = Wire(lab)
    positions = np.zeros(2, np.int64)
    first = wire.ring(positions)
    wire.send(0, 40)
    assert read(first, 20, limit=20) == list(range(20))
    net.wait_for(lambda: np.count_nonzero(first._status & 1) == 20, "the rest")
    setattr(first, what, Dies(getattr(first, what), after=after))
    with pytest.raises(Killed):
        first.take(20, Arrivals(20))
    successor = wire.ring(positions)
    wire.send(50, 3)
    repeated = np.count_nonzero(successor._status & 1) and int(positions[0]) == 20
    assert read(successor, 23 if repeated else 3) == [*(range(20, 40) if repeated else ()), 50, 51, 52]


def test_a_successor_sends_what_was_filled_and_not_sent(lab: net.Lab) -> None:
    wire = Wire(lab)
    first = wire.ring()
    first.out.send(frames(0, 50), BUILDER)
    first.out.flush()
    first.out.send(frames(50, 10), BUILDER)  # and is killed before `flush`
    successor = wire.ring()
    successor.out.send(frames(60, 20), BUILDER)
    successor.out.flush()
    assert [int.from_bytes(frame[38:42], "big") for frame in wire.arrived(80)] == list(range(80))


def numbers(wire: Wire, count: int) -> list[int]:
    return [int.from_bytes(frame[38:42], "big") for frame in wire.arrived(count)]


def until_all_are_sent(ring: Ring) -> None:
    net.wait_for(ring.out.flush, "the frames to leave")


def break_it(wire: Wire, how: str) -> None:
    """Interfaces that refuse: with ENETDOWN when ours is down, with ENOBUFS when the other end is."""
    (wire.us if how == "ENETDOWN" else wire.them).ip("link", "set", "eth0", "down")


def mend_it(wire: Wire, how: str) -> None:
    (wire.us if how == "ENETDOWN" else wire.them).ip("link", "set", "eth0", "up")
    wire.far.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)


@pytest.mark.parametrize("how", ["ENETDOWN", "ENOBUFS"])
def test_frames_that_are_refused_wait_in_the_ring(lab: net.Lab, how: str) -> None:
    """Nobody waits for them, none is lost, doubled or out of order, and none counts as sent before it is."""
    wire = Wire(lab)
    ring = wire.ring()
    break_it(wire, how)
    begun = time.monotonic()
    assert ring.out.send(frames(0, 5), BUILDER) == 5
    assert not ring.out.flush()
    assert not ring.out.flush()
    assert time.monotonic() - begun < 5
    assert ring.out.stuck
    assert (ring.out.placed, ring.out.sent, ring.out.sent_octets) == (5, 0, 0)
    assert set(ring.out.errors) == {how}
    assert ring.out.send(frames(5, 100), BUILDER) == 58, "one row stays free"
    assert ring.out.send(frames(63, 1), BUILDER) == 0
    mend_it(wire, how)
    until_all_are_sent(ring)
    assert not ring.out.stuck
    ring.out.send(frames(63, 37), BUILDER)
    until_all_are_sent(ring)
    assert numbers(wire, 100) == list(range(100))
    assert (ring.out.sent, ring.out.sent_octets) == (100, ring.out.placed_octets)


@pytest.mark.parametrize("before", [0, 1, 40])
@pytest.mark.parametrize("waiting", [1, 63])
def test_a_stuck_ring_goes_to_a_successor(lab: net.Lab, before: int, waiting: int) -> None:
    wire = Wire(lab)
    ring = wire.ring()
    ring.out.send(frames(0, before), BUILDER)
    ring.out.flush()
    break_it(wire, "ENOBUFS")
    assert ring.out.send(frames(before, waiting), BUILDER) == waiting
    assert not ring.out.flush()
    counted = ring.out.sent
    assert counted == before
    successor = wire.ring()
    assert successor.out.stuck
    mend_it(wire, "ENOBUFS")
    until_all_are_sent(successor)
    successor.out.send(frames(before + waiting, 10), BUILDER)
    until_all_are_sent(successor)
    assert numbers(wire, before + waiting + 10) == list(range(before + waiting + 10))
    assert counted + successor.out.sent == before + waiting + 10


@pytest.mark.parametrize("how", ["ENETDOWN", "ENOBUFS"])
def test_an_interface_that_never_takes_anything_is_given_up(lab: net.Lab, how: str) -> None:
    wire = Wire(lab)
    ring = wire.ring(max_failures=6)
    ring.out.send(frames(0, 5), BUILDER)
    ring.out.flush()
    break_it(wire, how)
    ring.out.send(frames(5, 5), BUILDER)
    with pytest.raises(SendFailure, match=rf"took no frame in 6 attempts \({how}\)"):
        net.wait_for(ring.out.flush, "a failure")
    assert ring.out.errors == {how: 6}
    mend_it(wire, how)
    patient = wire.ring()
    patient.out.send(frames(10, 5), BUILDER)
    until_all_are_sent(patient)
    assert numbers(wire, 15) == list(range(15))


def test_an_interface_that_is_gone_is_not_waited_for(lab: net.Lab) -> None:
    wire = Wire(lab)
    ring = wire.ring()
    wire.us.ip("link", "del", "eth0")
    ring.out.send(frames(0, 5), BUILDER)
    with pytest.raises(SendFailure, match="is gone"):
        ring.out.flush()


def test_an_interface_that_was_down_does_not_keep_a_worker_awake(lab: net.Lab) -> None:
    """The kernel leaves an error on the socket, with which poll would return at once for ever."""
    wire = Wire(lab)
    ring = wire.ring()
    break_it(wire, "ENETDOWN")
    mend_it(wire, "ENETDOWN")
    waiting = select.poll()
    waiting.register(ring, select.POLLIN)
    assert waiting.poll(0) == [(ring.fileno(), select.POLLERR)]
    ring.read_drops()
    assert waiting.poll(0) == []


@pytest.mark.parametrize("how", ["ENOBUFS", "EAGAIN"])
def test_a_queue_behind_the_interface(lab: net.Lab, how: str) -> None:
    """An interface over another whose queue is slow: a short one refuses, a long one eats the send buffer."""
    wire = Wire(lab)
    below = "1000" if how == "ENOBUFS" else "10000000"
    wire.us.ip("link", "add", "over", "link", "eth0", "type", "macvlan")
    wire.us.ip("link", "set", "over", "up")
    slow = ("qdisc", "replace", "dev", "eth0", "root", "tbf", "burst", "1600", "limit", below, "rate")
    wire.us.run("tc", *slow, "200kbit")
    (socket_,) = wire.us.call(lambda: open_shards("over", 1, Secrets.derive(5), PORTS, frames=(64, 1024)))
    lab.on_close(socket_.close)
    ring = Ring(socket_, np.zeros(2, np.int64), (64, 1024), 1000)
    lab.on_close(ring.close)
    assert ring.out.send(frames(0, 400), BUILDER) == 400
    assert not ring.out.flush()
    some = ring.out.sent
    assert 0 < some < 400
    net.wait_for(lambda: ring.out.flush() or ring.out.sent > some + 20, "some more to leave")
    assert set(ring.out.errors) == {how}
    wire.us.run("tc", *slow, "1gbit")
    until_all_are_sent(ring)
    assert sorted(numbers(wire, 400)) == list(range(400)), "none lost, none twice"


def test_a_checksum_left_to_the_card_is_not_looked_for(lab: net.Lab) -> None:
    """A peer on this very machine sends what no card has finished."""
    wire = Wire(lab)
    ring = wire.ring()
    wire.us.offloads("eth0", on=True)
    wire.them.offloads("eth0", on=True)

    def knock() -> None:
        with socket.socket() as caller:
            caller.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                caller.connect((US, 40000))
            select.select([], [caller], [], 10)

    wire.them.call(knock)
    select.select([ring], [], [], 10)
    came = Arrivals(1)
    assert ring.take(1, came) == 1
    assert not came.faults.any()
    assert came.segments["own_port"].tolist() == [40000]


def test_who_is_blocked_gets_nothing_that_waits_in_the_ring(lab: net.Lab) -> None:
    """While the link is down; neither from this process nor from the one that finds the ring."""
    wire = Wire(lab)
    positions = np.zeros(2, np.int64)
    ring = wire.ring(positions)
    ring.out.send(frames(0, 10), BUILDER)
    ring.out.flush()
    wire.arrived(10)
    wire.us.ip("link", "set", "eth0", "down")
    other = "10.99.0.9"
    for first, peer in ((10, THEM), (14, other), (18, THEM), (22, other)):
        ring.out.send(frames(first, 4, peer=peer), BUILDER)
    assert not ring.out.flush()
    ring.out.block(Blocklist.parse(other))
    assert (ring.out.placed, ring.out.sent) == (18, 10)
    ring.out.send(frames(30, 2, peer="10.99.0.8"), BUILDER)
    assert not ring.out.flush()
    successor = Ring(wire.socket, positions, SIZE, policy=Blocklist.parse(f"{other}\n10.99.0.8"))
    lab.on_close(successor.close)
    wire.us.ip("link", "set", "eth0", "up")
    until = time.monotonic() + 10
    while not successor.out.flush():
        assert time.monotonic() < until
        time.sleep(0.02)
    numbers = [int.from_bytes(frame[38:42], "big") for frame in wire.arrived(8)]
    assert numbers == [*range(10, 14), *range(18, 22)]
    wire.far.settimeout(0.3)
    with pytest.raises(TimeoutError):
        wire.arrived(1)


def test_two_scans_never_share_a_group(lab: net.Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sockets of one scan in the group of another would take its packets: also where both drew one number."""
    place = lab.namespace("groups")
    monkeypatch.setattr("os.urandom", b"\x07".ljust)
    groups = []
    for _ in range(2):
        found = place.call(lambda: open_shards("lo", 2, Secrets.derive(5), PORTS, frames=SIZE))
        for sock in found:
            lab.on_close(sock.close)
        groups.append({sock.getsockopt(SOL_PACKET, PACKET_FANOUT) & 0xFFFF for sock in found})
    assert [len(numbers) for numbers in groups] == [1, 1]
    assert not groups[0] & groups[1]
