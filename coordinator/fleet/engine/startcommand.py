"""``lzr fleet start PLAN``: the controller, from its options to its exit status."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections import Counter
from collections.abc import Callable

from coordinator.commandline import running
from coordinator.fleet import certs, lockfile
from coordinator.fleet.engine import collecting
from coordinator.fleet.engine.controller import Controller
from coordinator.fleet.engine.controllerfiles import ControllerFiles
from coordinator.fleet.engine.controllersocket import ControllerSocket
from coordinator.fleet.engine.engine import Engine
from coordinator.fleet.engine.fitness import NotFit
from coordinator.fleet.serving import transport
from coordinator.processes.users import invoking_user
from lzr import safetext
from lzr.errors import UsageError, two_dashes
from lzr.exitstatus import MISTAKE, OK
from lzr.fleet.lock import Lock

NAME = "fleet start"
NOT_DONE = 1
WAIT = 15.0


def main(argv: list[str]) -> int:
    """The exit status: 0 every run is done, 1 not all of them, 2 a mistake, or a box that is not fit."""
    return running.ended(NAME, lambda: _run(argv))


def _run(argv: list[str]) -> int:
    flags = ("certs", "wait", "no-fetch", "metrics-port", "metrics-address", "help")
    asked = _parser().parse_args(two_dashes(argv, flags))
    lock = lockfile.read(asked.plan)
    identity = certs.load(asked.certs or certs.beside(asked.plan), certs.CONTROLLER)
    user = invoking_user()
    invoker = None if user is None else (user.uid, user.gid)
    files = ControllerFiles(asked.plan, invoker)
    results = None if asked.no_fetch else lockfile.results_of(asked.plan)

    async def whole() -> int:
        async with Engine(lock, identity) as engine:
            controller = Controller(lock, engine, files, say)
            say("", f"plan {lock.plan.name} ({lock.id}), generation {lock.generation}: waiting for its boxes")

            def newest() -> Lock:
                return controller.lock

            with transport.hearing_refusals(Refusals(lock, say)):
                async with (
                    ControllerSocket(controller, engine) as served,
                    collecting.serving_metrics(asked.metrics_port, asked.metrics_address, newest, served),
                    collecting.fetching(newest, engine, results, invoker, say) as finish,
                ):
                    await controller.run(asked.wait)
                    whole = await finish()
            return OK if controller.done and whole else NOT_DONE

    return asyncio.run(_until_ended(whole))


async def _until_ended(whole: Callable[[], object]) -> int:
    """Runs until it is over; SIGTERM and Ctrl-C end it, and the boxes go on."""
    task = asyncio.ensure_future(whole())  # type: ignore[call-overload]
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel)
    try:
        status: int = await task
        return status
    except NotFit as error:
        for fault in error.faults:
            running.say(NAME, fault)
        running.say(NAME, "so nothing was begun; a box without a fault waits for the others")
        return MISTAKE
    except asyncio.CancelledError:
        say("", "this controller ends; the boxes go on, and the next one attends to them again")
        return NOT_DONE


class Refusals:
    """Says who was not let in, and why; once, as all of them try again."""

    MOST = 100
    """Pairs of address and reason that are told of: anybody can connect."""

    def __init__(self, lock: Lock, say: Callable[[str, str], None]) -> None:
        at = Counter(box.address for box in lock.plan.boxes)
        self._names = {box.address: box.name for box in lock.plan.boxes if at[box.address] == 1}
        self._say = say
        self._said: set[tuple[str, str]] = set()

    def __call__(self, host: str, text: str) -> None:
        why = certs.refusal(text)
        if (host, why) not in self._said and len(self._said) < self.MOST:
            self._said.add((host, why))
            name = self._names.get(host, "")
            self._say(name, f"{'' if name else f'{host} '}is not let in: {why}")


def say(box: str, sentence: str) -> None:
    """A sentence with the time on stdout; box: whom it is about, or "" for all."""
    head = f"{time.strftime('%H:%M:%S')} {box + ': ' if box else ''}"
    with contextlib.suppress(OSError):
        print(safetext.line(head + sentence), flush=True)


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 86400:
        raise UsageError(f"--wait needs seconds, not {text[:40]!r}")
    return value


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 6) or not 1 <= int(text) <= 65535:
        raise UsageError(f"--metrics-port needs a port, not {text[:40]!r}")
    return int(text)


def _parser() -> running.Parser:
    parser = running.Parser(
        prog="lzr fleet start",
        description="Look at all boxes of a plan, then have each begin, or go on with, its run. Ends when "
        "all of them are done; it may be ended and started again meanwhile.",
        allow_abbrev=False,
    )
    parser.add_argument("plan", metavar="PLAN", help="the plan, settled by lzr fleet check")
    parser.add_argument(
        "--certs", metavar="DIR", help="where the certificates are (default: certs beside the plan)"
    )
    parser.add_argument(
        "--wait", type=_seconds, default=WAIT, metavar="SECONDS",
        help=f"for the boxes to connect, before anything begins (default: {WAIT:.0f})",
    )  # fmt: skip
    parser.add_argument(
        "--no-fetch", action="store_true", help="leave the results on the boxes (default: PLAN.results)"
    )
    parser.add_argument(
        "--metrics-port", type=_port, metavar="PORT", help="serve the metrics of all boxes for Prometheus"
    )
    parser.add_argument(
        "--metrics-address", default="127.0.0.1", metavar="ADDRESS", help="where to (default: 127.0.0.1)"
    )
    return parser
