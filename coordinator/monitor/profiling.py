"""The profile files (-cpuprofile, -memprofile), and the coordinator's own profile.

The children have the files open too and append their profiles when they end (workers/forkserver.py), so a
file holds one part for each process, in any order, each whole.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager

from coordinator.files import patient
from coordinator.files.opening import SILENTLY, WhileWaiting, is_deleted, open_written, push
from lzr import safetext
from lzr.errors import UsageError, printable
from lzr.options.table import Options
from lzr.profiles import Profiling


class ProfileFiles:
    """The files, open. descriptors: in the order of the options that are set."""

    def __init__(self, names: list[str], descriptors: list[int]) -> None:
        self._names = names
        self.descriptors = descriptors
        self._recording: Profiling | None = None

    def start(self, recording: Profiling) -> None:
        """Record this process."""
        self._recording = recording
        recording.start()

    def finish(self) -> str:
        """Add this process's own record; why a file is not whole. May be called twice."""
        recording, self._recording = self._recording, None
        if recording is None:
            return ""
        try:
            recording.finish()
        except OSError as error:
            return f"a profile is not whole: {error.strerror}"
        for name, descriptor in zip(self._names, self.descriptors, strict=True):
            try:
                push(descriptor)
            except OSError as error:
                return f"the profile {safetext.line(name)} is not whole: {error.strerror}"
            if is_deleted(descriptor, name):
                return f"the profile {safetext.line(name)} was deleted while it was written"
        return ""


@contextmanager
def open_profiles(
    options: Options,
    title: str,
    invoker: tuple[int, int] | None,
    *,
    waiting: WhileWaiting = SILENTLY,
) -> Iterator[ProfileFiles]:
    """The files of the options that are set. Raises UsageError.

    invoker: whom a new file is to belong to. waiting: see `opening.open_output`. At the end, this
    process's own record is added, unless it was before.
    """
    names = [name for name in (options.cpuprofile, options.memprofile) if name is not None]
    files: list[int] = []
    try:
        for name in names:
            try:
                files.append(open_written(name, invoker, append=True, alone=True, waiting=waiting))
                if stat.S_ISREG(os.fstat(files[-1]).st_mode):
                    os.ftruncate(files[-1], 0)
            except OSError as error:
                raise UsageError(f"cannot write {printable(name)}: {error.strerror}") from error
        profiles = ProfileFiles(names, files)
        if files:
            profiles.start(_recording(options, title, files))
        try:
            yield profiles
        finally:
            if trouble := profiles.finish():
                waiting.say(trouble)
    finally:
        for file in files:
            os.close(file)


def _recording(options: Options, title: str, files: list[int]) -> Profiling:
    cpu, memory = options.cpuprofile is not None, options.memprofile is not None
    return Profiling(title, files, cpu=cpu, memory=memory, clock=time, write=_write)


def _write(descriptor: int, data: bytes) -> None:
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        patient.write_whole(descriptor, data)
        return
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
