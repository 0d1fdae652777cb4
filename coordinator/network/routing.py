"""Keeps up to date how packets to each target leave: settled at the start, changed with the kernel's routing.

Most targets of most scans lie behind one gateway, on an Ethernet link: these packets leave by the rings, to
the gateway's MAC (`gateways`). All others (neighbours on a link, another gateway or interface, tunnels, this
host itself) are left to the kernel, by raw IP sockets: it finds link, next hop and neighbour, and knows the
policy rules. A target without a route is counted as unroutable, wherever in the input it stands.

`survey` asks the kernel what it would do; `waytable` makes the table that the workers use; `ownsources` knows
our addresses. Netlink reports changes of MACs, routes, addresses and links: `update` takes them up, and
`disruptions` says what they cost.
"""

from __future__ import annotations

import contextlib
import ipaddress
import math
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from coordinator.network import neighbours, waytable
from coordinator.network import netlink as nl
from coordinator.network.chosenlink import ChosenLink
from coordinator.network.discover import NO_MAC, Network
from coordinator.network.disruptions import Disruptions
from coordinator.network.gateways import LOOKUPS, Gateway, Gateways, SilentGatewayError
from coordinator.network.neighbours import NetworkError, NoRouteError
from coordinator.network.netlink import Netlink
from coordinator.network.ownsources import OwnSources
from coordinator.network.portrules import PortsUsed
from coordinator.network.survey import (
    ANYWHERE,
    LOOPBACK,
    MOST_SOURCES,
    Address,
    Hardware,
    Survey,
    address,
    links,
    own_addresses,
    settle,
)
from lzr import addresses
from lzr.ipc import messages
from lzr.packet import ways
from lzr.packet.ways import WayKind, Ways
from lzr.rows import TARGET, Rows
from lzr.sourceports import DEFAULT_PORTS
from lzr.targets.screen import Overview

_GATHER, _APART = 0.05, 0.25
"""Seconds waited after a change for others that come with it, and at least between two surveys. A judgement:
`ip` and routing daemons make several changes within milliseconds, and a survey takes 3 ms of processor time
on a host with two routes, 90 ms on one with 1,000. A change takes effect that much later."""
_SHARE = 20
"""The next survey waits at least so many times as long as the last one took. A judgement: a router with many
routes hears of changes all day; following them takes 5 % of a core."""
_CONFIRM = 2.0
"""Seconds between two questions to a gateway. A judgement: one ARP request in two seconds is nothing beside a
scan; with `presence.OVERDUE` the loss of a gateway is known within 4.5 s."""
_MOST_SILENT = 1 << 16
"""Most hosts without an answer to ARP that are kept; more are not counted, so that memory is bounded."""


