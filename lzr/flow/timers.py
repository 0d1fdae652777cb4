"""Timers of flows: when each is due for a retransmit, or has waited long enough. Those with one delay are
first in, first out: a queue of arrays, no heap, no cancelling.

A timer is (slot, generation). A flow that is re-armed or ends gets its next generation, so a timer that comes
due with an older one is void. `Timers` are those of a flow table, one queue for each `Wait`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, ItemsView, Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lzr.flow import tcp
from lzr.flow.config import RTO, RTO_UNMEASURED
from lzr.flow.store import FlowStore
from lzr.rows import FlowState, FlowTrigger, pick

Slots = NDArray[np.int32]
Generations = NDArray[np.uint32]
Mask = NDArray[np.bool_]

_SECOND = 1_000_000_000


class Wait(NamedTuple):
    """What a flow can wait for. Each kind has one delay, and one trigger when that is over."""

    name: str
    trigger: FlowTrigger


RETRANSMIT = Wait("retransmit", FlowTrigger.RETRANSMIT_DUE)
TIMEOUT = Wait("timeout", FlowTrigger.TIMED_OUT)
PATIENCE = Wait("patience", FlowTrigger.TIMED_OUT)  # for the reply of a peer that has acknowledged the probe
LONG_PATIENCE = Wait("long patience", FlowTrigger.TIMED_OUT)  # the same, of one that did not measure its RTT
COOLDOWN = Wait("cooldown", FlowTrigger.TIMED_OUT)
SETTLE = Wait("settle", FlowTrigger.SETTLED)
DELAY = Wait("delay", FlowTrigger.DELAY_OVER)


class DelayQueue:
    """All timers of one delay (nanoseconds)."""

    def __init__(self, delay: int) -> None:
        self.delay = delay
        self._due: deque[tuple[int, NDArray[np.int32], NDArray[np.uint32]]] = deque()

    def push(self, now: int, slots: NDArray[np.int32], generations: NDArray[np.uint32]) -> None:
        """Arm timers for `now + delay`. `now` must not go back."""
        if len(slots):
            self._due.append((now + self.delay, slots.astype(np.int32), generations.astype(np.uint32)))

    def pop(self, now: int, most: int = 1 << 31) -> tuple[NDArray[np.int32], NDArray[np.uint32]] | None:
        """The timers due at `now` (slots, generations), oldest first and at most `most`, or None."""
        due = self._due
        if not due or due[0][0] > now:
            return None
        slots, generations, count = [], [], 0
        while due and due[0][0] <= now and count < most:
            when, s, g = due.popleft()
            if count + len(s) > most:
                fits = most - count
                due.appendleft((when, s[fits:], g[fits:]))
                s, g = s[:fits], g[:fits]
            slots.append(s)
            generations.append(g)
            count += len(s)
        if len(slots) == 1:
            return slots[0], generations[0]
        return np.concatenate(slots), np.concatenate(generations)

    def postpone(self, by: int, now: int) -> None:
        """Make every timer due `by` ns later, but none later than `now + delay`."""
        self._due = deque((min(due + by, now + self.delay), s, g) for due, s, g in self._due)

    def extract(
        self, wanted: Callable[[NDArray[np.int32], NDArray[np.uint32]], NDArray[np.bool_]]
    ) -> list[tuple[int, NDArray[np.int32], NDArray[np.uint32]]]:
        """Copies of the timers for which `wanted(slots, generations)` holds, as (due, slots, generations)."""
        found = []
        for due, slots, generations in self._due:
            keep = wanted(slots, generations)
            if keep.any():
                found.append((due, slots[keep], generations[keep]))
        return found

    def merge(self, entries: Iterable[tuple[int, NDArray[np.int32], NDArray[np.uint32]]]) -> None:
        """Take over timers of another queue of the same delay, wherever in time they belong."""
        self._due = deque(sorted([*self._due, *entries], key=lambda entry: entry[0]))

    def entries(self) -> Iterable[tuple[int, NDArray[np.int32], NDArray[np.uint32]]]:
        """Every timer, as (due, slots, generations), soonest first."""
        return self._due

    @property
    def next_due(self) -> int | None:
        """When the first timer is due (ns); None if there is none."""
        return self._due[0][0] if self._due else None

    def __len__(self) -> int:
        return sum(len(slots) for _, slots, _ in self._due)


class Timers:
    """The timers of the flows in `store`: of each flow, only the last one armed counts."""

    def __init__(self, store: FlowStore) -> None:
        self._store = store
        config = store.config
        delays = {
            RETRANSMIT: config.retransmit_wait,
            TIMEOUT: config.timeout,
            PATIENCE: config.patience(RTO),
            LONG_PATIENCE: config.patience(RTO_UNMEASURED),
            COOLDOWN: config.cooldown,
            SETTLE: config.settle,
            DELAY: config.probe_delay,
        }
        self._queues = {wait: DelayQueue(round(seconds * _SECOND)) for wait, seconds in delays.items()}

    def arm(self, wait: Wait, slots: Slots, now: int) -> None:
        """Let these flows wait for `wait`, and for nothing else."""
        self.push(wait, slots, tcp.bump(self._store.rows, slots), now)

    def push(self, wait: Wait, slots: Slots, generations: Generations, now: int) -> None:
        """`arm` for flows whose generations have been bumped already."""
        self._queues[wait].push(now, slots, generations)

    def arm_retransmit(self, slots: Slots, now: int) -> None:
        """Arm the next retransmit of these flows; where none is left, the last wait of their state."""
        config, rows = self._store.config, self._store.rows
        states = rows["state"][slots]
        again = (states != FlowState.ACKED) & (rows["counter"][slots] < config.repeats)
        if again.all():
            self.arm(RETRANSMIT, slots, now)
            return
        if again.any():
            self.arm(RETRANSMIT, slots[again], now)
        last = slots[~again]
        states = states[~again]
        first_syn = (states == FlowState.SYN_SENT) & self._store.at_first(last)
        acked = states == FlowState.ACKED
        waits = [(COOLDOWN, first_syn), (PATIENCE, acked), (TIMEOUT, ~first_syn & ~acked)]
        if config.retransmit_number > 1:
            unmeasured = acked & self._unmeasured(last)
            waits[1:2] = (PATIENCE, acked & ~unmeasured), (LONG_PATIENCE, unmeasured)
        for wait, which in waits:
            if which.any():
                self.arm(wait, last[which], now)

    def are_waiting(self, wait: Wait, slots: Slots) -> Mask:
        """(n,) bool: whether each of these flows waits for `wait`. It looks at all timers of this kind."""
        generations = self._store.rows["generation"]
        found = np.zeros(len(generations), bool)
        entries = list(self._queues[wait].entries())
        if entries:
            armed, when = (np.concatenate(column) for column in list(zip(*entries, strict=True))[1:])
            found[armed[generations[armed] == when]] = True
        return np.asarray(found[slots], bool)

    def _unmeasured(self, slots: Slots) -> Mask:
        """(n,) bool: whether the peer may have no measured round trip, as a packet of the handshake was
        repeated.
        """
        flows = pick(self._store.rows, slots)
        repeated = (flows["counter"] > 0) | (flows["answers"] > 0)
        return np.asarray(repeated | (flows["measured"] == 0), bool)

    def queues(self) -> ItemsView[Wait, DelayQueue]:
        """Every kind with its queue; the order is the number under which a kind travels to another
        process.
        """
        return self._queues.items()

    @property
    def next_due(self) -> int | None:
        """When the first timer is due (monotonic ns); None if none is armed."""
        due = [queue.next_due for queue in self._queues.values() if queue.next_due is not None]
        return min(due) if due else None

    def postpone(self, by: int, now: int) -> None:
        """Make every timer due `by` ns later, since nothing could be sent for so long."""
        for queue in self._queues.values():
            queue.postpone(by, now)

    def cooling(self) -> tuple[int, int]:
        """How many flows wait only for a late answer to their first SYN, and until when the last of them
        waits.

        (0, 0) while any other timer is armed, so that it costs nothing in the middle of a scan.
        """
        if any(self._queues[wait].next_due is not None for wait in (RETRANSMIT, SETTLE, DELAY)):
            return 0, 0
        rows, count, until = self._store.rows, 0, 0
        for due, slots, generations in self._queues[COOLDOWN].entries():
            alive = (rows["generation"][slots] == generations) & (rows["state"][slots] != FlowState.FREE)
            if alive.any():
                count, until = count + int(np.count_nonzero(alive)), due
        return count, until
