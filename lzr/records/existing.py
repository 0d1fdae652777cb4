"""Recognises what an existing file holds: results of ours, to which more may be appended, or something else.

Pure: it sees the first and the last bytes of the file. A record is known by the names of its fields, so that
files of the reference count as ours, and ZMap's output, which has some of the same names, does not.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import partial

from msgspec import Struct

from lzr import addresses
from lzr.records.fields import FIELDS, NUMBERS, choose

WINDOW = 1 << 20
"""Bytes of the beginning and of the end that are looked at: more than the longest line of ours has."""

_ZMAP = frozenset(("saddr", "daddr", "sport", "dport", "seqnum", "acknum", "window", "ttl"))
_ALWAYS = frozenset(field.name for field in FIELDS if not field.optional)
FORMS = ("json", "csv", "zgrab")


class NotOurs(ValueError):
    """The file holds something else; the text completes "FILE …"."""


class Earlier(Struct, frozen=True):
    """What the file holds. torn: bytes at the end that are no whole line, of a run that was interrupted.
    unended: the last record is whole, and only its line end is missing. headed: it begins with the heading of
    a CSV.
    """

    torn: int = 0
    unended: bool = False
    headed: bool = False


def look(form: str, fields: Sequence[str] | None, head: bytes, tail: bytes) -> Earlier:
    """Recognise a file that is not empty. head, tail: at most WINDOW bytes of its beginning and its end.

    form: of FORMS; fields: as asked for. Raises NotOurs.
    """
    first, newline, _ = head.partition(b"\n")
    first = first.removesuffix(b"\r")
    rest = tail[tail.rfind(b"\n") + 1 :]
    begun = rest.rstrip(b"\0")  # a file system that lost its power may leave zeros
    if form == "csv":
        return _csv(choose(fields), first, bool(newline), rest, begun, tail)
    whole: Callable[[bytes], bool] = _is_feed
    begins: Callable[[bytes], bool] = _begins_feed
    if form == "json":
        whole, begins = partial(_is_record, asked=_ALWAYS.intersection(choose(fields))), _begins_record
    if newline and not (whole(first) and whole(_last(tail))):
        raise NotOurs("holds no results of lzr")
    if not rest:
        return Earlier()
    if form == "json" and begun == rest and whole(begun):
        return Earlier(unended=True)
    if len(rest) == len(tail) >= WINDOW or not (begins(begun) or (newline and not begun)):
        raise NotOurs("holds no results of lzr")
    return Earlier(torn=len(rest))


def is_ours(head: bytes) -> bool:
    """Whether a file with this beginning holds results of ours, whatever their form and fields."""
    first = head.partition(b"\n")[0].removesuffix(b"\r")
    return (
        _is_record(first, frozenset(NUMBERS))
        or _is_feed(first)
        or not _ZMAP.issuperset(_columns(first) or _ZMAP)
        or (b"\n" not in head and len(head) < WINDOW and len(first) > 2 and _begins_record(first))
    )


def _last(tail: bytes) -> bytes:
    """The last complete line."""
    lines = tail[: tail.rfind(b"\n") + 1]
    return lines[lines.rfind(b"\n", 0, -1) + 1 : -1].removesuffix(b"\r")


def _is_record(line: bytes, asked: frozenset[str]) -> bool:
    """asked: fields that every record of this run has."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return False
    if not isinstance(found, dict) or not found or not NUMBERS.keys() >= found.keys():
        return False
    return not found.keys() <= _ZMAP or found.keys() == asked


def _begins_record(begun: bytes) -> bool:
    """Whether this is the beginning of a record, which has one of our fields first."""
    if not begun.isascii():
        return False
    text = begun.decode("ascii")
    if len(text) < 3:
        return bool(text) and '{"'.startswith(text)
    name, quote, _ = text[2:].partition('"')
    return text.startswith('{"') and (
        name in NUMBERS if quote else any(known.startswith(name) for known in NUMBERS)
    )


def _is_feed(line: bytes) -> bool:
    parts = line.decode("latin-1").split(",")
    port = parts[-1]
    if len(parts) < 4 or parts[1] or not (port.isascii() and port.isdigit() and len(port) <= 5):
        return False
    try:
        addresses.parse(parts[0])
    except ValueError:
        return False
    return int(port) <= 65535


def _begins_feed(begun: bytes) -> bool:
    return len(begun) < 512 and begun[:1].isalnum() and b" " not in begun


def _columns(line: bytes) -> list[str] | None:
    """The names of a heading, if all of them are fields of ours."""
    names = line.decode("latin-1").split(",")
    return names if all(name in NUMBERS for name in names) else None


def _csv(fields: Sequence[str], first: bytes, ended: bool, rest: bytes, begun: bytes, tail: bytes) -> Earlier:
    heading = ",".join(fields).encode("ascii")
    if not ended and len(first) < len(heading) and heading.startswith(begun):
        return Earlier(torn=len(rest))
    if first != heading:
        there = _columns(first)
        if there is None:
            raise NotOurs("holds no results of lzr in CSV")
        raise NotOurs(f"has other columns than asked for ({','.join(there)})")
    if not ended:
        return Earlier(unended=True, headed=True)
    if not _has_cells(_last(tail), len(fields)) or len(rest) == len(tail) >= WINDOW:
        raise NotOurs("does not end as a CSV of lzr does")
    if not rest:
        return Earlier(headed=True)
    if begun == rest and _has_cells(begun, len(fields)):
        return Earlier(unended=True, headed=True)
    return Earlier(torn=len(rest), headed=True)


def _has_cells(line: bytes, count: int) -> bool:
    """Whether it is a whole row with so many cells: quotes in pairs, commas between them."""
    outside = line.split(b'"')
    return (
        bool(line) and len(outside) % 2 == 1 and sum(part.count(b",") for part in outside[::2]) == count - 1
    )
