"""The checkpoint: what a scan that was cut off at any moment needs to go on.

One file states two things that belong together: which inputs have their fate, and how long each output was
when exactly their records had been written. It is replaced as a whole (write, fsync, rename), and only after
the outputs have been synced up to that length. So the newest checkpoint holds even after a crash of the
kernel or a power cut: a resumed scan cuts the outputs back to it and does the rest.

A checkpoint that cannot be written is a warning; the one before it still holds.

Inputs are numbered as they are read, so a resumed scan needs the same input (`coordinator.checkpoint.hashes`)
and the same lists of networks. Which options may change is decided in `lzr.options.resume`.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
from numpy.typing import NDArray

from coordinator.checkpoint.cadence import pause
from coordinator.checkpoint.hashes import LISTS, InputHash, digests
from coordinator.checkpoint.progress import Progress
from coordinator.checkpoint.saved import Saved, SavedOutput
from coordinator.files.opening import is_regular
from coordinator.files.owned import enter
from coordinator.files.reach import give
from coordinator.files.renaming import sync_names
from lzr.errors import UsageError, printable
from lzr.options import resume
from lzr.options.table import Options

_TIMEOUT = 4.0  # for the processes of a killed scan to end: they do so within two seconds

HANDED = "LZR_CHECKPOINT_LOCK"
"""Variable: descriptor of the lock of the checkpoint's directory, where our parent handed it on."""

_PATHS = ("input_file", "output_file")


class Checkpoint:
    """The checkpoint of a running scan. options: those that hold; on a resumed scan, as it was begun."""

    def __init__(
        self,
        directory: Path,
        options: Options,
        saved: Saved | None = None,
        *,
        lock: int = -1,
        invoker: tuple[int, int] | None = None,
        lists: dict[str, str] | None = None,
        place: int | None = None,
    ) -> None:
        """saved: the checkpoint to go on from, None for a new scan. lock: a descriptor; while a process holds
        it, no other scan uses the directory. invoker: user and group that new files belong to.

        place: a descriptor of the directory: its name may mean another one by now. lists: hashes of the lists
        of networks, as they are now.
        """
        self.options = options
        self.resumed = saved
        self.lock = lock
        self.progress = Progress() if saved is None else Progress(saved.progress.low, saved.progress.above())
        self.done = None if saved is None else Progress(saved.progress.low, saved.progress.above())
        self._runs = 1 if saved is None else saved.runs + 1
        self.input = InputHash() if saved is None else InputHash(saved.marks, saved.prefix)
        self.sources: list[str] = []
        self.blocks: list[dict[str, Any]] = [] if saved is None else list(saved.blocks)
        """Whom somebody blocked while the scan ran, as plain values; kept from the next checkpoint on."""
        self.kept_blocks = len(self.blocks)
        """How many of them are in the checkpoint that is on the disk."""
        self.ackfirewalls = b"" if saved is None else saved.ackfirewalls
        """Hosts that answer on any port (`lzr.sweep.ackfirewalls`), for the next checkpoint."""
        self._lists = lists or {}
        self._directory = directory
        self._invoker = invoker
        self._place = place
        self._presumed = 0, np.zeros(0, np.bool_)
        self._took = 0.0  # seconds, for the last one
        self._next = 0.0
        self.thread: threading.Thread | None = None
        self._trouble = ""
        self._reported = False

    @property
    def run(self) -> int:
        """0 for the first run of this scan, and one more each time it was resumed."""
        return self._runs - 1

    def settled(self, lines: NDArray[np.uint64]) -> None:
        """Note that these inputs have their fate, and their records are within the lengths of the outputs."""
        self.progress.add(lines)

    def settled_from(self, first: int, done: NDArray[np.bool_]) -> None:
        """Note which of the inputs from `first` on, (n,) bool, have their fate without a record."""
        self.progress.add_from(first, done)

    def presume(self, first: int, done: NDArray[np.bool_]) -> None:
        """Note which of the inputs from `first` on, (n,) bool, count as having their fate in the next
        checkpoint only: something else may become of them.
        """
        self._presumed = first, done

    def compare_sources(self, sources: Sequence[str], *, forced: bool) -> None:
        """Compare our source addresses, where the user gave none, with those of the scan that is resumed.

        Raises UsageError if they differ, unless `forced`.
        """
        before = self.resumed.sources if self.resumed is not None else []
        changed = _changed(before, sources)
        if changed is not None and not forced:
            raise UsageError(
                f"this scan was begun from {changed[0]}, and our address is now {changed[1]}; "
                "--resume-changed source-ip goes on from there"
            )
        self.sources = list(sources)

    def save_soon(self) -> None:
        """Save as soon as possible."""
        self._next = 0.0

    def tick(
        self,
        now: float,
        descriptors: Sequence[int],
        outputs: Callable[[], list[SavedOutput]],
        summary: Callable[[], dict[str, Any]],
        note: Callable[[str], None],
    ) -> None:
        """If it is time, begin to save, in a thread: syncing a disk may take longer than a scan can wait.

        descriptors: files to be synced first. outputs, summary: give what is saved. note: takes a warning.
        """
        if self._trouble and not self._reported:
            self._reported = True
            note(self._trouble)
        if now < self._next or (self.thread is not None and self.thread.is_alive()):
            return
        self._next = now + pause(sweep=bool(self.options.target_ports), took=self._took)
        what = self._snapshot(outputs(), summary()), list(descriptors), len(self.blocks)
        thread = threading.Thread(target=self._save, args=what, daemon=True)
        try:
            thread.start()
            self.thread = thread
        except RuntimeError as error:  # ulimit -u, -v, a control group's pids.max: the next time, perhaps
            self._trouble = f"cannot write the checkpoint in {self._directory}: {error}"

    def finish(self, descriptors: Sequence[int], outputs: list[SavedOutput], summary: dict[str, Any]) -> str:
        """Save the last checkpoint and wait for it. Returns what went wrong, or an empty text."""
        if self.thread is not None:
            self.thread.join()
        self._trouble = ""
        self._save(self._snapshot(outputs, summary, ended=True), descriptors, len(self.blocks))
        return self._trouble

    def _snapshot(self, outputs: list[SavedOutput], summary: dict[str, Any], *, ended: bool = False) -> Saved:
        """What is saved, and nothing in it changes any more: to pack it takes time, which a thread has."""
        progress = Progress(self.progress.low, self.progress.above())
        progress.add_from(*self._presumed)
        self._presumed = 0, np.zeros(0, np.bool_)
        return Saved(
            self.options,
            progress,
            outputs,
            summary,
            self.input.prefix,
            self._runs,
            ended,
            marks=self.input.marks(),
            lists=self._lists,
            sources=self.sources,
            blocks=list(self.blocks),
            ackfirewalls=self.ackfirewalls,
        )

    def _save(self, saved: Saved, descriptors: Sequence[int], blocks: int) -> None:
        begun = time.monotonic()
        try:
            for descriptor in descriptors:
                with contextlib.suppress(OSError) if not is_regular(descriptor) else contextlib.nullcontext():
                    os.fsync(descriptor)
            place = self._place
            if place is None:
                place = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                _replace(place, saved.pack(), self._invoker)
            finally:
                if place != self._place:
                    os.close(place)
            self._trouble, self._reported, self.kept_blocks = "", False, blocks
            self._took = time.monotonic() - begun
        except (OSError, MemoryError) as error:
            why = getattr(error, "strerror", "") or "there is not memory enough"
            self._trouble = f"cannot write the checkpoint in {self._directory}: {why}"


