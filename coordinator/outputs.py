"""The outputs: opened before anything is sent, so that an unwritable one costs nothing but a sentence."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from coordinator.scan import Outputs
from lzr.options import Options, UsageError


def default_name(now: datetime, module: str = "json") -> str:
    """``default_YYYYMMDDHHMMSS.json``, as the reference names it."""
    return f"default_{now:%Y%m%d%H%M%S}.{'json' if module == 'json' else 'csv'}"


@contextmanager
def open_outputs(options: Options, owner: tuple[int, int] | None = None) -> Iterator[Outputs]:
    """The result file (or stdout), and stdout for the ZGrab feed.

    owner: whom a new file is to belong to. Raises UsageError.
    """
    outputs = Outputs([], [], [], [])
    opened = []
    name = options.output_file or default_name(datetime.now(), options.output_module)
    if name == "-":
        _add(outputs, 1, options.output_module)
    else:
        try:
            descriptor = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise UsageError(f"cannot write {name}: {error.strerror}") from error
        opened.append(descriptor)
        if owner is not None:
            os.fchown(descriptor, *owner)
        _add(outputs, descriptor, options.output_module)
    if options.feed_zgrab:
        _add(outputs, 1, "feed")
    try:
        yield outputs
    finally:
        for descriptor in opened:
            os.close(descriptor)


def _add(outputs: Outputs, descriptor: int, form: str) -> None:
    outputs.descriptors.append(descriptor)
    outputs.forms.append(form)
    outputs.fresh.append(True)
    offset = 0
    if stat.S_ISREG(os.fstat(descriptor).st_mode):  # stdout may be a file that somebody appends to
        offset = os.lseek(descriptor, 0, os.SEEK_END if _appends(descriptor) else os.SEEK_CUR)
    outputs.offsets.append(offset)


def _appends(descriptor: int) -> bool:
    import fcntl

    return bool(fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_APPEND)
