"""Fetches the results of all runs from their boxes, while they scan and afterwards: a file for each run.

What was fetched is on the disk before more is requested, so after a kill it goes on where the file ends. At
the end the whole file is compared with the box's by its hash.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from coordinator.files.opening import is_regular
from coordinator.files.owned import enter
from coordinator.files.reach import give
from coordinator.files.renaming import rename_new
from lzr.errors import UsageError, printable
from lzr.fleet import fetched
from lzr.fleet.fetched import CHUNK, Held
from lzr.fleet.lock import Lock, Run

Call = Callable[[str, str, Mapping[str, Any]], Awaitable[Any]]
"""Asks a box: its name, what for, with what. Raises Exception, with a sentence without the box's name."""

MOST_ANEW = 3
"""How often a run's results are fetched anew because they differ from what the box says: a disk that lost a
block costs one. A judgement: a box that says something else each time is not to be trusted."""
SPARE = 256 << 20
"""Bytes of the disk that are left free."""
OF_PLAN = "plan.id"
"""The file in a directory of results that says of which plan they are."""


@dataclass
class FetchProgress:
    """How far the fetching of a run is. here: bytes of results. held: what its box says. whole: all of it is
    here and is the same. trouble: why the last attempt failed, "" if it did not. anew: how often it was begun
    anew.
    """

    run: Run
    here: int = 0
    held: Held = field(default_factory=Held)
    whole: bool = False
    trouble: str = ""
    anew: int = 0

    @property
    def given_up(self) -> bool:
        return self.anew > MOST_ANEW


