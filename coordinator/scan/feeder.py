"""From the backlog to the flow workers: at the pace asked for, to the worker that has the target's shard.

A batch waits in a queue here until its worker has room, or aside while its shard changes hands.
"""

from __future__ import annotations

from collections import deque

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from coordinator.input.intake import Intake
from coordinator.network.routing import Routing
from coordinator.processes.child import Child, has_room, try_feed
from coordinator.scan.accounts import Accounts
from lzr.ipc import messages, packing
from lzr.ownaddresses import Sources
from lzr.pacing.pacer import Pacer
from lzr.packet.ways import WayKind
from lzr.rows import Opening, Rows, join, pick, put
from lzr.targets.screen import overview

_BATCH = 2048
"""Targets in one message. `python -m benchmarks.stages`: the hop costs 0.19 µs a target in batches of 2,048,
2.0 in batches of 64."""
BACKLOG = 16384
"""Targets read ahead of the workers: eight batches, of which a worker's feed takes four.
`benchmarks.endtoend` (100,000 flows) showed no difference between 4,096 and 65,536."""
_ASIDE = 0.1
"""Seconds' worth of the rate that may wait for shards without a worker. At the start that is all of them:
when everything was let through that had come due during the start, a scan at 2,000 a second began with 1,700
within 0.2 s. A shard that moves has an eighth of the targets or less, and is open again before so much waits.
"""


class Paced(Struct):
    """What the pacing did since the last `take_paced`.

    begun: targets that were let through. held: some had to wait for the rate. clogged: the workers had no
    room for targets that were let through.
    """

    begun: int = 0
    held: bool = False
    clogged: bool = False


