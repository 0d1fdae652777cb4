"""Cuts a TCP packet that is larger than the path's MTU into several segments (RFC 9293 §3.7)."""

from __future__ import annotations

import struct

from lzr.rows import FIN, PSH


def cut(packet: bytes, mtu: int) -> list[bytes]:
    """Cut a TCP segment in IPv4 or IPv6, without extension headers, into packets of at most `mtu` bytes.

    FIN and PSH go with the last. Where the MTU leaves no room for data, the packet is returned as it is.
    """
    if len(packet) <= mtu:
        return [packet]
    v4 = packet[0] >> 4 == 4
    start = (packet[0] & 15) * 4 if v4 else 40
    head = start + (packet[start + 12] >> 4) * 4
    room = mtu - head
    if room <= 0:
        return [packet]
    data, found = packet[head:], []
    sequence = struct.unpack_from(">I", packet, start + 4)[0]
    for at in range(0, len(data), room):
        part = data[at : at + room]
        headers = bytearray(packet[:head])
        struct.pack_into(">I", headers, start + 4, (sequence + at) & 0xFFFFFFFF)
        if at + room < len(data):
            headers[start + 13] &= ~(FIN | PSH)
        found.append(_seal(headers, part, start, v4))
    return found


def _seal(headers: bytearray, data: bytes, start: int, v4: bool) -> bytes:
    """The packet of these headers and data: sets the length and both checksums."""
    size = len(headers) + len(data)
    struct.pack_into(">H", headers, start + 16, 0)
    if v4:
        struct.pack_into(">H", headers, 2, size)
        struct.pack_into(">H", headers, 10, 0)
        struct.pack_into(">H", headers, 10, 0xFFFF ^ _sum(bytes(headers[:start])))
        addresses = headers[12:20]
    else:
        struct.pack_into(">H", headers, 4, size - 40)
        addresses = headers[8:40]
    pseudo = bytes(addresses) + struct.pack(">HH", 6, size - start)
    struct.pack_into(">H", headers, start + 16, 0xFFFF ^ _sum(pseudo + bytes(headers[start:]) + data))
    return bytes(headers) + data


def _sum(data: bytes) -> int:
    """The sum of RFC 1071, not complemented."""
    data += bytes(len(data) % 2)
    total: int = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total
