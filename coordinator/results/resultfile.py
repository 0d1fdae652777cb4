"""The result file: checked when it is opened, changed only when a scan is sure to begin.
`coordinator.results.outputs` holds it while the scan runs.

What was there before stays. Results are appended to results; a file that holds anything else is refused;
nothing is cut off except a last line that is not whole or, with --overwrite, everything. Both happen in
`begin`, after everything that can fail has been tried.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct, field

from coordinator.files import opening
from coordinator.files.opening import SILENTLY, WhileWaiting
from coordinator.files.reach import reach
from lzr.errors import UsageError
from lzr.records.existing import WINDOW, Earlier, NotOurs, is_ours, look

_COUNTED = 1 << 28  # bytes whose lines are counted; of a longer file the rest is estimated
_CHUNK = 1 << 20  # bytes of one read
_TRIES = 100
"""How often a file is opened that others remove at the same time."""
_TIMEOUT = 3.0  # for the processes of a killed scan, which still hold its file


def default_name(now: datetime, module: str = "json") -> str:
    """``default_YYYYMMDDHHMMSS.json``, as the reference names it."""
    return f"default_{now:%Y%m%d%H%M%S}.{'json' if module == 'json' else 'csv'}"


def another_form(name: str, form: str) -> str:
    """What to say of results whose form is another than the file's name tells; empty where it is not."""
    ending = name.rpartition(".")[2].lower()
    if form == "json" and ending == "csv":
        return ", as JSON lines (-O csv writes CSV)"
    if form == "json" and ending == "parquet":
        return ", as JSON lines (lzr export makes Parquet of them)"
    if form == "csv" and ending in ("json", "jsonl", "ndjson"):
        return ", as CSV (-O json writes JSON lines)"
    return ""


class ResultFile(Struct):
    """An output that has a name.

    size: of the file when it was opened. exact: whether all `records` in it were counted. invoker: who called
    sudo.
    """

    name: str
    descriptor: int
    made: bool = False
    regular: bool = True
    overwrite: bool = False
    size: int = 0
    earlier: Earlier = field(default_factory=Earlier)
    records: int = 0
    exact: bool = True
    invoker: tuple[int, int] | None = None

    def begin(self) -> tuple[int, bool, str]:
        """Prepare it for the first record: (its length, whether it is new, what was done with it)."""
        if not self.regular or not self.size:
            return 0, True, f"results go to {self.name}"
        if self.overwrite:
            os.ftruncate(self.descriptor, 0)
            return 0, True, f"overwriting {self.name}, which held {self.held}"
        sentence = f"appending to {self.name}, which holds {self.held}"
        size = self.size
        if self.earlier.torn:
            size -= self.earlier.torn
            os.ftruncate(self.descriptor, size)
            sentence += f"; the last {self.earlier.torn} bytes were no whole line and are cut off"
        elif self.earlier.unended:
            size += os.write(self.descriptor, b"\n")
            sentence += "; its last line had no end and gets one"
        return size, size == 0, sentence

    @property
    def held(self) -> str:
        return f"{'' if self.exact else 'about '}{self.records:,} record{'' if self.records == 1 else 's'}"

    def take_back(self) -> None:
        """There is no scan after all: remove the file if we made it and it is empty."""
        if not self.made:
            return
        with contextlib.suppress(OSError, UsageError), reach(self.name, self.invoker) as place:
            ours = os.fstat(self.descriptor)
            there = os.stat(place.name, dir_fd=place.directory, follow_symlinks=False)
            if not ours.st_size and os.path.samestat(ours, there):
                os.unlink(place.name, dir_fd=place.directory)


def open_result(
    name: str,
    form: str,
    fields: Sequence[str] | None,
    invoker: tuple[int, int] | None,
    *,
    overwrite: bool,
    resumed: bool,
    fresh: bool = False,
    waiting: WhileWaiting = SILENTLY,
) -> ResultFile:
    """Open, lock and check it. resumed: its content is checked against the checkpoint instead. fresh: it must
    not be there yet, else FileExistsError is raised. Raises UsageError.
    """
    for _ in range(_TRIES):
        opened = opening.open_output(name, invoker, create=not resumed, fresh=fresh, waiting=waiting)
        try:
            found = ResultFile(
                name, opened.descriptor, opened.made, opened.regular, overwrite, invoker=invoker
            )
            if not opened.regular:
                return found
            if taken := opening.lock(opened.descriptor, _TIMEOUT, waiting):
                raise UsageError(f"{name} {taken}")
            if _is_named(name, opened.descriptor):
                found.size = os.fstat(opened.descriptor).st_size
                if found.size and not resumed:
                    _judge(found, form, fields)
                return found
        except BaseException:
            os.close(opened.descriptor)
            raise
        os.close(opened.descriptor)
    raise UsageError(f"cannot write {name}: somebody removes it each time")


def _is_named(name: str, descriptor: int) -> bool:
    """Whether an open file is still the one of that name: who had made it may have taken it back meanwhile,
    and what is written to a file without a name is lost."""
    with contextlib.suppress(OSError):
        return os.path.samestat(os.stat(name), os.fstat(descriptor))
    return False


def _judge(found: ResultFile, form: str, fields: Sequence[str] | None) -> None:
    head = os.pread(found.descriptor, WINDOW, 0)
    tail = os.pread(found.descriptor, WINDOW, max(0, found.size - WINDOW))
    try:
        found.earlier = look(form, fields, head, tail)
    except NotOurs as error:
        if not found.overwrite:
            hint = "; give -f another name" + (", or --overwrite it" if is_ours(head) else "")
            raise UsageError(f"{found.name} {error}{hint}") from None
        if not is_ours(head):
            raise UsageError(f"{found.name} {error}: --overwrite empties only results") from None
    _count(found, heading=found.earlier.headed)


def _count(found: ResultFile, *, heading: bool) -> None:
    """The number of whole lines, without a heading."""
    at = lines = 0
    end = min(found.size, _COUNTED)
    while at < end and (chunk := os.pread(found.descriptor, min(_CHUNK, end - at), at)):
        lines += chunk.count(b"\n")
        at += len(chunk)
    found.exact = at >= found.size
    if not found.exact:
        lines = round(lines / max(1, at) * found.size)
    found.records = max(0, lines + found.earlier.unended - heading)


def content(descriptor: int, at: int, count: int) -> bytes:
    """`count` bytes from `at` of a file that may be open for writing only; empty if it cannot be read."""
    try:
        again = os.open(f"/proc/self/fd/{descriptor}", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return os.pread(again, count, at)
    finally:
        os.close(again)
