"""The calls that a box answers for the controller, by name and with plain values; it can be asked nothing
else.

Scans are processes of their own: here a task waits for one to end, and its status is asked once a second.
Everything that the controller sends is checked as if it came from anybody.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from msgspec.structs import asdict

from coordinator.commands import ctl
from coordinator.endpoints.named import ControlError
from coordinator.fleet import blockorderfile, boxruns, boxscan, leasefile, rundirectory
from coordinator.fleet.boxscan import Outcome
from coordinator.fleet.rundirectory import RunDirectory
from coordinator.fleet.serving import examining, resultchunks
from lzr.errors import UsageError, printable
from lzr.fleet import blockorders
from lzr.fleet.blockorders import Order
from lzr.fleet.lock import Lock, Run

T = TypeVar("T")

EVERY = 1.0
"""Seconds between two looks at the scan."""
TIMEOUT = 5.0
"""Seconds for a scan to confirm that it goes by an order."""
MOST_STATUS = 1 << 20
"""Bytes of a status that go to the controller; the scan with 1,024 workers has less."""
STEERING = ("rate", "pause", "resume", "drain", "quit", "workers")
"""Lines that a controller may send to a scan; `block` has a call of its own."""


async def in_thread(function: Callable[..., T], *words: Any) -> T:
    """Run it in a thread of its own, which nobody waits for when the process ends."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(what: Callable[[], None]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is gone
            loop.call_soon_threadsafe(lambda: None if future.done() else what())

    def run() -> None:
        try:
            result = function(*words)
        except BaseException as error:
            caught = error
            settle(lambda: future.set_exception(caught))
        else:
            settle(lambda: future.set_result(result))

    threading.Thread(target=run, daemon=True).start()
    return await future


