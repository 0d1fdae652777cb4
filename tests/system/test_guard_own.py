"""Where the kernel routes our packets, they pass the rules that stop the kernel's own."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether

from coordinator.guard.guard import put_up
from tests.host_net import BOX, BOX6, BOX_TOO, OUTSIDE, PEER, Wire, inside

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def wire() -> Iterator[Wire]:
    with Wire("o") as made:
        yield made


def reset_sent(wire: Wire) -> bool:
    """Whether a RST from a guarded port that a program of the box sends by a raw IP socket arrives."""
    packet = IP(src=BOX, dst=PEER) / TCP(sport=40000, dport=9100, flags="R")
    last = IP(src=BOX_TOO, dst=PEER) / TCP(sport=OUTSIDE, dport=9100, flags="R")
    with inside(wire.peer):
        tap = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    with inside(wire.box):
        raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    with tap, raw:
        tap.bind(("wire1", 3))
        tap.settimeout(60)
        for each in (packet, last):
            with contextlib.suppress(PermissionError):  # dropped by a rule
                raw.sendto(bytes(each), (PEER, 0))
        seen = False
        while True:
            frame = Ether(tap.recv(2048))
            if TCP in frame and "R" in frame[TCP].flags:
                if frame[TCP].sport == OUTSIDE:
                    return seen
                seen |= frame[TCP].sport == 40000


@pytest.mark.parametrize("tool", ["nft", "iptables", "iptables-legacy"])
@pytest.mark.parametrize("addresses", [[BOX], []])
def test_a_reset_that_a_program_sends_arrives(
    wire: Wire, tool: str, addresses: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if tool != "nft":
        for name in ("iptables", "ip6tables"):
            (tmp_path / name).symlink_to(f"/usr/sbin/{tool.replace('iptables', name)}")
        monkeypatch.setenv("PATH", str(tmp_path))
    with inside(wire.box), put_up(addresses, mode="output"):
        assert wire.answered((BOX, 40000)) == set()
        assert reset_sent(wire)


def test_iptables_without_the_owner_match(
    wire: Wire, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel's RSTs are stopped all the same, with ours, and the rules go as they came."""
    for name in ("iptables", "ip6tables"):
        lacking = tmp_path / name
        lacking.write_text(
            '#!/bin/sh\ncase "$*" in *owner*) echo "No chain/target/match by that name." >&2; exit 1;; esac\n'
            f'exec /usr/sbin/{name} "$@"\n'
        )
        lacking.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}")
    with inside(wire.box):
        with put_up([BOX], mode="output") as up:
            up.extend(BOX6)
            assert wire.answered((BOX, 40000), (BOX6, 40000)) == set()
        assert "lzr_" not in wire.run("/usr/sbin/iptables", "-S").stdout
