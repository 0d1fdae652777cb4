"""Where packets leave: interface, source addresses and ports, settled from the first targets."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from coordinator.guard.guard import Guard, GuardError
from coordinator.input.intake import Intake
from coordinator.network import discover
from coordinator.network.discover import Network
from coordinator.network.neighbours import NetworkError
from lzr import addresses
from lzr.options.table import Options, UsageError
from lzr.rows import Opening
from lzr.sourceports import DEFAULT_PORTS

_FILTER_ADDRESSES = 16


@dataclass(frozen=True, slots=True)
class Egress:
    """ports: first and last of our source ports. own_v4: our addresses for the socket filter, where they are
    known and few; else any will do."""

    network: Network
    ports: tuple[int, int]
    own_v4: tuple[int, ...]

    def title(self) -> str:
        """For people."""
        texts = self.network.sources
        more = f" and {len(texts) - 2} more" if len(texts) > 2 else ""
        return f"via {self.network.interface} from {', '.join(texts[:2])}{more}"


def find(options: Options, intake: Intake) -> Egress:
    """How the first targets are reached. Raises UsageError."""
    net = _network(options, intake)
    return Egress(net, _ports(options, intake), _own_v4(options, net))


def cover(guard: Guard, egress: Egress, intake: Intake, options: Options) -> None:
    """See that the guard covers every address and port we will send from, and no more than it must.

    Raises UsageError.
    """
    _, sources = _first_of_each_family(intake)
    try:
        if egress.ports != guard.cover.ports:
            guard.settle(options.source_ips, egress.ports, options.guard, options.interface)
        if options.send_syns and not options.source_ips:
            guard.narrow(egress.network.sources)
        for address in sources:
            guard.extend(address)
    except GuardError as error:
        raise UsageError(str(error)) from error


def _network(options: Options, intake: Intake) -> Network:
    """Where packets leave. The family that the first targets are not of is looked for too, if it is there."""
    targets, sources = _first_of_each_family(intake)
    wanted: dict[str, Any] = {"interface": options.interface, "gateway_mac": options.gateway_mac}
    sources = list(options.source_ips or sources)
    try:
        if len(targets) == 1 and options.send_syns and not options.source_ips:
            other = "2001:503:ba3e::2:30" if ":" not in targets[0] else "198.41.0.4"  # only asked about
            try:
                return discover.discover([*targets, other], source_ips=sources, seconds=0.5, **wanted)
            except NetworkError:
                pass
        net = discover.discover(targets, source_ips=sources, **wanted)
        if options.source_ips:  # no other address than those, not of the other family either
            given = discover.expand_sources(options.source_ips)
            net = replace(
                net,
                source_v4=tuple(text for text in given if ":" not in text),
                source_v6=tuple(text for text in given if ":" in text),
            )
        return net
    except NetworkError as error:
        raise UsageError(str(error)) from error


def _ports(options: Options, intake: Intake) -> tuple[int, int]:
    """Our source ports: as given, or ZMap's, and those that its first lines name."""
    if options.source_port is not None:
        return options.source_port
    low, high = DEFAULT_PORTS
    for rows in intake.backlog:
        given = rows["own_port"][rows["syn"] != Opening.OURS]
        if len(given):
            low, high = min(low, int(given.min())), max(high, int(given.max()))
    return low, high


def _first_of_each_family(intake: Intake) -> tuple[list[str], list[str]]:
    """The first target of each family, and the addresses of ours that ZMap used for them."""
    targets, sources = [], []
    for rows in intake.backlog:
        v4 = (rows["peer_hi"] == 0) & (rows["peer_lo"] >> np.uint64(32) == 0xFFFF)
        for family in (True, False):
            found = np.flatnonzero(v4 == family)
            if len(found):
                row = rows[found[0]]
                targets.append(addresses.text(int(row["peer_hi"]), int(row["peer_lo"])))
                if row["own_lo"] or row["own_hi"]:
                    sources.append(addresses.text(int(row["own_hi"]), int(row["own_lo"])))
    return targets, sources


def _own_v4(options: Options, net: Network) -> tuple[int, ...]:
    if not options.send_syns and not options.source_ips:
        return ()  # ZMap's lines say, one by one
    own = [addresses.parse(text)[1] & 0xFFFFFFFF for text in net.source_v4]
    return tuple(own) if len(own) <= _FILTER_ADDRESSES else ()
