"""Asks once, before a scan, where packets leave, from which addresses, and to which next hop.

What the user gave is taken, the rest is asked of the kernel; what neither knows ends in one sentence that
names the flag to give. The kernel's routing table chooses interface and source address as it would for a
connection of its own, and its ARP or neighbour discovery finds the MAC of the gateway (or of the target, on
the same link), so nothing is guessed from passing traffic.

All frames of a run go to one MAC per family, as with ZMap.
"""

from __future__ import annotations

import errno
import ipaddress
import socket
import struct
from collections.abc import Iterable, Sequence

from msgspec import Struct

from coordinator.network import neighbours
from coordinator.network import netlink as nl
from coordinator.network.neighbours import RESOLVE_SECONDS, NetworkError
from coordinator.network.netlink import Netlink
from coordinator.network.survey import ANYWHERE, ETHERNET, LOOPBACK
from coordinator.processes import rights

MOST_SOURCES = 65536  # source addresses that the user may give: an IPv4 /16
NO_MAC = bytes(6)
_FAMILY = {4: socket.AF_INET, 6: socket.AF_INET6}

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Network(Struct, frozen=True):
    """How packets leave this host. MACs are 6 bytes; those of a family that was not asked for are None."""

    interface: str
    index: int
    mtu: int
    loopback: bool
    own_mac: bytes
    source_v4: tuple[str, ...]
    source_v6: tuple[str, ...]
    gateway_v4: str | None
    """The next hop; None where the targets are on the same link."""
    gateway_v6: str | None
    gateway_mac_v4: bytes | None
    gateway_mac_v6: bytes | None

    @property
    def sources(self) -> tuple[str, ...]:
        return self.source_v4 + self.source_v6

    @property
    def gateway_mac(self) -> bytes:
        return self.gateway_mac_v4 or self.gateway_mac_v6 or NO_MAC


class _Link(Struct, frozen=True):
    name: str
    index: int
    mtu: int
    flags: int
    kind: int
    mac: bytes

    @property
    def loopback(self) -> bool:
        return bool(self.flags & nl.IFF_LOOPBACK)


class _Route(Struct, frozen=True):
    index: int
    gateway: Address | None
    source: Address | None
    here: bool
    """Whether packets go to this host itself."""


def discover(
    targets: Iterable[str] = (),
    *,
    interface: str | None = None,
    source_ips: Sequence[str] = (),
    gateway_mac: str | None = None,
    seconds: float = RESOLVE_SECONDS,
) -> Network:
    """Find how to reach ``targets`` (the first of each family counts), or the Internet when there are none.

    The families looked at are those of targets and sources, or IPv4, or IPv6 on a host that has no IPv4.
    The gateway is asked for its MAC only if the kernel does not know it and none was given, for
    ``seconds`` at most. Raises NetworkError.
    """
    firsts: dict[int, Address] = {}
    for text in targets:
        target = _address(text)
        firsts.setdefault(target.version, target)
    given = [ipaddress.ip_address(source) for source in expand_sources(source_ips)]
    mac = parse_mac(gateway_mac) if gateway_mac is not None else None
    with Netlink() as kernel:
        finder = _Finder(kernel, interface, mac, seconds)
        versions = sorted({*firsts, *(source.version for source in given)})
        if not versions:
            versions = [4] if finder.has_route(4) or not finder.has_route(6) else [6]
        for version in versions:
            finder.find(version, firsts.get(version), [one for one in given if one.version == version])
        return finder.network()


def expand_sources(items: Iterable[str], limit: int = MOST_SOURCES) -> tuple[str, ...]:
    """Every address of a list of addresses, prefixes and ranges ``first-last``, each once, in order.

    The first and last address of an IPv4 prefix shorter than /31 (network and broadcast) and the first of
    an IPv6 one (routers' anycast) are no host's, so no source's. Raises NetworkError.
    """
    found: dict[str, None] = {}
    for item in items:
        try:
            members, count = _members(item.strip())
        except ValueError:
            raise NetworkError(f"--source-ip: {item!r} is not an address, prefix or range") from None
        if len(found) + count > limit:
            raise NetworkError(f"--source-ip: {item!r} makes more than {limit} source addresses")
        found.update(dict.fromkeys(str(_plain(member)) for member in members))
    return tuple(found)


def parse_mac(text: str) -> bytes:
    """Six bytes of ``aa:bb:cc:dd:ee:ff`` or ``aa-bb-…``. Raises NetworkError."""
    parts = text.strip().replace("-", ":").split(":")
    digits = set("0123456789abcdefABCDEF")
    if len(parts) != 6 or not all(1 <= len(part) <= 2 and set(part) <= digits for part in parts):
        raise NetworkError(f"--gateway-mac: {text!r} is not a MAC address such as 02:00:5e:10:00:01")
    return bytes(int(part, 16) for part in parts)


