"""Alerts: tells the user at once what makes a running scan lose results. They stay to the end of the scan."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Mapping

from coordinator.console.console import Console
from coordinator.guard.watch import GuardWatch
from coordinator.input.fates import Fates
from coordinator.network.routing import Routing
from lzr.packet.ways import WayKind

_NAMED = 3  # hosts that are named in a sentence


class Alerts:
    """Watches guard, routing and fates of the inputs, and passes what is new to the console."""

    def __init__(self, console: Console, guarded: GuardWatch, routing: Routing, fates: Fates) -> None:
        self._console = console
        self._guarded = guarded
        self._routing = routing
        self._fates = fates
        self._refused = self._silent = 0
        self._unroutable: dict[str, int] = {}
        self._unsent: set[str] = set()
        self._asked_again = self._unanswered = 0

    def look(self, now: float) -> None:
        """Look for something new; called in every turn of the loop. now: monotonic seconds."""
        totals = self._console.totals
        if said := self._guarded.look(now):
            totals.guard_missing = self._guarded.missing
            self._console.alert("guard", said, lost=True)
        refused = totals.outcomes["send_refused"]
        if refused != self._refused:
            self._refused = refused
            self._console.alert("egress", _refused(refused), lost=True)
        fates = self._fates
        if fates.unroutable != self._unroutable:
            self._unroutable = dict(fates.unroutable)
            self._console.alert("unroutable", _unroutable(fates.unroutable, fates.examples), lost=False)
        if len(self._routing.silent) != self._silent:
            self._silent = len(self._routing.silent)
            if self._silent:
                self._console.alert("neighbours", _silent(self._routing.silent), lost=False)
            else:
                self._console.withdraw("neighbours")  # all of them have answered after all

    def note_unsent(self, errors: Iterable[str]) -> None:
        """errors: names of the errno values with which the kernel has refused packets that an answer was to
        come to, from a worker's figures; NO_ROOM: those that it still had no room for after a while.
        """
        for name in errors:
            if name in _NOT_SENT and name not in self._unsent:
                self._unsent.add(name)
                self._console.alert(f"unsent {name}", f"{_NOT_SENT[name]} ({name})", lost=True)

    def note_dropped(self, again: int, lost: int) -> None:
        """More frames found no room in a receive ring during a sweep. again: so many more pairs are asked
        again because of it. lost: so many more are not, since they were before.
        """
        if again:
            self._asked_again += again
            self._console.alert("drops", _dropped(self._asked_again), lost=False)
        if lost:
            self._unanswered += lost
            self._console.alert("answers", _unanswered(self._unanswered), lost=True)

    def note_unheard(self) -> None:
        """Frames found no room in a receive ring, and some of the flows whose answers they may have been are
        not asked again.
        """
        self._console.alert("unheard", _UNHEARD, lost=True)


_AGAIN = "what went there is lost; scan the targets without an answer again"
_NOT_SENT = {
    "EPERM": f"this host's own firewall refuses packets: look at nft list ruleset (output hooks); {_AGAIN}",
    "ENETUNREACH": f"this host has no route any more for some packets: look at ip route; {_AGAIN}",
    "EHOSTUNREACH": f"a route of this host (unreachable) refuses packets: look at ip route; {_AGAIN}",
    "EACCES": f"a route or rule of this host (prohibit) refuses packets: look at ip route, ip rule; {_AGAIN}",
    "NO_ROOM": "the kernel had no room for some packets for seconds: is its table of neighbours full? "
    f"(sysctl net.ipv4.neigh.default.gc_thresh3: how many hosts on links of our own it holds); {_AGAIN}",
    "EINVAL": f"a route of this host (blackhole) refuses packets: look at ip route, ip rule; {_AGAIN}",
}
"""What the kernel answers to packets that it routes one by one, where trying again is of no use, or was."""


def _dropped(again: int) -> str:
    return (
        "frames found no room in a receive ring, answers to SYNs perhaps among them: "
        f"{again:,} pairs without an answer are asked again"
    )


_UNHEARD = (
    "frames found no room in a receive ring, and some hosts whose answers they may have been are not asked "
    "again (-rn 0, or too often already): their records may say less than they did; scan at a lower rate, or "
    "with more workers (-w) on more cores"
)


def _unanswered(count: int) -> str:
    return (
        f"frames found no room in a receive ring again and again: of {count:,} pairs an answer may be lost, "
        "and they may count as silent; sweep at a lower rate (-r), or with more workers (-w) on more cores"
    )


def _refused(count: int) -> str:
    targets = "target was" if count == 1 else "targets were"
    return (
        f"{count:,} {targets} not scanned: this host's own firewall drops what is sent there (records with "
        "reason send_refused); look at nft list ruleset (egress hooks) and tc filter show"
    )


_REMEDIES = {
    WayKind.NONE: "see ip route get {}",
    WayKind.REFUSED: "a route of type unreachable, prohibit or blackhole: ip route get {}",
    WayKind.NO_ADDRESS: "give this host one, or leave such targets out",
    WayKind.NOBODY: "multicast, broadcast or reserved",
}


def _unroutable(counts: Mapping[str, int], examples: Mapping[str, str]) -> str:
    parts = []
    for kind, remedy in _REMEDIES.items():
        why = WayKind.WHY[kind]
        if counts.get(why):
            one = examples[why]
            named = "" if remedy.endswith("{}") else f"{one}: "
            parts.append(f"{counts[why]:,} {why} ({named}{remedy.format(one)})")
    return f"targets that cannot be reached from here and are not scanned: {', '.join(parts)}"


def _silent(hops: Collection[object]) -> str:
    some = ", ".join(map(str, itertools.islice(hops, _NAMED)))
    who = f"{len(hops):,} neighbours do" if len(hops) != 1 else "1 neighbour does"
    more = ", …" if len(hops) > _NAMED else ""
    return (
        f"{who} not answer ARP or neighbour discovery ({some}{more}): what is sent to them, or by way of "
        "them, has no answer; is the host on, the network's length right?"
    )
