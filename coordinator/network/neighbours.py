"""The kernel's table of neighbours: the MAC of a next hop, asked for on the link where it is not known.

The kernel asks (ARP, neighbour discovery). A stale entry is used, and verified meanwhile: the host that had
the address may be gone. What becomes of a gateway's new MAC is decided in `coordinator.network.gateways`.
"""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import socket
import struct
import time

from coordinator.network import netlink as nl
from coordinator.network.netlink import Netlink, NetlinkMessage

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

RESOLVE_SECONDS = 3.5
"""Seconds that a next hop is asked for its MAC: the kernel asks three times, a second apart (ucast_solicit,
arp(7)), and reports when it gives up."""
_FAMILY = {4: socket.AF_INET, 6: socket.AF_INET6}


class NetworkError(Exception):
    """The network cannot be used as asked; the text is one sentence for the user."""


class NoRouteError(NetworkError):
    """None of the targets that are known so far has a route."""


class NotAllowedError(NetworkError):
    """We may not look for the way: root, or a capability, is missing."""


def resolve(kernel: Netlink, index: int, hop: Address, seconds: float) -> bytes | None:
    """The MAC of a next hop on a link; None if it does not answer. Raises NetworkError, PermissionError."""
    found = entry(kernel, index, hop)
    if found is not None and (mac := known_mac(found)):
        if found.fields[2] == nl.NUD_STALE:
            with contextlib.suppress(PermissionError):  # then it is used as it is
                confirm(kernel, index, hop)
        return mac
    with Netlink(nl.GROUP_NEIGHBOURS) as listener:
        _request(listener, index, hop, seconds)
        found = entry(kernel, index, hop)  # it may have been answered before we came to listen
        if found is not None and (mac := known_mac(found)):
            return mac
        for message in listener.news(seconds):
            if message.kind == nl.NEWNEIGH and is_about(message, index, hop):
                mac = known_mac(message)
                if mac is not None or message.fields[2] & nl.NUD_FAILED:
                    return mac
    return None


def entry(kernel: Netlink, index: int, hop: Address) -> NetlinkMessage | None:
    """The kernel's entry for a next hop, if it has one."""
    family = _FAMILY[hop.version]
    try:
        fixed = nl.NEIGHBOUR.pack(family, index, 0, 0, 0)
        found = kernel.ask(nl.GETNEIGH, fixed, {nl.NDA_DST: hop.packed})
    except OSError as error:
        if error.errno == errno.ENOENT:
            return None
        found = kernel.ask(nl.GETNEIGH, nl.NEIGHBOUR.pack(family, 0, 0, 0, 0), flags=nl.F_DUMP)  # Linux < 5.0
    return next((message for message in found if is_about(message, index, hop)), None)


def confirm(kernel: Netlink, index: int, hop: Address) -> tuple[bytes | None, bool]:
    """Have the kernel verify an entry that it learned, or ask where there is none.

    Returns its MAC now, and whether an answer is awaited. This is one question to one host, which may be gone
    although the kernel still uses what it said. An entry made by an administrator, or by a program for the
    kernel (``extern_learn``, as EVPN does), is left alone, and of all others nothing is changed but their
    state: with NLM_F_REPLACE a router would cease to be one for the kernel. Raises OSError.
    """
    found = entry(kernel, index, hop)
    state, flags = (0, 0) if found is None else found.fields[2:4]
    managed = {} if found is None else _kept(found)
    family = _FAMILY[hop.version]
    if found is not None and flags & nl.NTF_EXT_LEARNED:
        return known_mac(found), False
    if state in (nl.NUD_STALE, nl.NUD_REACHABLE):
        fixed = nl.NEIGHBOUR.pack(family, index, nl.NUD_PROBE, 0, 0)
        kernel.ask(nl.NEWNEIGH, fixed, {nl.NDA_DST: hop.packed, **managed})
    elif state in (0, nl.NUD_FAILED):
        fixed = nl.NEIGHBOUR.pack(family, index, 0, nl.NTF_USE, 0)
        kernel.ask(nl.NEWNEIGH, fixed, {nl.NDA_DST: hop.packed, **managed}, nl.F_ACK | nl.F_CREATE)
    asked = not state & (nl.NUD_NOARP | nl.NUD_PERMANENT)
    return None if found is None else known_mac(found), asked


def _kept(found: NetlinkMessage) -> nl.Attributes:
    """What has to be said of an entry again, or it would be no more: that the kernel keeps it up to date
    (``managed``).
    """
    (flags,) = struct.unpack("=I", found.attributes.get(nl.NDA_FLAGS_EXT, bytes(4)))
    return {nl.NDA_FLAGS_EXT: struct.pack("=I", nl.NTF_EXT_MANAGED)} if flags & nl.NTF_EXT_MANAGED else {}


def _request(listener: Netlink, index: int, hop: Address, seconds: float) -> None:
    """Send a request; where the kernel's table of neighbours is full (a scan of the own link fills it), try
    again.
    """
    fixed = nl.NEIGHBOUR.pack(_FAMILY[hop.version], index, 0, nl.NTF_USE, 0)
    end = time.monotonic() + seconds
    while True:
        try:
            listener.ask(nl.NEWNEIGH, fixed, {nl.NDA_DST: hop.packed}, nl.F_ACK | nl.F_CREATE)
            return
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                raise
        if time.monotonic() > end:
            raise NetworkError(
                f"the kernel's table of neighbours is full, so {hop} cannot be asked for its MAC: give "
                f"--gateway-mac, or raise net.ipv{hop.version}.neigh.default.gc_thresh3"
            )
        time.sleep(0.05)


def is_about(message: NetlinkMessage, index: int, hop: Address) -> bool:
    """Whether a message is about this next hop on this link."""
    return message.fields[1] == index and message.attributes.get(nl.NDA_DST) == hop.packed


def known_mac(message: NetlinkMessage) -> bytes | None:
    """The MAC in a neighbour message; None if it has none that can be used."""
    mac = message.attributes.get(nl.NDA_LLADDR)
    return mac if mac and len(mac) == 6 and message.fields[2] & nl.NUD_KNOWN else None