class Fetcher:
    """lock: of the plan. directory: where the files are to be; call: asks a box."""

    def __init__(
        self, lock: Lock, directory: str, call: Call, invoker: tuple[int, int] | None = None
    ) -> None:
        """invoker: whom the files are to belong to. Raises UsageError where the directory is not ours."""
        self._lock, self._call = lock, call
        self.directory = directory
        self._invoker = invoker
        self._place = enter(directory, invoker, create=True, purpose="for the results of all boxes")
        try:
            self._claim()
        except BaseException:
            os.close(self._place)
            raise
        self.states = {run.name: FetchProgress(run) for run in lock.runs}

    def _claim(self) -> None:
        """The directory is for this plan alone: runs of others have the same names. Raises UsageError."""
        shown, ours = printable(self.directory), self._lock.id
        try:
            theirs = plan_of(self.directory) or self._claimed(f"{ours}\n".encode())
            if theirs not in ("", ours):
                raise UsageError(
                    f"{shown} has the results of another plan ({printable(theirs)}): move it away, or leave "
                    "the results on the boxes (--no-fetch)"
                )
        except OSError as error:
            raise UsageError(f"cannot use {shown}: {error.strerror}") from error

    def _claimed(self, claim: bytes) -> str:
        """Make the file that says whose the directory is; the plan in it, which is another's where that was
        quicker. Raises OSError.
        """
        fresh = f".{OF_PLAN}.{secrets.token_hex(6)}.part"
        try:
            self._write(fresh, claim, spare=0)
            rename_new(fresh, OF_PLAN, self._place)
        except FileExistsError:
            if found := plan_of(self.directory):
                return found
            os.replace(fresh, OF_PLAN, src_dir_fd=self._place, dst_dir_fd=self._place)  # it was empty
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(fresh, dir_fd=self._place)
        return plan_of(self.directory)

    def close(self) -> None:
        os.close(self._place)

    def __enter__(self) -> Fetcher:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def take(self, lock: Lock) -> None:
        """Also fetch runs of a later generation."""
        self._lock = lock
        for run in lock.runs:
            self.states.setdefault(run.name, FetchProgress(run))

    @property
    def current(self) -> list[FetchProgress]:
        """The runs that have shards."""
        return [self.states[run.name] for run in self._lock.current]

    @property
    def whole(self) -> bool:
        """Whether all of each of these is here."""
        return all(state.whole for state in self.current)

    async def turn(self, boxes: set[str] | None = None) -> None:
        """Fetch what there is, of all boxes side by side. boxes: only of these."""
        runs: dict[str, list[FetchProgress]] = {}
        for state in self.states.values():
            if not (state.whole or state.given_up) and (boxes is None or state.run.box in boxes):
                runs.setdefault(state.run.box, []).append(state)
        await asyncio.gather(*map(self._fetch_box, runs.values()))

    async def _fetch_box(self, states: list[FetchProgress]) -> None:
        for state in states:
            try:
                await self._fetch(state)
                state.trouble = ""
            except (UsageError, ValueError, OSError) as error:
                state.trouble = str(getattr(error, "strerror", None) or error)
            except Exception as error:  # whatever asking a box may raise
                state.trouble = str(error)[:500] or type(error).__name__

    async def _fetch(self, state: FetchProgress) -> None:
        run = state.run
        of = {"generation": run.generation}
        state.held = held = Held.of(await self._call(run.box, "held", of))
        descriptor = await asyncio.to_thread(self._open, f"{run.name}.json")
        try:
            state.here = os.fstat(descriptor).st_size
            while (chunk := fetched.next_chunk(state.here, held)) is not None:
                offset, length = chunk
                asked = {"file": "results.json", "offset": offset, "length": length, **of}
                data = fetched.data_of(await self._call(run.box, "chunk", asked), length)
                await asyncio.to_thread(_append, descriptor, offset, data)
                state.here += length
            if held.metadata:
                await self._fetch_metadata(state)
            if held.ended:
                await self._compare(state, descriptor)
        finally:
            os.close(descriptor)

    async def _fetch_metadata(self, state: FetchProgress) -> None:
        """Small, and other ones after each run of the scan: whole each time."""
        run, parts, at = state.run, [], 0
        while at < state.held.metadata:
            length = min(CHUNK, state.held.metadata - at)
            asked = {"file": "metadata.json", "offset": at, "length": length, "generation": run.generation}
            parts.append(fetched.data_of(await self._call(run.box, "chunk", asked), length))
            at += length
        await asyncio.to_thread(self._replace, f"{run.name}.metadata.json", b"".join(parts))

    async def _compare(self, state: FetchProgress, descriptor: int) -> None:
        """Whether what is here is what the box has. If not, it is fetched anew."""
        ours = await asyncio.to_thread(_digest, descriptor, state.held.length)
        asked = {"length": state.held.length, "generation": state.run.generation}
        theirs = await self._call(state.run.box, "digest", asked)
        if not isinstance(theirs, Mapping) or theirs.get("sha256") != ours:
            state.anew += 1
            if state.given_up:
                raise ValueError("has other results than it gives, each time: no more of them are fetched")
            await asyncio.to_thread(os.ftruncate, descriptor, 0)
            state.here = 0
            raise ValueError("has other results than were fetched, which are fetched anew")
        state.whole = True

    def _open(self, name: str) -> int:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        descriptor = os.open(name, flags, 0o644, dir_fd=self._place)
        if not is_regular(descriptor):
            os.close(descriptor)
            raise UsageError(f"{printable(os.path.join(self.directory, name))} is no file")
        self._give(descriptor)
        return descriptor

    def _give(self, descriptor: int) -> None:
        give(descriptor, self._invoker)

    def _replace(self, name: str, data: bytes, spare: int = SPARE) -> None:
        fresh = f".{name}.part"
        with contextlib.suppress(FileNotFoundError):
            os.unlink(fresh, dir_fd=self._place)
        self._write(fresh, data, spare)
        os.replace(fresh, name, src_dir_fd=self._place, dst_dir_fd=self._place)

    def _write(self, fresh: str, data: bytes, spare: int) -> None:
        """A new file of that name. Raises OSError, UsageError."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(fresh, flags, 0o644, dir_fd=self._place)
        try:
            self._give(descriptor)
            _append(descriptor, 0, data, spare)
        finally:
            os.close(descriptor)


def plan_of(directory: str) -> str:
    """The id of the plan whose results are in a directory; nothing where that is not said. Raises OSError."""
    try:
        descriptor = os.open(
            os.path.join(directory, OF_PLAN), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        )
    except (FileNotFoundError, NotADirectoryError):
        return ""
    with os.fdopen(descriptor, "rb") as file:
        return file.read(64).decode("ascii", "replace").strip()


def _append(descriptor: int, offset: int, data: bytes, spare: int = SPARE) -> None:
    """Put these bytes there, and on the disk. Raises OSError; UsageError where the disk is nearly full."""
    disk = os.fstatvfs(descriptor)
    if disk.f_bavail * disk.f_frsize < spare + len(data):
        raise UsageError("nothing more is fetched: the disk here is nearly full")
    view = memoryview(data)
    while view:
        written = os.pwrite(descriptor, view, offset)
        view, offset = view[written:], offset + written
    os.fdatasync(descriptor)


def _digest(descriptor: int, length: int) -> str:
    """The sha256 of the first bytes of a file."""
    found, at = hashlib.sha256(), 0
    while at < length:
        data = os.pread(descriptor, min(CHUNK, length - at), at)
        if not data:
            break
        found.update(data)
        at += len(data)
    return found.hexdigest()
