"""Address conflicts: whether another host on the link has an address that is ours.

For IPv4 this is asked on the wire, by ARP probes (RFC 5227, IPv4 Address Conflict Detection): their sender
address is 0.0.0.0, so that no neighbour's cache changes. A host that answers for the address, with a MAC that
no link of this host has, has it too. For IPv6 the kernel has asked when the address was assigned (duplicate
address detection, RFC 4862), and keeps the result.
"""

from __future__ import annotations

import contextlib
import errno
import socket
import struct
import time
from collections.abc import Iterable, Mapping

from coordinator.files import readiness
from coordinator.network import netlink as nl
from coordinator.network.netlink import Netlink

SECONDS = 1.0
"""Seconds that answers are waited for. The RFC's 3 to 8 are for an address that is new to the link."""
PROBES, APART = 3, 0.3
"""Probes of each address, and the seconds between them, so that one lost frame hides nobody."""
_ETH_P_ARP, _ARPHRD_ETHER, _REQUEST = 0x0806, 1, 1
_ARP = struct.Struct("!HHBBH6s4s6s4s")  # RFC 826, for Ethernet and IPv4
_ETHERNET_IPV4 = (_ARPHRD_ETHER, 0x0800, 6, 4)
_EVERYBODY, _NOBODY = b"\xff" * 6, bytes(6)
_AT_ONCE = 64  # frames read before probes have their turn
_UP_TO_DATE = 0.05  # seconds between two looks at what the kernel has found


def find(addresses: Mapping[str, str], seconds: float = SECONDS) -> dict[str, str]:
    """Which of these addresses another host has: its MAC by address, "" where the kernel keeps none (IPv6).

    addresses: by address, the interface on which it is looked for. Interfaces without ARP (a tunnel, the
    loopback) or that are down are left out. Takes `seconds`, and on a busy machine a second
    more. Raises PermissionError without CAP_NET_RAW.
    """
    until = time.monotonic() + seconds
    fourth = {address: interface for address, interface in addresses.items() if ":" not in address}
    found = _asked(fourth, until) if fourth else {}
    return found | _known({address for address in addresses if ":" in address}, until)


def probe(mac: bytes, address: bytes) -> bytes:
    """An ARP probe for an IPv4 address (4 bytes), from this MAC (6 bytes)."""
    return _ARP.pack(*_ETHERNET_IPV4, _REQUEST, mac, bytes(4), _NOBODY, address)


def holder(packet: bytes) -> tuple[bytes, bytes] | None:
    """The address that an ARP packet's sender claims (4 bytes) and its MAC, or None if it claims none."""
    if len(packet) < _ARP.size:
        return None
    *kind, _, mac, address, _, _ = _ARP.unpack_from(packet)
    return (address, mac) if tuple(kind) == _ETHERNET_IPV4 and any(address) else None


def _asked(addresses: Mapping[str, str], until: float) -> dict[str, str]:
    """The hosts that answer for these IPv4 addresses on their interfaces."""
    ours = _own_macs()
    found: dict[str, str] = {}
    with contextlib.ExitStack() as stack:
        asked: dict[socket.socket, tuple[bytes, dict[bytes, str]]] = {}
        for interface in sorted(set(addresses.values())):
            sock = _listen(interface)
            if sock is not None:
                stack.enter_context(sock)
                here = {socket.inet_aton(one): one for one, name in addresses.items() if name == interface}
                asked[sock] = sock.getsockname()[4], here
        due = [time.monotonic() + number * APART for number in range(PROBES)]
        until = max(until, due[-1] + APART)  # to be ready to ask may have taken all the time
        while asked and (now := time.monotonic()) < until:
            if due and now >= due[0]:
                del due[0]
                for sock, (mac, here) in asked.items():
                    _send(sock, mac, (packed for packed, one in here.items() if one not in found))
            for sock in readiness.readable(asked, max(0.0, min([*due[:1], until]) - now)):
                for packed, mac in _answers(sock):
                    if packed in asked[sock][1] and mac not in ours:
                        found[asked[sock][1][packed]] = mac.hex(":")
            if len(found) == sum(len(here) for _, here in asked.values()):
                break
    return found


def _listen(interface: str) -> socket.socket | None:
    """A socket for ARP on this link, or None where there is none. Raises PermissionError."""
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
    try:
        sock.bind((interface, _ETH_P_ARP))
        if sock.getsockname()[3] == _ARPHRD_ETHER:
            sock.setblocking(False)
            return sock
    except OSError:  # it is down, or gone: `lzr doctor` says so
        pass
    sock.close()
    return None


def _send(sock: socket.socket, mac: bytes, addresses: Iterable[bytes]) -> None:
    """Send one probe each. A full queue loses some, as a wire would; therefore there are several."""
    where = (sock.getsockname()[0], _ETH_P_ARP, 0, 0, _EVERYBODY)
    for packed in addresses:
        with contextlib.suppress(OSError):
            sock.sendto(probe(mac, packed), where)


def _answers(sock: socket.socket) -> Iterable[tuple[bytes, bytes]]:
    """What has come: addresses, and the MACs of who has them."""
    for _ in range(_AT_ONCE):
        try:
            said = holder(sock.recv(128))
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno in (errno.ENETDOWN, errno.ENODEV):
                return
            raise
        if said is not None:
            yield said


def _own_macs() -> set[bytes]:
    """The MACs of all links of this host: where two are in one segment, the other one answers a probe as
    well.
    """
    with Netlink() as kernel:
        links = kernel.ask(nl.GETLINK, nl.LINK.pack(socket.AF_UNSPEC, 0, 0, 0, 0), flags=nl.F_DUMP)
    return {link.attributes.get(nl.IFLA_ADDRESS, b"") for link in links} | {_NOBODY}


def _known(addresses: set[str], until: float) -> dict[str, str]:
    """The IPv6 addresses that the kernel has found to be another host's; while it asks it is waited for."""
    while addresses:
        found, waiting = {}, False
        with Netlink() as kernel:
            fixed = nl.ADDRESS.pack(socket.AF_INET6, 0, 0, 0, 0)
            for message in kernel.ask(nl.GETADDR, fixed, flags=nl.F_DUMP):
                packed = message.attributes.get(nl.IFA_LOCAL) or message.attributes.get(nl.IFA_ADDRESS, b"")
                if (
                    len(packed) != 16
                    or (address := socket.inet_ntop(socket.AF_INET6, packed)) not in addresses
                ):
                    continue
                flags = struct.unpack("=I", message.attributes.get(nl.IFA_FLAGS, bytes(4)))[0]
                if flags & nl.IFA_F_DADFAILED:
                    found[address] = ""
                waiting = waiting or flags & (nl.IFA_F_TENTATIVE | nl.IFA_F_DADFAILED) == nl.IFA_F_TENTATIVE
        if not waiting or time.monotonic() + _UP_TO_DATE > until:
            return found
        time.sleep(_UP_TO_DATE)
    return {}
