"""The work of a flow worker without its messages: its shards' rings, one flow table, frames and outcomes."""

from __future__ import annotations

import time
from collections import deque

import numpy as np
from numpy.typing import NDArray

from lzr.flow.handover import ShardFlows
from lzr.flow.table import FlowTable
from lzr.ipc import messages
from lzr.packet.segments import SYN_OCTETS
from lzr.rows import Reason, Rows, pick
from lzr.targets.blocklist import Blocklist
from lzr.targets.screen import overview
from workers.flow.backlog import Backlog
from workers.flow.icmperrors import ICMPErrors
from workers.flow.outbox import Outbox
from workers.flow.outstanding import Outstanding, prompt
from workers.flow.overflows import Overflows
from workers.flow.refused import segments_of
from workers.flow.ring import Arrivals, OtherRings, Ring
from workers.flow.sweeper import Reports, Sweeper
from workers.flow.transmit import Transmit

TAKE = 1024
"""Frames looked at together. `python -m benchmarks.stages`: 0.26 µs a flow in batches of 2,048, 1.1 in those
of 64. By `benchmarks.endtoend` (100,000 flows, three rounds) a flow costs 2.7, 2.1 and 1.9 times the floor
with 256, 1,024 and 4,096, each within 1.6 and 3.4: larger ones gain little, and a turn would take longer."""
OPEN = 2048
"""Targets begun, or timers acted on, together; fewer where that is more than half of the frames that a
worker's rings hold, so that the answers to one batch always find room. 800,000 flows on two busy cores, in
turns: a worker takes 1.46 to 1.52 s with 2,048, 1.56 to 1.77 s with 1,024."""
LOOK = 4096
"""Pairs of a sweep that SYNs are sent to, slice by slice, before the rings are read again; how many may be
unanswered is decided by `outstanding`. By `benchmarks.beside` (1 % answering) a worker takes 4.9 to 5.8 µs a
pair with 2,048, 4.3 to 4.9 with 4,096: reading the rings costs what some hundred SYNs do."""
_FEW = 0.125
"""The share that is expected to answer, at most, with which as many as `LOOK` are sent."""
AHEAD, _ANSWERS = 24_000_000, 600
"""ns' worth of pairs of a sweep that are taken at once and spaced, without a turn for each part; twice as
many where at most so many answers to them are expected. Orders and answers may have to wait for so long. A
turn costs 0.7 ms where nothing of it is in a core's cache any more. 60 % answering, in turns with 24 ms, all
processes, their start included: 48 ms took 0.89 times the CPU at 2,000 a second, 0.90 times at 10,000."""
SETTLE = 4096
"""Outcomes sent together, while there is more to do: by `benchmarks.stages` the hop costs 0.23 µs in batches
of 2,048, 2.3 in those of 64, and who takes them has as many calls less."""
SMALL = 64
"""Frames and targets of a turn, below which the worker waits for more after it. By `benchmarks.stages` a flow
costs several times as much in smaller batches; `benchmarks.calm` shows what that saves."""
_ROUNDS = 8
"""Batches of frames in a turn, at most: after that it looks at its orders. A judgement: a turn takes some 10
ms."""


