"""Checks that files are different ones: what is read, and each of what is written.

``lzr -I x -f x`` would read its own results as targets; a log in the result file would damage it.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator

from lzr.errors import UsageError
from lzr.options.table import Options

_READ = ("input_file", "blocklist_file", "allowlist_file", "handshakes_by_port")
_WRITTEN = (
    *("output_file", "metadata_file", "log_file", "status_updates_file"),
    *("dashboard_file", "cpuprofile", "memprofile", "trace_pcap"),
)
_TORN = tuple(f"{Options.rows[attr].flag} " for attr in ("output_file", "metadata_file"))
"""Flags of files that a line of the log in their middle would damage. stdout and stderr may be one file: that
is the user's choice."""

Identity = tuple[int, int] | str
Named = tuple[str, Identity]


def check(options: Options) -> None:
    """Raises UsageError if two of the files are one."""
    read, written = list(_read(options)), list(_written(options))
    for at, (what, identity) in enumerate(written):
        for other, one in (*read, *written[:at]):
            if one == identity and (other != "stderr" or what.startswith(_TORN)):
                raise UsageError(f"{other} and {what} are the same file")


def _read(options: Options) -> Iterator[Named]:
    for attr in _READ:
        value = getattr(options, attr)
        for path in (value,) if isinstance(value, str) else value or ():
            yield from _named(f"{Options.rows[attr].flag} {path}", path)
    if options.input_file is None:
        yield from _held("the input (stdin)", 0)


def _written(options: Options) -> Iterator[Named]:
    yield from _held("stderr", 2)
    if options.feed_zgrab or "-" in (options.output_file, options.metadata_file):
        yield from _held("stdout", 1)
    for attr in _WRITTEN:
        path = getattr(options, attr)
        if path is not None and path != "-":
            yield from _named(f"{Options.rows[attr].flag} {path}", path)


def _named(what: str, path: str) -> Iterator[Named]:
    try:
        found = os.stat(path)
    except OSError:
        try:
            yield what, os.path.realpath(path)
        except OSError:  # the working directory is gone: who opens the file says so
            yield what, path
        return
    if stat.S_ISREG(found.st_mode) or stat.S_ISFIFO(found.st_mode):
        yield what, (found.st_dev, found.st_ino)


def _held(what: str, descriptor: int) -> Iterator[Named]:
    try:
        found = os.fstat(descriptor)
    except OSError:
        return
    if stat.S_ISREG(found.st_mode):
        yield what, (found.st_dev, found.st_ino)
