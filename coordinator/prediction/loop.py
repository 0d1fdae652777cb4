"""The loop of `lzr predict`: make a list, scan it, learn from the results, make the next list.

All its state is in its directory: ``round-0001.list`` is what was scanned, with what was expected;
``round-0001.done`` says that this scan ended; ``found.json`` holds the results of all rounds. A scan that was
interrupted has a checkpoint beside its list; the same command resumes it, and the loop. The scan is a process
group of its own, so that it gets a Ctrl-C once, from here, and ends by its own rules.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coordinator.commandline.progressbar import Bar
from coordinator.files.exclusive import exclusive
from coordinator.files.opening import is_regular
from coordinator.files.owned import enter
from coordinator.files.reach import give
from coordinator.prediction import lists
from coordinator.prediction.lists import LearntModel, Round
from coordinator.processes.users import invoking_user
from lzr import safetext
from lzr.analysis.asked import Part
from lzr.errors import UsageError, printable
from lzr.exitstatus import LOST, OK
from lzr.prediction import predict
from lzr.prediction.conditions import Bound
from lzr.prediction.counts import Services

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_OURS = {
    "-f", "-o", "--output-file", "--overwrite", "-I", "--input-file", "--checkpoint", "--resume", "-p",
    "--target-ports", "--target-port", "--targets", "--targets-file", "-O", "--output-module",
    "--output-filter", "-n", "--max-targets", "-N", "--max-results", "--max-runtime", "--shards", "--shard",
    "--dryrun", "-feedZGrab", "--feed-zgrab", "--output-fields",
}  # fmt: skip
"""Options of the scan that would keep a list from being asked whole, or its results from being read."""

_ANSWERS = "ACKed = 1 || fingerprint != unknown || sa_only = 1 || ackingFirewall = 1"
"""Filter of the records that are kept; hosts that did not answer are known from the lists."""


@dataclass(frozen=True)
class LoopPlan:
    """What is asked for. seeds: files. ranges: of the space. stop_at: share of a batch. scan: its options."""

    seeds: tuple[str, ...]
    parts: tuple[Part, ...]
    ranges: tuple[tuple[int, int], ...]
    budget: int
    batch: int
    stop_at: float
    state: str
    follow: bool
    printers: bool
    scan: tuple[str, ...]


class LoopDirectory:
    """The directory, until `stack` is closed. Raises UsageError where it cannot be used, or another loop uses
    it.
    """

    def __init__(self, path: str, stack: ExitStack) -> None:
        self.path = path
        user = invoking_user()
        self._invoker = None if user is None else (user.uid, user.gid)
        self._place = enter(path, self._invoker, create=True, purpose="for what a loop knows")
        stack.callback(os.close, self._place)
        try:
            stack.enter_context(exclusive(self._place, wait=False))
        except BlockingIOError:
            raise UsageError(f"another loop uses {printable(path)}") from None
        except (OSError, UsageError) as error:
            why = getattr(error, "strerror", "") or error
            raise UsageError(f"cannot use {printable(path)} for what a loop knows: {why}") from None
        self.results = self.of("found.json")
        with contextlib.suppress(FileNotFoundError):
            there = os.stat("found.json", dir_fd=self._place, follow_symlinks=False)
            if not stat.S_ISREG(there.st_mode):
                raise UsageError(f"{safetext.line(self.results)} is no regular file")

    def of(self, name: str) -> str:
        return os.path.join(self.path, name)

    def checkpoint_of(self, number: int) -> str:
        return self.of(_checkpoint(number))

    def lists(self) -> int:
        """How many rounds have a list."""
        number = 0
        while self._there(_list(number + 1)):
            number += 1
        return number

    def done(self, number: int) -> bool:
        return self._there(_done(number))

    def begin(self, number: int, lines: Iterator[str]) -> None:
        """Keep the list of a round."""
        self._write(_list(number), lines)

    def end(self, number: int, status: int) -> None:
        """The scan of a round has ended with this status."""
        self._write(_done(number), iter([f"{status}\n"]))
        # In the directory that is open: by its name it may be another's by now.
        shutil.rmtree(_checkpoint(number), ignore_errors=True, dir_fd=self._place)

    def open_list(self, number: int) -> int:
        """A descriptor, to read. Raises UsageError."""
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        name = safetext.line(self.of(_list(number)))
        try:
            descriptor = os.open(_list(number), flags, dir_fd=self._place)
        except OSError as error:
            raise UsageError(f"cannot read {name}: {error.strerror}") from None
        if not is_regular(descriptor):
            os.close(descriptor)
            raise UsageError(f"{name} is no regular file")
        return descriptor

    def _there(self, name: str) -> bool:
        try:
            os.stat(name, dir_fd=self._place, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return True

    def _write(self, name: str, lines: Iterator[str]) -> None:
        """A file that is there whole or not at all, whatever the directory's owner has put there."""
        beside = f"{name}.part"
        with contextlib.suppress(FileNotFoundError):
            os.unlink(beside, dir_fd=self._place)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(beside, flags, 0o644, dir_fd=self._place)
        with open(descriptor, "w", encoding="ascii") as file:
            give(descriptor, self._invoker)
            file.writelines(lines)
            file.flush()
            os.fsync(descriptor)
        os.replace(beside, name, src_dir_fd=self._place, dst_dir_fd=self._place)

    def round(self, number: int, six: list[bytes]) -> Round:
        """Raises UsageError where the list has been changed."""
        with open(self.open_list(number), encoding="ascii", errors="replace") as file:
            text = file.read()
        try:
            return lists.round_from(text, six)
        except ValueError as error:
            raise UsageError(f"{safetext.line(self.of(_list(number)))}: {error}") from None