class _Finder:
    """One search: the first family settles the link, which is kept for the second."""

    def __init__(self, kernel: Netlink, interface: str | None, mac: bytes | None, seconds: float) -> None:
        self._kernel = kernel
        self._seconds = seconds
        self._mac = mac
        self._named = interface is not None
        self._link = self._link_by_name(interface) if interface is not None else None
        self._sources: dict[int, tuple[str, ...]] = {}
        self._gateways: dict[int, Address | None] = {}
        self._macs: dict[int, bytes] = {}

    def has_route(self, version: int) -> bool:
        try:
            _lookup(self._kernel, ANYWHERE[version], self._link)
        except OSError:
            return False
        return True

    def find(self, version: int, target: Address | None, given: list[Address]) -> None:
        """Settle link, sources and gateway of one family. target: an address to be reached; given:
        sources.
        """
        route = self._route(version, target, given)
        link = self._choose_link(version, route, target, given)
        if given:
            self._sources[version] = tuple(map(str, given))
        else:
            self._sources[version] = (str(self._source(version, link, route)),)
        self._gateways[version] = route.gateway if route else None
        if self._mac is not None:
            self._macs[version] = self._mac
        elif link.loopback:
            self._macs[version] = NO_MAC
        else:
            self._macs[version] = self._resolve(version, link, route, target)

    def network(self) -> Network:
        """What has been found, when all families have been."""
        link = self._link
        assert link is not None
        gateways = {version: str(gateway) for version, gateway in self._gateways.items() if gateway}
        return Network(
            interface=link.name,
            index=link.index,
            mtu=link.mtu,
            loopback=link.loopback,
            own_mac=link.mac,
            source_v4=self._sources.get(4, ()),
            source_v6=self._sources.get(6, ()),
            gateway_v4=gateways.get(4),
            gateway_v6=gateways.get(6),
            gateway_mac_v4=self._macs.get(4),
            gateway_mac_v6=self._macs.get(6),
        )

    def _route(self, version: int, target: Address | None, given: list[Address]) -> _Route | None:
        goal = target or ANYWHERE[version]
        source = next((one for one in given if self._owns(one)), None)
        for origin in (source, None):  # policy routing may look at the source
            try:
                route = _lookup(self._kernel, goal, self._link, origin)
            except OSError:
                continue
            if route.here and self._link is not None and route.index != self._link.index:
                return None  # our own address, but the user or the other family chose another link
            return route
        return None

    def _choose_link(
        self, version: int, route: _Route | None, target: Address | None, given: list[Address]
    ) -> _Link:
        """The link to use, checked."""
        if self._link is None:
            if route is not None:
                link = self._link_by_index(route.index)
            else:
                link = self._link_without_route(version, target, given)
            self._link = link
        link = self._link
        if not link.flags & nl.IFF_UP:
            raise NetworkError(f"interface {link.name} is down: ip link set {link.name} up")
        if not link.flags & nl.IFF_RUNNING and not link.loopback:
            raise NetworkError(f"interface {link.name} has no carrier: is its cable in, or its other end up?")
        if link.kind not in (ETHERNET, LOOPBACK) or len(link.mac) != 6:
            raise NetworkError(f"interface {link.name} is not Ethernet: choose another with --interface")
        return link

    def _link_without_route(self, version: int, target: Address | None, given: list[Address]) -> _Link:
        """Where there is no route: the link that has the source address, or the only possible one."""
        holders = {index for index, _, address in self._addresses(version) if address in given}
        if not holders and target is None:
            holders = {index for index, _, _ in self._addresses(version)}
            holders = {index for index in holders if not self._link_by_index(index).loopback}
        if len(holders) != 1:
            where = f"to {target}" if target else "to the Internet"
            raise NetworkError(f"there is no IPv{version} route {where}: give --interface and --gateway-mac")
        return self._link_by_index(holders.pop())

    def _source(self, version: int, link: _Link, route: _Route | None) -> Address:
        if route is not None and route.source is not None and route.index == link.index:
            return route.source
        for index, scope, address in sorted(self._addresses(version), key=lambda one: one[1]):
            if index == link.index and (scope != nl.SCOPE_LINK or version == 4):
                return address
        raise NetworkError(f"interface {link.name} has no IPv{version} address: give --source-ip")

    def _resolve(self, version: int, link: _Link, route: _Route | None, target: Address | None) -> bytes:
        hop = (route.gateway if route else None) or target
        if hop is None:
            raise NetworkError(f"there is no IPv{version} gateway on {link.name}: give --gateway-mac")
        try:
            mac = neighbours.resolve(self._kernel, link.index, hop, self._seconds)
        except PermissionError:
            raise neighbours.NotAllowedError(
                f"finding the MAC of {hop} needs {rights.how_to_get('CAP_NET_ADMIN')}, or give --gateway-mac"
            ) from None
        if mac is None:
            what = f"the gateway {hop}" if route and route.gateway else f"{hop}, which is on the same link,"
            means = "ARP" if hop.version == 4 else "neighbour discovery"
            raise NetworkError(f"{what} does not answer {means} on {link.name}: give --gateway-mac")
        return mac

    def _addresses(self, version: int) -> list[tuple[int, int, Address]]:
        """(link, scope, address) of this host's addresses that can be used."""
        fixed = nl.ADDRESS.pack(_FAMILY[version], 0, 0, 0, 0)
        found = []
        for message in self._kernel.ask(nl.GETADDR, fixed, flags=nl.F_DUMP):
            family, _, flags, scope, index = message.fields
            packed = message.attributes.get(nl.IFA_LOCAL) or message.attributes.get(nl.IFA_ADDRESS)
            unfit = flags & (nl.IFA_F_DEPRECATED | nl.IFA_F_TENTATIVE)
            if family == _FAMILY[version] and packed and not unfit:
                found.append((index, scope, ipaddress.ip_address(packed)))
        return found

    def _owns(self, address: Address) -> bool:
        return any(address == own for _, _, own in self._addresses(address.version))

    def _link_by_name(self, name: str) -> _Link:
        try:
            return self._link_by_index(socket.if_nametoindex(name))
        except (OSError, ValueError):
            raise NetworkError(
                f"there is no network interface {name!r}: see ip link, or --interface"
            ) from None

    def _link_by_index(self, index: int) -> _Link:
        message = self._kernel.ask(nl.GETLINK, nl.LINK.pack(0, 0, index, 0, 0))[0]
        _, kind, index, flags, _ = message.fields
        attributes = message.attributes
        name = attributes[nl.IFLA_IFNAME].rstrip(b"\0").decode("utf-8", "replace")
        mtu = struct.unpack("=I", attributes[nl.IFLA_MTU])[0]
        return _Link(name, index, mtu, flags, kind, attributes.get(nl.IFLA_ADDRESS, b""))


