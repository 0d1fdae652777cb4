"""Detects ACKing firewalls: SYNs to random ports of a flow's host, where nobody should answer with a SYN-ACK.

This never delays the flow itself and costs a host at most `haf` packets, however many of its ports are
scanned: a flow to a host that is being probed for another flow uses the result of that. Each of these SYNs is
a row of its own in state PROBE, which ends with its answer or by a time-out. What is needed only for flows
with such probes is kept here and not in the rows, so that without `haf` it costs nothing.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lzr.flow import columns
from lzr.flow.columns import Rows, Slots
from lzr.flow.output import Output
from lzr.flow.store import FlowStore
from lzr.flow.timers import TIMEOUT, Timers
from lzr.rows import ASKED, FlowState, pick, put
from lzr.siphash import siphash
from lzr.sourceports import DEFAULT_PORTS

_NO_PARENT = -1
_PORT, _OWN_PORT = 2, 3  # salts
MOST = 1 << 16
"""Most hosts remembered, some 150 bytes each; beyond that the one probed first is forgotten and may be probed
again. A judgement: on the Internet most hosts have one scanned port."""
_MARKS = 1 << 20
"""Places at which firewalls are marked (one MB): of a batch hardly any other hosts are looked up."""
_ODD, _LOW = np.uint64(0x9E3779B97F4A7C15), (1 << 64) - 1


class AskedHosts:
    """Hosts that were probed, each once for all its ports. In the methods, rows are (n,) with `peer_hi` and
    `peer_lo`, the halves of the host's address.
    """

    def __init__(self, most: int = MOST, needed: int = 1) -> None:
        """needed: probes that must be answered with SYN-ACK for a host to be a firewall."""
        self._most, self._needed = most, needed
        self._hits: dict[int, int] = {}  # by address: probes that were answered with SYN-ACK
        self._marks = np.empty(0, bool)  # places of firewalls, forgotten ones perhaps among them
        self._marked = 0

    def __len__(self) -> int:
        """How many are remembered."""
        return len(self._hits)

    def note(self, rows: Rows) -> NDArray[np.bool_]:
        """Remember these hosts. Returns (n,) bool: True at the first row of a host that was not known."""
        new = np.zeros(len(rows), bool)
        for at, host in enumerate(_addresses(rows)):
            if host not in self._hits:
                self._hits[host] = 0
                new[at] = True
        while len(self._hits) > self._most:
            del self._hits[next(iter(self._hits))]
        return new

    def count(self, rows: Rows) -> None:
        """Count one answered probe for each of these hosts; hosts that were forgotten are left out."""
        found = []
        for host in _addresses(rows):
            if host in self._hits:
                self._hits[host] += 1
                if self._hits[host] == self._needed:
                    found.append(host)
        self._mark(found)

    def adopt(self, rows: Rows, hits: NDArray[np.uint8]) -> None:
        """Remember hosts that another table has asked, and how many probes each has answered, (n,)."""
        self.note(rows)
        found = []
        for host, count in zip(_addresses(rows), hits.tolist(), strict=True):
            if host in self._hits:
                self._hits[host] = max(self._hits[host], count)
                if self._hits[host] >= self._needed:
                    found.append(host)
        self._mark(found)

    def hits(self, rows: Rows) -> NDArray[np.int64]:
        """(n,) int64: how many probes each of these hosts has answered."""
        known = self._hits
        return np.fromiter((known.get(host, 0) for host in _addresses(rows)), np.int64, len(rows))

    def firewalls(self, rows: Rows) -> NDArray[np.bool_]:
        """(n,) bool: which of these hosts are known to be ACKing firewalls. Fast where few are."""
        if not len(self._marks):
            return np.zeros(len(rows), bool)
        found = self._marks[_places(rows["peer_hi"], rows["peer_lo"])]
        at = np.flatnonzero(found)
        if len(at):
            found[at] = self.hits(pick(rows, at)) >= self._needed
        return found

    def _mark(self, hosts: list[int]) -> None:
        if not hosts:
            return
        self._marked += len(hosts)
        if not len(self._marks) or self._marked > 2 * self._most:
            self._marks = np.zeros(_MARKS, bool)
            hosts = [host for host, count in self._hits.items() if count >= self._needed]
            self._marked = len(hosts)
        halves = np.array([(host >> 64, host & _LOW) for host in hosts], np.uint64)
        self._marks[_places(halves[:, 0], halves[:, 1])] = True


def _places(high: NDArray[np.uint64], low: NDArray[np.uint64]) -> NDArray[np.uint64]:
    mixed: NDArray[np.uint64] = (((high * _ODD) ^ low) * _ODD) >> np.uint64(44)
    return mixed


def _addresses(rows: Rows) -> list[int]:
    pairs = zip(rows["peer_hi"].tolist(), rows["peer_lo"].tolist(), strict=True)
    return [high << 64 | low for high, low in pairs]


class FirewallProbes:
    """The probes for ACKing firewalls, for the flows in `store`."""

    def __init__(self, store: FlowStore, timers: Timers, output: Output) -> None:
        config = store.config
        self._store, self._timers, self._output = store, timers, output
        self.wanted = config.haf > 0 and not config.force_all_handshakes
        self._hosts = AskedHosts(needed=config.hits_needed)
        self._asked = np.empty(0, bool)  # by slot: this flow's host has been asked
        self._hits = np.empty(0, np.uint8)  # by slot of a flow: its probes that were answered with SYN-ACK
        self._parent = np.empty(0, np.int32)  # by slot of a probe: the flow that it asks for

    def begin(self, slots: Slots) -> None:
        """Reset what is known of these slots: they hold new flows, for which no probe has been sent."""
        self._fit()
        self._asked[slots], self._hits[slots] = False, 0

    def _fit(self) -> None:
        """Grow the arrays to as many entries as the store has rows."""
        more = len(self._store.rows) - len(self._asked)
        if more:
            self._asked = np.concatenate([self._asked, np.zeros(more, bool)])
            self._hits = np.concatenate([self._hits, np.zeros(more, np.uint8)])
            self._parent = np.concatenate([self._parent, np.full(more, _NO_PARENT, np.int32)])

    def ask(self, parents: Slots, now: int) -> None:
        """Send SYNs to random ephemeral ports of each flow's host, once per host. The store may grow."""
        if not self.wanted:
            return
        store, config = self._store, self._store.config
        parents = parents[~self._asked[parents]]
        self._asked[parents] = True
        if len(parents):
            parents = parents[self._hosts.note(pick(store.rows, parents))]
        if not len(parents):
            return
        low, high = DEFAULT_PORTS
        probes = pick(store.rows, np.repeat(parents, config.haf))
        home = store.shards(probes)  # of the flow itself
        number = np.tile(np.arange(config.haf, dtype=np.uint64), len(parents))
        number += probes["line"] * np.uint64(256)
        offset = siphash(config.secrets.ports, number, _PORT) % np.uint64(high - low + 1)
        probes["peer_port"] = (np.uint64(low) + offset).astype(np.uint16)
        probes["state"] = FlowState.PROBE
        slots = store.allocate(len(probes))
        self._fit()
        self._parent[slots] = np.repeat(parents, config.haf)
        chosen = store.choose_ports(
            probes, slots, home, number * np.uint64(256) + probes["handshake"], _OWN_PORT
        )
        isn = columns.isn(probes, probes["key"], 2, config.secrets)
        probes["una"] = isn + np.uint32(1)
        probes["nxt"] = probes["una"]
        probes["generation"] = store.rows["generation"][slots]
        put(store.rows, slots, probes)
        if not chosen.all():
            store.give_back(slots[~chosen])
            slots = slots[chosen]
        self._output.send_syn(slots)
        self._timers.arm(TIMEOUT, slots, now)

    def count(self, slots: Slots) -> Slots:
        """Count SYN-ACKs to these probes.

        Returns the slots of flows whose hosts are now known to be ACKing firewalls and that need not wait any
        longer.
        """
        rows = self._store.rows
        probes, parents = pick(rows, slots), self._parent[slots]
        self.drop(slots)
        self._hosts.count(probes)
        # The row may have ended and belong to another flow by now.
        alive = (parents >= 0) & (rows["state"][parents] != FlowState.FREE)
        alive &= (rows["ticket"][parents] == probes["ticket"]) & (rows["line"][parents] == probes["line"])
        parents = parents[alive]
        np.add.at(self._hits, parents, 1)
        parents = np.unique(parents)
        # Beside a follow-up nothing came from this host in a whole handshake; within the first handshake
        # a slow server may still answer, so the verdict waits for the flow's own time-out.
        waiting = np.isin(rows["state"][parents], (FlowState.SYN_SENT, FlowState.DELAYED))
        return np.asarray(parents[self.are_firewalls(parents) & waiting], np.int32)

    def are_firewalls(self, slots: Slots) -> NDArray[np.bool_]:
        """(n,) bool: whether enough probes were answered to call each flow's host an ACKing firewall."""
        needed = self._store.config.hits_needed
        found = np.asarray(self._hits[slots] >= needed, bool)
        others = np.flatnonzero(~found & self._asked[slots])  # by other flows to their hosts, perhaps
        if len(others):
            found[others] = self._hosts.hits(pick(self._store.rows, slots[others])) >= needed
        return found

    def known(self, rows: Rows) -> NDArray[np.bool_]:
        """(n,) bool: whether each row's host is known to be an ACKing firewall. Rows with `peer_hi` and
        `peer_lo`.
        """
        return self._hosts.firewalls(rows)

    def drop(self, slots: Slots) -> None:
        """Free the rows of these probes: they were answered, or their time is up."""
        self._store.index.remove(self._store.rows["key"][slots])
        self._store.give_back(slots)

    # --- moving to another process ---------------------------------------------------------------------

    def extract(self, slots: Slots, place: NDArray[np.int32]) -> Rows:
        """ASKED rows of the flows and probes in `slots`. place: by slot, its position among the rows that
        move."""
        if not self.wanted:
            return np.empty(0, ASKED)
        probing = self._store.rows["state"][slots] == FlowState.PROBE
        moving = slots[probing | self._asked[slots]]
        found = np.empty(len(moving), ASKED)
        by_others = np.minimum(self._hosts.hits(pick(self._store.rows, moving)), 255)
        found["place"], found["hits"] = place[moving], np.maximum(self._hits[moving], by_others)
        parents = np.where(
            self._store.rows["state"][moving] == FlowState.PROBE, self._parent[moving], _NO_PARENT
        )
        found["parent"] = np.where(parents == _NO_PARENT, _NO_PARENT, place[parents])
        return found

    def adopt(self, asked: Rows, slots: Slots) -> None:
        """Take over the ASKED rows of another table's `extract`. slots: by place, the slot it has here."""
        if not self.wanted:
            return
        self.begin(slots)
        at, parents = slots[asked["place"]], asked["parent"]
        self._hits[at] = asked["hits"]
        self._asked[at] = True  # of a probe nobody looks at it
        self._hosts.adopt(pick(self._store.rows, at), asked["hits"])
        self._parent[at] = np.where(parents == _NO_PARENT, _NO_PARENT, slots[parents])
