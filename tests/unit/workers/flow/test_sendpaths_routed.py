"""Packets for the kernel to route: built whole, cut where they must be, and kept while there is no room."""

from __future__ import annotations

import errno
import socket
from typing import Any

import numpy as np
import pytest

from lzr import addresses
from lzr.packet.payloads import ProbeTemplate
from lzr.packet.segments import Builder, LinkHeader
from lzr.packet.ways import Way, WayKind, make
from lzr.rows import ACK, FRAME, NO_PROBE, RST, SYN
from lzr.targets.blocklist import Blocklist
from workers.flow import sendpaths
from workers.flow.sendpaths import Routed

LINK = LinkHeader(b"\2\0\0\0\0\1", b"\2\0\0\0\0\2", b"\2\0\0\0\0\3")
BUILDER = Builder(LINK, (ProbeTemplate((b"p" * 900,)),))
WAYS = make([0], lambda first, last: Way(WayKind.KERNEL, mtu=500), Way(WayKind.RING))


class Raw:
    """A raw socket; trouble: the errno of each of the next calls, 0 for none. new: its kernel can be told the
    protocol."""

    def __init__(self, family: int, *, new: bool = False) -> None:
        self.family = family
        self.new = new
        self.trouble: list[int] = []
        self.sent: list[tuple[bytes, Any, Any]] = []

    def getsockopt(self, level: int, option: int) -> int:
        assert (level, option) == (socket.IPPROTO_IP, 52)
        if not self.new:
            raise OSError(errno.ENOPROTOOPT, "so it is")
        return socket.IPPROTO_RAW

    def sendmsg(self, octets: list[bytes], ancillary: Any, flags: int, destination: Any) -> None:
        number = self.trouble.pop(0) if self.trouble else 0
        if number:
            raise OSError(number, "so it is")
        assert flags == socket.MSG_DONTWAIT
        self.sent.append((octets[0], ancillary, destination))


def frames(count: int, flags: int = SYN, probe: int = NO_PROBE, peer: str = "192.0.2.") -> Any:
    rows = np.zeros(count, FRAME)
    six = ":" in peer
    for at, row in enumerate(rows):
        row["peer_hi"], row["peer_lo"] = addresses.parse(f"{peer}{at + 1}")
        row["own_hi"], row["own_lo"] = addresses.parse("2001:db8::9" if six else "198.51.100.9")
    rows["flags"], rows["probe"] = flags, probe
    return rows


def send(made: Routed, rows: Any) -> int:
    return made.send(rows, WAYS.of(rows), WAYS, BUILDER)


@pytest.mark.parametrize("new", [False, True])
@pytest.mark.parametrize(("peer", "header", "option"), [("192.0.2.", 20, 8), ("2001:db8::", 40, 50)])
def test_a_packet_is_whole_and_says_where_it_is_from(peer: str, header: int, option: int, new: bool) -> None:
    """The source stands beside it too, and that it is TCP where the kernel takes it, for the rules that look
    at them; the MSS is that of the way."""
    sockets = [Raw(socket.AF_INET, new=new), Raw(socket.AF_INET6, new=new)]
    made = Routed(sockets)  # type: ignore[arg-type]
    octets = send(made, frames(3, peer=peer))
    (mine,) = [each for each in sockets if each.sent]
    assert made.sent == 3
    assert octets == made.sent_octets == sum(len(packet) for packet, _, _ in mine.sent)
    for at, (packet, ancillary, destination) in enumerate(mine.sent):
        by_port = socket.IPPROTO_TCP if new and header == 40 else 0  # where IPv6 is told
        assert destination == (f"{peer}{at + 1}", by_port)
        source = packet[12:16] if header == 20 else packet[8:24]
        (_, kind, info), *more = ancillary
        assert more == ([(0, 52, b"\6\0\0\0")] if new and header == 20 else [])
        assert kind == option
        assert source in info
        assert packet[header + 13] == SYN
        assert packet[header + 20 : header + 24] == b"\x02\x04" + (500 - header - 20).to_bytes(2, "big")


