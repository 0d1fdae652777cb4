"""What a flow worker hosts: its shards' rings, one flow table over all, results not yet acknowledged."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lzr import messages
from lzr.flow.table import FlowTable
from lzr.messages import Buffer
from lzr.pacing.budget import Budget
from lzr.packet.segments import Builder
from lzr.packet.sharding import shard_of
from lzr.rows import TARGET, Opening, join, pick
from workers.flow.response_times import prompt
from workers.flow.ring import Arrivals, Ring, SendFailure
from workers.flow.window import Window

TAKE = 1024
"""Frames looked at together: large enough to amortise a batch, small enough to stay in the cache."""
OPEN = 1024
"""Targets begun, or timers acted on, together. A ring holds the answers to many times as many."""
SETTLE = 2048
"""Outcomes sent together, while there is more to do."""
SMALL = 64
"""Frames and targets in a turn, below which there is nothing more to do: a worker rests after it."""
_ROUNDS = 8
_LONG = 50_000_000  # ns without sending, for which timers have to be set later
_LAST_TRIES = 0.5  # seconds, for what there still is to send at the end


class Hosted:
    """Packets in, packets and outcome messages out.

    source: this worker's incarnation; budget: what may leave, None for no limit.
    """

    def __init__(self, source: int, table: FlowTable, builder: Builder, budget: Budget | None = None) -> None:
        self.source = source
        self.table = table
        self.rings: dict[int, Ring] = {}
        self._builder = builder
        self._way_out: Ring | None = None
        self._budget = budget
        self._outgoing: deque[Any] = deque()  # FRAME rows that the budget, or a stuck ring, holds back
        self._stuck: list[Ring] = []  # rings with frames that the kernel has not taken
        self._stuck_since = 0
        self._now = time.monotonic_ns()
        self._rounds = 0  # of receiving, since the start
        self.sequence = 0
        self.pending: deque[list[Buffer]] = deque()  # not yet handed to ZeroMQ
        self.unacknowledged: deque[tuple[int, list[Buffer]]] = deque()
        self._settled_at: deque[int] = deque()  # when each of them was put there (ns)
        self.outbox_octets = 0  # of the unacknowledged
        self._arrivals = Arrivals(2 * TAKE)
        plan = table.plan
        wait = plan.retransmit_wait if plan.retransmit_number else plan.timeout
        self._wait = round(wait * 1e9)
        self._window = Window(1, 1, self._wait)
        self._step = max(64, OPEN // (1 + plan.haf))
        self._opening = False  # the connections begun last are ours from the SYN on
        self._stock: deque[Any] = deque()  # TARGET rows to be begun in their turn
        self._stocked = 0  # how many
        self.window_held = False  # since it was last set to False, targets waited for answers to others

    def add(self, shard: int, ring: Ring) -> None:
        self.rings[shard] = ring
        smallest = min(each.rx_frames for each in self.rings.values())
        self._window = Window(smallest, len(self.rings), self._wait)
        self._way_out = ring
        if ring.stuck:
            self._note_stuck(ring)
        self._share()

    @property
    def malformed(self) -> NDArray[np.int64]:
        """Frames that made no segment, by kind."""
        return self._arrivals.faults

    def remove(self, shard: int) -> Ring:
        ring = self.rings.pop(shard)
        if ring in self._stuck:
            self._stuck.remove(ring)  # its frames go with it
        if not self.rings and self._outgoing:
            ring.errors["no room"] += sum(map(len, self._outgoing))  # their flows go, and will send again
            self._outgoing.clear()
        self._way_out = next(iter(self.rings.values()), None)
        self._share()
        return ring

    def _share(self) -> None:
        if self._budget is not None:
            self._budget.set_share(len(self.rings) / self.table.plan.shards, self._now)

    def turn(self, now: int, wall: int) -> int:
        """Receive until the rings are empty, expire, begin what there is room for, send: one round of work.

        New targets come last, and in small numbers, and only when the rings are empty: the answers to what is
        out have them first, so the rings set the pace. Returns how many frames and targets were dealt with.
        """
        work = 0
        self._now = now
        if self._held:
            self.flush()
        work += self._receive(now)
        due = None if self._held else self.table.next_due  # nothing new while packets are held back
        if due is not None and due <= now:
            before = self.table.silent
            self.table.expire(now, self._step)
            self._window.note_silent(self.table.silent - before, now)
            self.flush()
            due = self.table.next_due
        if due is not None and due <= now:
            work += self._step  # more to do at once, but the answers to this first
        elif work < _ROUNDS * TAKE:
            work += self.begin(now, wall)
        if work < SMALL or self.table.output.outcomes_waiting >= SETTLE:
            self.settle()
        return work

    def _receive(self, now: int) -> int:
        """What the rings hold, all of them together, in batches; how many frames that was."""
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
        # A connection that we open ourselves is answered twice: SYN-ACK, data.
        self._window.note_prompt(prompt(self.table.ages), 2 if self._opening else 1)
        self._window.note_fill(max(taken.values(), default=0), now)
        return sum(taken.values())

    @property
    def stocked(self) -> int:
        """Targets that wait to be begun."""
        return self._stocked

    @property
    def wants_targets(self) -> bool:
        return self._stocked < OPEN

    def give(self, targets: Any) -> None:
        """TARGET rows, to be begun in their turn; when they are wanted, unless there is a reason to hurry."""
        if len(targets):
            self._stock.append(targets)
            self._stocked += len(targets)

    def withdraw(self, shard: int) -> Any:
        """The TARGET rows of this shard that have not been begun: somebody else's now."""
        plan, taken = self.table.plan, []
        stock, self._stock, self._stocked = self._stock, deque(), 0
        for targets in stock:
            theirs = shard_of(targets, plan.secrets.shard, plan.shards) == shard
            taken.append(pick(targets, theirs))
            self.give(pick(targets, ~theirs))
        return join(taken) if taken else np.empty(0, TARGET)

    def begin(self, now: int, wall: int) -> int:
        """Begin new targets and nothing else; how many."""
        if not self._stock or self._held:
            return 0
        self._now = now
        room = min(self._step, self._window.room(self.table.fresh, now))
        if not room:
            self.window_held = True
            return 0
        parts, count = [], 0
        while self._stock and count < room:
            targets = self._stock.popleft()
            if count + len(targets) > room:
                self._stock.appendleft(targets[room - count :])
                targets = targets[: room - count]
            parts.append(targets)
            count += len(targets)
        self._stocked -= count
        targets = join(parts)
        self._opening = bool((targets["syn"] == Opening.OURS).any())
        self._window.note_begun(count, now)
        self.table.open(targets, now, wall)
        self.flush()
        return count

    @property
    def patience(self) -> float | None:
        """Seconds until packets that are held back may leave, or be tried again; None if there are none."""
        if self._stuck:
            return max(0, min(ring.retry_at for ring in self._stuck) - self._now) / 1e9
        return self._budget.wait() if self._outgoing and self._budget is not None else None

    @property
    def _held(self) -> bool:
        return bool(self._outgoing or self._stuck)

    def flush(self, *, all_of_it: bool = False) -> None:
        """Put frames on the wire: those the budget allows, or all of it.

        While a ring is stuck they wait here; with `all_of_it` in the rings, as far as there is room.
        """
        self._outgoing += self.table.take_frames()
        if self._stuck and not self._try_again() and not all_of_it:
            return
        if self._outgoing:
            assert self._way_out is not None  # flows come only after a shard has been adopted
            self._put(self._way_out, all_of_it)
        if self._stuck and all_of_it:
            self._postpone()  # a shard may be about to leave with its timers
            for ring in self.rings.values():
                self._put(ring, all_of_it)

    def _put(self, out: Ring, all_of_it: bool) -> None:
        budget = self._budget
        while self._outgoing:
            burst = self._outgoing.popleft()
            if budget is not None:
                room = len(burst) if all_of_it else budget.frames(self._now)
                if room < len(burst):
                    self._outgoing.appendleft(burst[room:])
                    burst = burst[:room]
                if not room:
                    break
            octets = out.placed_octets
            placed = out.send(burst, self._builder)
            if budget is not None:
                budget.spend(placed, out.placed_octets - octets)
            if placed < len(burst):
                self._outgoing.appendleft(burst[placed:])
                break
        if not out.flush():
            self._note_stuck(out)

    def _note_stuck(self, ring: Ring) -> None:
        if not self._stuck:
            self._stuck_since = self._now
        if ring not in self._stuck:
            self._stuck.append(ring)

    def _try_again(self) -> bool:
        """The stuck rings: have their frames been taken?"""
        self._stuck = [ring for ring in self._stuck if not ring.flush()]
        if not self._stuck:
            self._postpone()
        return not self._stuck

    def _postpone(self) -> None:
        """Time in which nothing could be sent is not time that a peer had to answer."""
        held = self._now - self._stuck_since
        if held > _LONG:
            self.table.timers.postpone(held, self._now)
            self._stuck_since = self._now

    def finish(self) -> None:
        """Put all there still is on the wire; an interface that does not take it is not waited for."""
        until = time.monotonic() + _LAST_TRIES
        with contextlib.suppress(SendFailure):
            self.flush(all_of_it=True)
            while self._held and time.monotonic() < until:
                time.sleep(0.005)
                self.flush(all_of_it=True)

    def settle(self) -> None:
        """Put the outcomes that wait in the outbox."""
        rows, payloads = self.table.take_outcomes()
        if len(rows):
            self.sequence += 1
            message = messages.pack(messages.Outcomes(self.source, self.sequence, rows, payloads))
            self.pending.append(message)
            self.unacknowledged.append((self.sequence, message))
            self._settled_at.append(self._now)
            self.outbox_octets += sum(map(len, message))

    def outbox_age(self, now: int) -> int:
        """For how long the oldest outcomes have waited to be written (ns)."""
        return now - self._settled_at[0] if self._settled_at else 0

    def acknowledge(self, sequence: int) -> None:
        """The collector has written everything up to `sequence`."""
        while self.unacknowledged and self.unacknowledged[0][0] <= sequence:
            _, message = self.unacknowledged.popleft()
            self._settled_at.popleft()
            self.outbox_octets -= sum(map(len, message))

    def resend(self) -> None:
        """A new collector: it gets all that has not been acknowledged."""
        self.pending = deque(message for _, message in self.unacknowledged)
