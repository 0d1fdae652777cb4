"""A probe longer than the path takes: segments that a TCP puts together to the same bytes."""

from __future__ import annotations

import pytest
from scapy.layers.inet import IP, TCP
from scapy.layers.inet6 import IPv6
from scapy.packet import Packet, Raw

from lzr.packet.cutting import cut

DATA = bytes(range(256)) * 5


def packet(v4: bool, data: bytes = DATA) -> bytes:
    network = (
        IP(src="192.0.2.1", dst="192.0.2.9", ttl=255) if v4 else IPv6(src="2001:db8::1", dst="2001:db8::9")
    )
    return bytes(network / TCP(sport=4, dport=80, seq=0xFFFFFF00, ack=7, flags="PA") / data)


@pytest.mark.parametrize("v4", [True, False])
@pytest.mark.parametrize("mtu", [576, 577, 1000, 1279])
def test_the_pieces_are_the_whole(v4: bool, mtu: int) -> None:
    kind: type[Packet] = IP if v4 else IPv6
    pieces = [kind(each) for each in cut(packet(v4), mtu)]
    assert len(pieces) > 1
    assert b"".join(bytes(each[Raw]) for each in pieces) == DATA
    awaited = 0xFFFFFF00
    for each in pieces:
        octets = bytes(each)
        assert len(octets) <= mtu
        assert each[TCP].seq == awaited
        assert each[TCP].ack == 7
        awaited = (awaited + len(each[Raw])) % 2**32
        del each[TCP].chksum
        if v4:
            del each[IP].chksum
        assert bytes(kind(bytes(each))) == octets  # scapy computes the same checksums
    assert [str(each[TCP].flags) for each in pieces] == ["A"] * (len(pieces) - 1) + ["PA"]


def test_what_fits_stays_as_it_is() -> None:
    whole = packet(True)
    assert cut(whole, len(whole)) == [whole]
    assert cut(whole, 30) == [whole]
