"""Surveys the kernel's routing: for every address, as intervals with one answer each, how packets would go.

The boundaries come from a dump of all routes of all tables, and of all rules; for what lies between two of
them the kernel is asked once for each of our sources. Its algorithm is not repeated here: metrics, policy
rules, nexthop objects, VRFs, IPv4 by way of IPv6 are what RTM_GETROUTE makes of them. It is asked for TCP,
for the user who owns our sockets, and, where rules look at ports, for the ports that the scan uses.
"""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import socket
import struct
import time
from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from coordinator.network import netlink as nl
from coordinator.network import portrules
from coordinator.network.netlink import Netlink
from coordinator.network.portrules import Pair
from lzr.packet import ways
from lzr.packet.ways import WayKind
from lzr.rows import V4_MAPPED

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

ETHERNET, LOOPBACK = 1, 772  # ARPHRD_*, linux/if_arp.h
MOST_SOURCES = 16
"""Most of our source addresses that the kernel is asked about; the routes of further ones are taken to be the
same."""
ANYWHERE: dict[int, Address] = {
    4: ipaddress.ip_address("198.41.0.4"),
    6: ipaddress.ip_address("2001:503:ba3e::2:30"),
}
"""By IP version, an address that only a default route reaches (a root name server's), to look up in the
routing table. Nothing is sent to it."""
_SETTLED, _LOOK = 4.0, 0.05
"""Seconds for which addresses of ours are waited for, and between two looks. Duplicate address detection
takes 1 to 2 s (RFC 4862 §5.1, §5.4.2), and an interface that has just come up may add as much."""
_PORTS = ("bridge", "bond", "team", "openvswitch", "ovs")
"""Kinds of links whose members have no addresses of their own: packets of a member are also seen on the
whole."""


class Hardware(Struct, frozen=True):
    """A link. part: it is a member of a bridge or bond. vrf: it stands for a routing table and carries no
    packets.
    """

    index: int
    name: str
    kind: int
    mtu: int
    mac: bytes
    up: bool
    running: bool
    part: bool
    vrf: bool

    @property
    def ethernet(self) -> bool:
        return self.kind == ETHERNET and len(self.mac) == 6


class Route(Struct, frozen=True):
    """How packets to an interval go. gateway: None on the same link. single: one next hop, and nothing is
    wrapped around the packet. local: to this host itself. by_port: a rule that looks at ports applies.
    """

    index: int
    gateway: Address | None
    source: Address | None
    mtu: int
    single: bool
    local: bool
    by_port: bool = False


