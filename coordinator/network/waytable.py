"""Makes the table of ways for the workers from a survey of the kernel's routing, and describes the network in
words.
"""

from __future__ import annotations

import bisect

import numpy as np
from numpy.typing import NDArray

from coordinator.network.discover import NO_MAC, Network
from coordinator.network.gateways import Gateways
from coordinator.network.ownsources import OwnSources
from coordinator.network.survey import ANYWHERE, LOOPBACK, Address, Survey, address
from lzr import addresses
from lzr.packet import ways
from lzr.packet.ways import Way, WayKind, Ways


def make(survey: Survey, gateways: Gateways, own: OwnSources) -> Ways:
    """The way of every address: by the rings if one of their gateways is its next hop, else routed by the
    kernel.

    Packets get the source address that the kernel would choose, unless the user or ZMap has named ours of
    that family.
    """
    if not survey.complete:
        return ways.everywhere(WayKind.KERNEL)

    def way(first: int, last: int) -> Way:
        answer = survey.answers[bisect.bisect_right(survey.edges, first) - 1]
        if answer is None:
            return Way(survey.why(first + (last - first) // 2))
        source = (0, 0)
        if answer.source is not None and not any(one.version == answer.source.version for one in own.given):
            source = addresses.parse(str(answer.source))
        version = address(first).version
        by_ring = gateways.mac(version) is not None and gateways.are_next_hop(survey, answer, version)
        kind, link = (WayKind.RING, 0) if by_ring else (WayKind.KERNEL, answer.index)
        return Way(kind, source, max(answer.mtu, ways.LEAST_MTU), link, answer.by_port and not by_ring)

    return ways.make(survey.edges, way, Way(WayKind.RING, mtu=gateways.mtu))


def describe_network(
    survey: Survey, gateways: Gateways, own: OwnSources, counts: NDArray[np.int64]
) -> Network:
    """The network for people and metadata: the rings' link, or the one that most targets use.

    counts: (intervals,) the targets in each interval of the survey.
    """
    order = sorted(range(len(survey.answers)), key=lambda at: -int(counts[at]))
    hit = [survey.answers[at] for at in order if counts[at] and survey.answers[at] is not None]
    defaults = [survey.ask(ways.number(one.packed)) for one in ANYWHERE.values()]
    answers = [answer for answer in (*hit, *defaults) if answer is not None]
    link = gateways.link or (survey.links[answers[0].index] if answers else survey.links[1])
    found: dict[int, tuple[str, ...]] = {}
    for version in (4, 6):
        sources = [one for one in own.chosen or own.seen if one.version == version]
        if not sources and not own.chosen:
            best = [one.source for one in answers if one.source is not None and one.source.version == version]
            elsewhere = any(not one.is_loopback for one in best)
            sources = [one for one in best if not (one.is_loopback and elsewhere)][:1]
        found[version] = tuple(map(str, sources))
    hops = {version: str(gateway.hop) for version, gateway in gateways.by_version.items()}
    return Network(
        interface=link.name,
        index=link.index,
        mtu=link.mtu,
        loopback=link.kind == LOOPBACK,
        own_mac=link.mac if link.ethernet else NO_MAC,
        source_v4=found[4],
        source_v6=found[6],
        gateway_v4=hops.get(4),
        gateway_v6=hops.get(6),
        gateway_mac_v4=gateways.mac(4),
        gateway_mac_v6=gateways.mac(6),
    )


def describe_way(survey: Survey, gateways: Gateways, target: Address) -> str:
    """How packets to this address leave, for people; empty if they do not."""
    answer = survey.ask(ways.number(target.packed))
    if answer is None:
        return ""
    link = survey.links[answer.index].name
    if answer.local:
        return f"{target} is this host itself, by {link}"
    mac = gateways.mac(target.version)
    if mac is not None and gateways.are_next_hop(survey, answer, target.version):
        return f"to {target} by {link}; the gateway {answer.gateway} has {mac.hex(':')}"
    hop = f"by way of {answer.gateway}" if answer.gateway else "on the same link"
    return f"to {target} by {link}, {hop}; the kernel routes these packets one by one"


def why_none(survey: Survey, target: Address | None, interface: str | None = None) -> str:
    """Why none of the targets can be reached, for the user. target: the first of them, None if there is
    none. interface: the user's choice."""
    if target is None:
        return "there is no IPv4 route to the Internet: give --interface and --gateway-mac"
    why = survey.why(ways.number(target.packed))
    route = f"there is no IPv{target.version} route to {target}"
    if why == WayKind.REFUSED:
        return f"a route of this host refuses {target} (unreachable, prohibit or blackhole): see ip route"
    if why == WayKind.NOBODY:
        return f"{target} is no host's address (multicast, broadcast or reserved)"
    if why == WayKind.NO_ADDRESS and interface is not None:
        # As the port of a bridge or a bond, whose addresses are the bridge's.
        return f"{route} by {interface}: it has no address of that family to send from (see ip address)"
    if why == WayKind.NO_ADDRESS:
        return f"{route}, and this host has no address of that family"
    return f"{route}: give --interface and --gateway-mac"
