"""Input text into targets: what ZMap found (JSON or CSV), and plain lists of address and port.

A line of ZMap's is a half-open connection to take over; a line of a list is a connection we open ourselves
(`syn` is set, and our own address and port are zero until they are chosen). Every field is checked before it
is used: a line that is not exactly understood is refused with a reason, never guessed at.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import Any

import orjson

from lzr import addresses
from lzr.dryrun import DryrunReader, FastDryrunReader
from lzr.kernels import NATIVE
from lzr.reading import BLANK, Batch, LineReader, Reader, Refused, Rejected, Target, host

__all__ = [
    "Batch",
    "DryrunReader",
    "FastDryrunReader",
    "ListReader",
    "Reader",
    "Rejected",
    "ZmapReader",
]

NAMES = ("saddr", "daddr", "sport", "dport", "seqnum", "acknum", "window")
"""The fields a ZMap record must have. `ttl` is used if there; all others are ignored."""

_QUOTED = tuple(f'"{name}"'.encode() for name in NAMES)


@lru_cache(maxsize=1024)
def _own(text: str) -> addresses.Halves:
    return host(text, "daddr is not an address")


def _integer(record: dict[str, Any], name: str, low: int, high: int) -> int:
    value = record[name]
    if type(value) is not int or not low <= value <= high:
        raise Refused(f"{name} is not a whole number from {low} to {high}")
    return value


def _target(record: dict[str, Any]) -> Target:
    """The half-open connection a ZMap record tells of."""
    for name in NAMES:
        if record.get(name) is None:
            raise Refused(f"{name} is missing")
    if type(record["saddr"]) is not str or type(record["daddr"]) is not str:
        raise Refused("saddr and daddr must be strings")
    peer = host(record["saddr"], "saddr is not an address")
    own = _own(record["daddr"])
    if addresses.is_v4(*peer) != addresses.is_v4(*own):
        raise Refused("saddr and daddr are of different families")
    ttl = record.get("ttl")
    return Target(
        peer,
        _integer(record, "sport", 1, 65535),
        own,
        _integer(record, "dport", 1, 65535),
        # ZMap before 3 prints sequence numbers as signed 32-bit
        _integer(record, "seqnum", -(2**31), 2**32 - 1) & 0xFFFFFFFF,
        _integer(record, "acknum", -(2**31), 2**32 - 1) & 0xFFFFFFFF,
        _integer(record, "window", 0, 65535),
        0,
        ttl if type(ttl) is int and 0 <= ttl <= 255 else 0,
    )


def _refuse_repeated(text: bytes) -> None:
    """Refuse a line that names a field twice; which of the two was meant cannot be known."""
    pairs: list[tuple[str, Any]] = []

    def keep(found: list[tuple[str, Any]]) -> None:
        pairs[:] = found  # the outermost object comes last

    try:
        json.loads(text.decode(), object_pairs_hook=keep)
    except (ValueError, RecursionError):
        raise Refused("nested too deeply or not JSON") from None
    names = [name for name, _ in pairs if name in NAMES]
    if len(names) != len(set(names)):
        raise Refused("a field is given twice")


class ZmapReader(LineReader):
    """ZMap's records: JSON objects (RFC 8259), one a line, or CSV with a heading of the same names."""

    def __init__(self, *, pure: bool = False) -> None:
        super().__init__(None if pure or NATIVE is None else NATIVE.zmap_lines)
        self._columns: list[str] = []

    def heading(self, text: bytes) -> bool:
        columns = [name.strip().strip('"') for name in text.decode("latin-1").split(",")]
        if len(columns) == len(set(columns)) and set(NAMES) <= set(columns):
            self._columns = columns
            self._kernel = None
        return bool(self._columns)

    def target(self, text: bytes) -> Target:
        return _target(self._csv(text) if self._columns else self._json(text))

    def _json(self, text: bytes) -> dict[str, Any]:
        if not text.startswith(b"{"):
            raise Refused("not a JSON object (for a list of address:port, use -sendSYNs)")
        try:
            record = orjson.loads(text)
        except orjson.JSONDecodeError:
            raise Refused("not JSON") from None
        if type(record) is not dict:
            raise Refused("not a JSON object")
        if b"\\" in text or any(text.count(name) != 1 for name in _QUOTED):
            _refuse_repeated(text)
        return record

    def _csv(self, text: bytes) -> dict[str, Any]:
        cells = text.decode("latin-1").split(",")
        if len(cells) != len(self._columns):
            raise Refused("not as many columns as the heading has")
        record: dict[str, Any] = {}
        for name, cell in zip(self._columns, cells, strict=True):
            value = cell.strip(" \t").strip('"')
            if name in ("saddr", "daddr"):
                record[name] = value
            elif re.fullmatch(r"-?[0-9]{1,10}", value, re.ASCII):
                record[name] = int(value)
            elif name in NAMES:
                raise Refused(f"{name} is not a whole number" if value else f"{name} is missing")
        return record


_LIST_HEADINGS = (b"saddr,sport", b"ip,port", b"addr,port", b"address,port")
_BRACKETS = re.compile(rb"\[([^\]]*)\][ \t]*[:;,]")
_PORT = re.compile(rb"[0-9]{1,5}")


class ListReader(LineReader):
    """Lists: ``a.b.c.d:port``, ``[v6]:port``; ``;`` or ``,`` for the colon; ``#`` starts a comment."""

    comments = True

    def __init__(self, *, pure: bool = False) -> None:
        super().__init__(None if pure or NATIVE is None else NATIVE.list_lines)

    def heading(self, text: bytes) -> bool:
        return text in _LIST_HEADINGS

    def target(self, text: bytes) -> Target:
        text = text.split(b"#", 1)[0].strip(BLANK)
        if text.startswith(b"{"):
            raise Refused("a JSON object (for ZMap's output, leave -sendSYNs out)")
        brackets = _BRACKETS.match(text)
        if brackets:
            address, port = brackets[1], text[brackets.end() :]
        else:
            mark = next((mark for mark in (b";", b",", b":") if mark in text), b"")
            if not mark:
                raise Refused("no port")
            address, _, port = text.partition(mark)
            if mark == b":" and b":" in port:
                raise Refused("an IPv6 address needs brackets before a port, as in [2001:db8::1]:80")
        port = port.strip(BLANK)
        if not _PORT.fullmatch(port) or not 1 <= int(port) <= 65535:
            raise Refused("the port is not a whole number from 1 to 65535")
        name = address.strip(BLANK).decode("latin-1")
        return Target(host(name, "not an address (names are not looked up)"), int(port))
