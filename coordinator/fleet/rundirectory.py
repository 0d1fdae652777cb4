"""The directories in which a box keeps the files of a plan and of its runs, made so that only we can write
there.

`<directory>/<plan id>/` has the box's copy of the lock and the orders to block; `<box>-g<generation>/` in it
is one run: checkpoint, results, metadata, control socket, log. `checkpoint/lock` is held by every process of
a scan, and by whoever is about to start one: it alone says whether the run is at work.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pwd
import random
import time
from dataclasses import dataclass

from coordinator.endpoints.named import LONGEST_PATH
from coordinator.files.exclusive import exclusive
from coordinator.files.owned import enter
from coordinator.fleet import blockorderfile, lockfile
from lzr.errors import UsageError, printable
from lzr.fleet.lock import Lock, Run
from lzr.fleet.plan import Plan

FOR_ROOT = "/var/lib/lzr/fleet"
_PURPOSE = "for a plan's scans"
_TRIES = 100
"""How often a lock is tried that nobody holds but for a look."""


@dataclass(frozen=True)
class RunDirectory:
    """The names of the files of one run. plan: the directory of the plan."""

    plan: str
    here: str

    @property
    def checkpoint(self) -> str:
        """The directory of the scan's checkpoint."""
        return f"{self.here}/checkpoint"

    @property
    def results(self) -> str:
        """JSON lines."""
        return f"{self.here}/results.json"

    @property
    def metadata(self) -> str:
        """The metadata of the last scan that was not killed."""
        return f"{self.here}/metadata.json"

    @property
    def control(self) -> str:
        """The socket that `lzr ctl --socket` talks to."""
        return f"{self.here}/control.sock"

    @property
    def log(self) -> str:
        """The log of the scan."""
        return f"{self.here}/log.txt"

    @property
    def lock(self) -> str:
        """The box's copy of plan.lock.json."""
        return f"{self.plan}/plan.lock.json"

    @property
    def orders(self) -> str:
        """Orders to block (`lzr.fleet.blockorders`)."""
        return f"{self.plan}/{blockorderfile.NAME}"


def root(plan: Plan) -> str:
    """The directory of all plans on this box."""
    if plan.directory is not None:
        return plan.directory
    if os.geteuid() == 0:
        return FOR_ROOT
    state = os.environ.get("XDG_STATE_HOME", "")
    home = state if state.startswith("/") else f"{_home()}/.local/state"
    return f"{home.rstrip('/')}/lzr/fleet"


def _home() -> str:
    """The home directory of our own user; HOME may be unset, and after sudo and setpriv another user's.

    Raises UsageError where there is none.
    """
    home = os.environ.get("HOME", "")
    if home.startswith("/") and not _is_anothers(home):
        return home
    try:
        return pwd.getpwuid(os.geteuid()).pw_dir
    except KeyError:
        if home.startswith("/"):
            return home
        sentence = "this user has no home directory: set XDG_STATE_HOME, or directory in the plan"
        raise UsageError(sentence) from None


def _is_anothers(path: str) -> bool:
    try:
        return os.stat(path).st_uid != os.geteuid()
    except OSError:  # it is not there, or not to be seen
        return False


def of_plan(lock: Lock) -> str:
    """The directory of this plan on this box."""
    return f"{root(lock.plan)}/{lock.id}"


def of_run(lock: Lock, run: Run) -> RunDirectory:
    """The directory of a run. Raises UsageError where the path of a socket in it would be too long."""
    plan = of_plan(lock)
    found = RunDirectory(plan, f"{plan}/{run.name}")
    if len(os.fsencode(found.control)) > LONGEST_PATH:
        raise UsageError(
            f"{printable(found.control)} has more than {LONGEST_PATH} bytes, too many for a socket: give the "
            "plan a shorter directory"
        )
    return found


def make(lock: Lock, run: Run) -> RunDirectory:
    """Make the directories of a run that are missing. Raises UsageError where they are not ours."""
    found = of_run(lock, run)
    make_plan(lock)
    for path in (found.here, found.checkpoint):
        os.close(enter(path, None, create=True, purpose=_PURPOSE))
    return found


