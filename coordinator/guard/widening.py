"""Widens the guard to the ports and addresses of ours that ZMap's lines name.

Without --source-port the guard covers ZMap's default ports. A ZMap that was given others (``zmap
--source-port=20000-65000``) is recognised by its lines, each of which names the port it sent from. At the
first line outside, the guard is widened to every port that such a range may have, and connections of that
moment count as doubtful: if an RST comes, they are opened anew (`rows.Opening.DOUBTFUL`), so nothing is lost.
A range given by the user is not widened; there the user is told of the first line outside, and what to do.
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import Any, Protocol

from numpy.typing import NDArray

from coordinator.guard.firewall import GuardError
from coordinator.guard.guard import Guard
from lzr import addresses
from lzr.options.table import Options
from lzr.sourceports import DEFAULT_PORTS
from lzr.targets.screen import overview

ANY = (1024, 65535)
"""The ports it is widened to; the sockets listen on all of these from the start, as their filter is fixed."""
DOUBT = 1.0
"""Seconds after the guard was widened for which lines may be about connections that were reset before. A
judgement: far longer than a line takes from ZMap's capture to us; if it is too long, that costs a new
connection, where an RST comes."""


class Alert(Protocol):
    """`Console.alert`."""

    def __call__(self, kind: str, sentence: str, *, lost: bool) -> None: ...


def widens(options: Options) -> bool:
    """Whether lines of this scan name the ports and addresses that packets were sent from, and so widen the
    guard.
    """
    return not (options.send_syns or options.reopen or options.dryrun)


def listened(options: Options, ports: tuple[int, int]) -> tuple[int, int]:
    """The ports that the sockets let in. ports: our own."""
    if not widens(options) or options.source_port is not None:
        return ports
    return min(ANY[0], ports[0]), max(ANY[1], ports[1])


class Widening:
    """Widens the guard to the ports and addresses that lines name.

    ports: first and last of our ports; half-open connections on these are taken over, and the guard covers
    them.
    """

    def __init__(
        self, guard: Guard | None, options: Options, alert: Alert, clock: Callable[[], float] = monotonic
    ) -> None:
        self.ports = options.source_port or DEFAULT_PORTS
        self._guard = guard
        self._options = options
        self._alert = alert
        self._clock = clock
        self._known: set[tuple[int, int]] = set()  # addresses
        self._doubtful_until = 0.0
        self._said = False

    def take(self, rows: NDArray[Any]) -> bool:
        """Make the guard cover what TARGET rows of ZMap name; returns whether our kernel may have reset some
        of them.
        """
        if not len(rows):
            return False
        now, seen = self._clock(), overview(rows)
        if seen.low < self.ports[0] or seen.high > self.ports[1]:
            self._port(seen.low if seen.low < self.ports[0] else seen.high, now)
        if seen.own is None or seen.own not in self._known:
            named = zip(rows["own_hi"].tolist(), rows["own_lo"].tolist(), strict=True)
            for address in set(named) - self._known:
                self._known.add(address)
                self._address(addresses.text(*address))
        return now < self._doubtful_until

    def _port(self, port: int, now: float) -> None:
        given = self._options.source_port
        if given is not None or self.ports[0] <= ANY[0]:
            if not self._said:
                self._said = True
                self._alert("ports", _outside(port, self.ports), lost=True)
            return
        before, self.ports = self.ports, (ANY[0], ANY[1])
        if port < ANY[0]:
            self._port(port, now)
        if self._guard is not None:
            try:
                self._guard.widen(self.ports)
            except GuardError as error:
                self._alert("ports", f"{_from(port, before)} and cannot be widened: {error}", lost=True)
                return
        self._doubtful_until = now + DOUBT
        if not self._said:
            self._alert("ports", _widened(port, before, self.ports), lost=False)

    def _address(self, address: str) -> None:
        guard = self._guard
        if guard is None or not guard.stands or guard.cover.holds(address):
            return
        if self._options.source_ips:
            self._alert("sources", _other_source(address, self._options.source_ips), lost=True)
            return
        try:
            guard.extend(address)
        except GuardError as error:
            self._alert("sources", f"the RST guard cannot be extended to {address}: {error}", lost=True)


def _from(port: int, covered: tuple[int, int]) -> str:
    low, high = covered
    return f"ZMap sends from port {port}, and the RST guard covered {low}-{high}"


def _widened(port: int, before: tuple[int, int], now: tuple[int, int]) -> str:
    return (
        f"{_from(port, before)}: it covers {now[0]}-{now[1]} from now on, and what was reset is opened anew; "
        "give lzr the --source-port that zmap has"
    )


def _outside(port: int, given: tuple[int, int]) -> str:
    low, high = given
    return (
        f"ZMap sends from port {port}, and lzr listens on {low}-{high}: such lines are not scanned; "
        "give zmap and lzr the same --source-port"
    )


def _other_source(address: str, given: tuple[str, ...]) -> str:
    return (
        f"ZMap sends from {address}, which --source-ip {','.join(given)} does not name: answers to it are "
        "not heard; give zmap and lzr the same --source-ip"
    )
