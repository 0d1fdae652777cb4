"""The profiles of a child process (-cpuprofile, -memprofile), added to the files at its end."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Sequence

from lzr.options.table import Options
from lzr.profiles import INTERVAL, CpuProfile, MemoryProfile


class Profiling(threading.Thread):
    """descriptors: the profile files, open for appending, in the order of the options that are set."""

    def __init__(self, options: Options, title: str, descriptors: Sequence[int]) -> None:
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
