"""ARP packets of address conflict detection: as the RFCs lay them out, and whatever comes instead."""

from __future__ import annotations

import pytest

from coordinator.network import conflicts

MAC, ADDRESS = bytes.fromhex("02 00 00 00 00 01"), bytes([192, 0, 2, 1])
REPLY = bytes.fromhex("0001 0800 06 04 0002") + MAC + ADDRESS + bytes.fromhex("020000000002") + bytes(4)


def test_a_probe_is_a_request_without_a_sender_address() -> None:
    packet = conflicts.probe(MAC, ADDRESS)
    assert packet == bytes.fromhex("0001 0800 06 04 0001") + MAC + bytes(4 + 6) + ADDRESS
    assert conflicts.holder(packet) is None


@pytest.mark.parametrize("operation", [1, 2])
def test_who_sends_with_an_address_has_it(operation: int) -> None:
    packet = REPLY[:7] + bytes([operation]) + REPLY[8:]
    assert conflicts.holder(packet + bytes(18)) == (ADDRESS, MAC)


@pytest.mark.parametrize(
    "packet",
    [
        b"",
        REPLY[:-1],
        b"\0\6" + REPLY[2:],
        REPLY[:2] + b"\x86\xdd" + REPLY[4:],
        REPLY[:4] + b"\x08" + REPLY[5:],
    ],
)
def test_what_is_no_arp_of_ethernet_and_ipv4(packet: bytes) -> None:
    assert conflicts.holder(packet) is None


def test_nothing_wanted_nothing_asked() -> None:
    assert conflicts.find({}) == {}