def test_a_probe_that_does_not_fit_goes_in_pieces() -> None:
    raw = Raw(socket.AF_INET)
    made = Routed([raw])  # type: ignore[list-item]
    send(made, frames(1, ACK, 0))
    assert [len(packet) for packet, _, _ in raw.sent] == [500, 40 + 900 - 460]
    assert b"".join(packet[40:] for packet, _, _ in raw.sent) == b"p" * 900


def test_what_finds_no_room_waits_and_is_sent_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sendpaths, "_AGAIN", 0)
    raw = Raw(socket.AF_INET)
    raw.trouble = [0, errno.ENOBUFS, errno.EAGAIN]
    made = Routed([raw])  # type: ignore[list-item]
    send(made, frames(4))
    assert made.sent == 2
    assert made.patience is not None
    made.flush()
    assert (made.sent, made.patience) == (4, None)
    assert not made.errors
    assert {destination[0] for _, _, destination in raw.sent} == {f"192.0.2.{at}" for at in range(1, 5)}


def test_it_is_known_how_far_packets_have_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sendpaths, "_AGAIN", 0)
    raw = Raw(socket.AF_INET)
    made = Routed([raw])  # type: ignore[list-item]
    assert (made.made, made.gone) == (0, 0)
    raw.trouble = [0, errno.ENOBUFS, 0, errno.ENOBUFS]
    send(made, frames(4))
    assert (made.made, made.gone) == (4, 1)
    raw.trouble = [0, errno.ENOBUFS]
    made.flush()
    assert (made.made, made.gone) == (4, 3)
    send(made, frames(2))
    assert (made.made, made.gone) == (6, 3)
    made.flush()
    assert (made.made, made.gone) == (6, 6)


def test_what_waits_for_too_long_is_given_up_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sendpaths, "_AGAIN", 0)
    monkeypatch.setattr(sendpaths, "_PATIENCE", -1)
    raw = Raw(socket.AF_INET)
    raw.trouble = [errno.ENOBUFS] * 2
    made = Routed([raw])  # type: ignore[list-item]
    send(made, frames(1))
    made.flush()
    assert (made.sent, dict(made.errors)) == (0, {"NO_ROOM": 1})


def test_a_syn_of_a_sweep_waits_until_there_is_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sendpaths, "_AGAIN", 0)
    monkeypatch.setattr(sendpaths, "_PATIENCE", -1)
    raw = Raw(socket.AF_INET)
    raw.trouble = [errno.ENOBUFS] * 4 + [0, errno.ENOBUFS]
    made = Routed([raw])  # type: ignore[list-item]
    made.keeps_syns = True
    send(made, frames(2, SYN))
    send(made, frames(1, ACK))
    assert made.gone == 0
    made.flush()  # the table is still full, for one of them
    assert (made.sent, dict(made.errors)) == (1, {"NO_ROOM": 1})
    made.flush()
    assert (made.sent, made.gone, made.empty) == (2, 3, True)


def test_a_kernel_that_takes_nothing_for_long_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sendpaths, "_AGAIN", 0)
    monkeypatch.setattr(sendpaths, "_STALLED", 0)
    raw = Raw(socket.AF_INET)
    made = Routed([raw])  # type: ignore[list-item]
    made.keeps_syns = True
    raw.trouble = [errno.ENOBUFS] * 3
    send(made, frames(3, SYN))
    send(made, frames(1, SYN, peer="203.0.113."))  # something leaves: the others may wait on
    raw.trouble = [errno.ENOBUFS] * 6
    made.flush()
    assert not made.errors
    made.flush()
    assert (made.sent, made.empty, dict(made.errors)) == (1, True, {"NO_ROOM": 3})


def test_a_full_table_of_one_family_does_not_hold_up_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sendpaths, "_AGAIN", 0)
    four, six = Raw(socket.AF_INET), Raw(socket.AF_INET6)
    made = Routed([four, six])  # type: ignore[list-item]
    made.keeps_syns = True
    six.trouble = [errno.ENOBUFS] * 1000
    send(made, frames(20, SYN, peer="2001:db8::"))
    four.trouble = [errno.ENOBUFS]
    send(made, frames(3, SYN))
    assert len(four.sent) == 2
    made.flush()
    assert len(four.sent) == 3
    assert (made.gone, dict(made.errors)) == (0, {})
    six.trouble = []
    made.flush()
    assert (made.gone, made.empty, len(six.sent)) == (23, True, 20)


