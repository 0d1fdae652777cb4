"""The controller of a fleet: takes every box through its run, and passes the user's commands to all boxes.

It may lose everything it knows: boxes know how their runs stand, and what was ordered is in two files beside
the lock. So it may be killed at any moment, and the next one goes on from there.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from coordinator.fleet.engine.boxstate import RETRY, BoxRecord
from coordinator.fleet.engine.controllerfiles import ControllerFiles
from coordinator.fleet.engine.engine import BoxError, Engine, status_of
from coordinator.fleet.engine.fitness import Fitness, NotFit
from coordinator.fleet.engine.renewing import Renewing
from lzr.errors import UsageError
from lzr.fleet import blockorders, nextstep, preflight, steering
from lzr.fleet.blockorders import Confirmed, Kept, Order
from lzr.fleet.lock import Lock
from lzr.fleet.nextstep import Step
from lzr.safetext import plain

TURN = 0.1
"""Seconds between two looks at what is to be done."""
UNHEARD = 3.0
BLOCKING, BACK, TAKING, TELLING = 3.0, 1.0, 30.0, 5.0
"""Seconds that a box is waited for, by purpose. BACK: a box that was not heard of just now."""
LOOK_AGAIN = 15.0
"""Seconds before a box that was not fit is looked at again."""


class Controller:
    """lock: what is done. files: the files beside it. say: takes a sentence, of a box or of all ("")."""

    def __init__(
        self, lock: Lock, engine: Engine, files: ControllerFiles, say: Callable[[str, str], None]
    ) -> None:
        """Raises UsageError."""
        self.lock, self._engine, self._files, self._say = lock, engine, files, say
        self.orders: Kept = files.orders()
        self.wanted = files.wanted(lock)
        self._boxes = {box.name: BoxRecord(box.name, since=time.time()) for box in lock.plan.boxes}
        self._running = {run.box for run in lock.current}
        self._may_begin = False
        self._gating: asyncio.Task[None] | None = None
        self._fitness = Fitness(lock, engine)
        self._renewing = Renewing(engine, files, say)

    @property
    def over(self) -> bool:
        """Whether every run has ended, or is not to go on by itself."""
        return all(box.known.ended for box in self._boxes.values() if box.name in self._running)

    @property
    def done(self) -> bool:
        """Whether every run was done."""
        return all(box.state == "done" for box in self._boxes.values() if box.name in self._running)

    async def run(self, wait: float) -> None:
        """Until it is over. wait: seconds for the boxes to connect, before anything begins. Raises NotFit."""
        until = time.monotonic() + wait
        try:
            while not self.over:
                self._follow()
                self._look()
                if not self._may_begin:
                    self._gate(time.monotonic() > until)
                self._renewing.turn(self.lock, self._boxes.values())
                self._turn()
                await asyncio.sleep(TURN)
            self._look()
            self._forget()
        finally:
            self._renewing.close()
            if self._gating is not None:
                self._gating.cancel()
            for box in self._boxes.values():
                if box.step is not None:
                    box.step.cancel()

    def _forget(self) -> None:
        """Whoever has ended as it was told to goes on when somebody starts all of them again."""
        ended = {box.name for box in self._boxes.values() if box.rests} & dict(self.wanted.ending).keys()
        self._prefer(self.wanted.after(ended))

    def _follow(self) -> None:
        """Take up a later generation of the lock, once there is one: every box is shown it."""
        try:
            newer = self._files.newer(self.lock)
        except UsageError as error:
            self._say("", str(error))
            return
        if newer is None:
            return
        before = {name: self.lock.runs_of(name) for name in self._boxes}
        self.lock = newer
        self._fitness.take(newer)
        self._running = {run.box for run in newer.current}
        for name, box in self._boxes.items():
            box.set(taken=False)
            if newer.runs_of(name) != before[name]:
                box.set(ended=False)
        self._say("", f"generation {newer.generation}: {newer.gains()}")

    def _look(self) -> None:
        """Take note of which boxes are connected."""
        dealt, shares = self.dealt(), preflight.dealt(self.lock)
        for box in self._boxes.values():
            here, silent = self._engine.here(box.name), self._engine.silent(box.name)
            lost = silent is None or silent > UNHEARD
            if lost != box.silent and silent is not None:
                box.silent, box.since = lost, time.time() - (silent if lost else 0)
                self._say(
                    box.name,
                    f"not heard of since {time.strftime('%H:%M:%S', time.localtime(box.since))}"
                    if lost
                    else "heard of again",
                )
            if box.attending is not None and box.attending.done():
                box.attending = None
            if here and not box.known.here:
                self._say(box.name, "connected")
            if not here:
                box.set(here=False, taken=False)
            heard = self._engine.heard(box.name)
            box.set(
                here=here, lacks=bool(box.lacking(self.orders)), attended=box.attending is not None,
                busy=box.step is not None and not box.step.done(),
            )  # fmt: skip
            if heard is not None and box.known.attended and not lost:
                self._steer(box, heard.report, dealt, shares)

    def _turn(self) -> None:
        """Begin the next step of every box."""
        now = time.monotonic()
        for box in self._boxes.values():
            if now < box.not_before:
                continue
            step = nextstep.step(box.known, self._may_begin and not box.faults)
            if box.name not in self._running and step not in (Step.TAKE, Step.ORDERS):
                continue
            if step is Step.ATTEND:
                how = dict(self.wanted.ending).get(box.name)
                if how is not None and box.state != "running":  # since before this controller was there
                    self._say(box.name, f"is left alone: it was told to {how}; lzr fleet resume has it go on")
                    box.set(ended=True)
                elif not box.silent and self._renewing.holds(self.lock, box):
                    self._attend(box)
            elif step is Step.CHECK and not self._may_begin:
                continue  # all are looked at side by side
            elif step is not Step.NOTHING:
                box.step = asyncio.ensure_future(self._do(box, step))

    async def _do(self, box: BoxRecord, step: Step) -> None:
        try:
            if step is Step.TAKE:
                await self._take(box)
            elif step is Step.ORDERS:
                await self.give([box.name])
            elif step is Step.CHECK:
                await self._check(box)
        except Exception as error:  # of the box, of files here, or of what the engine makes of either
            sentence = str(error) or type(error).__name__
            if sentence != box.sentence:
                box.sentence = sentence
                self._say(box.name, box.sentence)
            box.not_before = time.monotonic() + RETRY

    async def _take(self, box: BoxRecord) -> None:
        box.session = secrets.token_hex(8)
        given = {"lock": self.lock.to_json(), "ticket": box.session}
        answer = await self._engine.call(box.name, "take", given, TAKING)
        if not isinstance(answer, dict):
            raise BoxError("answered what is no answer")
        box.sentence = ""
        box.note(answer)
        box.set(taken=True)

    def _attend(self, box: BoxRecord) -> None:
        self._say(box.name, "goes on with its run" if box.known.begun else "begins its run")
        box.attending = asyncio.ensure_future(self._until_over(box))
        box.sentence = ""
        box.set(attended=True, begun=True)

    async def _until_over(self, box: BoxRecord) -> None:
        """Wait for a run, as a task on its box, and find out what became of it."""
        try:
            await self._engine.attend(box.name, box.session)
            answer = await self._engine.call(box.name, "state", {}, TELLING)
        except BoxError:
            box.not_before = time.monotonic() + RETRY
            return  # the box is lost; when it is back it attends again
        if not isinstance(answer, dict):
            return
        box.note(answer)
        if box.name not in self._running:
            return  # its shards are others' now
        if box.state == "running":  # only a connection was lost
            box.not_before = time.monotonic() + RETRY
        elif box.state:
            self._say(box.name, f"{box.state}: {box.sentence}" if box.sentence else box.state)
        if not box.state and box.known.taken:
            return  # more was assigned to it meanwhile
        sentence = box.over(answer, time.monotonic(), to_end=box.name in dict(self.wanted.ending))
        if sentence:
            self._say(box.name, sentence)

    def _gate(self, late: bool) -> None:
        """When the boxes are there, have all that have not begun examined, side by side; meanwhile the others
        are attended to, and their leases renewed. Raises NotFit.
        """
        if self._gating is not None and self._gating.done():
            self._gating.result()
        waited = [self._boxes[name] for name in sorted(self._running)]
        if self._gating is None and (late or all(box.known.taken or box.known.begun for box in waited)):
            self._gating = asyncio.ensure_future(self._examine(waited))

    async def _examine(self, waited: Sequence[BoxRecord]) -> None:
        """Raises NotFit."""
        new = [box for box in waited if not box.known.begun]
        faults = await self._fitness.side_by_side(new, self.look())
        if faults and len(new) == len(waited):
            raise NotFit([f"{name or 'the plan'}: {one}" for name in sorted(faults) for one in faults[name]])
        for name in sorted(faults):
            for fault in faults[name]:
                self._say(name, fault)
        self._may_begin = True

    async def _check(self, box: BoxRecord) -> None:
        """Examine one box that has come later."""
        for fault in (await self._fitness.side_by_side([box], self.look())).get(box.name, ()):
            self._say(box.name, fault)
        if box.faults:
            box.not_before = time.monotonic() + LOOK_AGAIN

    def _steer(
        self, box: BoxRecord, report: Any, dealt: Mapping[str, int] | None, shares: Mapping[str, int]
    ) -> None:
        """Send a scan the commands by which it does what is wanted of all. dealt, shares: as `lines` has."""
        status, now = status_of(report), time.monotonic()
        if status is None or now < box.steered + RETRY or (box.step is not None and not box.step.done()):
            return
        if status.get("paused") is False:
            self._prefer(self.wanted.gone_on([box.name]))
        lines = steering.lines(box.name, self.wanted, dealt, status, shares)
        if lines:
            box.steered = now
            box.step = asyncio.ensure_future(self._tell_all(box.name, lines))

    async def _tell_all(self, name: str, lines: Iterable[str]) -> None:
        for line in lines:
            await self._try(name, line)

    def dealt(self) -> dict[str, int] | None:
        """By box, the targets a second it may start; None where the plan's own shares apply."""
        over = [box.name for box in self._boxes.values() if box.known.ended or box.name not in self._running]
        dealt = self.wanted.dealt(self.lock.plan.rate, self.lock.plan.boxes, over)
        return None if dealt is None else dict(dealt)

    # What it is asked.

    def look(self) -> list[BoxRecord]:
        """All boxes, in the order of the plan."""
        return list(self._boxes.values())

    def who(self, names: Sequence[str] | None) -> list[str]:
        """The boxes of these names, or all that have a run. Raises UsageError."""
        if names is None:
            return sorted(self._running)
        return [self.lock.plan.box(name).name for name in names]

    async def block(self, networks: Sequence[str], reason: str, by: str) -> tuple[Order, dict[str, str]]:
        """Block on all boxes at once: the order, and why each box that has not confirmed it has not.

        It is kept before anybody is told. Raises UsageError.
        """
        order = Order(secrets.token_hex(8), tuple(networks), plain(reason, 200), plain(by, 32), time.time())
        try:
            blockorders.order_of(order.plain())  # as boxes, and the next controller, read it
        except ValueError as error:
            raise UsageError(f"the order {error}") from None
        if len(self.orders.orders) >= blockorders.MOST:
            raise UsageError(f"{blockorders.MOST} orders are the most: put the rest into one")
        await asyncio.to_thread(self._files.add, [order])
        self.orders = Kept((*self.orders.orders, order), self.orders.confirmed)
        concerned = [
            box.name for box in self._boxes.values() if not (box.state == "done" and box.known.ended)
        ]
        missing = await self.give(concerned)
        return order, missing

    async def give(self, names: Iterable[str]) -> dict[str, str]:
        """Give boxes the orders that they lack; why each that still lacks one does."""

        async def give(name: str) -> str:
            async with self._boxes[name].giving:
                return await give_one(name)

        async def give_one(name: str) -> str:
            box = self._boxes[name]
            if not box.lacking(self.orders):
                return ""
            timeout = BACK if box.silent else BLOCKING
            try:
                if not box.known.taken:
                    # It has the lock by then, and ends a scan of a run that was given up.
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(timeout):
                            await self._take(box)
                lacks, session = box.lacking(self.orders), box.session
                given = {"given": [one.plain() for one in lacks]}
                answer = await self._engine.call(name, "block", given, timeout)
            except BoxError as error:
                return str(error)
            ids = {one for one in answer if isinstance(one, str)} if isinstance(answer, (list, tuple)) else ()
            new = [one for one in self.orders.missing(name) if one.id in ids]
            confirmed = [Confirmed(one.id, name, time.time()) for one in new]
            await asyncio.to_thread(self._files.add, confirmed)
            self.orders = Kept(self.orders.orders, (*self.orders.confirmed, *confirmed))
            for one in new:
                self._say(name, f"goes by it: no packet more to {', '.join(one.networks)}")
            if not all(one.id in ids for one in lacks):
                return "has not confirmed it"
            box.given = session
            return ""

        boxes = list(names)
        found = dict(zip(boxes, await asyncio.gather(*map(give, boxes)), strict=True))
        return {name: why for name, why in found.items() if why}

    async def rate(self, rate: int, box: str | None) -> tuple[dict[str, int], dict[str, str]]:
        """Set the rate for all, or of one box: what each is dealt, and why some do not have it yet.

        Raises UsageError.
        """
        cap = None if box is None else self.lock.plan.box(box).rate_cap
        if cap is not None and rate > cap:
            raise UsageError(f"{box} is never given more than {cap:,}/s: that is its rate-cap in the plan")
        self._want(self.wanted.with_rate(rate, box))
        return await self._dealt_now()

    async def _dealt_now(self) -> tuple[dict[str, int], dict[str, str]]:
        dealt = self.dealt() or {}
        found = await asyncio.gather(*(self._try(name, f"rate {one}") for name, one in dealt.items()))
        return dealt, {name: why for name, why in zip(dealt, found, strict=True) if why}

    async def tell(self, line: str, names: Sequence[str]) -> dict[str, str]:
        """pause, resume, drain or quit some boxes: why each that does not yet does not.

        One whose scan has ended needs not be told; with resume it goes on, unless it is done. So does one
        that is still ending, once it has ended, and one that is away, once it is back.
        """
        ending = dict(self.wanted.ending)
        self._want(self.wanted.with_line(line, names))
        resting = [name for name in names if self._boxes[name].rests]
        at_work = [name for name in names if name not in resting]
        found = await asyncio.gather(*(self._try(name, line) for name in at_work))
        if line in steering.ENDINGS:
            for name in at_work:
                box = self._boxes[name]
                box.again = False
                if box.attending is None:
                    box.set(ended=True)
        elif line == "resume":
            for name in names:
                box = self._boxes[name]
                if name in resting or (box.known.ended and not box.known.here):
                    box.go_on()
                elif box.attending is not None:
                    box.again |= name in ending
            told = [name for name, why in zip(at_work, found, strict=True) if not why]
            self._prefer(self.wanted.gone_on([*resting, *told]))
        if line != "pause" and not self.over:
            await self._dealt_now()
        return {name: why for name, why in zip(at_work, found, strict=True) if why}

    async def _try(self, name: str, line: str) -> str:
        """Tell a scan a line; why that was not possible, or nothing."""
        try:
            await self._engine.call(name, "tell", {"line": line}, TELLING)
        except BoxError as error:
            return str(error)
        return ""

    def _prefer(self, wanted: steering.Wanted) -> None:
        """As `_want`, where that is another; if it cannot be kept, that is said."""
        if wanted != self.wanted:
            try:
                self._want(wanted)
            except UsageError as error:
                self._say("", str(error))

    def _want(self, wanted: steering.Wanted) -> None:
        self._files.want(self.lock, wanted)
        self.wanted = wanted
