"""The profile files (-cpuprofile, -memprofile), and the record of the coordinator itself.

The children have the files open too and append what they have recorded when they end
(workers/profiling.py), so a file holds one part for each process: in any order, each whole.
"""

from __future__ import annotations

import os
import stat
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from coordinator.files.opening import open_written
from lzr.errors import UsageError, printable
from lzr.options.table import Options
from lzr.profiles import INTERVAL, CpuProfile, MemoryProfile


@contextmanager
def open_profiles(options: Options, title: str, owner: tuple[int, int] | None) -> Iterator[list[int]]:
    """Descriptors of the files, in the order of the options that are set. Raises UsageError.

    owner: whom a new file is to belong to. At the end, this process's own record is added.
    """
    names = [name for name in (options.cpuprofile, options.memprofile) if name is not None]
    files: list[int] = []
    try:
        for name in names:
            try:
                files.append(open_written(name, owner, append=True))
                if stat.S_ISREG(os.fstat(files[-1]).st_mode):
                    os.ftruncate(files[-1], 0)
            except OSError as error:
                raise UsageError(f"cannot write {printable(name)}: {error.strerror}") from error
        profiling = _Profiling(options, title, files) if files else None
        if profiling is not None:
            profiling.start()
        try:
            yield files
        finally:
            if profiling is not None:
                profiling.finish()
    finally:
        for file in files:
            os.close(file)


class _Profiling(threading.Thread):
    def __init__(self, options: Options, title: str, descriptors: list[int]) -> None:
        super().__init__(daemon=True)
        self._over = threading.Event()
        self._files = list(descriptors)
        self._profiles: list[CpuProfile | MemoryProfile] = []
        if options.cpuprofile is not None:
            self._profiles.append(_cpu(title))
        if options.memprofile is not None:
            self._profiles.append(MemoryProfile(title))

    def run(self) -> None:
        while not self._over.wait(INTERVAL):
            for profile in self._profiles:
                profile.sample()

    def finish(self) -> None:
        self._over.set()
        self.join()
        for descriptor, profile in zip(self._files, self._profiles, strict=True):
            profile.sample()
            os.write(descriptor, profile.text().encode())


def _cpu(title: str) -> CpuProfile:
    thread = threading.main_thread().ident or 0
    clock = time.pthread_getcpuclockid(thread)
    return CpuProfile(
        title,
        lambda: sys._current_frames().get(thread),
        lambda: time.clock_gettime_ns(clock),
        time.process_time_ns,
    )
