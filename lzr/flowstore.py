"""Where flows are kept: rows and the free ones among them, the index of keys, timers, held pieces.

The law: *a row is in the index exactly while it is in use, and is used again only after the call that freed
it*, since later segments of the batch may still point at it. What a flow does, and when, is `flows`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lzr import flowrows
from lzr.flowindex import FlowIndex
from lzr.flowrows import Rows, Slots
from lzr.pieces import Pieces
from lzr.plan import RTO, RTO_UNMEASURED, Plan
from lzr.rows import FLOW, copied, pick, put
from lzr.shardflows import ShardFlows
from lzr.sharding import draw, flow_key, shard_of
from lzr.timers import DelayQueue
from lzr.transitions import Cue, State

Mask = NDArray[np.bool_]

_SECOND = 1_000_000_000
_MAX_DRAWS = 512
_DOUBTFUL, _REOPENED = -2, -3  # in `note`, on the way to another process


class Wait(NamedTuple):
    """A kind of timer: all of one kind have one delay, and raise one cue."""

    name: str
    cue: Cue


RETRANSMIT = Wait("retransmit", Cue.RETRANSMIT_DUE)
TIMEOUT = Wait("timeout", Cue.TIMED_OUT)
PATIENCE = Wait("patience", Cue.TIMED_OUT)  # for a peer that has acknowledged the probe
LONG_PATIENCE = Wait("long patience", Cue.TIMED_OUT)  # and may not know the round trip
COOLDOWN = Wait("cooldown", Cue.TIMED_OUT)
SETTLE = Wait("settle", Cue.SETTLED)
DELAY = Wait("delay", Cue.DELAY_OVER)


class FlowStore:
    """The rows of a `FlowTable`."""

    def __init__(self, plan: Plan, capacity: int, index: FlowIndex | None) -> None:
        self.plan = plan
        self.index = FlowIndex() if index is None else index
        self.rows = np.zeros(capacity, FLOW)
        self._free = np.arange(capacity - 1, -1, -1, dtype=np.int32)
        self._free_count = capacity
        self._released: list[Slots] = []
        self._pieces = Pieces()
        self._doubtful: set[int] = set()  # slots of half-open connections that we may have reset ourselves
        self._reopened: set[int] = set()  # slots of those that we opened anew after a RST
        delays = {
            RETRANSMIT: plan.retransmit_wait,
            TIMEOUT: plan.timeout,
            PATIENCE: plan.patience(RTO),
            LONG_PATIENCE: plan.patience(RTO_UNMEASURED),
            COOLDOWN: plan.cooldown,
            SETTLE: plan.settle,
            DELAY: plan.probe_delay,
        }
        self._timers = {wait: DelayQueue(round(seconds * _SECOND)) for wait, seconds in delays.items()}
        self._now = 0
        self.in_flight = 0
        self.fresh = 0  # flows whose first packet on a connection is out and has brought nothing yet

    @property
    def next_due(self) -> int | None:
        """When `expire` has something to do next."""
        due = [q.next_due for q in self._timers.values() if q.next_due is not None]
        return min(due) if due else None

    def postpone(self, by: int, now: int) -> None:
        """Nothing could be sent for the last `by` ns: every timer is that much later."""
        for queue in self._timers.values():
            queue.postpone(by, now)

    def cooling(self) -> tuple[int, int]:
        """How many flows wait for nothing but a late answer to their first SYN, and until when the last does.

        (0, 0) while anything else is due, so that it costs nothing in the middle of a scan.
        """
        if any(self._timers[wait].next_due is not None for wait in (RETRANSMIT, SETTLE, DELAY)):
            return 0, 0
        count = until = 0
        for due, slots, generations in self._timers[COOLDOWN].entries():
            rows = self.rows
            alive = (rows["generation"][slots] == generations) & (rows["state"][slots] != State.FREE)
            if alive.any():
                count, until = count + int(np.count_nonzero(alive)), due
        return count, until

    # --- rows ------------------------------------------------------------------------------------------

    def _allocate(self, count: int) -> Slots:
        if count > self._free_count:
            self._grow(count)
        self._free_count -= count
        return self._free[self._free_count : self._free_count + count].copy()

    def _grow(self, count: int) -> None:
        old = len(self.rows)
        new = old + max(count, old if old < 1 << 20 else old // 4)
        rows = np.zeros(new, FLOW)
        rows[:old].view(np.uint8)[:] = self.rows.view(np.uint8)
        free = np.empty(new, np.int32)
        free[: self._free_count] = self._free[: self._free_count]
        free[self._free_count : self._free_count + new - old] = np.arange(new - 1, old - 1, -1)
        self.rows, self._free = rows, free
        self._free_count += new - old

    def _release(self, slots: Slots) -> None:
        self.index.remove(self.rows["key"][slots])
        flowrows.bump(self.rows, slots, State.FREE)
        self._note_free(slots)

    def _note_free(self, slots: Slots) -> None:
        """These flows have ended; their rows are free."""
        self.in_flight -= len(slots)
        if self._doubtful or self._reopened:
            self._doubtful.difference_update(slots.tolist())
            self._reopened.difference_update(slots.tolist())
        self._released.append(slots)

    def _release_unindexed(self, slots: Slots) -> None:
        flowrows.bump(self.rows, slots, State.FREE)
        self._released.append(slots)

    def _end_of_call(self) -> None:
        """Rows ended in this call become free only now: later segments of the batch still point at them."""
        for slots in self._released:
            self._free[self._free_count : self._free_count + len(slots)] = slots
            self._free_count += len(slots)
        self._released.clear()

    # --- timers and ports ------------------------------------------------------------------------------

    def _push_timer(self, wait: Wait, slots: Slots) -> None:
        generations = flowrows.bump(self.rows, slots)
        self._timers[wait].push(self._now, slots, generations)

    def _shards(self, flows: Rows) -> NDArray[np.uint32]:
        return shard_of(flows, self.plan.hash_seed, self.plan.shards)

    def _choose_ports(self, flows: Rows, slots: Slots, home: NDArray[np.uint32], salt: int) -> Mask:
        """Set own_port and key of `flows`, and index them, so that each belongs to the shard `home`.

        (n,) bool: False where no port was found in a bounded number of draws.
        """
        plan = self.plan
        low, high = plan.ports
        span = np.uint64(high - low + 1)
        done = np.zeros(len(flows), bool)
        mixed = flows["line"] * np.uint64(256) + flows["handshake"]
        for attempt in range(_MAX_DRAWS):
            todo = np.flatnonzero(~done)
            if not len(todo):
                break
            trial = flows[todo]
            offset = draw(plan.seed, mixed[todo], salt, attempt) % span
            trial["own_port"] = (np.uint64(low) + offset).astype(np.uint16)
            fits = trial["own_port"] != flows["own_port"][todo]
            if plan.shards > 1:
                fits &= self._shards(trial) == home[todo]
            todo, trial = todo[fits], trial[fits]
            keys = flow_key(trial, plan.hash_seed)
            added = self.index.insert(keys, slots[todo])
            took = todo[added]
            flows["own_port"][took] = trial["own_port"][added]
            flows["key"][took] = keys[added]
            done[took] = True
        return done

    # --- moving to another process ---------------------------------------------------------------------

    def extract(self, shard: int) -> ShardFlows:
        """Take the flows of `shard` out of this table, with their timers and held pieces."""
        rows = self.rows
        slots = np.flatnonzero(rows["state"] != State.FREE).astype(np.int32)
        slots = slots[shard_of(pick(rows, slots), self.plan.hash_seed, self.plan.shards) == shard]
        place = np.full(len(rows), -1, np.int32)
        place[slots] = np.arange(len(slots), dtype=np.int32)
        flows = pick(rows, slots)
        asking = flows["state"] == State.PROBE
        flows["note"][asking] = place[flows["note"][asking]]
        for held, mark in ((self._doubtful, _DOUBTFUL), (self._reopened, _REOPENED)):
            if held:
                flows["note"][[slot in held for slot in slots.tolist()]] = mark
                held.difference_update(slots.tolist())

        def live(slots: Slots, generations: NDArray[np.uint32]) -> Mask:
            return np.asarray((place[slots] >= 0) & (rows["generation"][slots] == generations), bool)

        timers = [
            (number, due, place[armed], generations)
            for number, queue in enumerate(self._timers.values())
            for due, armed, generations in queue.extract(live)
        ]
        pieces = {int(place[slot]): held for slot, held in self._pieces.extract(slots.tolist()).items()}
        self.index.remove(flows["key"])
        self.in_flight -= len(slots) - int(np.count_nonzero(asking))
        self._release_unindexed(slots)
        self._end_of_call()
        self.fresh = flowrows.count_fresh(self.rows)
        return ShardFlows.pack(flows, timers, pieces)

    def adopt(self, state: ShardFlows) -> None:
        """Take over what another table's `extract` gave."""
        flows = copied(state.flows)
        slots = self._allocate(len(flows))
        asking = (flows["state"] == State.PROBE) & (flows["note"] >= 0)
        flows["note"][asking] = slots[flows["note"][asking]]
        for held, mark in ((self._doubtful, _DOUBTFUL), (self._reopened, _REOPENED)):
            marked = flows["note"] == mark
            held.update(slots[marked].tolist())
            flows["note"][marked] = 0
        # Beyond any timer that was ever armed for these rows, and a new one for each timer that comes along.
        base = self.rows["generation"][slots] + np.uint32(1)
        shift = base - flows["generation"]
        flows["generation"] = base
        put(self.rows, slots, flows)
        self.index.insert(flows["key"], slots)
        self.in_flight += int(np.count_nonzero(flows["state"] != State.PROBE))
        for number, queue in enumerate(self._timers.values()):
            queue.merge(
                (due, slots[armed], generations + shift[armed])
                for due, armed, generations in state.timers(number)
            )
        self.fresh = flowrows.count_fresh(self.rows)
        self._pieces.adopt({int(slots[place]): held for place, held in state.pieces.items()})