class Survey:
    """The kernel's routing at one moment.

    edges: the beginnings of the intervals, ascending, the first at 0; answers: of each, None where there is
    no route.
    """

    def __init__(
        self,
        kernel: Netlink,
        sources: Sequence[Address] = (),
        oif: int | None = None,
        ports: Sequence[Pair] = (),
    ) -> None:
        """sources: our addresses, if the user or ZMap has chosen them; then it is asked for packets from
        these. oif: the link that packets have to leave by. ports: those in use, if rules look at them.

        Raises OSError.
        """
        self._kernel = kernel
        self._oif = oif
        self._ports = tuple(ports)
        self._groups: dict[bytes, bool] = {}  # nexthop objects, by id
        self.port_bounds: tuple[set[int], set[int]] = (set(), set())
        """As in `portrules.bounds`; nothing where no rule looks at ports."""
        self._sources = {family: [one for one in sources if one.version == family] for family in (4, 6)}
        self.links = links(kernel)
        self.addresses = own_addresses(kernel)
        self.edges = self._boundaries()
        self.complete = len(self.edges) <= ways.MOST_INTERVALS
        """Otherwise the routes are so many that no table is made of them."""
        self.answers: list[Route | None] = []
        if self.complete:
            for first, end in zip(self.edges, [*self.edges[1:], ways.END], strict=True):
                self.answers.append(self.ask(first + (end - first) // 2))

    def _boundaries(self) -> list[int]:
        """Where an interval begins; where there are too many for a table, not all of them."""
        starts = {0, *ways.ALWAYS}
        for family in (socket.AF_INET, socket.AF_INET6):
            fixed = nl.ROUTE.pack(family, 0, 0, 0, 0, 0, 0, 0, 0)
            with contextlib.suppress(OSError):  # a kernel without IPv6, or without policy rules
                rules = self._kernel.ask(nl.GETRULE, fixed, flags=nl.F_DUMP)
                for known, new in zip(self.port_bounds, portrules.bounds(rules), strict=True):
                    known.update(new)
                for rule in rules:
                    starts.update(_bounds(rule, family, least=1))
            # In a conversation of its own: of a full table (a million routes) the rest is not read.
            with contextlib.suppress(OSError), Netlink() as kernel:
                for route in kernel.each(nl.GETROUTE, fixed, flags=nl.F_DUMP):
                    starts.update(_bounds(route, family, least=0))
                    if len(starts) > ways.MOST_INTERVALS + 1:
                        break
        return sorted(start for start in starts if start < ways.END)

    def ask(self, number: int) -> Route | None:
        """How packets to one address go, from each of our sources; where these differ, the kernel's own
        choice.
        """
        if any(first <= number < end for first, end in ways.NOBODY):
            return None
        target = address(number)
        found: list[Route | None] = []
        origins: list[Address | None] = [*self._sources[target.version][:MOST_SOURCES]]
        by_port = False
        for source in origins or [None]:
            several = [self._one(target, source, pair) for pair in self._ports or (None,)]
            found += several
            by_port |= bool(self._ports) and any(one != self._one(target, source) for one in several)
        if all(one == found[0] for one in found):
            return found[0] and replace(found[0], by_port=by_port)
        some = next(one for one in found if one is not None)
        origin = None if origins else some.source
        return Route(some.index, None, origin, min(one.mtu for one in found if one), False, False, by_port)

    def why(self, number: int) -> int:
        """The reason, a `WayKind`, why `ask` finds no way to an address."""
        if any(first <= number < end for first, end in ways.NOBODY):
            return WayKind.NOBODY
        target = address(number)
        if not any(_is_usable(one, target.version) for one in self.addresses):
            return WayKind.NO_ADDRESS
        origins: list[Address | None] = [*self._sources[target.version][:MOST_SOURCES]]
        try:
            real, *_ = self._lookup(target, (origins or [None])[0], next(iter(self._ports), None), 0)
        except OSError as error:
            return WayKind.REFUSED if error.errno in _REFUSALS else WayKind.NONE
        except ValueError:
            return WayKind.NONE
        if real.fields[7] in (nl.RTN_UNICAST, nl.RTN_LOCAL):
            return WayKind.NO_ADDRESS if nl.RTA_OIF in real.attributes else WayKind.NONE
        return WayKind.NOBODY  # broadcast, anycast, multicast

    def lacks_address(self, held: Sequence[int]) -> bool:
        """Whether some of these intervals, by number, have a way but for an IPv6 address of ours."""
        lost = (self.edges[at] for at in held if at < len(self.answers) and self.answers[at] is None)
        return any(address(one).version == 6 and self.why(one) == WayKind.NO_ADDRESS for one in lost)

    def _one(self, target: Address, source: Address | None, ports: Pair | None = None) -> Route | None:
        try:
            (real, *_), (route, *_) = (
                self._lookup(target, source, ports, flag) for flag in (0, nl.RTM_F_FIB_MATCH)
            )
        except (OSError, ValueError):
            return None
        kind, found = real.fields[7], real.attributes
        if kind not in (nl.RTN_UNICAST, nl.RTN_LOCAL) or nl.RTA_OIF not in found:
            return None
        index = struct.unpack("=I", found[nl.RTA_OIF])[0]
        link = self.links.get(index)
        if link is None:
            return None
        gateway = found.get(nl.RTA_GATEWAY) or found.get(nl.RTA_VIA, b"")[2:]
        origin = found.get(nl.RTA_PREFSRC)
        chosen = ipaddress.ip_address(origin) if origin else None
        if chosen is not None and (chosen.is_unspecified or (chosen.is_link_local and chosen.version == 6)):
            chosen = None
        if source is None and chosen is None:
            return None  # no address of this family
        metrics = nl.parse_attributes(found.get(nl.RTA_METRICS, b""))
        mtu = (
            min(struct.unpack("=I", metrics[nl.RTAX_MTU])[0], link.mtu)
            if nl.RTAX_MTU in metrics
            else link.mtu
        )
        odd = {nl.RTA_MULTIPATH, nl.RTA_ENCAP} & {*route.attributes, *found} or self._is_group(route)
        return Route(
            index=index,
            gateway=ipaddress.ip_address(gateway) if gateway else None,
            source=chosen,
            mtu=mtu,
            single=not odd,
            local=kind == nl.RTN_LOCAL,
        )

    def _is_group(self, route: nl.NetlinkMessage) -> bool:
        """Whether a route names its next hops by a nexthop object alone (net.ipv4.nexthop_compat_mode=0), and
        that is a group of several, or nobody can say.
        """
        number = route.attributes.get(nl.RTA_NH_ID)
        if number is None or nl.RTA_OIF in route.attributes:
            return False
        if number not in self._groups:
            try:
                (one,) = self._kernel.ask(nl.GETNEXTHOP, nl.NEXTHOP.pack(0, 0), {nl.NHA_ID: number})
                self._groups[number] = nl.NHA_GROUP in one.attributes
            except (OSError, ValueError):
                self._groups[number] = True
        return self._groups[number]

    def _lookup(
        self, target: Address, source: Address | None, ports: Pair | None, flags: int
    ) -> list[nl.NetlinkMessage]:
        attributes = {nl.RTA_DST: target.packed, nl.RTA_IP_PROTO: bytes([socket.IPPROTO_TCP])}
        if ports is not None:
            attributes[nl.RTA_SPORT], attributes[nl.RTA_DPORT] = (struct.pack("!H", port) for port in ports)
        bits = target.max_prefixlen
        if self._oif is not None:
            attributes[nl.RTA_OIF] = struct.pack("=I", self._oif)
        if source is not None and source in self.addresses:  # the kernel answers for no other
            attributes[nl.RTA_SRC] = source.packed
        family = socket.AF_INET if target.version == 4 else socket.AF_INET6
        lengths = bits, bits if nl.RTA_SRC in attributes else 0
        return self._kernel.ask(
            nl.GETROUTE, nl.ROUTE.pack(family, *lengths, 0, 0, 0, 0, 0, flags), attributes
        )

    def listening(self) -> list[int]:
        """Links on which to listen, without the loopback: up, and with an address or a route."""
        known = {holder for holders in self.addresses.values() for holder in holders}
        known |= {answer.index for answer in self.answers if answer is not None}
        return [
            link.index
            for link in self.links.values()
            if link.up and not link.part and not link.vrf and link.kind != LOOPBACK and link.index in known
        ]


_REFUSALS = (errno.EHOSTUNREACH, errno.EACCES, errno.EINVAL)
"""Errors by which the kernel reports a route of type unreachable, prohibit or blackhole."""


def settle(kernel: Netlink) -> bool:
    """Wait until the kernel knows that nobody on the link has the IPv6 addresses that it is to have, as until
    then nothing leaves from these (RFC 4862 §5.4); returns whether there were any. Raises OSError.
    """
    until, waited = time.monotonic() + _SETTLED, False
    while time.monotonic() < until and _is_settling(kernel):
        waited = True
        time.sleep(_LOOK)
    return waited


def _is_settling(kernel: Netlink) -> bool:
    for message in kernel.ask(nl.GETADDR, nl.ADDRESS.pack(socket.AF_INET6, 0, 0, 0, 0), flags=nl.F_DUMP):
        flags = struct.unpack("=I", message.attributes.get(nl.IFA_FLAGS, bytes(4)))[0]
        if flags & (nl.IFA_F_TENTATIVE | nl.IFA_F_DADFAILED) == nl.IFA_F_TENTATIVE:
            packed = message.attributes.get(nl.IFA_LOCAL) or message.attributes.get(nl.IFA_ADDRESS, bytes(16))
            if _is_usable(ipaddress.ip_address(packed), 6):
                return True
    return False


def _bounds(message: nl.NetlinkMessage, family: int, least: int) -> tuple[int, ...]:
    """The first address of a route's or a rule's destination, and the first behind it; nothing where its
    prefix is shorter than `least`, or it is of another family.
    """
    width = 4 if family == socket.AF_INET else 16
    packed, length = message.attributes.get(nl.RTA_DST, bytes(width)), min(message.fields[1], 8 * width)
    if message.fields[0] != family or len(packed) != width or length < least:
        return ()
    return ways.bounds(packed, length)


def _is_usable(one: Address, version: int) -> bool:
    return one.version == version and not one.is_loopback and not one.is_link_local


def address(number: int) -> Address:
    """The address with this number, of 128 bits; IPv4 is mapped."""
    if number >> 32 == V4_MAPPED >> 32:
        return ipaddress.IPv4Address(number & 0xFFFFFFFF)
    return ipaddress.IPv6Address(number)


def links(kernel: Netlink) -> dict[int, Hardware]:
    """All links, by index."""
    found = {}
    for message in kernel.ask(nl.GETLINK, nl.LINK.pack(0, 0, 0, 0, 0), flags=nl.F_DUMP):
        _, kind, index, flags, _ = message.fields
        attributes = message.attributes
        info = nl.parse_attributes(attributes.get(nl.IFLA_LINKINFO, b""))
        part = info.get(nl.IFLA_INFO_SLAVE_KIND, b"").rstrip(b"\0").decode("ascii", "replace")
        found[index] = Hardware(
            index=index,
            name=attributes[nl.IFLA_IFNAME].rstrip(b"\0").decode("utf-8", "replace"),
            kind=kind,
            mtu=struct.unpack("=I", attributes[nl.IFLA_MTU])[0],
            mac=attributes.get(nl.IFLA_ADDRESS, b""),
            up=bool(flags & nl.IFF_UP),
            running=bool(flags & nl.IFF_RUNNING),
            part=part in _PORTS,
            vrf=info.get(nl.IFLA_INFO_KIND, b"").rstrip(b"\0") == b"vrf",
        )
    return found


def own_addresses(kernel: Netlink) -> dict[Address, set[int]]:
    """This host's addresses, and the links that have them."""
    found: dict[Address, set[int]] = {}
    for message in kernel.ask(nl.GETADDR, nl.ADDRESS.pack(0, 0, 0, 0, 0), flags=nl.F_DUMP):
        packed = message.attributes.get(nl.IFA_LOCAL) or message.attributes.get(nl.IFA_ADDRESS)
        if packed:
            found.setdefault(ipaddress.ip_address(packed), set()).add(message.fields[4])
    return found