class BoxSide:
    """This box. Used as a context: it looks at its scan meanwhile."""

    def __init__(self, box: str) -> None:
        self.box = box
        self._lock: Lock | None = None
        self._session = ""  # of the tasks that count, since the controller gave its lock over this connection
        self._waiting: asyncio.Future[Outcome] | None = None
        self._attended = ("", 0)  # plan id and generation of the lock by which runs are attended to
        self._leave = False
        self._outcome: Outcome | None = None
        self._status: tuple[float, str] = (0.0, "")
        self._until: float | None = None  # when its lease ends, on `leasefile.uptime`
        self._watch: asyncio.Task[None] | None = None
        self._calls: dict[str, Callable[..., Awaitable[Any]]] = {
            "take": self._take,
            "facts": self._facts,
            "clock": self._clock,
            "state": self._state,
            "block": self._block,
            "lease": self._lease,
            "tell": self._tell,
            "chunk": self._chunk,
            "held": self._held,
            "digest": self._digest,
        }

    async def __aenter__(self) -> BoxSide:
        self._watch = asyncio.ensure_future(self._look())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._leave = True
        if self._watch is not None:
            self._watch.cancel()

    async def answer(self, what: str, given: dict[str, Any]) -> Any:
        """The answer to a call, of types that msgpack has. Raises UsageError."""
        call = self._calls.get(what)
        if call is None:
            raise UsageError(
                f"this box does not know {printable(str(what)[:60])}: it has another version of lzr"
            )
        try:
            return await call(**given)
        except TypeError as error:
            raise UsageError(f"{what} was asked in another way than this version of lzr knows") from error
        except OSError as error:
            raise UsageError(f"{what}: {error.strerror or error}") from error

    def report(self) -> dict[str, Any]:
        """What every heartbeat reports of this box."""
        at, status = self._status
        lock = self._lock
        return {
            "plan": "" if lock is None else lock.id,
            "generation": 0 if lock is None else lock.generation,
            "state": self._how(),
            "sentence": "" if self._outcome is None else self._outcome.sentence,
            "status": status,
            "status_at": at,
            "now": time.time(),
            "clock": asdict(leasefile.now()),
            "lease": None if self._until is None else max(0.0, self._until - leasefile.uptime()),
        }

    def _how(self) -> str:
        if self._waiting is not None:
            return "running"
        return "" if self._outcome is None else self._outcome.state

    def connecting(self) -> None:
        """A new connection with a controller begins; tasks of an older one no longer count."""
        self._session = ""

    async def attend(self, session: str) -> None:
        """Attend to this box's runs until they have ended. Whoever asks meanwhile waits for the same; who
        asks with another plan or a later generation waits for its runs too.

        session: as it came with the lock. A scheduler may run a task again, whose connection was lost; by
        then the shards may be another box's, so it counts only for the connection that it was made for.
        """
        if not self._session or session != self._session:
            return
        taken, attended = self._locked(), ("", 0)
        while attended[0] != taken.id or attended[1] < taken.generation:
            if self._waiting is None:
                self._outcome = None
                self._attended = taken.id, taken.generation
                self._waiting = asyncio.ensure_future(in_thread(self._attend, taken))
                self._waiting.add_done_callback(self._ended)
            attended = self._attended
            with contextlib.suppress(UsageError, OSError):  # `_ended` keeps it
                await asyncio.shield(self._waiting)

    def _attend(self, lock: Lock) -> Outcome:
        return boxruns.attend(lock, self.box, ended=lambda: self._leave)

    def _ended(self, future: asyncio.Future[Outcome]) -> None:
        self._waiting = None
        trouble = None if future.cancelled() else future.exception()
        if trouble is not None:
            self._outcome = Outcome("failed", 2, str(trouble)[:500], 0, 0)
        elif not future.cancelled():
            self._outcome = future.result()

    async def _given(self, lock: bytes) -> Lock:
        """A lock from the controller, checked and stored. Raises UsageError."""
        if not isinstance(lock, bytes):
            raise UsageError("the lock is none")
        self._lock = await in_thread(_keep_lock, lock, self.box)
        return self._lock

    def _locked(self) -> Lock:
        if self._lock is None:
            raise UsageError("this box has no lock yet")
        return self._lock

    async def _take(self, lock: bytes, ticket: str = "") -> dict[str, Any]:
        taken = await self._given(lock)
        await in_thread(boxruns.withdraw_all, taken, self.box)
        self._session = ticket if isinstance(ticket, str) else ""  # so it is called between boxes
        return {"id": taken.id, "generation": taken.generation, **await self._state()}

    async def _state(self) -> dict[str, Any]:
        """How the runs stand, by their directories."""
        lock = self._locked()
        if self._waiting is not None:
            return _plain(Outcome("running", 0, "", 0, 0)) | {"begun": True}
        return await in_thread(_stand, lock, self.box, self._outcome)

    async def _facts(self) -> dict[str, Any]:
        return await in_thread(examining.facts, self._locked(), self.box)

    async def _clock(self) -> float:
        """This box's time, seconds since 1970."""
        return time.time()

    def _at_work(self) -> list[RunDirectory]:
        """The runs of this box, given up or not, that a scan is working on."""
        runs = [] if self._lock is None else [run for run in self._lock.runs if run.box == self.box]
        found = [rundirectory.of_run(self._locked(), run) for run in runs]
        return [one for one in found if rundirectory.is_running(one)]

    async def _tell(self, line: str) -> str:
        """Send a command to the scan; returns its answer. Raises UsageError."""
        if not isinstance(line, str) or line.split(" ", 1)[0] not in STEERING or "\n" in line:
            raise UsageError("a scan is not told that from here")
        scans = await in_thread(self._at_work)
        if not scans:
            raise UsageError("no scan is running")
        try:
            good, text = await in_thread(ctl.ask, scans[-1].control, line, TIMEOUT)
        except ControlError as error:
            raise UsageError(str(error)) from error
        if not good:
            raise UsageError(text)
        return text.rstrip("\n").removeprefix("ok ")

    async def _block(self, given: list[dict[str, Any]]) -> list[str]:
        """Keep these orders, and have the scan go by them; the ids of those that it goes by.

        First they are on the disk, where every start looks, then the scan that runs is told.
        """
        if not isinstance(given, (list, tuple)) or len(given) > blockorders.MOST:
            raise UsageError("the orders are none")
        try:
            wanted = [blockorders.order_of(one) for one in given]
        except ValueError as error:
            raise UsageError(f"an order {error}") from error
        path = f"{await in_thread(rundirectory.make_plan, self._locked())}/{blockorderfile.NAME}"
        await in_thread(_keep, path, wanted)
        until = time.monotonic() + TIMEOUT
        while not await in_thread(self._in_force, wanted):
            if time.monotonic() > until:
                raise UsageError("its scan has not confirmed it")
            await asyncio.sleep(0.01)
        return [order.id for order in wanted]

    async def _lease(self, generation: int, boot: str, since: float) -> bool:
        """This box may scan on: for the plan's lease, from the moment that it has told itself."""
        lock = self._locked()
        if generation != lock.generation:
            raise UsageError(f"this box has generation {lock.generation}")
        seconds = await in_thread(leasefile.take, lock, boot, since)
        self._until = await in_thread(self._leased)
        for run in lock.runs_of(self.box):
            found = rundirectory.of_run(lock, run)
            with contextlib.suppress(ControlError):  # it starts, by what was kept, or ends
                if await in_thread(rundirectory.is_running, found):
                    await in_thread(ctl.ask, found.control, f"lease {seconds:g} --from {since!r}", EVERY)
        return True

    def _leased(self) -> float | None:
        """Until when this box may scan, where the plan has leases; None where it has none, or holds none."""
        lock = self._lock
        return None if lock is None or lock.plan.lease is None else leasefile.until_of(lock)

    def _in_force(self, wanted: list[Order]) -> bool:
        """Whether every scan here goes by these; one that starts now reads them before its first packet."""
        try:
            return all(_goes_by(one.control, wanted) for one in self._at_work())
        except ControlError:
            return False  # it starts, or ends

    async def _chunk(self, file: str, offset: int, length: int, generation: int) -> dict[str, Any]:
        return await in_thread(resultchunks.chunk, *self._run_of(generation), file, offset, length)

    async def _held(self, generation: int) -> dict[str, Any]:
        return await in_thread(resultchunks.held, *self._run_of(generation))

    async def _digest(self, length: int, generation: int) -> dict[str, Any]:
        return await in_thread(resultchunks.digest, *self._run_of(generation), length)

    def _run_of(self, generation: int) -> tuple[Lock, Run]:
        """Raises UsageError."""
        lock = self._locked()
        run = lock.run_named(self.box, generation)
        if run is None:
            raise UsageError(f"{self.box} has no run of generation {generation}")
        return lock, run

    async def _look(self) -> None:
        """Ask the scan how it is, once a second."""
        while True:
            with contextlib.suppress(Exception):  # whatever is in those files, it is looked again
                self._until = await in_thread(self._leased)
                for one in await in_thread(self._at_work):
                    good, text = await in_thread(ctl.ask, one.control, "status --json", EVERY)
                    if good and len(text) <= MOST_STATUS:
                        self._status = time.time(), text
            await asyncio.sleep(EVERY)


