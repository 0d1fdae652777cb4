"""The outputs: opened before anything is sent, so that an unwritable one costs nothing but a sentence."""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from coordinator.checkpoint import Checkpoint
from coordinator.scan import Outputs
from lzr.options import Options, UsageError


def default_name(now: datetime, module: str = "json") -> str:
    """``default_YYYYMMDDHHMMSS.json``, as the reference names it."""
    return f"default_{now:%Y%m%d%H%M%S}.{'json' if module == 'json' else 'csv'}"


@contextmanager
def open_outputs(
    options: Options, owner: tuple[int, int] | None = None, checkpoint: Checkpoint | None = None
) -> Iterator[Outputs]:
    """The result file (or stdout), and stdout for the ZGrab feed.

    owner: whom a new file is to belong to. A scan that is resumed finds its files cut back to what its
    checkpoint knows of. Raises UsageError.
    """
    outputs = Outputs([], [], [], [])
    opened = []
    resumed = checkpoint is not None and checkpoint.resumed is not None
    name = options.output_file or default_name(datetime.now(), options.output_module)
    try:
        if name == "-":
            _add(outputs, 1, options.output_module)
        else:
            descriptor = _open(name, owner, again=resumed)
            opened.append(descriptor)
            _add(outputs, descriptor, options.output_module)
        if options.feed_zgrab:
            _add(outputs, 1, "feed")
        if checkpoint is not None and checkpoint.resumed is not None:
            _go_on(outputs, checkpoint.resumed.outputs, name)
        yield outputs
    finally:
        for descriptor in opened:
            os.close(descriptor)


def _open(name: str, owner: tuple[int, int] | None, *, again: bool) -> int:
    how = 0 if again else os.O_CREAT | os.O_TRUNC
    new = not os.path.exists(name)
    try:
        descriptor = os.open(name, os.O_WRONLY | os.O_CLOEXEC | how, 0o644)
    except OSError as error:
        raise UsageError(f"cannot write {name}: {error.strerror}") from error
    if owner is not None and new:
        os.fchown(descriptor, *owner)
    return descriptor


def _add(outputs: Outputs, descriptor: int, form: str) -> None:
    outputs.descriptors.append(descriptor)
    outputs.forms.append(form)
    outputs.fresh.append(True)
    offset, shared = 0, False
    if _is_file(descriptor):  # stdout may be a file that somebody appends to, or one with our own stderr
        offset = os.lseek(descriptor, 0, os.SEEK_END if _appends(descriptor) else os.SEEK_CUR)
        shared = descriptor == 1 and _is_same(1, 2)
    outputs.offsets.append(offset)
    outputs.shared.append(shared)


def _go_on(outputs: Outputs, saved: list[tuple[str, int, bool]], name: str) -> None:
    """Take up files where the checkpoint left them. What went into a pipe may come there twice."""
    known = {form: (offset, fresh) for form, offset, fresh in saved}
    for number, (descriptor, form) in enumerate(zip(outputs.descriptors, outputs.forms, strict=True)):
        offset, fresh = known.get(form, (0, True))
        if not _is_file(descriptor):
            outputs.fresh[number] = fresh
            continue
        what = "stdout (append to it with >>)" if descriptor == 1 else name
        if outputs.shared[number]:
            raise UsageError("stdout and stderr are one file: nothing can be resumed in it")
        if os.fstat(descriptor).st_size < offset:
            raise UsageError(f"{what} is shorter than it was: it is not what the checkpoint tells of")
        os.ftruncate(descriptor, offset)
        os.lseek(descriptor, offset, os.SEEK_SET)
        outputs.offsets[number], outputs.fresh[number] = offset, fresh


def _is_file(descriptor: int) -> bool:
    return stat.S_ISREG(os.fstat(descriptor).st_mode)


def _is_same(one: int, other: int) -> bool:
    try:
        return os.path.sameopenfile(one, other)
    except OSError:
        return False


def _appends(descriptor: int) -> bool:
    return bool(fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_APPEND)