def _list(number: int) -> str:
    return f"round-{number:04}.list"


def _checkpoint(number: int) -> str:
    return f"round-{number:04}.checkpoint"


def _done(number: int) -> str:
    return f"round-{number:04}.done"


def run(plan: LoopPlan, say: Callable[[str], None]) -> int:
    """Go on until the budget is spent or a batch yields too little; the exit status: LOST where not all could
    be read of what it learns from, or a scan says that results or files beside them are not whole."""
    for word in plan.scan:
        name = word.partition("=")[0]
        if name in _OURS or f"-{name}" in _OURS:
            raise UsageError(f"{printable(name)} is not for the scans of a loop: it sets that itself")
    for path in plan.seeds:
        with contextlib.suppress(OSError):
            if not stat.S_ISREG(os.stat(path).st_mode) and not os.path.isdir(path):
                raise UsageError(
                    f"a loop reads its seed more than once: {printable(path)} is no regular file"
                )
    with ExitStack() as stack:
        return _run(plan, LoopDirectory(plan.state, stack), say)


def _run(plan: LoopPlan, state: LoopDirectory, say: Callable[[str], None]) -> int:
    troubles = Troubles(say)
    with Bar("reading and learning", ticking=True) as bar:
        learnt = lists.learn(
            plan.seeds, plan.parts, plan.ranges, strangers=plan.follow, progress=bar, say=troubles.add
        )
    for note in learnt.seed.notes:
        say(note)
    loop = _Loop(plan, state, say, troubles, learnt)
    status = loop.catch_up()
    while status is None:
        status = loop.step()
    return LOST if status == OK and troubles.any else status


