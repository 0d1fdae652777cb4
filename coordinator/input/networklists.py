"""Reads the lists of networks (blocklist, allowlist), looks up names in them once, and makes one policy of
all.

A name in a list stands for every address that it has now. A name without an address is the user's mistake: a
scan must not begin with a blocklist whose extent is not known.
"""

from __future__ import annotations

import queue
import socket
import threading
from collections.abc import Callable, Sequence
from typing import Any

from coordinator.files.filereader import FileReader
from coordinator.files.opening import Interrupted
from lzr.addresstext import entries, ranges_of
from lzr.errors import UsageError, printable
from lzr.options.table import Options
from lzr.targets import filetypes
from lzr.targets.blocklist import Blocklist, Prefixes
from lzr.targets.decompress import compression
from lzr.targets.textencoding import Text, coding

SECONDS = 30.0
"""Seconds for which the look-ups of all names together are waited for."""
_STEP = 0.1  # seconds between two looks whether the user wants to end
_THREADS = 16  # that look names up at once
_SAID = 10  # names whose addresses are told, and addresses of each

Lookup = Callable[[str], Sequence[Any]]


def ask(name: str) -> Sequence[Any]:
    """All addresses of a name. Raises OSError."""
    return socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)


def policy(
    options: Options,
    reader: FileReader,
    lookup: Lookup = ask,
    warn: Callable[[str], None] = lambda _: None,
) -> Blocklist | None:
    """The policy of all lists, None where everybody may be contacted. warn: told of a blocklist that blocks
    nobody.

    Raises UsageError, also for an allowlist that allows nobody; and Interrupted.
    """
    if not options.blocklist_file and not options.allowlist_file:
        return None
    blocked = prefixes(options.blocklist_file, reader, lookup)
    for path in options.blocklist_file:
        if not len(prefixes((path,), reader, lookup) if len(options.blocklist_file) > 1 else blocked):
            warn(f"--blocklist-file {printable(path)} names no network: nothing is blocked")
    if not options.allowlist_file:
        return Blocklist(blocked)
    allowed = prefixes(options.allowlist_file, reader, lookup)
    if not len(allowed):
        raise UsageError(f"--allowlist-file {printable(', '.join(options.allowlist_file))} allows nobody")
    return Blocklist(blocked, allowed)


def prefixes(paths: Sequence[str], reader: FileReader, lookup: Lookup = ask) -> Prefixes:
    """The networks of several lists together. Raises UsageError, or Interrupted."""
    return Prefixes(covered((), paths, reader, lookup))


def covered(
    words: Sequence[str],
    paths: Sequence[str],
    reader: FileReader,
    lookup: Lookup = ask,
    tell: Callable[[str], None] = lambda _: None,
) -> list[tuple[int, int]]:
    """The ranges that words of a command line and entries of several lists cover. tell: told which addresses
    a name stands for.

    Raises UsageError, or Interrupted.
    """
    ranges: list[tuple[int, int]] = []
    names: dict[str, str] = {}
    for word in words:
        found_ranges, named = entries(word)
        ranges += found_ranges
        for name in named:
            names.setdefault(name, printable(name))
    for path in paths:
        raw = reader.whole(path)
        plain = text(raw)
        packed = compression(raw[:16])
        if packed:
            raise UsageError(f"{path} is compressed ({packed}): unpack it first")
        found = filetypes.what(plain[:4096] if coding(raw[:4]) else raw[:4096])
        if found:
            raise UsageError(f"{path} is no list of networks, it is {found}")
        try:
            covered, named = entries(plain.decode("utf-8", "replace"))
        except ValueError as error:
            raise UsageError(f"{path}: {error}") from None
        ranges += covered
        for name, number in named.items():
            names.setdefault(name, f"{path}: line {number}: {printable(name)}")
    resolved = _resolved(names, reader, lookup)
    for name in list(resolved)[:_SAID]:
        tell(_stands_for(name, resolved[name]))
    if len(resolved) > _SAID:
        tell(f"{len(resolved) - _SAID:,} names more stand for addresses of their own")
    for name, found_addresses in resolved.items():
        for address in found_addresses:
            try:
                ranges += ranges_of(address)
            except ValueError:
                raise UsageError(f"{names[name]} has no usable address: {printable(address)}") from None
    return ranges


def _stands_for(name: str, addresses: list[str]) -> str:
    shown = ", ".join(map(printable, addresses[:_SAID]))
    more = f" and {len(addresses) - _SAID:,} more" if len(addresses) > _SAID else ""
    return f"{printable(name)} stands for {shown}{more}"


def text(raw: bytes) -> bytes:
    """A list as UTF-8 with plain line ends, in whatever encoding an editor has saved it."""
    reader = Text()
    found = reader.feed(raw) + reader.finish()
    return found.removeprefix(b"\xef\xbb\xbf")


def _resolved(names: dict[str, str], reader: FileReader, lookup: Lookup) -> dict[str, list[str]]:
    """By name, its addresses. names: by name, where it stands. Raises UsageError for one without an
    address.
    """
    if not names:
        return {}
    wanted: queue.SimpleQueue[str] = queue.SimpleQueue()
    found: dict[str, list[str] | str] = {}  # a text: why there is no address
    for name in names:
        wanted.put(name)

    def work() -> None:
        while not wanted.empty():
            try:
                name = wanted.get_nowait()
                found[name] = sorted({str(answer[4][0]).partition("%")[0] for answer in lookup(name)})
            except queue.Empty:
                return
            except (OSError, UnicodeError, ValueError) as error:
                found[name] = getattr(error, "strerror", None) or str(error)

    for number in range(min(_THREADS, len(names))):
        try:
            threading.Thread(target=work, daemon=True, name="lzr: names").start()
        except RuntimeError:  # there can be no more (ulimit -u, -v): those that there are, else we ourselves
            if not number:
                work()
            break
    waited = 0.0
    while len(found) < len(names):
        if waited > SECONDS:
            late = next(name for name in names if name not in found)
            raise UsageError(f"{names[late]} is not answered for within {SECONDS:g} seconds")
        if reader.pause(_STEP if waited else 0.005):
            raise Interrupted
        waited += _STEP
    for name, answer in found.items():
        if not isinstance(answer, list) or not answer:
            why = answer or "it has no address"
            raise UsageError(f"{names[name]} is no network, and no name that has an address ({why})")
    return {name: answer for name, answer in found.items() if isinstance(answer, list)}
