"""Addresses as text and as the two 64-bit halves of ``rows.TARGET``."""

from __future__ import annotations

import ipaddress

from lzr.rows import V4_MAPPED

Halves = tuple[int, int]
_LOW = (1 << 64) - 1


def parse(text: str) -> Halves:
    """(hi, lo) of an IPv4 or IPv6 address; a v4-mapped v6 address is the v4 one. Raises ValueError."""
    if "%" in text:
        raise ValueError(f"{text!r}: an address with a zone cannot be scanned")
    address = ipaddress.ip_address(text)
    if isinstance(address, ipaddress.IPv4Address):
        return 0, V4_MAPPED | int(address)
    return int(address) >> 64, int(address) & _LOW


def v4_number(text: str) -> int:
    """A dotted quad without leading zeros as a 32-bit number, or -1. Several times as fast as `ipaddress`."""
    number = 0
    parts = text.split(".")
    if len(parts) != 4:
        return -1
    for part in parts:
        if not (part.isascii() and part.isdigit()) or len(part) > 3 or (part[0] == "0" and len(part) > 1):
            return -1
        byte = int(part)
        if byte > 255:
            return -1
        number = number << 8 | byte
    return number


def is_v4(hi: int, lo: int) -> bool:
    """Whether these halves are an IPv4 address (IPv4-mapped)."""
    return hi == 0 and lo >> 32 == 0xFFFF


def text(hi: int, lo: int, *, expanded: bool = False) -> str:
    """Canonical text (RFC 5952), or fully expanded IPv6 as the reference prints it with ``-ipv6``."""
    if hi == 0 and lo >> 32 == 0xFFFF:
        return f"{lo >> 24 & 255}.{lo >> 16 & 255}.{lo >> 8 & 255}.{lo & 255}"
    address = ipaddress.IPv6Address(hi << 64 | lo)
    return address.exploded if expanded else address.compressed
