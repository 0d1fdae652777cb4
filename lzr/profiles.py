"""Profiles of the whole process tree, as folded stacks.

One line a stack: the process, then the functions from the outermost in, joined by ``;``, a space and a
number. flamegraph.pl, speedscope and others read it as it is; so does ``sort -t' ' -k2 -n``. In a CPU
profile the number is microseconds of processor time, in a memory profile the bytes that were allocated
there and not yet freed at the moment the process held most.

The clock and the way to the files are arguments.
"""

from __future__ import annotations

import sys
import threading
import tracemalloc
from collections import Counter
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Protocol

INTERVAL = 0.01
"""Seconds between two samples: about 1 % of a core that is busy."""
DEPTH = 12
"""Frames kept of where memory was allocated."""
_GROWN = 1.1
"""Another snapshot of memory is taken when so many times the memory of the last one is held, since each takes
time."""
NOT_WHOLE = 74
"""Exit status of a worker or collector whose profile found no room, as EX_IOERR in sysexits.h."""
_IGNORED = ("tracemalloc.py", "profiles.py", "threading.py")


class CpuProfile:
    """Where processor time goes: the main thread's stack, weighed by what it used since the last look."""

    def __init__(
        self,
        title: str,
        stack: Callable[[], FrameType | None],
        main_time: Callable[[], int],
        process_time: Callable[[], int],
    ) -> None:
        """stack: the main thread's innermost frame; main_time, process_time: ns that it and all have used."""
        self._title = title
        self._stack = stack
        self._clocks = main_time, process_time
        self._last = main_time(), process_time()
        self._first = self._last[1] - self._last[0]
        self._spent: Counter[str] = Counter()

    def sample(self) -> None:
        """Add the processor time since the last sample to the stack that runs now."""
        main, process = (clock() for clock in self._clocks)
        self._spent[";".join((self._title, *_names(self._stack())))] += main - self._last[0]
        self._last = main, process

    def text(self) -> str:
        """Folded stacks, µs; what other threads used (ZeroMQ's, the profiler's) stands apart."""
        others = self._last[1] - self._last[0] - self._first
        return _folded(self._spent + Counter({f"{self._title};other threads": max(0, others)}), 1000)

    def close(self) -> None:
        """Nothing has to be stopped: it records when `sample` is called."""


class MemoryProfile:
    """What a process held when it held most."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._most = 0
        self._snapshot: tracemalloc.Snapshot | None = None
        self._began = not tracemalloc.is_tracing()
        tracemalloc.start(DEPTH)

    def sample(self) -> None:
        held, _ = tracemalloc.get_traced_memory()
        if held > self._most * _GROWN:
            self._most = held
            self._snapshot = tracemalloc.take_snapshot()

    def text(self) -> str:
        """Folded stacks, bytes."""
        held: Counter[str] = Counter()
        if self._snapshot is not None:
            for trace in self._snapshot.traces:
                frames = [f"{_module(frame.filename)}:{frame.lineno}" for frame in trace.traceback]
                if not frames[-1].startswith(_IGNORED):
                    held[";".join((self._title, *frames))] += trace.size
        return _folded(held, 1)

    def close(self) -> None:
        """Record no more: each allocation costs several times as much while it is recorded."""
        if self._began:
            tracemalloc.stop()


class TimeModule(Protocol):
    """What is asked of the module `time`."""

    def pthread_getcpuclockid(self, thread_id: int, /) -> int: ...
    def clock_gettime_ns(self, clk_id: int, /) -> int: ...
    def process_time_ns(self) -> int: ...


class Profiling(threading.Thread):
    """Records one process, from `start` to `finish`.

    clock: the module `time`. write: takes a descriptor and bytes. descriptors: of the files, open for
    appending, the CPU's first.
    """

    def __init__(
        self,
        title: str,
        descriptors: Sequence[int],
        *,
        cpu: bool,
        memory: bool,
        clock: TimeModule,
        write: Callable[[int, bytes], object],
    ) -> None:
        super().__init__(daemon=True)
        self._over = threading.Event()
        self._descriptors = list(descriptors)
        self._write = write
        self._profiles: list[CpuProfile | MemoryProfile] = []
        if cpu:
            self._profiles.append(_of_main_thread(title, clock))
        if memory:
            self._profiles.append(MemoryProfile(title))

    def run(self) -> None:
        while not self._over.wait(INTERVAL):
            for profile in self._profiles:
                profile.sample()

    def finish(self) -> None:
        """Stop, and add what was recorded to the files. Raises OSError if one of them did not take it."""
        self._over.set()
        self.join()
        trouble: OSError | None = None
        for descriptor, profile in zip(self._descriptors, self._profiles, strict=True):
            profile.sample()
            try:
                self._write(descriptor, profile.text().encode())
            except OSError as error:
                trouble = error
        for profile in self._profiles:
            profile.close()
        if trouble is not None:
            raise trouble


def _of_main_thread(title: str, clock: TimeModule) -> CpuProfile:
    thread = threading.main_thread().ident or 0
    used = clock.pthread_getcpuclockid(thread)
    return CpuProfile(
        title,
        lambda: sys._current_frames().get(thread),
        lambda: clock.clock_gettime_ns(used),
        clock.process_time_ns,
    )


def _names(frame: FrameType | None) -> list[str]:
    """Functions from the outermost in."""
    found = []
    while frame is not None:
        found.append(f"{frame.f_globals.get('__name__', '?')}.{frame.f_code.co_qualname}")
        frame = frame.f_back
    return found[::-1]


def _module(path: str) -> str:
    return "/".join(path.rsplit("/", 2)[-2:])


def _folded(weights: Counter[str], unit: int) -> str:
    """A blank or a semicolon in a name would end it too soon."""
    lines = []
    for stack, weight in sorted(weights.items()):
        if weight >= unit:
            lines.append(f"{stack.replace(' ', '_')} {weight // unit}\n")
    return "".join(lines)
