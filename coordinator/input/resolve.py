"""Looks up the names of a list, each once, in threads beside the scan, for a bounded time.

A name is one host: its first IPv4 address that the kernel has a route to, else its first such IPv6 address;
where it has no route to any, its first address. Threads ask the system
(hosts file, DNS); the loop learns of an answer through a descriptor. The caller stops asking while the
resolver is `crowded`, so memory is bounded; the latest answers are remembered.
"""

from __future__ import annotations

import contextlib
import os
import queue
import socket
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from lzr import addresses
from lzr.targets.reader import Refused, refuse_many

SECONDS = 10.0
"""Seconds that one look-up may take, from when a thread begins it."""

THREADS = 32
"""Names looked up at the same time. A judgement: at 100 ms a name it makes 320 a second."""
CROWD = 1024
"""Names waiting for an answer at which the caller is to stop asking."""

_NO_THREAD = "cannot be looked up: no thread can be started (ulimit -u, a control group's pids.max)"
_REMEMBERED = 1 << 16  # answers kept

Lookup = Callable[[str], Sequence[Any]]


class Resolved(NamedTuple):
    """halves: of the address; None where there is none, and `why` says the reason."""

    name: str
    halves: addresses.Halves | None
    why: str = ""


def _ask(name: str) -> Sequence[Any]:
    return socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)


class Resolver:
    """Looks up names in threads. lookup: looks up one. seconds: how long one may take. now: a clock."""

    def __init__(
        self, lookup: Lookup = _ask, *, seconds: float = SECONDS, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._lookup = lookup
        self._seconds = seconds
        self._now = now
        self._wanted: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._found: queue.SimpleQueue[Resolved] = queue.SimpleQueue()
        self._begun: dict[str, float] = {}  # written by threads, one name each
        self._asked: set[str] = set()
        self._known: OrderedDict[str, Resolved] = OrderedDict()
        self._threads = 0
        self._readable = self._writable = -1  # ends of a pipe: a byte for each answer

    @property
    def crowded(self) -> bool:
        """Whether so many names wait that the caller is to stop asking."""
        return len(self._asked) >= CROWD

    @property
    def busy(self) -> bool:
        """Whether look-ups are under way."""
        return bool(self._asked)

    def fileno(self) -> int:
        """Becomes readable when there are answers; -1 while nothing was looked up."""
        return self._readable

    def ask(self, name: str) -> Resolved | None:
        """The answer if it is known. None: it is being looked up, and comes later from `answers`."""
        known = self._known.get(name)
        if known is not None:
            self._known.move_to_end(name)
            return known
        if name not in self._asked:
            self._asked.add(name)
            if self._readable < 0:
                self._readable, self._writable = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
            self._wanted.put(name)
            if self._threads < min(THREADS, len(self._asked)):
                try:
                    threading.Thread(target=self._work, daemon=True, name="lzr: names").start()
                    self._threads += 1
                except RuntimeError:  # there can be no more (ulimit -u, -v, a control group's pids.max)
                    if not self._threads:
                        self._answer(Resolved(self._wanted.get(), None, _NO_THREAD))
        return None

    def answers(self) -> list[Resolved]:
        """The answers that have come since the last call, and refusals for names that took too long."""
        if not self._asked:
            return []
        with contextlib.suppress(BlockingIOError):
            while os.read(self._readable, 4096):
                pass
        found = []
        while True:
            try:
                found.append(self._found.get_nowait())
            except queue.Empty:
                break
        late = self._now() - self._seconds
        for name, begun in list(self._begun.items()):
            if begun < late:
                found.append(Resolved(name, None, f"not answered for within {self._seconds:g} seconds"))
        taken = []
        for answer in found:
            if answer.name in self._asked:  # else it was given up before it came
                self._asked.discard(answer.name)
                self._begun.pop(answer.name, None)
                self._known[answer.name] = answer
                taken.append(answer)
        while len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        return taken

    def _work(self) -> None:
        while True:
            name = self._wanted.get()
            self._begun[name] = self._now()
            answer = self._resolve(name)
            self._begun.pop(name, None)
            self._answer(answer)

    def _answer(self, answer: Resolved) -> None:
        self._found.put(answer)
        with contextlib.suppress(BlockingIOError):  # it rings already
            os.write(self._writable, b".")

    def _resolve(self, name: str) -> Resolved:
        try:
            found = self._lookup(name)
        except socket.gaierror as error:
            return Resolved(name, None, _reason(error))
        except (OSError, UnicodeError, ValueError) as error:
            return Resolved(name, None, f"cannot be looked up: {error}")
        return choose(name, found)


def _reason(error: socket.gaierror) -> str:
    if error.errno in (socket.EAI_NONAME, socket.EAI_NODATA):
        return "no such name, or it has no address"
    return f"cannot be looked up: {error.strerror}"


def has_route(family: int, address: str) -> bool:
    """Whether the kernel would send a packet there: connect of a UDP socket looks that up, and sends none."""
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((address, 9))
    except OSError:
        return False
    return True


def choose(name: str, found: Sequence[Any], routed: Callable[[int, str], bool] = has_route) -> Resolved:
    """One address of what getaddrinfo returned, IPv4 before IPv6, and what there is a way to before the rest.

    routed: whether packets go to an address of a family.
    """
    first: Resolved | None = None
    why = "no such name, or it has no address"
    for family in (socket.AF_INET, socket.AF_INET6):
        for address in dict.fromkeys(entry[4][0] for entry in found if entry[0] == family):
            try:
                halves = addresses.parse(address)
                refuse_many(*halves)
            except (ValueError, Refused) as error:
                why = f"its address cannot be scanned: {error}"
                continue
            if routed(family, address):
                return Resolved(name, halves)
            first = first or Resolved(name, halves)
    return first or Resolved(name, None, why)