class Troubles:
    """What was lost on the way, a sentence each: said when it comes up first, for files are read again after
    each batch."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._said: set[str] = set()

    @property
    def any(self) -> bool:
        return bool(self._said)

    def add(self, sentence: str) -> None:
        if sentence not in self._said:
            self._said.add(sentence)
            self._say(sentence)


class _Loop:
    """The rounds so far, and what has been learnt from them."""

    def __init__(
        self,
        plan: LoopPlan,
        state: LoopDirectory,
        say: Callable[[str], None],
        troubles: Troubles,
        learnt: LearntModel,
    ) -> None:
        self.plan, self.state, self.say, self.troubles = plan, state, say, troubles
        self.learnt = learnt
        self.rounds: list[Round] = []
        self.spent = 0
        self._assume = learnt.seed.assumed
        self._bound: Bound | None = None

    def catch_up(self) -> int | None:
        """Take the rounds up that the directory holds; the exit status where it ends here."""
        for number in range(1, self.state.lists() + 1):
            round_ = self.state.round(number, self.learnt.seed.six)
            if not self.state.done(number):
                self.say(f"going on with batch {number}, which was interrupted")
                if (status := self._scan(number)) is not None:
                    return status
            self._add(round_)
        if self.rounds:
            batches = "1 batch" if len(self.rounds) == 1 else f"{len(self.rounds)} batches"
            self.say(f"{batches} of {self.spent:,} probes asked so far")
            self._learn()
        return None

    def step(self) -> int | None:
        """One round; the exit status where it was the last."""
        plan = self.plan
        left = plan.budget - self.spent
        if left <= 0:
            self.say(f"the budget is spent; what answered is in {printable(self.state.results)}")
            return OK
        if self.learnt.model.held_out >= _ENOUGH and self._bound is None:
            self._bound = self.learnt.model.conditions.bound
        deciding = predict.deciding(self.learnt.seed.services, self._when(), follow=plan.follow)
        found = lists.listed(self.learnt, min(plan.batch, left), printers=plan.printers, followed=deciding)
        if not len(found):
            self.say("nothing is left to ask that the seed and what was found give a reason for")
            return OK
        number, round_ = len(self.rounds) + 1, lists.round_of(self.learnt, found)
        self.state.begin(number, lists.kept_lines(round_, self.learnt.seed.six))
        if (status := self._scan(number)) is not None:
            return status
        self._add(round_)
        self._learn()
        answered = int(np.isin(_pairs(round_), _pairs(self.learnt.seed.services)).sum())
        share = answered / len(found)
        self.say(
            f"batch {number}: {answered:,} of {len(found):,} answered ({share:.2%}; expected "
            f"{found.chance.sum():,.0f}); {self.spent:,} of {plan.budget:,} probes"
        )
        if share < plan.stop_at:
            self.say(f"fewer than {plan.stop_at:.2%} of a batch answered: this is the end")
            return OK
        return None

    def _add(self, round_: Round) -> None:
        self.rounds.append(round_)
        self.spent += len(round_.number)

    def _learn(self) -> None:
        plan, results = self.plan, self.state.results
        paths = plan.seeds
        with contextlib.suppress(OSError):
            if os.path.getsize(results):
                paths = (*plan.seeds, results)
        with Bar("reading and learning", ticking=True) as bar:
            self.learnt = lists.learn(
                paths, plan.parts, plan.ranges, rounds=self.rounds, strangers=plan.follow,
                bound=self._bound, assume=self._assume, progress=bar, say=self.troubles.add,
            )  # fmt: skip

    def _when(self) -> NDArray[np.int64]:
        """The round in which each service was asked; 0: by the seed."""
        services = self.learnt.seed.services
        pairs = _pairs(services)
        when = np.zeros(len(services), np.int64)
        for number, round_ in enumerate(self.rounds, 1):
            when[np.isin(pairs, _pairs(round_))] = number
        return when

    def _scan(self, number: int) -> int | None:
        """Scan a list, or go on with it; None when it is done, else the exit status to end with."""
        status = _child(self.plan, self.state, number)
        if status in (OK, LOST):
            if status == LOST:
                self.troubles.add(
                    f"batch {number}: the scan says that results or files beside them are not whole"
                )
            self.state.end(number, status)
            return None
        if status in (130, 143, 129):
            self.say("interrupted; the same command goes on from here")
        else:
            self.say(f"the scan of batch {number} ended with status {status}")
        return status


_ENOUGH = 1_000


def _pairs(of: Round | Services) -> NDArray[np.int64]:
    return of.number << 16 | of.port


def program() -> str:
    """The lzr that we are part of: the launcher beside the program, which puts the guard up early."""
    called = os.path.realpath(sys.argv[0] or "lzr")
    beside = os.path.join(os.path.dirname(called), "lzr")
    found = beside if os.access(beside, os.X_OK) else shutil.which("lzr")
    if found is None:
        raise UsageError("the program lzr is not found, which a loop needs to scan")
    return found


def _child(plan: LoopPlan, state: LoopDirectory, number: int) -> int:
    """Scan a list with lzr; its exit status. Signals are handed on to it."""
    checkpoint = state.checkpoint_of(number)
    words = [program()]
    if os.path.isfile(os.path.join(checkpoint, "checkpoint")):  # a scan that was cut off early has none yet
        words += ["-sendSYNs", "--resume", checkpoint]
    else:
        words += ["-sendSYNs", "--checkpoint", checkpoint]
    words += ["-f", state.results, "--output-filter", _ANSWERS, "--no-dashboard", *plan.scan]
    got: list[int] = []
    child: list[subprocess.Popen[bytes]] = []

    def hand_on(number_: int, _: Any) -> None:
        got.append(number_)
        for process in child:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(number_)

    before = {number_: signal.signal(number_, hand_on) for number_ in _SIGNALS}
    try:
        with open(state.open_list(number), "rb") as asked:
            # A group of its own: the terminal's Ctrl-C is not to come to it twice.
            process = subprocess.Popen(words, stdin=asked, stdout=subprocess.DEVNULL, process_group=0)
            child.append(process)
            if got:
                process.send_signal(got[0])
            status = process.wait()
    finally:
        for number_, handler in before.items():
            signal.signal(number_, handler)
    return status if status >= 0 else 128 - status
