"""Writes small MaxMind DBs (https://maxmind.github.io/MaxMind-DB/), to read them back."""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Mapping
from typing import Any

_MARK = b"\xab\xcd\xefMaxMind.com"


class Short(int):
    """16 bits."""

    kind = 5


class Long(int):
    """64 bits."""

    kind = 9


def database(networks: Mapping[str, Mapping[str, Any]], kind: str = "Made-ASN") -> bytes:
    """A database of IPv4 and IPv6 networks (that do not overlap) and the record of each."""
    tree: list[list[Any]] = [[None, None]]
    data = b""
    for text, record in networks.items():
        network = ipaddress.ip_network(text)
        length = network.prefixlen + (96 if network.version == 4 else 0)
        bits = f"{int(network.network_address):0128b}"[:length]
        node = 0
        for bit in map(int, bits[:-1]):
            if tree[node][bit] is None:
                tree.append([None, None])
                tree[node][bit] = len(tree) - 1
            node = tree[node][bit]
        tree[node][int(bits[-1])] = ("data", len(data))
        data += encoded(dict(record))
    count = len(tree)

    def place(entry: Any) -> int:
        if entry is None:
            return count
        return entry if isinstance(entry, int) else count + 16 + int(entry[1])

    nodes = b"".join(struct.pack(">II", place(left), place(right)) for left, right in tree)
    told = {
        "node_count": count,
        "record_size": Short(32),
        "ip_version": Short(6),
        "database_type": kind,
        "languages": [],
        "binary_format_major_version": Short(2),
        "binary_format_minor_version": Short(0),
        "build_epoch": Long(1_700_000_000),
        "description": {},
    }
    return nodes + bytes(16) + data + _MARK + encoded(told)


def encoded(value: Any) -> bytes:
    if isinstance(value, str):
        raw = value.encode()
        return _control(2, len(raw)) + raw
    if isinstance(value, int):
        raw = value.to_bytes((value.bit_length() + 7) // 8, "big")
        return _control(getattr(value, "kind", 6), len(raw)) + raw
    if isinstance(value, dict):
        return _control(7, len(value)) + b"".join(encoded(k) + encoded(v) for k, v in value.items())
    return _control(11, len(value)) + b"".join(map(encoded, value))


def _control(kind: int, size: int) -> bytes:
    more = b""
    if size >= 29:
        more, size = (bytes([size - 29]), 29) if size < 285 else (struct.pack(">H", size - 285), 30)
    return bytes([(kind << 5 if kind < 8 else 0) | size]) + (b"" if kind < 8 else bytes([kind - 7])) + more