class FlowEngine:
    """Targets and received frames in; frames to send and outcomes for the collector out.

    outbox: takes the outcomes. transmit: sends the frames. icmp: sockets of ICMP errors, in a sweep; the
    worker with the first shard reads them. others: the receive rings of other workers.
    """

    def __init__(
        self,
        outbox: Outbox,
        table: FlowTable,
        transmit: Transmit,
        icmp: ICMPErrors | None = None,
        others: OtherRings | None = None,
    ) -> None:
        config = table.config
        self.table = table
        self.rings: dict[int, Ring] = {}  # by shard
        self.backlog = Backlog(config.secrets.shard, config.shards)
        self.transmit = transmit
        self.outbox = outbox
        self.looked = 0
        """All that came before this (monotonic ns) has been looked at; 0 after a shard was taken over, until
        its ring has been looked at too."""
        self._limited = False
        """The last SYNs of a sweep were fewer than were due, by --max-rate or --bandwidth."""
        self.at_limit = False  # since it was last set to False, targets waited for answers to others
        self._now = time.monotonic_ns()
        self._rounds = 0  # of receiving, since the start
        self._arrivals = Arrivals(2 * TAKE)
        self._waiting_since = 0  # what is left in the rings came later (ns since the epoch); 0: nothing
        wait = config.retransmit_wait if config.retransmit_number else config.timeout
        self._wait = round(wait * 1e9)
        self._outstanding = Outstanding(1, 1, self._wait)
        self._prompt: int | None = None  # ns within which nearly all hosts answer
        self._asks = 1 + config.haf  # connections that a target may need at once
        self._step = max(64, OPEN // self._asks)
        self._opening = False  # the connections begun last are ours from the SYN on
        self.sweeper: Sweeper | None = None
        self._asked = 0  # pairs of a sweep, since the rings were last looked at
        self._icmp, self._icmp_lost = icmp, 0
        self.overflows = Overflows(table)
        self._others = others

    def add(self, shard: int, ring: Ring) -> None:
        """Take over one more shard with its ring; its flows are put in with `FlowTable.adopt`."""
        self.rings[shard] = ring
        smallest = min(each.rx_frames for each in self.rings.values())
        self._outstanding = Outstanding(smallest, len(self.rings), self._wait)
        self._step = max(64, min(OPEN, smallest * len(self.rings) // 2) // self._asks)
        self.transmit.add(ring.out, self._now)
        self.looked = 0

    def extract(self, shard: int, wall: int) -> ShardFlows:
        """Take the flows of a shard that another worker is to have. wall: ns since the epoch."""
        self.overflows.leave(shard, self.rings[shard], self._now, wall)
        return self.table.extract(shard)

    def remove(self, shard: int) -> Ring:
        """Give up a shard that another worker is to have; returns its ring."""
        ring = self.rings.pop(shard)
        if self.transmit.remove(ring.out, self._now) and self.sweeper is not None:
            self.sweeper.ask_again(self._now)
        return ring

    @property
    def malformed(self) -> NDArray[np.int64]:
        """Frames that made no segment, by kind."""
        return self._arrivals.faults

    def block(self, policy: Blocklist) -> None:
        """From now on contact nobody whom this policy does not allow: no packet leaves after this returns."""
        self.transmit.block(policy)
        self.end_blocked()
        if self.sweeper is not None:
            self.sweeper.policy = policy

    def end_blocked(self) -> None:
        """End flows that are not allowed, if there are any: an adopted shard may have brought some."""
        if self.transmit.policy is not None:
            self.table.block(self.transmit.policy)
            self.flush()
            self.hand_over_outcomes()

    def _permitted(self, targets: Rows) -> Rows:
        """The TARGET rows that are allowed; for the others an outcome is made."""
        policy = self.transmit.policy
        if policy is None:
            return targets
        allowed = policy.allowed(targets["peer_hi"], targets["peer_lo"])
        if not allowed.all():
            self.table.output.unopened(pick(targets, ~allowed), Reason.BLOCKED)
        return pick(targets, allowed)

    def sweep(self, swept: messages.Swept) -> None:
        """Set what the later stretches are a part of."""
        self.sweeper = Sweeper(swept, self.table.config, self._wait)
        self.sweeper.policy = self.transmit.policy
        self.sweeper.spare(self.table.firewall_checks, len(swept.ports))
        self.transmit.routed.keeps_syns = True
        self.table.hear = self._hear

    def _hear(self, segments: Rows) -> int:
        return 0 if self.sweeper is None else self.sweeper.hear(segments, self._now)

    @property
    def _to_ask(self) -> int:
        return 0 if self.sweeper is None else self.sweeper.to_ask.waiting

    @property
    def waiting(self) -> bool:
        """Whether targets, or pairs of a sweep that are due, wait to be begun."""
        if self.backlog.count or self.sweeper is None:
            return self.backlog.count > 0
        return self.sweeper.to_ask.due(self._now) > 0

    @property
    def errors_at(self) -> int | None:
        """When ICMP errors that were left are to be read (monotonic ns); None if there are none."""
        return None if self._icmp is None or 0 not in self.rings else self._icmp.more_at

    @property
    def asking(self) -> bool:
        """Whether SYNs of a sweep are still to be sent."""
        return self._to_ask > 0

    @property
    def next_asked(self) -> int | None:
        """When the next SYNs of a sweep are due (monotonic ns); None if there are none, or some are due
        already.
        """
        return None if self.sweeper is None else self.sweeper.to_ask.next_due(self._now)

    @property
    def queue(self) -> int:
        """Targets that wait to be begun, in batches."""
        return -(-(self.backlog.count + self._to_ask) // OPEN)

    @property
    def ignored(self) -> dict[str, int]:
        """Segments that were not acted on, by kind."""
        if self.sweeper is None:
            return self.table.ignored
        found = {"answered_again": self.sweeper.repeats, "icmp_of_others": self.sweeper.forged}
        if self._icmp is not None and 0 in self.rings:
            self._icmp_lost = self._icmp.read_lost()
        return self.table.ignored | found | {"icmp_lost": self._icmp_lost}

    @property
    def wants_targets(self) -> bool:
        """Whether few enough targets wait to be begun that more may be taken. Of the pairs of a sweep the
        coordinator gives no more than it has to; targets that have answered come behind them.
        """
        return self.backlog.count < OPEN

    @property
    def next_due(self) -> int | None:
        """When `turn` has something to do by itself (monotonic ns)."""
        dues = [ring.out.refused.next_due for ring in self.rings.values() if ring.out.refused]
        return min((due for due in (self.table.next_due, *dues) if due is not None), default=None)

    @property
    def patience(self) -> float | None:
        """Seconds until frames that are held back may leave or be tried again; None if there are none."""
        return self.transmit.wait(self._now)

    def turn(self, now: int, wall: int) -> int:
        """One round of work: receive until the rings are empty, expire timers, begin targets while there is
        room, send.

        New targets come last, in small numbers, and only when the rings are empty: answers to what was sent
        come first, so the rings set the pace. And no host is called silent while a frame that came in time is
        unread. Returns how many frames and targets were handled.
        """
        work = self._asked = 0
        self._now = now
        if self.transmit.held or self.transmit.routed.patience is not None:
            self.flush()
        work += self._receive(now)
        if self._icmp is not None and self.sweeper is not None and 0 in self.rings:
            quoted, kinds = self._icmp.take(now)
            self._icmp.note_news(self.sweeper.hear_errors(quoted, kinds, now) if len(quoted) else 0)
        self._see_to_refused(now)
        # 0 where the clock was set forward by more than this host runs: then nothing is known.
        seen = max(0, min(now, now - wall + self._waiting_since)) if self._waiting_since else now
        self.looked = seen
        self.overflows.ask_again(now, wall)
        # Nothing new while packets are held back; and nobody is silent whose answer may have been dropped.
        due = None if self.transmit.held or self.overflows else self.table.next_due
        if due is not None and due <= seen:
            before = self.table.silent
            self.table.expire(seen, self._step)
            self._outstanding.note_silent(self.table.silent - before, now)
            self.flush()
            due = self.table.next_due
        if due is not None and due <= now:
            work += self._step  # more to do at once, but the answers to this first
        elif work < _ROUNDS * TAKE:
            work += self.begin(now, wall)
        if work < SMALL or self.table.output.outcomes_waiting >= SETTLE:
            self.hand_over_outcomes()
        return work

    def _receive(self, now: int) -> int:
        """Take all frames from all rings, in batches, and act on them; returns how many."""
        arrivals, taken = self._arrivals, dict.fromkeys(self.rings, 0)
        rings = deque(self.rings.items())
        rings.rotate(-self._rounds)
        more = True
        for _ in range(_ROUNDS):
            if not more:
                break
            arrivals.clear()
            more = False
            for shard, ring in rings:
                count = ring.take(TAKE, arrivals)
                taken[shard] += count
                more |= count > SMALL
            rings.rotate(-1)  # two rings may fill a batch: who comes last is first in the next
            self._rounds += 1
            if len(arrivals.segments):
                self.table.receive(arrivals.segments, arrivals.payloads, now)
                self.flush()
        self._waiting_since = int(arrivals.segments["ts"].min()) if more and len(arrivals.segments) else 0
        self.overflows.look(rings, taken)
        # A connection that we open ourselves is answered twice: SYN-ACK, data.
        self._prompt = prompt(self.table.ages)
        self._outstanding.note_prompt(self._prompt, 2 if self._opening else 1)
        self._outstanding.note_fill(max(taken.values(), default=0), now)
        return sum(taken.values())

    def _see_to_refused(self, now: int) -> None:
        """Try frames again that the kernel refused while it took others; end the flows of those given up."""
        for ring in self.rings.values():
            out, refused = ring.out, ring.out.refused
            if refused and refused.is_due(now) and not out.flush():
                self.transmit.note_stuck(out, now)
            if refused.given_up:
                self.table.refuse(segments_of(refused.given_up))
                refused.given_up.clear()

    def begin(self, now: int, wall: int) -> int:
        """Begin new targets and send new SYNs of a sweep, and nothing else.

        Returns how many; SYNs after which nothing is due for a while are not counted.
        """
        self._now = now
        if self.sweeper is not None:
            self.sweeper.to_ask.note_time(now, limited=self._limited)
        if not self.waiting or self.transmit.held or self.transmit.routed.clogged:
            return 0
        ahead = room = self._room(now)
        if self.sweeper is not None:
            ahead = max(room, self._outstanding.room_for_live(self.table.fresh))
        self.at_limit |= not room
        if not ahead:
            return 0
        targets = self.backlog.take(min(self._step, ahead, self.transmit.most_begun))
        begun = len(targets)
        targets = self._permitted(targets)
        if len(targets):
            self._opening = overview(targets).ours > 0
            self._outstanding.note_begun(len(targets), now)
            self.table.open(targets, now, wall)
            self.flush()
        if self.sweeper is None:
            return begun
        most = LOOK if self.sweeper.awaited.likely <= _FEW else self._step
        asked = 0 if self.transmit.held else self._ask(min(most, room) - len(targets), now)
        self.flush()
        self._asked += asked
        if self._asked >= LOOK:
            return begun + max(asked, SMALL)  # their answers are to be looked at
        return begun + (asked if self.waiting else 0)

    def _room(self, now: int) -> int:
        """How many targets and pairs may be begun: as many as the limit on outstanding flows leaves."""
        sweeper, fresh = self.sweeper, self.table.fresh
        if sweeper is None:
            return self._outstanding.room(fresh, now)
        awaited = sweeper.awaited
        awaited.note_time(now, self._prompt)
        expected, settled = awaited.expected, awaited.settled
        return self._outstanding.room(fresh + expected, now, awaited.owed, live=fresh, settled=settled)

    def _ask(self, room: int, now: int) -> int:
        """Send so many SYNs of a sweep, by any ring, whoever has their shards; returns how many.

        No more than may leave now: packets that answer others must not wait behind them. And none while a
        ring is filling up, whoever has it.
        """
        allowed = self.transmit.allowed(now, SYN_OCTETS)
        room = min(room, allowed, self.transmit.room)
        due, before = 0 if self.sweeper is None else self.sweeper.to_ask.due(now), self._to_ask
        self._limited = allowed < due
        if self.sweeper is None or not self.rings or room <= 0 or self._crowded(now):
            return 0
        coming = min(room, self.sweeper.to_ask.due(now + 2 * AHEAD))
        ahead = 2 * AHEAD if coming * self.sweeper.awaited.likely <= _ANSWERS else AHEAD
        syns = self.sweeper.ask(room, self.transmit.ways, now + ahead)
        pairs = before - self._to_ask
        if len(syns):
            self._outstanding.note_begun(len(syns), now)
            until = self.sweeper.to_ask.next_due(now) or now + ahead
            first = due * len(syns) // pairs  # some pairs may have no SYN
            self.transmit.spread(syns, now, min(until - now, ahead), first=first)
        return pairs

    def _crowded(self, now: int) -> bool:
        """Whether answers to more SYNs might find no room in a receive ring."""
        if any(ring.filling for ring in self.rings.values()):
            self._asked = LOOK  # it is for us to look at them
            return True
        crowded = self._others is not None and self._others.filling(self.rings)
        if crowded:
            self.at_limit = True
            self._outstanding.note_crowded(now)
        return crowded

    def heard(self, *, last: bool = False) -> Reports:
        """Reports of a sweep for the coordinator: only now and then, since each costs it a turn. last:
        everything, now.
        """
        sweeper = self.sweeper
        if sweeper is None or not (last or sweeper.telling(self._now)):
            return []
        routed = self.transmit.routed
        return sweeper.reports(self._now, left=not self.transmit.held, made=routed.made, gone=routed.gone)

    def flush(self, *, all_of_it: bool = False) -> None:
        """Send the table's frames. all_of_it: also those that the budget does not allow yet."""
        frames = self.table.take_frames()
        if frames or all_of_it or not self.transmit.empty:
            self.transmit.send(frames, self._now, all_of_it=all_of_it)

    def finish(self) -> None:
        """At the end of a scan: send what is left, for a short time; what does not leave is dropped."""
        self.flush(all_of_it=True)
        self.transmit.finish()

    def hand_over_outcomes(self) -> None:
        """Put the outcomes that wait into the outbox."""
        self.outbox.put(*self.table.take_outcomes(), self._now)
