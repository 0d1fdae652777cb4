"""What has to be right on all boxes before any of them sends a packet: facts in, sentences out.

A box reports facts. They are judged here, side by side, since only together they show that two boxes have the
same address, for example. Facts come from other machines, so their types are checked.
"""

from __future__ import annotations

import contextlib
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from itertools import islice
from typing import Any

from lzr.fleet import rates
from lzr.fleet.lock import Lock
from lzr.fleet.plan import Box, Plan
from lzr.options import parse
from lzr.safetext import plain
from lzr.sourceports import DEFAULT_PORTS

MOST_OFFSET = 0.5
"""Seconds by which clocks may differ, since the times of records are compared."""
LEAST_ROOM = 256 << 20
"""Bytes that must be free where results are written. A judgement: half a million records."""
FRAME_BITS = (60 + 24) * 8
"""Bits on the wire for one target at least: a SYN in a frame, its preamble and the gap behind it."""
EVERYBODY = ""
"""In place of a box's name: the plan as a whole."""
_MOST_FINDINGS, _MOST_ADDRESSES = 100, 100_000


@dataclass(frozen=True)
class BoxFacts:
    """What a box tells of itself. Sums as in the lock; None, with `trouble`, where a file cannot be read.

    offset: seconds that its clock is ahead of the controller's, give or take `error`. addresses: its own,
    and the interface of each. control: its own address on the way to the controller, "" if unknown.
    ephemeral: the ports that its kernel takes for connections. room: bytes free for results, None if unknown.
    speed: bits a second of the plan's interface. findings: faults of `lzr doctor` there, a sentence each.
    others: its source addresses that another host on its link has, and the MAC of that, "" if unknown.
    """

    version: str
    id: str
    input_sha256: str | None = None
    blocklist_sha256: str | None = None
    trouble: str = ""
    offset: float = 0.0
    error: float = 0.0
    addresses: Mapping[str, str] = field(default_factory=dict)
    control: str = ""
    ephemeral: tuple[int, int] = (32768, 60999)
    room: int | None = None
    speed: int | None = None
    findings: tuple[str, ...] = ()
    others: Mapping[str, str] = field(default_factory=dict)


def of_plain(found: Mapping[str, Any], offset: float, error: float) -> BoxFacts:
    """The facts that a box has reported. offset, error: of its clock, as measured. Raises ValueError."""

    def text(key: str) -> str:
        value = found.get(key, "")
        if not isinstance(value, str):
            raise ValueError(f"{key} is no text")
        return plain(value, 500)

    def number(key: str) -> int | None:
        value = found.get(key)
        if value is not None and (type(value) is not int or not 0 <= value < 1 << 62):
            raise ValueError(f"{key} is no number")
        return value

    def texts(key: str, value: Any) -> dict[str, str]:
        if not isinstance(value, Mapping) or len(value) > _MOST_ADDRESSES:
            raise ValueError(f"{key} are none")
        if not all(isinstance(one, str) for pair in value.items() for one in pair):
            raise ValueError(f"{key} are none")
        return {plain(one, 64): plain(other, 32) for one, other in value.items()}

    findings, ports = found.get("findings"), found.get("ephemeral")
    if not isinstance(findings, (list, tuple)) or not all(isinstance(one, str) for one in findings):
        raise ValueError("findings are none")
    if not isinstance(ports, (list, tuple)) or len(ports) != 2 or not all(type(one) is int for one in ports):
        raise ValueError("ephemeral ports are none")
    return BoxFacts(
        text("version"),
        text("id"),
        text("input_sha256") or None,
        text("blocklist_sha256") or None,
        text("trouble"),
        offset,
        error,
        texts("addresses", found.get("addresses")),
        text("control"),
        (ports[0], ports[1]),
        number("room"),
        number("speed"),
        tuple(plain(one, 500) for one in findings[:_MOST_FINDINGS]),
        texts("others", found.get("others", {})),
    )


def judge(lock: Lock, facts: Mapping[str, BoxFacts]) -> dict[str, tuple[str, ...]]:
    """The faults of every box whose facts are known, each a sentence without the box's name; faults of the
    plan as a whole are under EVERYBODY. Boxes without a fault are left out.
    """
    held = _Held(facts)
    found = {name: tuple(_of_box(lock, lock.plan.box(name), facts, held)) for name in sorted(facts)}
    found[EVERYBODY] = tuple(_of_all(lock))
    return {name: faults for name, faults in found.items() if faults}


def unreachable(plan: Plan, box: str, why: str) -> str:
    """The fault of a box that is not connected. why: what else is known of it, or ""."""
    remedy = f"lzr fleet worker PLAN --box {box} has to run there, and reach that address"
    return f"is not connected to {plan.controller}: {remedy}{f' ({why})' if why else ''}"