class Feeder:
    """Queues of targets by flow worker, between the intake and the workers' own high-water marks.

    sources: our address and port of the connections that we open. pacer: the pace (--rate). routing: how each
    target is reached. accounts: counts those that cannot be. shard_key: seed of the hash by which a target
    belongs to a shard; shards: how many there are.

    Nothing is sent before every shard has a worker. Otherwise all that has piled up for the first shard would
    go out alone, and its answers would come to one of many receive rings, which has no room for them.
    """

    def __init__(
        self,
        intake: Intake,
        sources: Sources,
        pacer: Pacer,
        routing: Routing,
        accounts: Accounts,
        *,
        shard_key: int,
        shards: int,
    ) -> None:
        self.pacer = pacer
        self._intake = intake
        self._ledger = intake.ledger
        self._sources = sources
        self._shard_key = shard_key
        self._routing = routing
        self._accounts = accounts
        self._held = True
        self._workers: dict[int, Child] = {}  # by place: who had a shard there last
        self._queues: dict[int, deque[Rows]] = {}  # by the place of a flow worker
        self._set_aside: deque[Rows] = deque()  # for shards that are changing hands
        self._owners = np.zeros(shards, np.uint16)  # by shard: 1 + place of its open worker, 0 none
        self._to_sort = False  # a shard was opened or closed: what waits may go another way
        self._to_try_again: list[int] = []  # shards that are open again after a loss
        self._attempt = 0
        self._queued = 0
        self._aside_count = 0  # of these, set aside
        self._paced = Paced()

    @property
    def has_room(self) -> bool:
        """Whether more of the input may be read."""
        return self._intake.waiting + self._queued < BACKLOG and not self._intake.crowded

    @property
    def backlog(self) -> int:
        """Targets that were not sent to a worker yet."""
        return self._intake.waiting + self._queued

    @property
    def waiting(self) -> bool:
        """Whether there are targets for workers that had no room."""
        return self._queued > self._aside_count

    # --- whose shard it is -----------------------------------------------------------------------------

    def open(self, shard: int, place: int, worker: Child) -> None:
        """From now on the shard is fed, to this worker, which is at this place."""
        self._owners[shard] = place + 1
        self._workers[place] = worker
        self._to_sort = True

    def close(self, shard: int) -> None:
        """From now on targets of this shard wait: it changes hands. `sort` takes those out of their queue."""
        self._owners[shard] = 0
        self._to_sort = True

    def try_again(self, shard: int) -> None:
        """A shard that was lost is open again: its inputs without a fate are to be sent again, by `sort`."""
        self._to_try_again.append(shard)

    def sort(self) -> list[tuple[int, int]]:
        """If a shard has changed hands, put waiting targets into the queues of the workers that own their
        shards now.

        Returns (shard, number of targets) for each shard whose targets are sent again.
        """
        if not self._to_sort:
            return []
        self._to_sort = False
        waiting = [rows for queue in (*self._queues.values(), self._set_aside) for rows in queue]
        self._queues.clear()
        self._set_aside.clear()
        self._aside_count = 0
        if waiting:
            rows = join(waiting)
            self._queue_up(pick(rows, np.argsort(rows["line"], kind="stable")))
        shards, self._to_try_again = self._to_try_again, []
        return [(shard, count) for shard in shards if (count := self._take_back(shard))]

    def _take_back(self, shard: int) -> int:
        """Queue a lost shard's inputs without a fate again, as connections that we open; returns how many."""
        rows = self._ledger.take_back(shard)
        if len(rows):
            rows["syn"], rows["seq"], rows["ack"], rows["window"] = Opening.OURS, 0, 0, 0
            self._attempt += 1
            self._sources.choose(rows, attempt=self._attempt)
            self._enqueue(rows)
        return len(rows)

    # --- to the workers --------------------------------------------------------------------------------

    def dispatch(self, now: float) -> bool:
        """Move targets from the intake's backlog to the workers' queues, as the rate allows; whether there
        were any.
        """
        if self._queued >= BACKLOG:
            return False
        rate = self.pacer.rate
        if rate is not None and (self.waiting or self._aside_count > _ASIDE * rate):
            self.pacer.rest(now)
            self._paced.clogged = True
            return False  # what is let through and waits for a worker would leave in one burst
        rows = self._intake.take(min(self.pacer.allowance(now), BACKLOG))
        if rows is None:
            self._paced.held |= self._intake.waiting > 0
            return False
        self.pacer.spend(len(rows))
        self._paced.held |= self._intake.waiting > 0 and rate is not None
        self._paced.begun += len(rows)
        seen = overview(rows)
        kinds = self._routing.admit(rows, seen)
        if kinds is not None:
            rows = self._reachable(rows, kinds)
        if seen.ours:
            rows = self._address(rows, rows["syn"] == Opening.OURS)
        self._enqueue(rows)
        return True

    def put(self, rows: Rows) -> None:
        """Queue targets whatever the rate: they are half open, so the next packet to them is an answer."""
        self._enqueue(rows)

    def note_asked(self, count: int, *, held: bool, clogged: bool) -> None:
        """Count pairs of a sweep that were let through. held, clogged: more wait for the rate, or for
        workers.
        """
        self._paced.begun += count
        self._paced.held |= held
        self._paced.clogged |= clogged

    def feeds(self) -> list[Child]:
        """The workers that own a shard, so that they may be sent something."""
        places = np.flatnonzero(np.bincount(self._owners))
        return [self._workers[place - 1] for place in places.tolist() if place]

    def _address(self, rows: Rows, opening: NDArray[np.bool_]) -> Rows:
        """Choose source address and port for the connections that we open; returns the rows that got one."""
        chosen = pick(rows, opening)
        routable = self._sources.choose(chosen)
        put(rows, opening, chosen)
        kinds = np.zeros(len(rows), np.uint8)
        kinds[opening] = np.where(routable, WayKind.RING, WayKind.NO_ADDRESS)
        return self._reachable(rows, kinds)

    def _reachable(self, rows: Rows, kinds: NDArray[np.uint8]) -> Rows:
        """The rows that can be reached; the others get their fate."""
        keep = kinds < WayKind.NONE
        if np.count_nonzero(keep) == len(rows):
            return rows
        lost = pick(rows, ~keep)
        self._accounts.unroutable(self._ledger.withdraw(lost["ticket"]), kinds[~keep], lost)
        return pick(rows, keep)

    def _enqueue(self, rows: Rows) -> None:
        self._queued += len(rows)
        self._queue_up(rows)

    def _queue_up(self, rows: Rows) -> None:
        """Put rows into the queue of their shard's owner, or aside if the shard has no open worker."""
        for owner, part in self._ledger.enter_by_owner(rows, self._shard_key, self._owners):
            queue = self._queues.setdefault(owner - 1, deque()) if owner else self._set_aside
            queue.append(part)
            self._aside_count += 0 if owner else len(part)

    def feed(self) -> bool:
        """Send batches from the queues to the workers while they have room; whether any was sent."""
        self._held = self._held and (self._to_sort or not self._owners.all())
        if self._held:
            return False
        worked = False
        for place, queue in self._queues.items():
            child = self._workers[place]
            while queue and ((small := _small(queue)) or has_room(child)):
                batch = queue.popleft() if small else _merge(queue, _BATCH)
                if not try_feed(child, packing.pack(messages.Targets(batch))):
                    queue.appendleft(batch)
                    break
                self._ledger.give(batch, child.number)
                self._queued -= len(batch)
                worked = True
        return worked

    def give_up(self) -> NDArray[np.uint32]:
        """Drop all targets that were not sent to a worker; returns their tickets, (n,) uint32."""
        tickets = [self._intake.abandon()]
        for queue in (*self._queues.values(), self._set_aside):
            tickets += [rows["ticket"] for rows in queue]
            queue.clear()
        self._queued = self._aside_count = 0
        return np.concatenate(tickets)

    def take_paced(self) -> Paced:
        """What the pacing did since the last call. At a low rate nothing may have been tried meanwhile."""
        if self.pacer.rate is not None and not self._paced.clogged:
            self._paced.held |= self._intake.waiting > 0
        paced, self._paced = self._paced, Paced()
        return paced


def _small(queue: deque[Rows]) -> bool:
    """Whether a queue is one batch that is no full message: to try to send it costs no more than to look
    whether there is room, and with little input there nearly always is.
    """
    return len(queue) == 1 and len(queue[0]) < _BATCH


def _merge(queue: deque[Rows], most: int) -> Rows:
    """The first `most` rows of a queue, as one array."""
    parts, count = [], 0
    while queue and count < most:
        rows = queue.popleft()
        if count + len(rows) > most:
            queue.appendleft(rows[most - count :])
            rows = rows[: most - count]
        parts.append(rows)
        count += len(rows)
    return join(parts)