def _changed(before: Sequence[str], sources: Sequence[str]) -> tuple[str, str] | None:
    """A source address of the interrupted run and the one that took its place; None where none changed.

    IPv6 addresses beside IPv4 are not compared: they may be temporary ones (RFC 8981).
    """
    old = [text for text in before if ":" not in text] or list(before)
    new = [text for text in sources if text not in old and (":" in text) == (":" in old[0])] if old else []
    if old and not new and not set(old) & set(sources):  # none of that family is left
        new = list(sources) or ["unknown"]
    return (old[0], new[0]) if new else None


def _replace(place: int, data: bytes, invoker: tuple[int, int] | None) -> None:
    """Replace the old checkpoint by the new one; at every moment one of the two is there as a whole.

    place: a descriptor of the directory, in which its owner may put anything at any time. Raises OSError.
    """
    with contextlib.suppress(FileNotFoundError):
        os.unlink("checkpoint.new", dir_fd=place)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open("checkpoint.new", flags, 0o644, dir_fd=place)
    try:
        give(descriptor, invoker)
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.replace("checkpoint.new", "checkpoint", src_dir_fd=place, dst_dir_fd=place)
    sync_names(place)


def load(directory: Path, place: int | None = None) -> Saved | None:
    """The checkpoint in a directory, None if there is none. Raises UsageError if it cannot be used.

    place: a descriptor of the directory, if it is open already.
    """
    path = directory / "checkpoint"
    try:
        return Saved.unpack(_content(path if place is None else "checkpoint", place))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UsageError(f"cannot read {printable(str(path))}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, msgpack.UnpackException, zlib.error) as error:
        raise UsageError(f"cannot resume from {printable(str(path))}: {error}") from error


def _content(name: Path | str, place: int | None) -> bytes:
    """What is in a regular file that is no symbolic link. Raises OSError."""
    descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=place)
    with open(descriptor, "rb") as file:
        if not is_regular(descriptor):
            raise OSError(errno.EINVAL, "it is no regular file")
        return file.read()


