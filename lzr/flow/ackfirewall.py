"""Detects ACKing firewalls: SYNs to random ports of a flow's host, where nobody should answer with a SYN-ACK.

This never delays the flow itself and costs a host `haf` packets, however many of its ports are scanned: a
flow to a host that is being checked for another flow uses the result of that. Each of these SYNs is a row of
its own in state FIREWALL_CHECK, which ends with its answer or by a time-out. What is needed only for flows
with such checks is kept here and not in the rows, so that without `haf` it costs nothing.

A host is checked for a flow whose data it has acknowledged and left without an answer, and beside the second
handshake. Where many ports are swept, also for having answered on `EACH` of them, whatever it does then:
there are hosts that take connections on every port and send data, reset them, announce a window of zero or
never say anything. There it is checked `AGAIN` where very many have answered and it was not found.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from lzr.flow import tcp
from lzr.flow.output import Output
from lzr.flow.store import FlowStore
from lzr.flow.tcp import Rows, Slots
from lzr.flow.timers import TIMEOUT, Timers
from lzr.rows import ASKED, FlowState, distinct, pick, put
from lzr.siphash import siphash
from lzr.sourceports import DEFAULT_PORTS

_NO_PARENT = -1
_PORT, _OWN_PORT = 2, 3  # salts
MOST = 1 << 16
"""Most hosts remembered, some 150 bytes each; beyond that the one checked first is forgotten and may be
checked again. A judgement: on the Internet most hosts have one scanned port."""
_MARKS = 1 << 20
"""Places at which firewalls are marked (one MB): of a batch hardly any other hosts are looked up."""
FEW_PORTS = 16
"""Sweeps of so many ports at most check no host for the ports that have answered: each is asked. A judgement:
what could be spared there costs as much as finding out."""
EACH = 8
"""Ports of a host that have answered, after which it is checked. A judgement: few hosts have as many
services, and the checks of `-haf 5` cost those an eighth of what their handshakes do."""
AGAIN = frozenset(EACH * 8**n for n in range(1, 5))
"""Ports that have answered after which a host is checked again. Where 1 % of packets are lost, so is one of
five checks of every tenth host, which would be asked on all ports. Judgements: 64, 512, 4,096, 32,768."""
_HOST = np.dtype([("peer_hi", "<u8"), ("peer_lo", "<u8")])
_ODD, _LOW = np.uint64(0x9E3779B97F4A7C15), (1 << 64) - 1


class AskedHosts:
    """Hosts that were checked, each for all its ports. In the methods, rows are (n,) with `peer_hi` and
    `peer_lo`, the halves of the host's address.
    """

    def __init__(self, most: int = MOST, needed: int = 1) -> None:
        """needed: checks that must be answered with SYN-ACK for a host to be a firewall."""
        self._most, self._needed = most, needed
        self._hits: dict[int, int] = {}  # by address: checks that were answered with SYN-ACK
        self._ports: dict[int, int] = {}  # by address: ports that have answered, about
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
            host = next(iter(self._hits))
            del self._hits[host]
            self._ports.pop(host, None)
        return new

    def note_answered(self, rows: Rows, ports: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Remember these hosts, each once. ports: (n,), how many more of each have answered.

        Returns (n,) bool: which to check, for the first time or again, as answers may have been lost.
        """
        due = self.note(rows)
        for at, (host, more) in enumerate(zip(_addresses(rows), ports.tolist(), strict=True)):
            if host in self._hits:
                before = self._ports.get(host, 0)
                self._ports[host] = before + more
                again = any(before < count <= before + more for count in AGAIN)
                if again and self._hits[host] < self._needed:
                    self._hits[host] = 0
                    due[at] = True
        return due

    def count(self, rows: Rows) -> list[int]:
        """Count one answered check for each of these hosts; hosts that were forgotten are left out.

        Returns the addresses of those that are firewalls by now, and were not before.
        """
        found = []
        for host in _addresses(rows):
            if host in self._hits:
                self._hits[host] += 1
                if self._hits[host] == self._needed:
                    found.append(host)
        self._mark(found)
        return found

    def adopt(self, rows: Rows, hits: NDArray[np.uint8]) -> None:
        """Remember hosts that another table has asked, and how many checks each has answered, (n,)."""
        self.note(rows)
        found = []
        for host, count in zip(_addresses(rows), hits.tolist(), strict=True):
            if host in self._hits:
                self._hits[host] = max(self._hits[host], count)
                if self._hits[host] >= self._needed:
                    found.append(host)
        self._mark(found)

    def hits(self, rows: Rows) -> NDArray[np.int64]:
        """(n,) int64: how many checks each of these hosts has answered."""
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
        halves = _halves(hosts)
        self._marks[_places(halves[:, 0], halves[:, 1])] = True