def _lookup(
    kernel: Netlink, target: Address, link: _Link | None = None, source: Address | None = None
) -> _Route:
    """Ask the routing table. Raises OSError if it has no route."""
    attributes = {nl.RTA_DST: target.packed}
    bits = target.max_prefixlen
    if link is not None:
        attributes[nl.RTA_OIF] = struct.pack("=I", link.index)
    if source is not None:
        attributes[nl.RTA_SRC] = source.packed
    fixed = nl.ROUTE.pack(_FAMILY[target.version], bits, bits if source else 0, 0, 0, 0, 0, 0, 0)
    replies = kernel.ask(nl.GETROUTE, fixed, attributes)
    if not replies or nl.RTA_OIF not in replies[0].attributes:
        raise OSError(errno.ENETUNREACH, "no route")
    found, kind = replies[0].attributes, replies[0].fields[7]
    if kind not in (nl.RTN_UNICAST, nl.RTN_LOCAL):
        raise OSError(errno.ENETUNREACH, "no route")
    gateway = found.get(nl.RTA_GATEWAY) or found.get(nl.RTA_VIA, b"")[2:]
    origin = found.get(nl.RTA_PREFSRC)
    return _Route(
        index=struct.unpack("=I", found[nl.RTA_OIF])[0],
        gateway=ipaddress.ip_address(gateway) if gateway else None,
        source=ipaddress.ip_address(origin) if origin else None,
        here=kind == nl.RTN_LOCAL,
    )


def _address(text: str) -> Address:
    try:
        return _plain(ipaddress.ip_address(text.partition("%")[0]))
    except ValueError:
        raise NetworkError(f"{text!r} is not an IP address") from None


def _plain(address: Address) -> Address:
    """The address; of a v4-mapped one, the IPv4 address."""
    return (address.version == 6 and address.ipv4_mapped) or address


def _members(text: str) -> tuple[Iterable[Address], int]:
    """The addresses of one item, lazily, and how many there are. Raises ValueError."""
    first_text, dash, last_text = text.partition("-")
    if dash:
        first, last = ipaddress.ip_address(first_text), ipaddress.ip_address(last_text)
        if first.version != last.version or int(first) > int(last):
            raise ValueError(text)
        kind = type(first)
        return (kind(number) for number in range(int(first), int(last) + 1)), int(last) - int(first) + 1
    if "/" not in text:
        return [_plain(ipaddress.ip_address(text.partition("%")[0]))], 1
    network = ipaddress.ip_network(text, strict=False)
    return network.hosts(), network.num_addresses
