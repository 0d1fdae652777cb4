"""Waits for open files by poll(2): select(2) takes no descriptor beyond 1023, and whoever starts us may have
left more than that open.
"""

from __future__ import annotations

import select
from collections.abc import Iterable
from typing import Protocol, TypeVar


class HasFileno(Protocol):
    """An open file, a socket, or a server that has one."""

    def fileno(self) -> int: ...


_File = TypeVar("_File", bound="int | HasFileno")


def readable(files: Iterable[_File], seconds: float | None = None) -> list[_File]:
    """Those of these files, or descriptors, that can be read; an end and an error count. Waits until there is
    one, at most `seconds`; None: as long as it takes.
    """
    poll = select.poll()
    by_number = {one if isinstance(one, int) else one.fileno(): one for one in files}
    for number in by_number:
        poll.register(number, select.POLLIN)
    return [by_number[number] for number, _ in poll.poll(_milliseconds(seconds))]


def writable(descriptor: int, seconds: float | None = None) -> bool:
    """Whether there is room to write, or an error to be met there. Waits for it as `readable` does."""
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    return bool(poll.poll(_milliseconds(seconds)))


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else max(0.0, seconds) * 1000  # below 0 it would wait for ever