class AnsweredPorts:
    """Counts how many ports of each host have answered, in a MB, however many hosts there are.

    Two hosts may share a counter. As nothing follows from it but that one of them is checked, and the next
    time perhaps the other, that does no harm.
    """

    def __init__(self, each: int = EACH) -> None:
        """each: at most 255."""
        self._each = each
        self._counts = np.zeros(_MARKS, np.uint8)

    def note(self, rows: Rows) -> tuple[NDArray[np.intp], NDArray[np.int64]]:
        """Count a port for each row's host. rows: (n,) with `peer_hi` and `peer_lo`. Returns indices of rows,
        one for each host that has come to `each` ports, and to how many: the multiples of `each`, which are
        taken off its counter.
        """
        places, first, more = np.unique(
            _places(rows["peer_hi"], rows["peer_lo"]), return_index=True, return_counts=True
        )
        counts = self._counts[places] + more
        rest = counts % self._each
        self._counts[places] = rest
        come = counts >= self._each
        return np.asarray(first[come], np.intp), np.asarray((counts - rest)[come], np.int64)


def _places(high: NDArray[np.uint64], low: NDArray[np.uint64]) -> NDArray[np.uint64]:
    mixed: NDArray[np.uint64] = (((high * _ODD) ^ low) * _ODD) >> np.uint64(44)
    return mixed


def _halves(hosts: list[int]) -> NDArray[np.uint64]:
    return np.array([(host >> 64, host & _LOW) for host in hosts], np.uint64).reshape(-1, 2)


def _addresses(rows: Rows) -> list[int]:
    pairs = zip(rows["peer_hi"].tolist(), rows["peer_lo"].tolist(), strict=True)
    return [high << 64 | low for high, low in pairs]