def test_time_in_which_we_did_not_run_is_none_that_the_kernel_took_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A worker that is stopped for a minute asks the kernel again before it gives anything up."""
    now = 10**15
    monkeypatch.setattr(sendpaths.time, "monotonic_ns", lambda: now)
    raw = Raw(socket.AF_INET)
    made = Routed([raw])  # type: ignore[list-item]
    made.keeps_syns = True
    raw.trouble = [errno.ENOBUFS] * 13
    send(made, frames(12, SYN))
    send(made, frames(1, ACK))
    now += 60 * 10**9
    raw.trouble = [errno.ENOBUFS] * 3
    made.flush()  # nine more are sent
    now += 10**8
    made.flush()
    assert (made.sent, made.empty, dict(made.errors)) == (13, True, {})


def test_no_more_is_begun_than_may_wait() -> None:
    raw = Raw(socket.AF_INET)
    raw.trouble = [errno.ENOBUFS] * 10_000
    made = Routed([raw])  # type: ignore[list-item]
    whole = made.room
    send(made, frames(200))
    assert made.room == whole - 200
    assert not made.clogged
    for _ in range(4):
        send(made, frames(200))
    assert made.room == 0
    assert made.clogged


def test_no_syn_of_a_sweep_is_one_too_many() -> None:
    raw = Raw(socket.AF_INET)
    raw.trouble = [errno.ENOBUFS] * 10_000
    made = Routed([raw])  # type: ignore[list-item]
    made.keeps_syns = True
    for _ in range(sendpaths._MOST // 200 + 1):
        send(made, frames(200))
    assert not made.errors
    send(made, frames(1, ACK))
    assert made.errors["NO_ROOM"] == 1


def test_what_the_kernel_refuses_is_counted_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = Raw(socket.AF_INET)
    raw.trouble = [errno.EPERM, 0, errno.ENETUNREACH]
    made = Routed([raw])  # type: ignore[list-item]
    send(made, frames(3))
    send(made, frames(2, peer="2001:db8::"))
    assert (made.sent, dict(made.errors)) == (1, {"EPERM": 1, "ENETUNREACH": 1, "EAFNOSUPPORT": 2})


def test_an_rst_that_the_kernel_does_not_take_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """It closes what has its record already; whoever lets no RST out has each of them refused (EPERM)."""
    monkeypatch.setattr(sendpaths, "_AGAIN", 0)
    monkeypatch.setattr(sendpaths, "_PATIENCE", -1)
    raw = Raw(socket.AF_INET)
    made = Routed([raw])  # type: ignore[list-item]
    for flags, lost in ((RST, {}), (RST | ACK, {}), (ACK, {"EPERM": 1, "NO_ROOM": 1})):
        raw.trouble = [errno.EPERM, errno.ENOBUFS, errno.ENOBUFS]
        send(made, frames(2, flags))
        made.flush()
        assert made.lost == lost
    assert made.errors == {"EPERM": 3, "NO_ROOM": 3}


def test_a_full_table_clogs() -> None:
    """What cannot be kept is counted; nothing new is begun before."""
    raw = Raw(socket.AF_INET)
    raw.trouble = [errno.ENOBUFS] * 10_000
    made = Routed([raw])  # type: ignore[list-item]
    for _ in range(4):
        send(made, frames(200))
    assert made.clogged
    for _ in range(20):
        send(made, frames(200))
    assert made.errors["NO_ROOM"] == 24 * 200 - sendpaths._MOST


def test_what_waits_for_whom_nobody_may_contact_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sendpaths, "_AGAIN", 0)
    raw = Raw(socket.AF_INET)
    raw.trouble = [errno.ENOBUFS] * 3
    made = Routed([raw])  # type: ignore[list-item]
    made.block(Blocklist())
    send(made, frames(3))
    made.block(Blocklist.parse("192.0.2.2"))
    made.flush()
    assert [destination for _, _, destination in raw.sent] == [("192.0.2.1", 0), ("192.0.2.3", 0)]
    assert made.patience is None
