"""Parses texts that name addresses: one address, a network (CIDR) or a range; and lists of such texts.

Whatever takes such a text asks here: the words of a sweep, blocklists and allowlists (`entries`), orders to
block, targets in a list (`lzr.targets.hostports`, with the ports and names that belong to those).

    192.0.2.7    192.0.2.0/24    192.0.2.1-192.0.2.9    192.0.2.1-9    2001:db8::/32

Addresses are numbers of 128 bits, IPv4 in its mapped form (`lzr.rows`); ranges are those of `lzr.ranges`. A
ValueError's text says what is wrong and does not quote the input.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator

from lzr.addresses import v4_number
from lzr.ranges import Range
from lzr.rows import V4_MAPPED
from lzr.safetext import excerpt

_V4_FIRST, _V4_LAST = V4_MAPPED, V4_MAPPED | 0xFFFFFFFF

_NAME = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*\.?")
"""A host's name (RFC 1123 §2.1), with the underscores that some have; a letter tells it from a number."""


def address(text: str) -> int:
    """One address. Raises ValueError."""
    v4 = v4_number(text)
    if v4 >= 0:
        return V4_MAPPED | v4
    if "%" in text:
        raise ValueError("not an address: one with a zone (%) cannot be scanned")
    try:
        return int(ipaddress.IPv6Address(text))
    except ValueError:
        raise ValueError("not an address") from None


def network(text: str) -> Range:
    """An address, a slash and the length of the prefix; host bits are cleared. Raises ValueError."""
    # IPv6Network is not used: a hit list of 100,000 addresses is read in 0.52 of the time without it.
    start, _, length = text.partition("/")
    width = 128 if ":" in start else 32
    digits = length.lstrip("0") or length[-1:]
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 3 and int(digits) <= width):
        raise ValueError(f"not a network: what follows / is not a number from 0 to {width}")
    free = width - int(digits)
    first = address(start) >> free << free
    return first, first | (1 << free) - 1


def span(first: str, last: str) -> Range:
    """A range from one address to another; of IPv4, `last` may be the last octet alone, as nmap and masscan
    have it. Raises ValueError.
    """
    if last.isascii() and last.isdigit() and ":" not in first:
        last = f"{first.rpartition('.')[0]}.{last}"
    low, high = address(first), address(last)
    if (":" in first) != (":" in last):
        raise ValueError("a range of addresses of both families")
    if low > high:
        raise ValueError("a range of addresses that ends before it begins")
    return low, high


def ranges_of(text: str) -> list[Range]:
    """What one text of any of these forms covers. An IPv6 range around the mapped form of IPv4 is cut there.

    Raises ValueError.
    """
    first, dash, last = text.partition("-")
    if dash:
        return _without_mapped(*span(first.strip(), last.strip()))
    if "/" in text:
        return _without_mapped(*network(text))
    one = address(text)
    return [(one, one)]


def _without_mapped(first: int, last: int) -> list[Range]:
    """An IPv6 range without the mapped form of IPv4, unless it lies within that form and so means it."""
    if last < _V4_FIRST or first > _V4_LAST or first >= _V4_FIRST:
        return [(first, last)]
    return [one for one in ((first, _V4_FIRST - 1), (_V4_LAST + 1, last)) if one[0] <= one[1]]


def _lines(text: str) -> Iterator[str]:
    """The lines, one at a time: a list of them all would take more memory than the text."""
    at = 0
    while (end := text.find("\n", at)) >= 0:
        yield text[at:end]
        at = end + 1
    yield text[at:]


def entries(text: str) -> tuple[list[Range], dict[str, int]]:
    """What a list's text covers, and the names in it with their lines. Raises ValueError, with the line."""
    ranges: list[Range] = []
    names: dict[str, int] = {}
    for number, line in enumerate(_lines(text), 1):
        entry = line.split("#", 1)[0].strip()
        if not entry:
            continue
        try:
            ranges += ranges_of(entry)
        except ValueError:
            if _NAME.fullmatch(entry) and len(entry) <= 253:
                names.setdefault(entry, number)
                continue
            shown = excerpt(entry.encode("utf-8", "replace"))
            raise ValueError(f"line {number}: {shown!r} is neither an address nor a network") from None
    return ranges, names