class FirewallChecks:
    """The checks for ACKing firewalls, for the flows in `store`."""

    def __init__(self, store: FlowStore, timers: Timers, output: Output) -> None:
        config = store.config
        self._store, self._timers, self._output = store, timers, output
        self.wanted = config.haf > 0 and not config.force_all_handshakes
        self._hosts = AskedHosts(needed=config.hits_needed)
        self._asked = np.empty(0, bool)  # by slot: this flow's host has been asked
        self._hits = np.empty(0, np.uint8)  # by slot of a flow: its checks that were answered with SYN-ACK
        self._parent = np.empty(0, np.int32)  # by slot of a check: the flow that it asks for, if any
        self._answered: AnsweredPorts | None = None
        self._found: list[int] | None = None  # addresses of firewalls, where others are to hear of them

    def sweep(self, ports: int) -> Callable[[Rows], NDArray[np.bool_]] | None:
        """From now on the flows are those of a sweep of so many ports. Returns `known`, where there are pairs
        that are not asked for it.
        """
        self._answered = AnsweredPorts() if self.wanted and ports > FEW_PORTS else None
        sparing = self.wanted and ports > 1
        self._found = [] if sparing else None
        return self.known if sparing else None

    def begin(self, slots: Slots) -> None:
        """Reset what is known of these slots: they hold new flows, for which no check has been sent, or new
        checks.
        """
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
        parents = parents[~self._asked[parents]]
        self._asked[parents] = True
        if len(parents):
            parents = parents[self._hosts.note(pick(self._store.rows, parents))]
        self._send(parents, parents, now)

    def note_answered(self, slots: Slots, now: int) -> None:
        """These flows have just been begun: in a sweep of many ports, check the hosts on which so many have
        answered that it may be all. The store may grow.
        """
        if self._answered is None:
            return
        rows = pick(self._store.rows, slots)
        due, ports = self._answered.note(rows)
        if len(due):
            due = due[self._hosts.note_answered(pick(rows, due), ports)]
        # For the hosts: what becomes of these flows does not depend on it more than of the others.
        self._send(slots[due], np.full(len(due), _NO_PARENT, np.int32), now)

    def _send(self, flows: Slots, parents: NDArray[np.int32], now: int) -> None:
        """Check the host of each flow. parents: the flow that asks for it, or _NO_PARENT."""
        if not len(flows):
            return
        store, config = self._store, self._store.config
        low, high = DEFAULT_PORTS
        checks = pick(store.rows, np.repeat(flows, config.haf))
        home = store.shards(checks)  # of the flow itself
        number = np.tile(np.arange(config.haf, dtype=np.uint64), len(flows))
        number += checks["line"] * np.uint64(256)
        offset = siphash(config.secrets.ports, number, _PORT) % np.uint64(high - low + 1)
        checks["peer_port"] = (np.uint64(low) + offset).astype(np.uint16)
        checks["state"] = FlowState.FIREWALL_CHECK
        slots = store.allocate(len(checks))
        self.begin(slots)  # or what a flow to another host has left there would move with the check
        self._parent[slots] = np.repeat(parents, config.haf)
        chosen = store.choose_ports(
            checks, slots, home, number * np.uint64(256) + checks["handshake"], _OWN_PORT
        )
        isn = tcp.isn(checks, checks["key"], 2, config.secrets)
        checks["una"] = isn + np.uint32(1)
        checks["nxt"] = checks["una"]
        checks["generation"] = store.rows["generation"][slots]
        put(store.rows, slots, checks)
        if not chosen.all():
            store.give_back(slots[~chosen])
            slots = slots[chosen]
        self._output.send_syn(slots)
        self._timers.arm(TIMEOUT, slots, now)

    def count(self, slots: Slots) -> Slots:
        """Count SYN-ACKs to these checks.

        Returns the slots of flows whose hosts are now known to be ACKing firewalls and that need not wait any
        longer.
        """
        rows = self._store.rows
        checks, parents = pick(rows, slots), self._parent[slots]
        self.drop(slots)
        found = self._hosts.count(checks)
        if self._found is not None:
            self._found += found
        # The row may have ended and belong to another flow by now.
        alive = (parents >= 0) & (rows["state"][parents] != FlowState.FREE)
        alive &= (rows["ticket"][parents] == checks["ticket"]) & (rows["line"][parents] == checks["line"])
        parents = parents[alive]
        np.add.at(self._hits, parents, 1)
        parents = distinct(parents)
        # Beside a follow-up nothing came from this host in a whole handshake; within the first handshake
        # a slow server may still answer, so the verdict waits for the flow's own time-out.
        states = rows["state"][parents]
        waiting = (states == FlowState.SYN_SENT) | (states == FlowState.DELAYED)
        return np.asarray(parents[self.are_firewalls(parents) & waiting], np.int32)

    def are_firewalls(self, slots: Slots, *, silent: bool = False) -> NDArray[np.bool_]:
        """(n,) bool: whether enough checks were answered to call each flow's host an ACKing firewall.

        silent: these flows have had no answer, so where many ports are swept it does not matter for which
        flow their hosts were checked.
        """
        needed = self._store.config.hits_needed
        found = np.asarray(self._hits[slots] >= needed, bool)
        if (
            silent and self._answered is not None
        ):  # a flow knows of its own checks where its host is forgotten
            return found | self.known(pick(self._store.rows, slots))
        others = np.flatnonzero(~found & self._asked[slots])  # by other flows to their hosts, perhaps
        if len(others):
            found[others] = self._hosts.hits(pick(self._store.rows, slots[others])) >= needed
        return found

    def known(self, rows: Rows) -> NDArray[np.bool_]:
        """(n,) bool: whether each row's host is known to be an ACKing firewall. Rows with `peer_hi` and
        `peer_lo`.
        """
        return self._hosts.firewalls(rows)

    def take_found(self, most: int) -> NDArray[np.uint64]:
        """Hosts of a sweep that were found to answer on any port and not taken yet, `most` of them at most:
        their halves (hi, lo), in turn.
        """
        if not self._found:
            return np.empty(0, np.uint64)
        taken, self._found = self._found[:most], self._found[most:]
        return _halves(taken).reshape(-1)

    def learn(self, hosts: NDArray[np.uint64]) -> None:
        """Others have found that these hosts answer on any port. hosts: their halves (hi, lo), in turn."""
        rows = np.zeros(len(hosts) // 2, _HOST)
        rows["peer_hi"], rows["peer_lo"] = hosts[::2], hosts[1::2]
        self._hosts.adopt(rows, np.full(len(rows), self._store.config.hits_needed, np.uint8))

    def drop(self, slots: Slots) -> None:
        """Free the rows of these checks: they were answered, or their time is up."""
        self._store.index.remove(self._store.rows["key"][slots])
        self._store.give_back(slots)

    # --- moving to another process ---------------------------------------------------------------------

    def extract(self, slots: Slots, place: NDArray[np.int32]) -> Rows:
        """ASKED rows of the flows and checks in `slots`. place: by slot, its position among the rows that
        move."""
        if not self.wanted:
            return np.empty(0, ASKED)
        checking = self._store.rows["state"][slots] == FlowState.FIREWALL_CHECK
        moving = slots[checking | self._asked[slots]]
        found = np.empty(len(moving), ASKED)
        by_others = np.minimum(self._hosts.hits(pick(self._store.rows, moving)), 255)
        found["place"], found["hits"] = place[moving], np.maximum(self._hits[moving], by_others)
        parents = np.where(
            self._store.rows["state"][moving] == FlowState.FIREWALL_CHECK, self._parent[moving], _NO_PARENT
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
        self._asked[at] = True  # of a check nobody looks at it
        self._hosts.adopt(pick(self._store.rows, at), asked["hits"])
        self._parent[at] = np.where(parents == _NO_PARENT, _NO_PARENT, slots[parents])