@contextmanager
def open_checkpoint(
    options: Options,
    invoker: tuple[int, int] | None = None,
    read: Callable[[str], bytes] = lambda path: Path(path).read_bytes(),
) -> Iterator[Checkpoint | None]:
    """The checkpoint that --checkpoint or --resume asks for, None where neither is given. Raises UsageError.

    read: gives what is in a list of networks, and raises UsageError.
    """
    if options.checkpoint is None:
        yield None
        return
    directory = Path(options.checkpoint)
    missing = f"there is no checkpoint in {printable(str(directory))}"
    place = enter(
        str(directory), invoker, create=options.resume is None, purpose="for the checkpoint", missing=missing
    )
    lock = -1
    try:
        lock = _lock(directory, place, invoker, create=options.resume is None)
        saved = load(directory, place)
        if options.resume is None:
            if saved is not None:
                raise UsageError(
                    f"{directory} holds the checkpoint of a scan: --resume {directory} goes on with it, "
                    "and a new scan needs another directory"
                )
            lists = digests(options, read)
            yield Checkpoint(
                directory, absolute(options), lock=lock, invoker=invoker, lists=lists, place=place
            )
            return
        if saved is None:
            raise UsageError(f"there is no checkpoint in {directory}")
        options = restored(options, saved.options)
        lists = digests(options, read)
        _compare_lists(options, saved.lists, lists)
        yield Checkpoint(directory, options, saved, lock=lock, invoker=invoker, lists=lists, place=place)
    finally:
        for descriptor in (lock, place):
            if descriptor >= 0:
                os.close(descriptor)


def _lock(directory: Path, place: int, invoker: tuple[int, int] | None, *, create: bool) -> int:
    """Lock the directory: a descriptor that every process of the scan inherits, so that the lock is held
    until the last of them has ended. Raises UsageError if another scan holds it."""
    flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    if (handed := _handed(place)) is not None:
        return handed
    try:
        try:
            if not create:
                raise FileExistsError
            # Who can read it can lock it.
            lock = os.open("lock", flags | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=place)
            give(lock, invoker)
        except FileExistsError:
            lock = os.open("lock", flags, dir_fd=place)
    except FileNotFoundError as error:
        raise UsageError(f"there is no checkpoint in {printable(str(directory))}") from error
    except OSError as error:
        sentence = f"cannot use {printable(str(directory))} for the checkpoint: {error.strerror}"
        raise UsageError(sentence) from error
    until = time.monotonic() + _TIMEOUT
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return lock
        except OSError as error:
            if time.monotonic() > until:
                os.close(lock)
                raise UsageError(f"another scan is using {directory}") from error
            time.sleep(0.02)


def _handed(place: int) -> int | None:
    """The lock that our parent already holds and has handed down, so that no other scan can come in
    between.
    """
    text = os.environ.pop(HANDED, "")
    if not text.isdigit() or int(text) < 3:
        return None
    lock = int(text)
    try:
        if not os.path.samestat(os.fstat(lock), os.stat("lock", dir_fd=place, follow_symlinks=False)):
            return None
        os.set_inheritable(lock, False)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return None
    return lock


def _compare_lists(options: Options, before: dict[str, str], now: dict[str, str]) -> None:
    """Raises UsageError if a list of networks says something else than it did, and nobody said it may."""
    forced = resume.changed(options.resume_changed)
    for attr in LISTS:
        if before.get(attr) != now.get(attr) and attr not in forced:
            flag = Options.rows[attr].flag
            what = "is new" if attr not in before else "is missing" if attr not in now else "has changed"
            other = "would be of other networks"
            if attr == "handshakes_by_port":
                other = "would mean something else (HandshakeNum counts through its handshakes, too)"
            raise UsageError(
                f"{flag} {what} since this scan was begun, so its records {other}: "
                f"--resume-changed {flag.lstrip('-')} goes on with the list as it is now"
            )


def absolute(options: Options) -> Options:
    """The options with absolute paths, since a scan may be resumed from another working directory."""
    changes: dict[str, object] = {
        name: os.path.abspath(path)
        for name in _PATHS
        if (path := getattr(options, name)) is not None and path != "-"
    }
    for name in LISTS:
        changes[name] = tuple(map(os.path.abspath, getattr(options, name)))
    return options.replace(**changes)


def restored(given: Options, saved: Options) -> Options:
    """The options to resume with (`lzr.options.resume`). Raises UsageError."""
    found = resume.restored(absolute(given), saved)
    if not found.send_syns and not found.reopen:
        raise UsageError(
            "half-open connections of ZMap cannot be resumed, they are gone: --reopen opens those that have "
            "no result yet anew, with SYNs of our own (the input has to be the same lines of ZMap)"
        )
    if found.send_syns and found.reopen:
        raise UsageError("--reopen is for the input of ZMap; a list is resumed without it")
    return found