def _keep(path: str, wanted: list[Order]) -> None:
    known = {order.id for order in blockorderfile.read(path).orders}
    blockorderfile.append(path, [order for order in wanted if order.id not in known])


def _goes_by(path: str, wanted: list[Order]) -> bool:
    """Whether the scan goes by all these orders; it is sent those it does not have. Raises ControlError."""
    there = ctl.blocks(path)
    has = {tuple(one["networks"]): one["in_force"] for one in there}
    for order in wanted:
        if order.networks not in has:
            good, text = ctl.ask(path, order.words(), TIMEOUT)
            if not good:
                raise ControlError(text)
    return all(has.get(order.networks) for order in wanted)


def _keep_lock(data: bytes, box: str) -> Lock:
    """Store a lock; returns the one that this box goes by from now on. Raises UsageError."""
    lock = Lock.of_json(data, "the controller's lock")
    lock.plan.box(box)
    rundirectory.make_plan(lock)
    there = rundirectory.keep(lock)
    if there.generation > lock.generation:
        raise UsageError(
            f"the controller's lock is of generation {lock.generation}, and this box has generation "
            f"{there.generation}: give the controller that plan.lock.json"
        )
    return lock


def _stand(lock: Lock, box: str, known: Outcome | None) -> dict[str, Any]:
    """How the runs of a box stand that nobody attends to here; no state where one was never begun."""
    outcome, by_order, begun, never = Outcome("done", 0, f"{box} has no shard", 0, 0), False, False, False
    for run in lock.runs_of(box):
        found = rundirectory.of_run(lock, run)
        if not os.path.lexists(f"{found.checkpoint}/lock"):
            never = True
            continue
        begun, outcome = True, boxruns.look(lock, run)
        if outcome.state != "done":
            by_order = outcome.state == "interrupted" and boxscan.has_ended(lock, run, found)
            by_order = by_order and not boxscan.has_lost_its_lease(lock, run, found)
            break
    if known is not None and known.state == "failed":
        outcome, by_order = known, False
    elif never and outcome.state == "done":
        outcome = Outcome("", 0, "", 0, 0)
    return _plain(outcome) | {"begun": begun, "by_order": by_order}


def _plain(outcome: Outcome) -> dict[str, Any]:
    return {
        "state": outcome.state,
        "status": outcome.status,
        "sentence": outcome.sentence,
        "records": outcome.records,
        "inputs": outcome.inputs,
    }