def make_plan(lock: Lock) -> str:
    """Make the directory of a plan, as far as it is missing. Raises UsageError where it is not ours."""
    make_root(lock.plan)
    os.close(enter(of_plan(lock), None, create=True, purpose=_PURPOSE))
    return of_plan(lock)


def make_root(plan: Plan) -> str:
    """Make the directory of all plans, as far as it is missing. Raises UsageError where it is not ours."""
    path = root(plan)
    missing = [path]
    while not os.path.lexists(os.path.dirname(missing[-1])):
        missing.append(os.path.dirname(missing[-1]))
    for one in reversed(missing):
        os.close(enter(one, None, create=True, purpose=_PURPOSE))
    return path


def keep(lock: Lock) -> Lock:
    """Store a lock on this box, unless it has one of a later generation; returns the one that applies. Raises
    UsageError.

    The directory of the plan must exist.
    """
    folder = of_plan(lock)
    where = f"{folder}/plan.lock.json"
    place = enter(folder, None, create=False, purpose=_PURPOSE, missing=f"{printable(folder)} is not there")
    try:
        with exclusive(place):
            there = lockfile.there(where)
            if there is not None and there.id != lock.id:
                raise UsageError(f"{printable(where)} is of another plan")
            if there is not None and there.generation == lock.generation and there != lock:
                raise UsageError(
                    f"this box has another generation {lock.generation} of the plan: somebody else has given "
                    "shards away, too, by another plan.lock.json (lzr fleet assign)"
                )
            if there is not None and there.generation >= lock.generation:
                return there
            _put(place, "plan.lock", lock.to_json())
            return lock
    except OSError as error:
        raise UsageError(f"cannot write {printable(where)}: {error.strerror}") from error
    finally:
        os.close(place)


def put(folder: str, stem: str, data: bytes) -> None:
    """Put `<stem>.json` into the directory of a plan: whole, or not at all. Raises UsageError."""
    place = enter(folder, None, create=False, purpose=_PURPOSE, missing=f"{printable(folder)} is not there")
    try:
        with exclusive(place):
            _put(place, stem, data)
    except OSError as error:
        raise UsageError(f"cannot write {printable(folder)}/{stem}.json: {error.strerror}") from error
    finally:
        os.close(place)


def _put(place: int, stem: str, data: bytes) -> None:
    """As `put`, into a directory that is open; the file is ours, whoever calls sudo."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(f"{stem}.new", dir_fd=place)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(f"{stem}.new", flags, 0o644, dir_fd=place), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(f"{stem}.new", f"{stem}.json", src_dir_fd=place, dst_dir_fd=place)


def take(found: RunDirectory) -> int | None:
    """Take the lock of a run: a descriptor, or None where a scan, or who is about to start it, holds it.

    Raises UsageError.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    shown = printable(found.checkpoint)
    place = enter(found.checkpoint, None, create=False, purpose=_PURPOSE, missing=f"{shown} is not there")
    try:
        descriptor = os.open("lock", flags, 0o600, dir_fd=place)  # who can read it can lock it
    except OSError as error:
        raise UsageError(f"cannot use {shown}: {error.strerror}") from error
    finally:
        os.close(place)
    for _ in range(_TRIES):
        if _locked(descriptor, fcntl.LOCK_EX):
            return descriptor
        if not _locked(descriptor, fcntl.LOCK_SH):
            break
        # Nobody has it; somebody only looked whether anybody has, as `is_running` does.
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        time.sleep(random.uniform(0.0005, 0.005))
    os.close(descriptor)
    return None


def _locked(descriptor: int, how: int) -> bool:
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def is_running(found: RunDirectory) -> bool:
    """Whether a scan of this run is at work, or about to be."""
    with contextlib.suppress(FileNotFoundError):
        descriptor = os.open(
            f"{found.checkpoint}/lock", os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        )
        try:
            return not _locked(descriptor, fcntl.LOCK_SH)
        finally:
            os.close(descriptor)
    return False
