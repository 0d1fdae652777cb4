"""Checks that try things out, for `lzr doctor`: the route to a target, the guard, the rings.

They do what a scan does, by the same functions, and undo it before the finding is returned. The only packets
are the kernel's own question for the MAC of the next hop, and connections of this host to itself.
"""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import os
import select
import socket
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from msgspec.structs import replace

from coordinator.doctor.checks import FAULT, NOTE, OK, WARNING, Finding, ScanNeeds
from coordinator.guard import guard
from coordinator.guard.firewall import GuardError
from coordinator.guard.guard import Guard
from coordinator.network import discover
from coordinator.network.discover import Network
from coordinator.network.neighbours import NetworkError, NoRouteError, NotAllowedError
from coordinator.network.netlink import Netlink
from coordinator.network.ownsources import is_own
from coordinator.network.raw_sockets import SocketError, close_shards, open_shards
from coordinator.network.routing import Routing
from coordinator.network.survey import ANYWHERE, Address
from coordinator.processes import rights
from lzr import addresses
from lzr.options.table import Options
from lzr.rows import TARGET, Opening
from lzr.secrets import Secrets

TIMEOUT = 0.5
"""Seconds in which the kernel refuses a connection of this host to itself, if it does."""
BRIDGES = Path("/proc/sys/net/bridge")


_OWN = ("127.0.0.1", "::1")
_ANY = 65535  # a port for a guard that is not tried


def route(options: Options, target: str | None) -> tuple[Finding, Network | None]:
    """The way to a target (None: the Internet), with the next hop asked for its MAC."""
    try:
        if options.gateway_mac is not None:
            return _given(options, target)
        given = discover.expand_sources(options.source_ips)
        routing = Routing(Netlink(), options.interface, given, lambda sentence: None)
        try:
            goal = _look_up(routing, target)
            net = routing.network
            assert net is not None
            if given:
                v4, v6 = (tuple(text for text in given if (":" in text) == six) for six in (False, True))
                net = replace(net, source_v4=v4, source_v6=v6)
            return Finding("route", OK, routing.describe(goal)), net
        finally:
            routing.close()
    except NetworkError as error:
        # Who is told that a scan needs root is told once.
        told = isinstance(error, NotAllowedError) and rights.why_not_root_enough(
            guarded=options.guard != "none"
        )
        return Finding("route", NOTE if told else FAULT, str(error)), None


def _look_up(routing: Routing, target: str | None) -> Address:
    """Look up the route to the target, or to the Internet; returns the address that was looked up."""
    goals = [ipaddress.ip_address(target)] if target is not None else list(ANYWHERE.values())
    trouble: NetworkError | None = None
    for goal in goals:
        row = np.zeros(1, TARGET)
        row["peer_hi"], row["peer_lo"] = addresses.parse(str(goal))
        row["syn"] = Opening.OURS
        try:
            routing.choose_link([row])
            return goal
        except NoRouteError as error:
            trouble = trouble or error
    assert trouble is not None
    if target is None:
        raise NoRouteError("there is no route to the Internet: give --interface and --gateway-mac")
    raise trouble


def _given(options: Options, target: str | None) -> tuple[Finding, Network]:
    net = discover.discover(
        [] if target is None else [target],
        interface=options.interface,
        source_ips=options.source_ips,
        gateway_mac=options.gateway_mac,
    )
    goal, mac = target or "the Internet", net.gateway_mac.hex(":")
    if net.loopback:
        return Finding("route", OK, f"{goal} is this host itself, by {net.interface}"), net
    return Finding("route", OK, f"to {goal} by {net.interface} and {mac}, as given"), net


def guarding(
    options: Options, wanted: ScanNeeds, put_up: Callable[..., Guard] = guard.put_up, bridges: Path = BRIDGES
) -> Finding:
    """Put a guard up over one port of ours, see that the kernel keeps quiet there, and take it away."""
    if options.guard == "none":
        return Finding("guard", WARNING, "none is wanted, so the kernel resets what it does not know")
    address = next((text for text in (*wanted.sources, *_OWN) if is_own(text)), _OWN[0])
    port = _free_port(address)
    try:
        before = refused(address, port)
        with put_up([address], (port, port), options.guard, options.interface) as standing:
            after = refused(address, port)
            seen = standing.status()
            ways = " and ".join(standing.ways)
            notes = [note for note in standing.notes if "fall" in note]
    except GuardError as error:
        level = WARNING if options.without_guard else FAULT
        return Finding("guard", level, str(error))
    if seen is None:
        return Finding("guard", FAULT, "the rule was gone at once: something else sets this host's firewall")
    if after:
        sentence = f"the rule stands, and the kernel resets all the same (at {address}:{port})"
        return Finding("guard", FAULT, sentence, "look for rules that accept before it: nft list ruleset")
    bridged = _bridged(bridges)
    if not before:
        sentence = f"{seen.tool} takes the rule; {address} refuses no connection anyway, so it was not tried"
        return Finding("guard", OK, sentence, bridged)
    sentence = f"{seen.tool} keeps the kernel quiet ({ways}; tried at {address}:{port})"
    return Finding("guard", WARNING if notes else OK, "; ".join([sentence, *notes]), bridged)


def refused(address: str, port: int, timeout: float = TIMEOUT) -> bool:
    """Whether a connection of this host to its own closed port is reset within so many seconds."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as sock:
        sock.setblocking(False)
        try:
            sock.connect((address, port))
        except BlockingIOError:
            pass
        except OSError as error:
            return error.errno == errno.ECONNREFUSED
        poll = select.poll()
        poll.register(sock, select.POLLOUT)
        if not poll.poll(timeout * 1000):
            return False
        return sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ECONNREFUSED


def rings(options: Options, wanted: ScanNeeds, net: Network, ports: tuple[int, int]) -> Finding:
    """Open the sockets of a scan with their rings, and close them."""
    try:
        sockets = open_shards(net.interface, wanted.shards, Secrets.derive(0), ports, (), wanted.frames)
    except SocketError as error:
        return Finding("rings", FAULT, str(error), "fewer workers: -w flow=1,collect=1")
    close_shards(sockets)
    size = wanted.ring_bytes / (1 << 20)
    return Finding(
        "rings", OK, f"{wanted.shards} sockets on {net.interface}, {size:,.0f} MB of rings, opened"
    )


def files(paths: Sequence[str | None]) -> Finding | None:
    """The files that a scan would write can be written; None where all of them can."""
    for path in paths:
        if path in (None, "-"):
            continue
        place = Path(path or "").absolute()
        where = place if os.path.exists(place) else place.parent
        if not os.path.exists(where) or not os.access(where, os.W_OK):
            why = "its directory is missing" if not os.path.exists(where) else "it is closed to us"
            return Finding("room", FAULT, f"cannot write {path}: {why}")
    return None


def _free_port(address: str) -> int:
    """A port on which nobody listens, and which nobody else is given while we use it."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as sock:
            sock.bind((address, 0))
            return int(sock.getsockname()[1])
    except OSError:  # the loopback was never set up, as in some containers: then nothing is refused there
        return _ANY


def _bridged(bridges: Path) -> str:
    for name in ("bridge-nf-call-iptables", "bridge-nf-call-ip6tables"):
        with contextlib.suppress(OSError):
            if (bridges / name).read_text().strip() == "1":
                return f"net.bridge.{name} is 1: the guard stands behind the bridge, other rules may not"
    return ""
