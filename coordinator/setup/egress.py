"""How packets leave (interface, source addresses and ports, routes): settled from the first targets, then
kept up to date while the scan runs.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from coordinator.guard.firewall import GuardError
from coordinator.guard.guard import Guard
from coordinator.input.intake import Intake
from coordinator.network import discover
from coordinator.network.discover import Network
from coordinator.network.neighbours import NetworkError, NoRouteError
from coordinator.network.netlink import Netlink
from coordinator.network.routing import Routing
from lzr import addresses
from lzr.errors import UsageError
from lzr.ipc import messages
from lzr.options.table import Options
from lzr.packet.bpfprograms import MOST_LINKS
from lzr.rows import Opening, Rows
from lzr.sourceports import DEFAULT_PORTS

_FILTER_ADDRESSES = 16  # addresses that a socket filter can name (`bpfprograms.socket_filter`)


class SourcesInUse:
    """Our addresses that packets leave from: each is covered by the guard before it is used.

    heard: our IPv4 addresses, as numbers, that the sockets let answers in to; empty for all. losses: by what
    they are about, sentences on why results are missing, to be taken from there.
    """

    def __init__(self, guard: Guard | None, notes: list[str]) -> None:
        """notes: sentences for the user are added to it."""
        self.heard: frozenset[int] = frozenset()
        self.losses: dict[str, str] = {}
        self._guard, self._notes = guard, notes

    def add(self, source: str) -> None:
        """Extend the guard to one more address of ours, or tell the user that this failed."""
        if self._guard is not None:
            try:
                self._guard.extend(source)
            except GuardError as error:
                self._notes.append(
                    f"the kernel cannot be kept from resetting connections of {source}: {error}"
                )
        if self.heard and ":" not in source and addresses.parse(source)[1] & 0xFFFFFFFF not in self.heard:
            self.losses["source"] = _unheard(source)


class RoutesInUse:
    """routing: the ways of all targets. sources: our addresses that packets leave from."""

    def __init__(self, routing: Routing, sources: SourcesInUse, notes: list[str]) -> None:
        """notes: sentences for the user are added to it."""
        self.routing = routing
        self.notes = notes
        self.losses = sources.losses
        self._sources = sources
        self._links: tuple[int, ...] = ()
        self._said: set[str] = set()  # links that are not listened on

    @property
    def network(self) -> Network:
        assert self.routing.network is not None
        return self.routing.network

    @property
    def links(self) -> tuple[int, ...]:
        """Links on which answers are listened for, by index: the rings' first; as many as a filter can
        name.
        """
        found = sorted(self.routing.listening, key=lambda index: index != self.network.index)
        return tuple(found[:MOST_LINKS]) or (self.network.index,)

    def started(self, own_v4: tuple[int, ...], links: tuple[int, ...]) -> None:
        """Note what the sockets let in, which is fixed once they are open.

        own_v4: our addresses that they hear, empty for all. links: on which they listen.
        """
        self._sources.heard, self._links = frozenset(own_v4), links
        deaf = self._unlistened()
        if deaf:
            self._said.update(deaf)
            self.notes.append(
                f"answers that come by {', '.join(deaf)} are not heard: so many interfaces cannot be "
                "listened to; choose one with --interface"
            )

    def _unlistened(self) -> list[str]:
        """Names of links in use on which the sockets do not listen, because they came up later."""
        late = sorted(set(self.routing.listening) - set(self._links))
        return [self.routing.name_of(index) for index in late if index < max(self._links)]

    def order(self) -> messages.Routes:
        """The ways as a message to a worker."""
        return self.routing.order()

    def look(self, now: float) -> messages.Routes | None:
        """The ways as a message to all workers if they have changed, else None. now: monotonic seconds."""
        changed = self.routing.update(now) or self.routing.changed
        self.routing.changed = False
        if changed and self._links:
            deaf = [name for name in self._unlistened() if name not in self._said]
            if deaf:  # whether anybody answers by it is not known: no loss yet
                self._said.update(deaf)
                self.notes.append(_deaf(deaf))
        self.losses.update(self.routing.take_losses())
        return self.routing.order() if changed else None


def _unheard(address: str) -> str:
    return (
        f"{address} became an address of this host while the scan runs, and packets leave from it now: "
        "answers to it are not heard; start the scan again for the targets without an answer"
    )


def _deaf(names: Iterable[str]) -> str:
    return (
        f"{', '.join(names)} came into use while the scan runs: answers that come by it are not heard; "
        "bring interfaces up before a scan"
    )


class Egress(Struct, frozen=True):
    """ports: first and last of our source ports. own_v4: our addresses for the socket filter, where they are
    known and few; else empty, and any address is let in.
    """

    routes: RoutesInUse
    ports: tuple[int, int]
    own_v4: tuple[int, ...]

    @property
    def network(self) -> Network:
        return self.routes.network

    def title(self) -> str:
        """Interface and source addresses as the dashboard's header shows them."""
        texts = self.network.sources
        more = f" and {len(texts) - 2} more" if len(texts) > 2 else ""
        return f"via {self.network.interface} from {', '.join(texts[:2])}{more}"