class Routing:
    """The ways of all targets. They change only in `admit` and `update`.

    chosen: the user's interface. ways: the table. changed: it has changed by what `admit` was given; to be
    set to False by who tells the workers. network: the rings' link and what is behind it, for people. silent:
    hosts of our own links, or gateways, that have not answered the kernel's question for their MAC.
    """

    def __init__(
        self,
        kernel: Netlink,
        interface: str | None,
        sources: Iterable[str],
        say: Callable[[str], None],
        own_ports: tuple[int, int] = DEFAULT_PORTS,
        cover: Callable[[str], None] | None = None,
    ) -> None:
        """interface, sources: what the user has chosen. say: takes a sentence for the user.

        own_ports: the first and the last of those that our connections leave from. cover: called with each
        address of ours that comes into use, before a packet leaves from it.
        """
        self._kernel = kernel
        self._news = Netlink(nl.GROUP_LINKS | nl.GROUP_NEIGHBOURS | nl.GROUP_ROUTES)
        self.chosen = ChosenLink(interface)
        self._own = OwnSources(sources)
        self._ports = PortsUsed(own_ports)
        self._by_port = False  # rules look at ports, or did
        self._cover = cover
        self._survey = Survey(kernel, (), None)
        self._gateways = Gateways(kernel, say)
        self._disruptions = Disruptions(say)
        self._survey_at: float | None = None  # when to look again at routes that have changed
        self._surveyed, self._apart = 0.0, _APART
        self._confirm_at = 0.0
        self._awaited = False  # addresses that this host is about to have
        self._fixed = False  # the user has said where all packets go
        self.silent: set[Address] = set()
        self.ways: Ways = ways.everywhere()
        self.changed = False
        self.network: Network | None = None

    def close(self) -> None:
        self._news.close()
        self._kernel.close()

    def fileno(self) -> int:
        """Becomes readable when `update` has something to do."""
        return self._news.fileno()

    # --- the start -----------------------------------------------------------------------------------------

    def choose_link(self, backlog: Iterable[Rows]) -> None:
        """Choose the rings' link for the first targets (TARGET rows), and ask its gateway for its MAC.

        Raises NetworkError; NoRouteError if none of these targets can be reached.
        """
        rows = list(backlog)
        self._own.note_seen(rows)
        self._take_survey()
        for each in rows:
            self._ports.note(each, self._survey.port_bounds)
        if self._ports.pairs:
            self._take_survey()
        counts = self._choose_gateways(rows)
        self.ways = waytable.make(self._survey, self._gateways, self._own)
        self.network = waytable.describe_network(self._survey, self._gateways, self._own, counts)

    def _choose_gateways(self, rows: Sequence[Rows]) -> NDArray[np.int64]:
        """Choose the gateways, and ask for their MACs; returns (intervals,) the targets in each interval. Of
        a route with several the silent are passed over, as by the kernel. Raises NetworkError, NoRouteError.
        """
        while True:
            counts, reached = self._count(rows)
            if self._await_addresses(counts):
                continue
            if not reached:
                raise NoRouteError(waytable.why_none(self._survey, _first(rows), self.chosen.name))
            if not self._survey.complete:
                return counts  # the kernel routes all
            self._gateways.choose(self._survey, counts)
            try:
                self._gateways.ask(self._survey, reached)
                return counts
            except SilentGatewayError:
                for _ in range(LOOKUPS):
                    self._take_survey()
                    if self._gateways.is_there_another(self._survey, self._count(rows)[1]):
                        break
                else:
                    raise

    def _await_addresses(self, counts: NDArray[np.int64]) -> bool:
        """Wait, once, for addresses that this host is about to have, if targets (`_count`) lack nothing else;
        returns whether the kernel was asked anew.
        """
        if self._awaited or not self._survey.lacks_address(np.flatnonzero(counts).tolist()):
            return False
        self._awaited = True
        waited = settle(self._kernel)
        if waited:
            self._take_survey()
        return waited

    def _count(self, rows: Sequence[Rows]) -> tuple[NDArray[np.int64], list[int]]:
        """(intervals,) the TARGET rows in each interval of the survey, and the intervals that hold some
        and have a way.
        """
        survey = self._survey
        counts = np.zeros(len(survey.edges), np.int64)
        for each in rows:
            counts += np.bincount(ways.place(each, survey.edges), minlength=len(counts))
        held = np.flatnonzero(counts).tolist()
        return counts, [at for at in held if not survey.complete or survey.answers[at]]

    def fix(self, network: Network) -> None:
        """Send every packet as the user has said; routes are not followed."""
        self._fixed = True
        self.network = network
        self._gateways.link = self._survey.links[network.index]
        for version, mac in ((4, network.gateway_mac_v4), (6, network.gateway_mac_v6)):
            if mac is not None:
                self._gateways.by_version[version] = Gateway(ANYWHERE[version], network.mtu, mac)
        self.ways = ways.everywhere(mtu=network.mtu)

    def _take_survey(self) -> None:
        """Ask the kernel anew. Raises NetworkError where the user's interface cannot be used at the start."""
        self.chosen.find(self._kernel, usable=self.network is None)
        given = self._own.given[:MOST_SOURCES]
        survey = Survey(self._kernel, given, self.chosen.index, self._ports.pairs)
        self._note_disruptions(survey.links, survey.addresses)
        self._survey = survey
        self._by_port = any(survey.port_bounds) or bool(self._ports.pairs)

    def _note_disruptions(self, hardware: Mapping[int, Hardware], own: Collection[Address]) -> None:
        used = (*(self.network.sources if self.network else ()), *self._own.used, *map(str, self._own.seen))
        self._disruptions.note_links(self._survey, hardware, self._gateways.link)
        self._disruptions.note_addresses(self._survey, own, used)

    # --- targets -------------------------------------------------------------------------------------------

    def admit(self, rows: Rows, seen: Overview) -> NDArray[np.uint8] | None:
        """The `WayKind` of each TARGET row, (n,), or None where all can be reached; rows that we open
        connections for get their source address. seen: their overview.
        """
        if self._fixed:
            return None
        usual = self._own.names(seen.own)
        new = not usual and self._own.note_seen([rows])
        if self._by_port:
            new |= self._ports.note(rows, self._survey.port_bounds)
        if new:
            self._take_new_survey()
        codes = self.ways.of(rows)
        if usual and (code := ways.only(codes)) in self.ways.leading and self._own.takes(code):
            return None  # as nearly all batches of ZMap's: there is nothing in it to be noted
        self._disruptions.note_unreached(rows, codes, self.ways)
        ways.sources(rows, codes, self.ways)
        known = self.network.sources if self.network else ()
        fresh, used = self._own.note_used(codes, self.ways, known)
        self._disruptions.note_used(fresh, rows, codes, self.ways)
        if self._cover is not None:
            for source in used:
                self._cover(source)
        kinds: NDArray[np.uint8] = self.ways.ways["kind"][codes]
        return kinds

    def _take_new_survey(self) -> None:
        """Ask the kernel about packets from one more address, or port, of ours."""
        before = self._survey
        try:
            self._take_survey()
            self.ways = waytable.make(self._survey, self._gateways, self._own)
        except (OSError, NetworkError):  # in the midst of a change: the interface is down just now
            self._survey, self._survey_at = before, 0.0
            return
        self.changed = True
        self._disruptions.begin(self.ways)

    def describe(self, target: Address) -> str:
        """How packets to this address leave, for people; empty if they do not."""
        return waytable.describe_way(self._survey, self._gateways, target)

    @property
    def possible_v4(self) -> list[str]:
        """The IPv4 source addresses of all ways."""
        table = self.ways.ways
        halves = {
            (int(way["source_hi"]), int(way["source_lo"])) for way in table if way["kind"] < WayKind.NONE
        }
        found = {addresses.text(*each) for each in halves if addresses.is_v4(*each)}
        return sorted(found | set(self.network.source_v4 if self.network else ()))

    @property
    def listening(self) -> list[int]:
        """Links on which answers may come, by index; the loopback too, as this host may be a later target."""
        found = self._survey.listening()
        return found + [one.index for one in self._survey.links.values() if one.kind == LOOPBACK and one.up]

    def name_of(self, index: int) -> str:
        """A link's name."""
        return self._survey.links[index].name

    # --- while the scan runs -------------------------------------------------------------------------------

    def order(self) -> messages.Routes:
        """The ways as a message for the workers."""
        link = self._gateways.link
        return messages.Routes(
            link=link.index if link is not None else 0,
            own_mac=link.mac if link is not None else NO_MAC,
            gateway_v4=self._gateways.mac(4) or NO_MAC,
            gateway_v6=self._gateways.mac(6) or NO_MAC,
            mtu=int(self.ways.ways["mtu"][0]),
            intervals=self.ways.intervals,
            ways=self.ways.ways,
        )

    def wait(self, now: float) -> float:
        """Seconds until `update` has something to do by itself; infinity where the user has said how packets
        leave.
        """
        dues = [math.inf if self._fixed else self._confirm_at, self._gateways.due]
        if self._survey_at is not None:
            dues.append(self._survey_at)
        return max(0.0, min(dues) - now)

    def update(self, now: float) -> bool:
        """Take up changes; returns whether the workers have to be told. now: monotonic seconds."""
        changed = False
        for kind, message in self._news.arrived():
            if kind in (nl.NEWNEIGH, nl.DELNEIGH):
                if kind == nl.NEWNEIGH and message is not None and not self._fixed:
                    changed |= self._take_neighbour(message)
                continue
            if kind == nl.NEWLINK and message is not None:
                self._disruptions.note_news(message, self._survey, self._gateways.link)
            if self._survey_at is None:
                self._survey_at = max(now + _GATHER, self._surveyed + self._apart)
        if self._survey_at is not None and now >= self._survey_at:
            self._survey_at, self._surveyed = None, now
            begun = time.monotonic()
            changed |= self._survey_again()
            self._apart = max(_APART, _SHARE * (time.monotonic() - begun))
        if now >= self._confirm_at and not self._fixed:
            self._confirm_at = now + _CONFIRM
            changed |= self._remade(self._gateways.confirm(now))
        self._gateways.miss(now)
        return changed

    def take_losses(self) -> dict[str, str]:
        """Why results may be missing, by subject; each sentence is returned once."""
        losses = {**self._gateways.losses, **self._disruptions.losses}
        self._gateways.losses, self._disruptions.losses = {}, {}
        return losses

    def _remade(self, changed: bool) -> bool:
        """Make the table anew where a gateway's MAC has changed; it may be the first that is known, and the
        kernel then takes that gateway for more.
        """
        if changed:
            if self._survey_at is None:
                self._survey_at = self._surveyed + self._apart
            self.ways = waytable.make(self._survey, self._gateways, self._own)
        return changed

    def _take_neighbour(self, message: nl.NetlinkMessage) -> bool:
        failed = bool(message.fields[2] & nl.NUD_FAILED)
        is_gateway, changed = self._gateways.take_news(message, failed=failed)
        if is_gateway:
            if failed and not message.by:
                # The kernel may have another for the same route, and takes it now (RFC 4861 §6.3.6) without
                # a word. Ours is asked again after that: while it is asked, the kernel takes it to be there.
                self._confirm_at = self._survey_at = self._surveyed + self._apart
            elif failed:  # somebody has emptied the table: ask again
                self._confirm_at = 0.0
            return self._remade(changed)
        known = neighbours.known_mac(message) is not None
        failed = failed and not message.by  # else somebody has emptied the table
        self._note_silence(message.attributes.get(nl.NDA_DST, b""), failed=failed, known=known)
        return False

    def _note_silence(self, packed: bytes, *, failed: bool, known: bool) -> None:
        """Keep a host that did not answer ARP or neighbour discovery, if packets of ours may go to it."""
        if len(packed) not in (4, 16):
            return
        hop = ipaddress.ip_address(packed)
        if known:
            self.silent.discard(hop)
        elif failed and len(self.silent) < _MOST_SILENT:
            row = np.zeros(1, TARGET)
            row["peer_hi"], row["peer_lo"] = addresses.parse(str(hop))
            if self.ways.kinds(row)[0] == WayKind.KERNEL:
                self.silent.add(hop)

    def _survey_again(self) -> bool:
        """Routes, addresses or links have changed: make the table anew; returns whether it differs."""
        survey = self._survey
        if self._fixed or not survey.complete:
            with contextlib.suppress(OSError):
                hardware, own = links(self._kernel), own_addresses(self._kernel)
                self._note_disruptions(hardware, own)
                survey.links, survey.addresses = hardware, own
            return False
        before, table = self.order(), self.ways
        old = self._gateways.link, dict(self._gateways.by_version)
        try:
            self._take_survey()
            self._gateways.follow(self._survey)
            self.ways = waytable.make(self._survey, self._gateways, self._own)
        except (OSError, NetworkError):
            self._survey = survey  # in the midst of a change: the next news will come
            self._gateways.link, self._gateways.by_version = old
            return False
        if _same(before, self.order()):
            return False
        self._disruptions.note_table(table, self.ways)
        self._own.forget_ways()
        return True


def _same(one: messages.Routes, other: messages.Routes) -> bool:
    plain = ("link", "own_mac", "gateway_v4", "gateway_v6", "mtu")
    return all(getattr(one, name) == getattr(other, name) for name in plain) and all(
        getattr(one, name).tobytes() == getattr(other, name).tobytes() for name in ("intervals", "ways")
    )


def _first(backlog: Sequence[Rows]) -> Address | None:
    for rows in backlog:
        if len(rows):
            return address(int(rows["peer_hi"][0]) << 64 | int(rows["peer_lo"][0]))
    return None
