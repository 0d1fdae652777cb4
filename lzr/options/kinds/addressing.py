"""Kinds of value that name something of a network: ports, addresses, interfaces, targets."""

from __future__ import annotations

from lzr.options.kinds.kind import ValueKind, show_range, whole_number

_HEX = frozenset("0123456789abcdef")


def _port(text: str) -> int:
    try:
        value = whole_number(text)
    except ValueError:
        raise ValueError("must be a port from 1 to 65535") from None
    if not 1 <= value <= 65535:
        raise ValueError("must be a port from 1 to 65535")
    return value


def _ports(text: str) -> tuple[int, int]:
    low, dash, high = text.partition("-")
    try:
        pair = _port(low), _port(high if dash else low)
    except ValueError:
        raise ValueError("must be a port or a range of ports (LOW-HIGH) from 1 to 65535") from None
    if pair[0] > pair[1]:
        raise ValueError("must be a range whose first port is not above its last")
    return pair


def _port_list(text: str) -> tuple[tuple[int, int], ...]:
    """``80,443,8000-8100`` or ``*``: ranges of ports, as given."""
    found = []
    for part in text.split(","):
        low, dash, high = ("0", "-", "65535") if part.strip() == "*" else part.strip().partition("-")
        try:
            pair = whole_number(low), whole_number(high if dash else low)
        except ValueError:
            raise ValueError("must be ports and ranges of ports, as in 80,443,8000-8100, or *") from None
        if not 0 <= pair[0] <= 65535 or not 0 <= pair[1] <= 65535:
            raise ValueError("must be ports from 0 to 65535")
        if pair[0] > pair[1]:
            raise ValueError("has a range whose first port is above its last")
        found.append(pair)
    return tuple(found)


def show_port_list(pairs: tuple[tuple[int, int], ...]) -> str:
    """``80,443,8000-8100``: the text of ranges of ports."""
    return ",".join(map(show_range, pairs))


def _target(text: str) -> str:
    """An address, a network, a range of addresses, or a name."""
    from lzr.addresstext import entries  # only who sweeps pays for it

    covered, names = entries(text) if text.strip() and "#" not in text and "\n" not in text else ([], {})
    if not covered and not any("." in name for name in names):
        raise ValueError("is neither an address nor a network")
    return text.strip()


def _targets(text: str) -> tuple[str, ...]:
    try:
        return tuple(dict.fromkeys(_target(part) for part in text.split(",")))
    except ValueError:
        raise ValueError("must be addresses, networks, ranges of addresses or names") from None


def _mac(text: str) -> str:
    octets = text.lower().replace("-", ":").split(":")
    if len(octets) != 6 or not all(1 <= len(octet) <= 2 and _HEX.issuperset(octet) for octet in octets):
        raise ValueError("must be a MAC address such as 00:16:3e:5e:6c:07")
    return ":".join(octet.zfill(2) for octet in octets)


def _interface(text: str) -> str:
    # The kernel's dev_valid_name(): 1 to 15 bytes, no slash, colon or white space.
    if not 1 <= len(text.encode("utf-8", "surrogateescape")) <= 15 or text in (".", ".."):
        raise ValueError("must be the name of a network interface (1 to 15 characters)")
    if any(c in "/:\0" or c.isspace() for c in text):
        raise ValueError("must be the name of a network interface, without spaces, '/' or ':'")
    return text


def _plain_v4(text: str) -> bool:
    octets = text.split(".")
    return len(octets) == 4 and all(
        o.isascii() and o.isdigit() and len(o) <= 3 and int(o) < 256 and (o == "0" or o[0] != "0")
        for o in octets
    )


def _address(text: str) -> str:
    if _plain_v4(text):
        return text
    import ipaddress

    try:
        if "%" in text:
            raise ValueError
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise ValueError("must be an IP address") from None


def _source(text: str) -> list[str]:
    """One address, CIDR block, or ZMap's range of addresses (which becomes CIDR blocks). The mapped form of
    IPv4 is IPv4: no packet has such a source.
    """
    if _plain_v4(text) and 0 < int(text.split(".", 1)[0]) < 224:  # by far the usual case: no import
        return [text]
    import ipaddress

    if "%" in text:
        raise ValueError(f"{text!a} has a zone; give the address alone")
    low, dash, high = text.partition("-")
    mapped = ipaddress.ip_network("::ffff:0:0/96")
    try:
        if dash:
            first, last = ipaddress.ip_address(low.strip()), ipaddress.ip_address(high.strip())
            networks = [*ipaddress.summarize_address_range(first, last)]
        else:
            networks = [ipaddress.ip_network(text)]
        for at, net in enumerate(networks):
            if net.version == 6 and net.subnet_of(mapped):
                whole = int(net.network_address) & 0xFFFFFFFF, net.prefixlen - 96
                networks[at] = ipaddress.ip_network(whole)
    except (ValueError, TypeError):
        raise ValueError(f"{text!a} is not an IP address, a CIDR block or a range of addresses") from None
    if any(net.is_multicast or net.network_address.is_unspecified for net in networks):
        raise ValueError(f"{text!a} cannot be the source of a packet")
    return [str(net).removesuffix("/128" if net.version == 6 else "/32") for net in networks]


def _sources(text: str) -> tuple[str, ...]:
    found: list[str] = []
    for part in text.split(","):
        found += _source(part.strip())
    return tuple(found)


PORT = ValueKind("PORT", _port)
PORTS = ValueKind("LOW-HIGH", _ports, show=show_range, once=True)
PORT_LIST = ValueKind("PORTS", _port_list, show=show_port_list, once=True)
TARGETS = ValueKind("A,B,CIDR", _targets, show=",".join, adds=True)
MAC = ValueKind("MAC", _mac)
INTERFACE = ValueKind("NAME", _interface, file="interface")
ADDRESS = ValueKind("ADDRESS", _address)
SOURCES = ValueKind("A,B,CIDR", _sources, show=",".join, adds=True)
