"""A small rtnetlink client: asks the kernel about links, addresses, routes and neighbours.

A question is one message; the answer is read whole and checked field by field. Layouts are those of
rtnetlink(7): a 16-byte message header, a fixed part by type, then attributes of (length, type, value) on
4-byte bounds. Nothing is decided here; ``coordinator/network/discover.py`` does that.
"""

from __future__ import annotations

import os
import socket
import struct
import time
from collections.abc import Iterator
from typing import NamedTuple

from coordinator.files import readiness

# linux/netlink.h
NLMSG_ERROR, NLMSG_DONE = 2, 3
F_REQUEST, F_ACK, F_DUMP, F_CREATE = 0x1, 0x4, 0x300, 0x400
# linux/rtnetlink.h
NEWLINK, GETLINK, NEWADDR, GETADDR = 16, 18, 20, 22
NEWROUTE, GETROUTE, NEWNEIGH, DELNEIGH, GETNEIGH = 24, 26, 28, 29, 30
NEWRULE, GETRULE = 32, 34
NEWNEXTHOP, GETNEXTHOP = 104, 106
GROUP_LINKS, GROUP_NEIGHBOURS = 1 << 0, 1 << 2
GROUP_ROUTES = (
    1 << 4 | 1 << 6 | 1 << 7 | 1 << 8 | 1 << 10 | 1 << 18 | 1 << 31
)  # addresses, routes, rules of both families, nexthop objects; of what a kernel lacks bind(2) says nothing
IFLA_ADDRESS, IFLA_IFNAME, IFLA_MTU, IFLA_MASTER, IFLA_LINKINFO = 1, 3, 4, 10, 18
IFLA_INFO_KIND, IFLA_INFO_SLAVE_KIND = 1, 4  # in IFLA_LINKINFO
IFA_ADDRESS, IFA_LOCAL, IFA_FLAGS = 1, 2, 8
RTA_DST, RTA_SRC, RTA_OIF, RTA_GATEWAY, RTA_PREFSRC, RTA_METRICS = 1, 2, 4, 5, 7, 8
RTA_MULTIPATH, RTA_VIA, RTA_ENCAP, RTA_NH_ID = 9, 18, 22, 30
NHA_ID, NHA_GROUP = 1, 2  # linux/nexthop.h
RTA_IP_PROTO, RTA_SPORT, RTA_DPORT = 27, 28, 29
FRA_IP_PROTO, FRA_SPORT_RANGE, FRA_DPORT_RANGE = 22, 23, 24  # linux/fib_rules.h
RTAX_MTU = 2  # in RTA_METRICS
RTM_F_FIB_MATCH = 0x2000
"""Flag of a question: answer with the route itself, not with its result for this destination."""
NDA_DST, NDA_LLADDR, NDA_FLAGS_EXT = 1, 2, 15
RTN_UNICAST, RTN_LOCAL = 1, 2
IFF_UP, IFF_LOOPBACK, IFF_RUNNING = 0x1, 0x8, 0x40
IFA_F_DADFAILED, IFA_F_DEPRECATED, IFA_F_TENTATIVE = 0x08, 0x20, 0x40
SCOPE_UNIVERSE, SCOPE_LINK = 0, 253
NTF_USE, NTF_EXT_LEARNED, NTF_EXT_MANAGED = 0x01, 0x10, 0x01  # the last in NDA_FLAGS_EXT
NUD_REACHABLE, NUD_STALE, NUD_PROBE, NUD_FAILED, NUD_NOARP, NUD_PERMANENT = 0x02, 0x04, 0x10, 0x20, 0x40, 0x80
NUD_INCOMPLETE, NUD_DELAY = 0x01, 0x08
NUD_SURE = 0x02 | 0x40 | 0x80  # reachable, no ARP, permanent
NUD_KNOWN = 0x02 | 0x04 | 0x08 | 0x10 | 0x40 | 0x80  # reachable, stale, delay, probe, no ARP, permanent

HEADER = struct.Struct("=IHHII")
LINK = struct.Struct("=BxHiII")  # family, type, index, flags, change
ADDRESS = struct.Struct("=BBBBI")  # family, prefix length, flags, scope, index
ROUTE = struct.Struct(
    "=BBBBBBBBI"
)  # family, lengths of dst and src, tos, table, protocol, scope, type, flags
NEIGHBOUR = struct.Struct("=BxxxiHBB")  # family, index, state, flags, type
NEXTHOP = struct.Struct("=BxxxI")  # family, flags
FIXED = {
    NEWLINK: LINK,
    NEWADDR: ADDRESS,
    NEWROUTE: ROUTE,
    NEWNEIGH: NEIGHBOUR,
    NEWRULE: ROUTE,
    NEWNEXTHOP: NEXTHOP,
}

