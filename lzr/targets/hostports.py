"""Parses the two halves of a target as it is written: an address, network, range or name, and its ports.

Addresses, networks and ranges are parsed by `lzr.addresstext`.
"""

from __future__ import annotations

import re

from lzr import addresses, addresstext
from lzr.ranges import Range, union
from lzr.rows import V4_MAPPED
from lzr.targets.expand import MOST_ADDRESSES, Block, Ports
from lzr.targets.reader import Refused, refuse_many

NO_PORT = "no port"
BAD_PORT = "the port is not a whole number from 1 to 65535"

_PORT_RANGE = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?(?:/(tcp|udp|sctp))?", re.IGNORECASE)


def ports_of(text: str) -> Ports:
    """Ports as in ``80``, ``80,443``, ``8000-8100``. Raises Refused."""
    text = text.strip(' \t\r"')
    if not text:
        raise Refused(NO_PORT)
    found = []
    for part in text.split(","):
        match = _PORT_RANGE.fullmatch(part.strip(" \t"))
        if match is None or not text.isascii():
            raise Refused(BAD_PORT)
        only_tcp(match[3] or "")
        first, last = int(match[1]), int(match[2] or match[1])
        if not 1 <= first <= 65535 or not 1 <= last <= 65535:
            raise Refused(BAD_PORT)
        if last < first:
            raise Refused("a range of ports that ends before it begins")
        found.append((first, last))
    return tuple(union(found))


def only_tcp(protocol: str) -> None:
    """Raise Refused unless the protocol of a target is TCP."""
    if protocol.lower() in ("udp", "sctp"):
        raise Refused(f"{protocol.upper()}: only TCP is scanned")


def block_of(text: str, ports: Ports) -> Block:
    """The addresses that a text names. Raises Refused."""
    text = text.strip(' \t"')
    inner = re.fullmatch(r"\[([^\[\]]*)\](/[0-9]+)?", text)
    if inner:
        text = inner[1] + (inner[2] or "")
        if ":" not in text:
            raise Refused("not an IPv6 address in the brackets")
    if not text:
        raise Refused("no address")
    v4 = addresses.v4_number(text)
    if v4 >= 0:
        refuse_many(0, V4_MAPPED | v4)
        return Block((0, V4_MAPPED | v4), ports)
    try:
        found = _range(text)
    except ValueError as error:
        raise Refused(str(error)) from None
    if found is None:
        return Block((0, 0), ports, name=_name(text))
    return _block(found, ports)


def _range(text: str) -> Range | None:
    """The addresses that a text names; None if it has the form of a name. Raises ValueError."""
    if "/" in text and "%" not in text:
        return addresstext.network(text)
    ends = re.fullmatch(r"([0-9.]+)-([0-9.]+)", text) or re.fullmatch(
        r"([0-9a-fA-F:]+)-([0-9a-fA-F:]+)", text
    )
    if ends and (":" in ends[1] or ends[1].count(".") == 3):
        return addresstext.span(ends[1], ends[2])
    if ":" in text or "%" in text:
        one = addresstext.address(text)
        return one, one
    return None


def _block(range_: Range, ports: Ports) -> Block:
    count = range_[1] - range_[0] + 1
    if count > MOST_ADDRESSES:
        raise Refused(
            f"more than {MOST_ADDRESSES:,} addresses on a line (the most is a /8, or a /104 of IPv6)"
        )
    ends = [((at >> 64), at & (1 << 64) - 1) for at in range_]
    if ends[0][0] != ends[1][0]:
        raise Refused("a range of addresses across two /64 networks: write several")
    if count == 1 or all(hi >> 56 == 0xFF or _is_multicast(hi, lo) for hi, lo in ends):
        refuse_many(*ends[0])
    return Block(ends[0], ports, count)


def _is_multicast(hi: int, lo: int) -> bool:
    return addresses.is_v4(hi, lo) and lo >> 28 & 15 == 14


_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")


def _name(text: str) -> str:
    """A host name in lower case and ASCII (RFC 1123 §2.1, IDNA). Raises Refused."""
    name = text.lower().removesuffix(".")
    if not name.isascii():
        try:
            name = name.encode("idna").decode("ascii")
        except (UnicodeError, ValueError):
            raise Refused("neither an address nor a host name") from None
    labels = name.split(".")
    # The last label of a name is never a number: 10.0.0.256 and 10.0.0.01 are no names.
    if len(name) > 253 or not all(map(_LABEL.fullmatch, labels)) or labels[-1].isdigit():
        raise Refused(
            "not an address" if re.fullmatch(r"[0-9.x]+", name) else "neither an address nor a host name"
        )
    return name
