"""Files of a plan on this machine: plan.toml, its lock, and the hashes of the files that a plan names."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator

from coordinator.commandline import wholefile
from coordinator.input.plaintext import PlainText
from coordinator.input.stream import Stream
from lzr.errors import UsageError, printable
from lzr.fleet import lock as locks
from lzr.fleet import plan as plans
from lzr.fleet import planoptions
from lzr.fleet.lock import Lock
from lzr.fleet.plan import Plan


def beside(path: str) -> str:
    """The name of the lock of a plan: plan.toml -> plan.lock.json; a lock's name stays."""
    if path.endswith(".lock.json"):
        return path
    return f"{path.removesuffix('.toml')}.lock.json"


def results_of(path: str) -> str:
    """The directory for the results that are fetched from all boxes: plan.toml -> plan.results."""
    return f"{path.removesuffix('.lock.json').removesuffix('.toml')}.results"


def read_plan(path: str) -> bytes:
    """The bytes of a plan. Raises UsageError."""
    return _read(path, plans.MOST_BYTES)


def plan(path: str) -> Plan:
    """The plan in this file, which may be its lock. Raises UsageError."""
    if path.endswith(".lock.json"):
        return read(path).plan
    return plans.of_toml(read_plan(path), printable(path))


def there(path: str) -> Lock | None:
    """The lock in this file, or None where there is none. Raises UsageError."""
    return Lock.of_json(_read(path, locks.MOST_BYTES), printable(path)) if os.path.lexists(path) else None


def read(path: str) -> Lock:
    """The lock of a plan, by the name of either; a plan that was changed since then is refused.

    Raises UsageError.
    """
    where = beside(path)
    if not os.path.lexists(where):
        raise UsageError(f"{printable(where)} is not there: lzr fleet check {printable(path)} makes it")
    lock = Lock.of_json(_read(where, locks.MOST_BYTES), printable(where))
    if path != where and sum_of(read_plan(path)) != lock.plan_sha256:
        raise UsageError(
            f"{printable(path)} was changed since it was settled in {printable(where)}: lzr fleet check "
            f"{printable(path)} looks at it again"
        )
    return lock


def settled(path: str) -> Lock:
    """The lock of a plan, by the name of either file, for commands on what is at work: a plan that was edited
    meanwhile keeps nobody from stopping a scan. Raises UsageError.
    """
    where = beside(path)
    if not os.path.lexists(where):
        return read(path)
    return Lock.of_json(_read(where, locks.MOST_BYTES), printable(where))


def write(path: str, lock: Lock) -> None:
    """Replace whatever has this name by the lock: whole, or not at all. Raises UsageError."""
    with wholefile.output(path, overwrite=True) as to:
        wholefile.write_whole(to.descriptor, lock.to_json())


def sum_of(data: bytes) -> str:
    """sha256, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def digest(path: str) -> str:
    """The sha256 of a file's bytes. Raises UsageError."""
    descriptor = _open(path)
    with os.fdopen(descriptor, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest_of_lists(plan: Plan) -> str:
    """One sum for a plan's blocklists, and other lists that its options name. Raises UsageError."""
    return locks.blocklist_hash(
        [digest(path) for path in (*plan.blocklist, *planoptions.lists(plan.options))]
    )


def digest_of_input(path: str) -> tuple[str, int]:
    """The sha256 of an input and how many lines it has, as a scan reads it (decompressed, in UTF-8).

    Raises UsageError.
    """
    found, lines, last = hashlib.sha256(), 0, b"\n"
    for chunk in lines_of_input(path):
        found.update(chunk)
        lines += chunk.count(b"\n")
        last = chunk[-1:]
    return found.hexdigest(), lines + (last != b"\n")


def lines_of_input(path: str) -> Iterator[bytes]:
    """An input as a scan reads it, in chunks that are not empty. Raises UsageError."""
    descriptor = _open(path)
    try:
        plain = PlainText(Stream(descriptor), binary=False)
        while (chunk := plain.read()) != b"":
            if chunk:
                yield chunk
        if plain.trouble:  # on each box a part would be taken for the whole
            raise UsageError(f"{printable(path)} was not read to its end: {plain.trouble}")
    finally:
        os.close(descriptor)


def _open(path: str) -> int:
    """A regular file, open for reading. Raises UsageError."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (OSError, ValueError) as error:
        raise UsageError(
            f"cannot read {printable(path)}: {getattr(error, 'strerror', '') or error}"
        ) from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise UsageError(f"{printable(path)} is no file")
    return descriptor


def _read(path: str, most: int) -> bytes:
    with os.fdopen(_open(path), "rb") as file:
        return file.read(most + 1)
