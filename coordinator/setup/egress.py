"""Where packets leave: interface, source addresses and ports, settled from the first targets."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from coordinator.guard.firewall import GuardError
from coordinator.guard.guard import Guard
from coordinator.input.intake import Intake
from coordinator.network.discover import Network
from coordinator.setup.departure import Departure, find_departure, first_of_each_family
from lzr import addresses
from lzr.errors import UsageError
from lzr.options.table import Options
from lzr.rows import Opening, Rows
from lzr.sourceports import DEFAULT_PORTS

_FILTER_ADDRESSES = 16  # addresses that a socket filter can name (`filters.socket_filter`)


class Egress(Struct, frozen=True):
    """ports: first and last of our source ports. own_v4: our addresses for the socket filter, where they are
    known and few; else empty, and any address is let in.
    """

    departure: Departure
    ports: tuple[int, int]
    own_v4: tuple[int, ...]

    @property
    def network(self) -> Network:
        return self.departure.network

    def title(self) -> str:
        """Interface and source addresses as the dashboard's header shows them."""
        texts = self.network.sources
        more = f" and {len(texts) - 2} more" if len(texts) > 2 else ""
        return f"via {self.network.interface} from {', '.join(texts[:2])}{more}"


def find(options: Options, first: Sequence[Rows], guard: Guard | None) -> Egress:
    """Find how packets to the first targets leave. first: TARGET rows.

    Raises UsageError; NoRouteError if none of them can be reached.
    """
    departure = find_departure(options, first, guard)
    return Egress(departure, _ports(options, first), _own_v4(options, departure))


def cover(guard: Guard, egress: Egress, intake: Intake, options: Options) -> None:
    """Make the guard cover the addresses and ports that we will send from, and no more than needed.

    Raises UsageError.
    """
    _, sources = first_of_each_family(intake.backlog)
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


def _own_v4(options: Options, departure: Departure) -> tuple[int, ...]:
    if not options.send_syns and not options.source_ips:
        return ()  # ZMap's lines say, one by one
    texts = departure.network.source_v4 if options.source_ips else departure.routing.possible_v4
    own = [addresses.parse(text)[1] & 0xFFFFFFFF for text in texts]
    return tuple(own) if len(own) <= _FILTER_ADDRESSES else ()
