"""How many ICMP errors are taken at a look: fewer of what is no news, so that a flood costs little."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from lzr.packet.icmp import KINDS
from tests.unit.lzr.packet.test_icmp import error, syn_row
from workers.flow import icmperrors
from workers.flow.icmperrors import ICMPErrors

LOOK = 5_000_000


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Where errors are put in, and where they come out: datagrams, as those of a packet socket."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as in_,
    ):
        in_.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        in_.bind(("127.0.0.1", 0))
        out.connect(in_.getsockname())
        yield out, in_


def test_so_many_at_a_look(
    ends: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(icmperrors, "_FEW", 8)
    monkeypatch.setattr(icmperrors, "_MANY", 32)
    out, in_ = ends
    errors = ICMPErrors([in_])
    packet = error(syn_row(False), 3, 1)

    def looks(at: int, news: int) -> int:
        rows, kinds = errors.take(at * LOOK)
        errors.note_news(news)
        assert len(rows) == len(kinds)
        assert {KINDS[kind] for kind in kinds} <= {"host"}
        return len(rows)

    for _ in range(100):
        out.send(packet)
    assert looks(1, 8) == 8
    assert errors.more_at == 2 * LOOK
    assert errors.take(1 * LOOK + 1)[0].size == 0  # not yet
    errors.note_news(0)
    assert errors.more_at == 2 * LOOK
    assert looks(2, 16) == 32
    assert looks(3, 15) == 32
    assert looks(4, 0) == 8
    assert looks(5, 8) == 8
    assert looks(6, 0) == 12
    assert errors.more_at is None
    assert looks(7, 0) == 0


def test_two_families_have_the_same_room(
    ends: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(icmperrors, "_FEW", 8)
    out, in_ = ends
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        errors = ICMPErrors([in_, other])
        for _ in range(20):
            out.send(error(syn_row(False), 3, 1))
        for _ in range(3):
            out.sendto(error(syn_row(True), 1, 4), other.getsockname())
            out.sendto(b"\x60", other.getsockname())
        rows, kinds = errors.take(LOOK)
        assert [KINDS[kind] for kind in kinds] == ["host"] * 4 + ["port"] * 2
        assert (rows["peer_hi"] != 0).tolist() == [False] * 4 + [True] * 2
