"""The collectors: which one writes, which collector each flow worker sends to, and the fences.
What is written is looked at by `workers.collect.collector`; the whole chain is in `lzr.ownership.ledger`.

Collector 0 writes; the others identify and encode, and send it finished lines. Flow workers are spread over
all of them. A new writer first cuts the output back to the acknowledged length, so what came after it has to
be sent again: every other collector drops what it holds and links to the new writer, and only then the flow
workers send. While a collector is being linked, no flow worker is told where to send, since that collector
would drop what came too early.

A fence keeps the results of a dead flow worker out of the output. Only the writer can set one up. A collector
is started with the fences of all workers that died before; when it is ready to write, it is also told of
those fences that no writer has confirmed yet.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import Enum, auto
from types import MappingProxyType

from lzr.ownership.orders import Fence, Link, Order, SendTo
from lzr.ownership.processes import COLLECT, FLOW, Process, Processes


class CollectorState(Enum):
    """How far a collector is from taking results."""

    STARTING = auto()
    WRITING = auto()  # the one that writes
    WAITING = auto()  # for a writer
    LINKING = auto()  # was told who writes
    LINKED = auto()  # sends to the writer: workers may send to it


class CollectorTrigger(Enum):
    """What can happen to a collector."""

    READY_TO_WRITE = auto()  # it has started, and is the one that writes
    READY = auto()  # it has started, and is not
    WRITER = auto()  # there is a writer to send to
    WRITER_DIED = auto()
    LINKED = auto()  # it says that it sends to the writer


class CollectorAction(Enum):
    """What is done with a collector."""

    NOTHING = auto()
    FENCE = auto()  # tell it of all fences that do not stand yet
    LINK = auto()  # tell it to drop what it holds, and where to send


TABLE: Mapping[tuple[CollectorState, CollectorTrigger], tuple[CollectorAction, CollectorState]] = (
    MappingProxyType(
        {
            (CollectorState.STARTING, CollectorTrigger.READY_TO_WRITE): (
                CollectorAction.FENCE,
                CollectorState.WRITING,
            ),
            (CollectorState.STARTING, CollectorTrigger.READY): (
                CollectorAction.NOTHING,
                CollectorState.WAITING,
            ),
            (CollectorState.WAITING, CollectorTrigger.WRITER): (CollectorAction.LINK, CollectorState.LINKING),
            (CollectorState.LINKING, CollectorTrigger.LINKED): (
                CollectorAction.NOTHING,
                CollectorState.LINKED,
            ),
            (CollectorState.LINKING, CollectorTrigger.WRITER_DIED): (
                CollectorAction.NOTHING,
                CollectorState.WAITING,
            ),
            (CollectorState.LINKED, CollectorTrigger.WRITER_DIED): (
                CollectorAction.NOTHING,
                CollectorState.WAITING,
            ),
        }
    )
)


class Collectors:
    """The collectors of a scan.

    writer: name of the collector that writes, or will; only its reports say what is written.
    states: of each, by name. dead: numbers of the flow workers that died.
    """

    def __init__(self, processes: Processes) -> None:
        self.writer = ""
        self.states: dict[str, CollectorState] = {}
        self.dead: list[int] = []
        self._processes = processes
        self._standing: set[int] = set()  # fences that the writer has confirmed
        self._collector_of: dict[str, str] = {}  # by flow worker, both by name
        self._anew = False  # the writer is a new one: everybody has to send again

    # --- what happens --------------------------------------------------------------------------------------

    def starts(self, collector: Process) -> None:
        """A collector is being started."""
        self.states[collector.name] = CollectorState.STARTING
        if collector.index == 0:
            self.writer = collector.name

    def ready(self, collector: Process) -> Iterator[Order]:
        """A collector has started."""
        if collector.name == self.writer:
            yield from self._step(collector.name, CollectorTrigger.READY_TO_WRITE)
            self._anew = True
            yield from self._tell_the_others(CollectorTrigger.WRITER)
            return
        yield from self._step(collector.name, CollectorTrigger.READY)
        if self.writes:
            yield from self._step(collector.name, CollectorTrigger.WRITER)

    def linked(self, collector: Process, writer: str) -> Iterator[Order] | None:
        """None: the report is false, or too late because the writer has died since."""
        linking = self.states.get(collector.name) is CollectorState.LINKING
        return (
            self._step(collector.name, CollectorTrigger.LINKED) if linking and writer == self.writer else None
        )

    def fenced(self, collector: Process, incarnation: int) -> bool:
        """The writer has confirmed a fence. False where this was not awaited, or was confirmed before."""
        if not self.writes or collector.name != self.writer:
            return False
        if incarnation not in self.dead or incarnation in self._standing:
            return False
        self._standing.add(incarnation)
        return True

    def leaves(self, collector: Process) -> None:
        """The collector was told to end, or has ended: nothing is sent to it any more."""
        self.states.pop(collector.name, None)
        self._collector_of = {w: c for w, c in self._collector_of.items() if c != collector.name}

    def died(self, collector: Process) -> Iterator[Order]:
        """The collector ended without being told to."""
        self.leaves(collector)
        if collector.name == self.writer:
            yield from self._tell_the_others(CollectorTrigger.WRITER_DIED)

    def worker_left(self, worker: Process) -> None:
        """A flow worker has ended as it was told to."""
        self._collector_of.pop(worker.name, None)

    def worker_died(self, worker: Process) -> Iterator[Order]:
        """A flow worker has died: the writer is to set up a fence."""
        self.worker_left(worker)
        self.dead.append(worker.number)
        if self.writes:
            yield Fence(self.writer, worker.number)

    # --- who sends where -----------------------------------------------------------------------------------

    @property
    def writes(self) -> bool:
        """Whether a collector is writing now."""
        return self.states.get(self.writer) is CollectorState.WRITING

    def assign(self) -> Iterator[Order]:
        """Spread the flow workers over the collectors that are wanted and linked; orders for those whose
        collector changes.
        """
        if not self.writes or CollectorState.LINKING in self.states.values():
            return
        if self._anew:
            self._anew = False
            self._collector_of.clear()
        able = (CollectorState.WRITING, CollectorState.LINKED)
        collectors = [
            each.name for each in self._processes.those_wanted(COLLECT) if self.states[each.name] in able
        ]
        for worker in self._processes.of(FLOW):
            if worker.ready and not worker.leaving:
                collector = collectors[worker.index % len(collectors)]
                if self._collector_of.get(worker.name) != collector:
                    self._collector_of[worker.name] = collector
                    yield SendTo(worker.name, collector)

    def _tell_the_others(self, trigger: CollectorTrigger) -> Iterator[Order]:
        for name, state in list(self.states.items()):
            if (state, trigger) in TABLE:
                yield from self._step(name, trigger)

    def _step(self, name: str, trigger: CollectorTrigger) -> Iterator[Order]:
        action, self.states[name] = TABLE[self.states[name], trigger]
        match action:
            case CollectorAction.FENCE:
                for incarnation in self.dead:
                    if incarnation not in self._standing:
                        yield Fence(name, incarnation)
            case CollectorAction.LINK:
                yield Link(name, self.writer)


def diagram() -> str:
    """The table as a Mermaid state diagram (ARCHITECTURE.md holds it; a test compares)."""
    lines = ["stateDiagram-v2", "    [*] --> STARTING"]
    for (before, trigger), (action, after) in TABLE.items():
        does = "" if action is CollectorAction.NOTHING else f" / {action.name}"
        lines.append(f"    {before.name} --> {after.name}: {trigger.name}{does}")
    lines += [f"    {state.name} --> [*]: died" for state in CollectorState]
    return "\n".join(lines) + "\n"