def find(options: Options, first: Sequence[Rows], guard: Guard | None) -> Egress:
    """Find how packets to the first targets leave. first: TARGET rows.

    Raises UsageError; NoRouteError if none of them can be reached.
    """
    routes = _find_routes(options, first, guard)
    return Egress(routes, _ports(options, first), _own_v4(options, routes))


def cover(guard: Guard, egress: Egress, intake: Intake, options: Options) -> None:
    """Make the guard cover the addresses and ports that we will send from, and no more than needed.

    Raises UsageError.
    """
    _, sources = _first_of_each_family(intake.backlog)
    try:
        if egress.ports != guard.cover.ports:
            guard.change(options.source_ips, egress.ports, options.guard, options.interface)
        if options.send_syns and not options.source_ips:
            guard.narrow(egress.network.sources)
        for address in sources:
            guard.extend(address)
    except GuardError as error:
        raise UsageError(str(error)) from error


def _ports(options: Options, first: Sequence[Rows]) -> tuple[int, int]:
    """Our source ports: as given, or ZMap's default, with those that its first lines name."""
    if options.source_port is not None:
        return options.source_port
    low, high = DEFAULT_PORTS
    for rows in first:
        given = rows["own_port"][rows["syn"] != Opening.OURS]
        if len(given):
            low, high = min(low, int(given.min())), max(high, int(given.max()))
    return low, high


def _own_v4(options: Options, routes: RoutesInUse) -> tuple[int, ...]:
    if not options.send_syns and not options.source_ips:
        return ()  # ZMap's lines say, one by one
    texts = routes.network.source_v4 if options.source_ips else routes.routing.possible_v4
    own = [addresses.parse(text)[1] & 0xFFFFFFFF for text in texts]
    return tuple(own) if len(own) <= _FILTER_ADDRESSES else ()


def _find_routes(options: Options, backlog: Iterable[Rows], guard: Guard | None) -> RoutesInUse:
    """Find how packets to the first targets leave. Raises UsageError; NoRouteError if none can be reached."""
    rows, notes = list(backlog), list[str]()
    sources = SourcesInUse(guard, notes)
    try:
        given = discover.expand_sources(options.source_ips)
        routing = Routing(
            Netlink(),
            options.interface,
            given,
            notes.append,
            options.source_port or DEFAULT_PORTS,
            sources.add,
        )
    except NetworkError as error:
        raise UsageError(str(error)) from error
    except OSError as error:
        raise UsageError(f"the kernel does not tell its routes: {error.strerror}") from error
    try:
        if options.gateway_mac is not None:
            routing.fix(_given(options, rows))
        else:
            routing.choose_link(rows)
    except NetworkError as error:
        routing.close()
        if isinstance(error, NoRouteError):
            raise
        raise UsageError(str(error)) from error
    if given and options.gateway_mac is None:
        routing.network = _only_from(given, routing.network)
    return RoutesInUse(routing, sources, notes)


def _given(options: Options, rows: list[Rows]) -> Network:
    """How packets leave where the user has said it for all. A family without an address here is left out."""
    targets, sources = _first_of_each_family(rows)
    origins = list(options.source_ips or sources)
    net = None
    failure: NetworkError | None = None
    for wanted in (targets, *([one] for one in targets if len(targets) > 1)):
        try:
            net = discover.discover(
                wanted, interface=options.interface, gateway_mac=options.gateway_mac, source_ips=origins
            )
            break
        except NetworkError as error:
            failure = failure or error
    if net is None:
        assert failure is not None
        raise failure
    # No other address than those, not of the other family either.
    return _only_from(discover.expand_sources(options.source_ips), net) if options.source_ips else net


def _only_from(given: Iterable[str], net: Network | None) -> Network:
    assert net is not None
    v4, v6 = (tuple(text for text in given if (":" in text) == six) for six in (False, True))
    return replace(net, source_v4=v4, source_v6=v6)


def _first_of_each_family(backlog: Iterable[Rows]) -> tuple[list[str], list[str]]:
    """The first target of each family, and the addresses of ours that ZMap used for them."""
    targets: dict[bool, str] = {}
    sources: dict[bool, str] = {}
    for rows, family in itertools.product(backlog, (True, False)):
        v4 = (rows["peer_hi"] == 0) & (rows["peer_lo"] >> np.uint64(32) == 0xFFFF)
        found = np.flatnonzero(v4 == family)
        if len(found):
            row = rows[found[0]]
            targets.setdefault(family, addresses.text(int(row["peer_hi"]), int(row["peer_lo"])))
        taken = np.flatnonzero((v4 == family) & (rows["syn"] != Opening.OURS))
        if len(taken):
            row = rows[taken[0]]
            sources.setdefault(family, addresses.text(int(row["own_hi"]), int(row["own_lo"])))
    return list(targets.values()), list(sources.values())
