"""What a controller stores beside the lock, for the next one to go on from: orders to block, and the wanted
state.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from coordinator.commandline import wholefile
from coordinator.fleet import blockorderfile, leasefile, lockfile
from lzr.errors import UsageError, printable
from lzr.fleet.blockorders import Confirmed, Kept, Order
from lzr.fleet.lock import Lock
from lzr.fleet.steering import Wanted

MOST_BYTES = 1 << 20


class ControllerFiles:
    """The files of a plan's controller: plan.blocks.jsonl and plan.wanted.json beside plan.lock.json."""

    def __init__(self, plan: str, invoker: tuple[int, int] | None = None) -> None:
        """plan: path of the plan or of its lock. invoker: who called sudo."""
        stem = os.path.abspath(lockfile.beside(plan)).removesuffix(".lock.json")
        self._lock = f"{stem}.lock.json"
        self._seen: tuple[int, int] | None = None
        self._orders, self._wanted = f"{stem}.blocks.jsonl", f"{stem}.wanted.json"
        self._invoker = invoker

    def newer(self, lock: Lock) -> Lock | None:
        """The lock of the same plan in a later generation, once there is one. Raises UsageError."""
        try:
            status = os.stat(self._lock)
        except OSError:
            return None
        seen = status.st_mtime_ns, status.st_ino
        if seen == self._seen:
            return None
        self._seen = seen
        found = lockfile.there(self._lock)
        return (
            found
            if found is not None and found.id == lock.id and found.generation > lock.generation
            else None
        )

    def renew(self, lock: Lock, boxes: Sequence[str]) -> bool:
        """Write down that these boxes may scan on by this lock; False where there is a later one.

        Raises UsageError.
        """
        return leasefile.renew(self._lock, lock, boxes)

    def orders(self) -> Kept:
        """Raises UsageError."""
        return blockorderfile.read(self._orders)

    def add(self, what: Sequence[Order | Confirmed]) -> None:
        """On the disk when it returns. Raises UsageError."""
        blockorderfile.append(self._orders, what, self._invoker)

    def wanted(self, lock: Lock) -> Wanted:
        """What was wanted of the boxes of this plan. Raises UsageError."""
        try:
            with open(self._wanted, "rb") as file:
                return Wanted.of_json(file.read(MOST_BYTES), lock.id)
        except FileNotFoundError:
            return Wanted()
        except (OSError, ValueError, RecursionError) as error:
            raise UsageError(
                f"cannot read what was wanted of the boxes in {printable(self._wanted)}: {error}"
            ) from error

    def want(self, lock: Lock, wanted: Wanted) -> None:
        """Put it in the place of what was wanted before. Raises UsageError."""
        with wholefile.output(self._wanted, overwrite=True) as to:
            wholefile.write_whole(to.descriptor, wanted.to_json(lock.id))