class _Held:
    """The addresses of all boxes, so that those within a network are found without looking at each."""

    def __init__(self, facts: Mapping[str, BoxFacts]) -> None:
        found = []
        for name, one in facts.items():
            for text, interface in one.addresses.items():
                with contextlib.suppress(ValueError):
                    address = ip_address(text)
                    found.append(((address.version, int(address)), name, text, interface))
        self._found = sorted(found)

    def within(self, network: Any, box: str) -> Iterator[tuple[str, str, str]]:
        """(box, address, interface) of those of other boxes in a network."""
        first, last = ((network.version, int(network[at])) for at in (0, -1))
        for at in range(bisect_left(self._found, (first,)), len(self._found)):
            place, name, text, interface = self._found[at]
            if place > last:
                return
            if name != box:
                yield name, text, interface


def _of_box(lock: Lock, box: Box, facts: Mapping[str, BoxFacts], held: _Held) -> Iterator[str]:
    here = facts[box.name]
    if here.version != lock.version:
        yield f"has lzr {here.version}, and the plan was settled with {lock.version}"
    if here.id != lock.id:
        yield f"has another lock than the controller's ({here.id})"
    if here.trouble:
        yield here.trouble
    elif here.blocklist_sha256 != lock.blocklist_sha256:
        yield "its blocklist is not the one that was settled"
    elif here.input_sha256 != lock.input_sha256:
        yield f"its {lock.plan.input} is not the input that was settled"
    yield from _sources(box, here, held)
    yield from _channel(lock.plan, box, here)
    if abs(here.offset) - here.error > MOST_OFFSET:
        ahead = "ahead of" if here.offset > 0 else "behind"
        yield f"its clock is {abs(here.offset):.1f} s {ahead} the controller's; {MOST_OFFSET} s are the most"
    if here.room is not None and here.room < LEAST_ROOM:
        yield (
            f"has {here.room >> 20} MB left where results go, and {LEAST_ROOM >> 20} MB are the least; "
            "directory in the plan chooses another place"
        )
    share = dealt(lock).get(box.name, 0)
    if here.speed and share * FRAME_BITS > here.speed:
        yield (
            f"is dealt {share:,} targets a second, more than its link of {here.speed / 1e6:,.0f} Mbit/s "
            "takes; rate-cap bounds it"
        )
    yield from here.findings


def _sources(box: Box, here: BoxFacts, held: _Held) -> Iterator[str]:
    """Check that a box's source addresses are on its interface, and that no other host has them."""
    for source in box.source:
        network = ip_network(source)
        if network.num_addresses == 1:
            address = str(network.network_address)
            interface = here.addresses.get(address)
            if interface is None:
                has = ", ".join(sorted(filter(_usable, here.addresses))[:4])
                yield f"has no address {address}, its source in the plan (it has {has or 'none'})"
            elif box.interface is not None and interface != box.interface:
                yield f"has its source {address} on {interface}, and the plan says {box.interface}"
        for name, address, interface in islice(held.within(network, box.name), _MOST_FINDINGS):
            yield f"its source {address} is an address of {name} too ({interface} there)"
    for address, mac in sorted(here.others.items())[:_MOST_FINDINGS]:
        where = box.interface or here.addresses.get(address, "its link")
        if mac:
            yield f"its source {address} is another host's too: {mac} answers for it on {where}"
        else:
            yield f"its source {address} is another host's: its kernel has found that on {where}"


def _usable(address: str) -> bool:
    try:
        one = ip_address(address)
    except ValueError:
        return False
    return not (one.is_loopback or one.is_link_local)


def _within(address: str, network: Any) -> bool:
    try:
        one = ip_address(address)
    except ValueError:
        return False
    return one.version == network.version and one in network


def _channel(plan: Plan, box: Box, here: BoxFacts) -> Iterator[str]:
    """Check that --guard ingress does not drop the controller's packets: it drops all that come to the
    sources at the scan's ports.
    """
    options = parse.parse(list(plan.options))
    if options.guard != "ingress":
        return
    low, high = options.source_port or DEFAULT_PORTS
    for source in box.source:
        if not here.control or not _within(here.control, ip_network(source)):
            continue
        what = []
        if low <= box.port <= high:
            what.append(f"port {box.port} of its worker")
        if here.ephemeral[0] <= high and low <= here.ephemeral[1]:
            what.append(f"the ports of its connections ({here.ephemeral[0]} to {here.ephemeral[1]})")
        if what:
            yield (
                f"--guard ingress would cut it off: ports {low} to {high} of {here.control} are the scan's, "
                f"and {' and '.join(what)} there the controller's; give it an address of its own, or "
                "--source-port"
            )


def dealt(lock: Lock) -> Mapping[str, int]:
    """By box that has shards, its targets a second by the plan."""
    names = {run.box for run in lock.current}
    return rates.distribute(lock.plan.rate, _shares(lock.plan, names))


def _of_all(lock: Lock) -> Iterator[str]:
    names = {run.box for run in lock.current}
    most = rates.most(_shares(lock.plan, names))
    if most is not None and most < lock.plan.rate:
        yield f"the plan's rate is {lock.plan.rate:,}/s, and the caps of its boxes allow {most:,}/s together"


def _shares(plan: Plan, names: set[str]) -> list[rates.RateShare]:
    return [rates.RateShare(box.name, box.weight, box.rate_cap) for box in plan.boxes if box.name in names]