_AT_ONCE = 64  # datagrams read before others have their turn

Attributes = dict[int, bytes]


class NetlinkMessage(NamedTuple):
    """One object of the kernel's: its fixed fields (see the layouts) and its attributes.

    by: port of the process that has changed it; 0 if the kernel did.
    """

    kind: int
    fields: tuple[int, ...]
    attributes: Attributes
    by: int = 0


def pack_attributes(attributes: Attributes) -> bytes:
    """Attributes as bytes, each padded to four (rtnetlink(7))."""
    return b"".join(
        struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)
        for kind, value in attributes.items()
    )


def parse_attributes(data: bytes) -> Attributes:
    """Never raises: what is cut off or malformed is left out. The last of a kind wins."""
    found: Attributes = {}
    at = 0
    while at + 4 <= len(data):
        length, kind = struct.unpack_from("=HH", data, at)
        if length < 4 or at + length > len(data):
            break
        found[kind & 0x3FFF] = data[at + 4 : at + length]
        at += length + 3 & ~3
    return found


def parse_messages(data: bytes) -> Iterator[tuple[int, int, bytes, int]]:
    """(type, sequence number, body, port) of each whole message of a datagram."""
    at = 0
    while at + HEADER.size <= len(data):
        length, kind, _, number, port = HEADER.unpack_from(data, at)
        if length < HEADER.size or at + length > len(data):
            return
        yield kind, number, data[at + HEADER.size : at + length], port
        at += length + 3 & ~3


def parse_body(kind: int, body: bytes, by: int = 0) -> NetlinkMessage | None:
    """The object in a message's body, or None when it is none that we know, or is cut short."""
    layout = FIXED.get(kind)
    if layout is None or len(body) < layout.size:
        return None
    return NetlinkMessage(kind, layout.unpack_from(body), parse_attributes(body[layout.size :]), by)


class Netlink:
    """A conversation with the kernel about the network of this namespace. Close it, or use ``with``."""

    def __init__(self, groups: int = 0) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
        self._socket.bind((0, groups))
        self._number = 0

    def __enter__(self) -> Netlink:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def ask(
        self, kind: int, fixed: bytes, attributes: Attributes | None = None, flags: int = F_ACK
    ) -> list[NetlinkMessage]:
        """Send one request and return the objects of the answer. Raises OSError with the kernel's errno."""
        return list(self.each(kind, fixed, attributes, flags))

    def each(
        self, kind: int, fixed: bytes, attributes: Attributes | None = None, flags: int = F_ACK
    ) -> Iterator[NetlinkMessage]:
        """Send one request and yield the objects of the answer. Who does not take all of them closes this
        conversation, which is still in the midst of it. Raises OSError with the kernel's errno.
        """
        self._number += 1
        body = fixed + pack_attributes(attributes or {})
        header = HEADER.pack(HEADER.size + len(body), kind, F_REQUEST | flags, self._number, 0)
        self._socket.send(header + body)
        while True:
            for reply, number, content, _ in parse_messages(self._socket.recv(1 << 17)):
                if number != self._number:
                    continue  # news for our groups, or the tail of an older answer
                if reply == NLMSG_ERROR:
                    error = -struct.unpack_from("=i", content)[0]
                    if error:
                        raise OSError(error, os.strerror(error))
                    return
                if reply == NLMSG_DONE:
                    return
                message = parse_body(reply, content)
                if message is not None:
                    yield message

    def fileno(self) -> int:
        return self._socket.fileno()

    def arrived(self) -> list[tuple[int, NetlinkMessage | None]]:
        """What has happened in the groups joined: kinds (0: some messages were lost), and objects as far as
        known.

        Does not wait.
        """
        found: list[tuple[int, NetlinkMessage | None]] = []
        for _ in range(_AT_ONCE):
            try:
                data = self._socket.recv(1 << 17, socket.MSG_DONTWAIT)
            except BlockingIOError:
                break
            except OSError:
                found.append((0, None))  # ENOBUFS
                continue
            found += ((kind, parse_body(kind, body, by)) for kind, _, body, by in parse_messages(data))
        return found

    def news(self, seconds: float) -> Iterator[NetlinkMessage]:
        """Yield what happens in the groups joined, for at most so many seconds."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0 and readiness.readable([self._socket], left):
            try:
                data = self._socket.recv(1 << 17)
            except OSError:
                continue  # ENOBUFS: some news was lost; the next may still say what is awaited
            for kind, _, content, _ in parse_messages(data):
                message = parse_body(kind, content)
                if message is not None:
                    yield message
