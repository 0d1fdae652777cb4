"""The shards of a scan: each has one owner, and is in one state of a table.

``TABLE[state, trigger]`` is the action to take and the state after it. A pair that is not in the table cannot
happen; a report that claims it is ignored.

A shard may be fed only while it is OPEN. It changes hands in one of two ways:

* *Released*: its worker waits until all its results are written and hands over the flows; the next worker
  adopts them.
* *Lost*: its worker died. Two things are awaited then, in either order: the fence, after which the writing
  collector takes no more results of the dead worker; and a successor that has adopted the socket. Only when
  both are there, the shard's inputs without a fate are tried again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from enum import Enum, auto
from types import MappingProxyType

from msgspec import Struct, field

from lzr.ownership.orders import Adopt, Order, Release, ShardClosed, ShardOpened, TryAgain
from lzr.ownership.processes import FLOW, Process, Processes


class ShardState(Enum):
    """Which worker a shard belongs to, and whether it may be fed."""

    ASSIGNED = auto()  # to a worker that has not started yet; the flows, if there are any, wait here
    ADOPTING = auto()  # its worker was told to adopt it
    OPEN = auto()  # its worker has it, and may be fed
    RELEASING = auto()  # its worker was told to give it up
    LOST = auto()  # its worker died: neither fenced nor adopted by the successor
    FENCED = auto()  # the dead worker is fenced off; the successor has not adopted it
    TAKEN = auto()  # the successor has adopted it; the dead worker is not fenced off yet


class ShardTrigger(Enum):
    """What can happen to a shard."""

    READY = auto()  # the worker it is assigned to has started
    ADOPTED = auto()  # its worker says that it has it
    MOVE = auto()  # it is to go to another worker
    RELEASED = auto()  # its worker has given it up
    DIED = auto()  # its worker is dead
    FENCED = auto()  # no result of a dead worker that had it can come any more


class ShardAction(Enum):
    """What is done with a shard."""

    NOTHING = auto()
    ADOPT = auto()  # tell the worker to adopt it, with the flows
    OPEN_UP = auto()  # feed it from now on
    TRY_AGAIN = auto()  # feed it, first with what it owes
    RELEASE = auto()  # feed it no more, tell the worker to give it up
    PASS_ON = auto()  # to the next worker, with the flows
    LOSE = auto()  # feed it no more; to the next worker, without them


TABLE: Mapping[tuple[ShardState, ShardTrigger], tuple[ShardAction, ShardState]] = MappingProxyType(
    {
        (ShardState.ASSIGNED, ShardTrigger.READY): (ShardAction.ADOPT, ShardState.ADOPTING),
        # It was never told to adopt it, so it has no flows of it and nothing needs to be fenced.
        (ShardState.ASSIGNED, ShardTrigger.DIED): (ShardAction.PASS_ON, ShardState.ASSIGNED),
        (ShardState.ADOPTING, ShardTrigger.ADOPTED): (ShardAction.OPEN_UP, ShardState.OPEN),
        (ShardState.ADOPTING, ShardTrigger.DIED): (ShardAction.LOSE, ShardState.LOST),
        (ShardState.OPEN, ShardTrigger.MOVE): (ShardAction.RELEASE, ShardState.RELEASING),
        (ShardState.OPEN, ShardTrigger.DIED): (ShardAction.LOSE, ShardState.LOST),
        (ShardState.RELEASING, ShardTrigger.RELEASED): (ShardAction.PASS_ON, ShardState.ASSIGNED),
        (ShardState.RELEASING, ShardTrigger.DIED): (ShardAction.LOSE, ShardState.LOST),
        (ShardState.LOST, ShardTrigger.READY): (ShardAction.ADOPT, ShardState.LOST),
        (ShardState.LOST, ShardTrigger.ADOPTED): (ShardAction.NOTHING, ShardState.TAKEN),
        (ShardState.LOST, ShardTrigger.FENCED): (ShardAction.NOTHING, ShardState.FENCED),
        (ShardState.LOST, ShardTrigger.DIED): (ShardAction.LOSE, ShardState.LOST),
        (ShardState.FENCED, ShardTrigger.READY): (ShardAction.ADOPT, ShardState.FENCED),
        (ShardState.FENCED, ShardTrigger.ADOPTED): (ShardAction.TRY_AGAIN, ShardState.OPEN),
        (ShardState.FENCED, ShardTrigger.DIED): (ShardAction.LOSE, ShardState.LOST),
        (ShardState.TAKEN, ShardTrigger.FENCED): (ShardAction.TRY_AGAIN, ShardState.OPEN),
        (ShardState.TAKEN, ShardTrigger.DIED): (ShardAction.LOSE, ShardState.LOST),
    }
)


def diagram() -> str:
    """The table as a Mermaid state diagram (ARCHITECTURE.md holds it; a test compares)."""
    lines = ["stateDiagram-v2", "    [*] --> ASSIGNED"]
    for (before, trigger), (action, after) in TABLE.items():
        does = "" if action is ShardAction.NOTHING else f" / {action.name}"
        lines.append(f"    {before.name} --> {after.name}: {trigger.name}{does}")
    return "\n".join(lines) + "\n"


class Shard(Struct):
    """owner: name of the worker that has the shard, or is to adopt it.

    fences: numbers of owners that died and whose fence is not confirmed yet. next_index: place of the worker
    that gets the shard when it is released. flows: what its owner is to adopt with it. closed_at: since when
    the shard may not be fed (seconds); None while it may be fed, and before it is opened for the first time.
    """

    number: int
    state: ShardState = ShardState.ASSIGNED
    owner: str = ""
    fences: set[int] = field(default_factory=set)
    next_index: int = 0
    flows: object = None
    closed_at: float | None = None


class Shards:
    """moves: how many times a shard was opened again; slowest_move: the longest that took, in seconds."""

    def __init__(self, count: int, processes: Processes) -> None:
        self.all = [Shard(number) for number in range(count)]
        self.moves, self.slowest_move = 0, 0.0
        self._processes = processes

    def __len__(self) -> int:
        return len(self.all)

    def owned_by(self, process: Process) -> list[Shard]:
        """The shards that this worker has, or is to adopt."""
        return [shard for shard in self.all if shard.owner == process.name]

    # --- what happens --------------------------------------------------------------------------------------

    def assign(self, workers: list[Process]) -> None:
        """Before the start: share the shards out to these workers in turn."""
        for shard in self.all:
            shard.owner = workers[shard.number % len(workers)].name

    def ready(self, worker: Process, now: float) -> Iterator[Order]:
        """The worker has started: what is assigned to it, it is told to adopt."""
        for shard in self.owned_by(worker):
            yield from self._step(shard, ShardTrigger.READY, now)

    def adopted(self, worker: Process, number: int, now: float) -> Iterator[Order] | None:
        """The worker reports that it has the shard. None: the report is false or repeats an earlier one."""
        shard = self._shard_of(worker, number, ShardTrigger.ADOPTED)
        return None if shard is None else self._step(shard, ShardTrigger.ADOPTED, now)

    def released(self, worker: Process, number: int, flows: object, now: float) -> Iterator[Order] | None:
        """The worker has given the shard up. flows: for the next owner.

        None: the report is false or repeats an earlier one.
        """
        shard = self._shard_of(worker, number, ShardTrigger.RELEASED)
        if shard is None:
            return None
        shard.flows = flows
        successor = self._processes.at(FLOW, shard.next_index) or self.any_worker()
        return self._step(shard, ShardTrigger.RELEASED, now, successor=successor)

    def died(self, worker: Process, successor: Process | None, now: float) -> Iterator[Order]:
        """The worker has died: its shards go to its successor, or to another worker where that is None."""
        for shard in self.owned_by(worker):
            yield from self._step(
                shard, ShardTrigger.DIED, now, successor=successor or self.any_worker(), dead=worker
            )

    def fenced(self, incarnation: int, now: float) -> Iterator[Order]:
        """No result of this dead owner can be written any more."""
        for shard in self.all:
            if incarnation in shard.fences:
                shard.fences.discard(incarnation)
                if not shard.fences:
                    yield from self._step(shard, ShardTrigger.FENCED, now)

    def any_worker(self) -> Process:
        """A worker that stays; there is always one that has started or is being started."""
        return self._processes.those_wanted(FLOW)[0]

    def _shard_of(self, worker: Process, number: int, trigger: ShardTrigger) -> Shard | None:
        """The shard, if this worker owns it and this report fits its state; else None."""
        if not 0 <= number < len(self.all):
            return None
        shard = self.all[number]
        told = worker.ready and shard.owner == worker.name
        return shard if told and (shard.state, trigger) in TABLE else None

    def _step(
        self,
        shard: Shard,
        trigger: ShardTrigger,
        now: float,
        *,
        successor: Process | None = None,
        dead: Process | None = None,
    ) -> Iterator[Order]:
        """Take one step of the table. successor: the next owner; dead: the last one, if it died. Raises
        KeyError if the table has no such step.
        """
        action, after = TABLE[shard.state, trigger]
        before, shard.state = shard.state, after
        if before is ShardState.OPEN:
            yield ShardClosed(shard.number)
        match action:
            case ShardAction.ADOPT:
                flows, shard.flows = shard.flows, None
                yield Adopt(shard.owner, shard.number, flows)
            case ShardAction.OPEN_UP:
                yield self._open(shard, now)
            case ShardAction.TRY_AGAIN:
                yield self._open(shard, now)
                yield TryAgain(shard.number)
            case ShardAction.RELEASE:
                shard.closed_at = now
                yield Release(shard.owner, shard.number)
            case ShardAction.PASS_ON:
                yield from self._give(shard, successor, now)
            case ShardAction.LOSE:
                assert dead is not None
                shard.fences.add(dead.number)
                shard.closed_at = now if shard.closed_at is None else shard.closed_at
                yield from self._give(shard, successor, now)

    def _give(self, shard: Shard, successor: Process | None, now: float) -> Iterator[Order]:
        assert successor is not None
        shard.owner = successor.name
        if successor.ready:
            yield from self._step(shard, ShardTrigger.READY, now)

    def _open(self, shard: Shard, now: float) -> Order:
        took = None if shard.closed_at is None else now - shard.closed_at
        if took is not None:
            self.moves, self.slowest_move = self.moves + 1, max(self.slowest_move, took)
        shard.closed_at = None
        owner = self._processes.get(shard.owner)
        assert owner is not None
        return ShardOpened(shard.number, owner.name, owner.index, took)

    # --- balance -------------------------------------------------------------------------------------------

    def balance(self, now: float) -> Iterator[Order]:
        """Release shards so that workers that are wanted and ready have equally many, and others have
        none.
        """
        ready = [worker for worker in self._processes.those_wanted(FLOW) if worker.ready]
        if not ready:
            return
        load = Counter({worker.index: 0 for worker in ready})
        places = {worker.name: worker.index for worker in ready}
        share, over = divmod(len(self), len(ready))  # so many each, and one more for so many of them
        to_move = []
        for shard in self.all:
            releasing = shard.state is ShardState.RELEASING
            index = shard.next_index if releasing else places.get(shard.owner, -1)
            if index in load and load[index] < share + (over > 0):
                over -= load[index] == share
                load[index] += 1
            elif shard.state is ShardState.OPEN:
                to_move.append(shard)
        for shard in to_move:
            index = min(load, key=lambda index: (load[index], index))
            load[index] += 1
            if places.get(shard.owner) != index:
                shard.next_index = index
                yield from self._step(shard, ShardTrigger.MOVE, now)
