"""ZMap's output, JSON or CSV, into targets: each line is a half-open connection to take over.
What becomes of a SYN-ACK with a window of 0 is decided in `lzr.flow.connections`. Every field is checked
before it is used. A line that is not understood exactly is refused with a reason; its
meaning is never guessed.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache, partial
from typing import Any

import orjson

from lzr import addresses
from lzr.rows import Opening
from lzr.targets import lines, zmapfields
from lzr.targets.reader import LineReader, Refused, Target, host

NAMES = zmapfields.NEEDED
"""The fields a ZMap record must have. `ttl` and the fields of `SAID` are used if they are there."""

SAID = zmapfields.SAID
_KEYS = (*NAMES, "ttl", *SAID)  # as the enumeration in lines.c; what comes after it is any other
_QUOTED = tuple(f'"{name}"'.encode() for name in NAMES)
_SAID_QUOTED = tuple(f'"{name}"'.encode() for name in SAID)
_TRUTH = {"1": True, "true": True, "0": False, "false": False}


@lru_cache(maxsize=1024)
def _own(text: str) -> addresses.Halves:
    return host(text, "daddr is not an address")


def _integer(record: dict[str, Any], name: str, low: int, high: int) -> int:
    value = record[name]
    if type(value) is not int or not low <= value <= high:
        raise Refused(f"{name} is not a whole number from {low} to {high}")
    return value


def _truth(record: dict[str, Any], name: str) -> bool | None:
    """A field that is true or false, as ZMap's JSON and CSV write it, before version 3 and since."""
    value = record.get(name)
    if value is None or value == "":
        return None
    found = value if type(value) is bool else _TRUTH.get(str(value).lower())
    if found is None or type(value) not in (bool, int, str):
        raise Refused(f"{name} is neither true nor false")
    return found


def _passed_over(record: dict[str, Any]) -> int:
    """Why ZMap's row is no connection to take over, by its own fields: one of Opening, 0 if it is one."""
    kind = record.get("classification")
    if kind is not None and type(kind) is not str:
        raise Refused("classification is not a string")
    if kind and kind.lower() not in ("synack", "syn-ack"):
        return Opening.NO_SYN_ACK
    if _truth(record, "success") is False:
        return Opening.UNSUCCESSFUL
    return Opening.REPEATED if _truth(record, "repeat") else 0


def _target(record: dict[str, Any]) -> Target:
    """The half-open connection of a ZMap record. A row that is none need not have all fields."""
    why = _passed_over(record)
    if why:
        return Target((0, 0), 0, syn=why)
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
        _integer(record, "sport", 0, 65535),  # `zmap -p '*'` asks port 0 too, and some answer
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
    names = [name for name, _ in pairs if name in NAMES or name in SAID]
    if len(names) != len(set(names)):
        raise Refused("a field is given twice")


class ZmapReader(LineReader):
    """ZMap's records: JSON objects (RFC 8259), one a line, or CSV with a heading of the same names."""

    def __init__(self) -> None:
        super().__init__(lines.zmap_json)
        self._columns: list[str] = []
        self._heading = b""
        self._lacks = ""  # why nothing under this heading can be used

    def heading(self, text: bytes) -> bool:
        """Whether a line is a heading; if it is, its columns are those of the lines that follow."""
        columns = [name.strip().strip('"') for name in text.decode("latin-1").split(",")]
        missing = [name for name in NAMES if name not in columns]
        if len(columns) != len(set(columns)):
            return False
        if not missing:
            self._heading = text
            self._read_columns(columns)
        elif "saddr" in columns and set(columns) <= zmapfields.KNOWN:
            self._heading, self._scan = text, lines.plain
            self._lacks = f"the heading has no {', '.join(missing)}: {zmapfields.HOW}"
        elif len(columns) == len(NAMES):  # zmap --no-header-row
            try:
                _target(self._csv(text, list(NAMES)))
            except Refused:
                return False
            self._read_columns(list(NAMES))
        return bool(self._heading)

    def _read_columns(self, columns: list[str]) -> None:
        self._columns = columns
        codes = bytes(_KEYS.index(name) if name in _KEYS else len(_KEYS) for name in columns)
        self._scan = partial(lines.zmap_csv, codes=codes)

    def target(self, text: bytes) -> Target:
        if self._lacks:
            raise Refused(self._lacks)
        if self._columns and text == self._heading:
            raise Refused("the heading once more")
        return _target(self._csv(text, self._columns) if self._columns else self._json(text))

    def _json(self, text: bytes) -> dict[str, Any]:
        if not text.startswith(b"{"):
            if text.count(b",") > 1 and text[:1].isdigit():
                raise Refused(f"CSV without a heading that says which fields these are: {zmapfields.HOW}")
            raise Refused("not a JSON object (for a list of address:port, use -sendSYNs)")
        try:
            record = orjson.loads(text)
        except orjson.JSONDecodeError:
            raise Refused("not JSON") from None
        if type(record) is not dict:
            raise Refused("not a JSON object")
        if (
            b"\\" in text
            or any(text.count(name) != 1 for name in _QUOTED)
            or any(text.count(name) > 1 for name in _SAID_QUOTED)
        ):
            _refuse_repeated(text)
        return record

    @staticmethod
    def _csv(text: bytes, columns: list[str]) -> dict[str, Any]:
        cells = text.decode("latin-1").split(",")
        if len(cells) != len(columns):
            raise Refused("not as many columns as the heading has")
        record: dict[str, Any] = {}
        for name, cell in zip(columns, cells, strict=True):
            value = cell.strip(" \t").strip('"')
            if name in ("saddr", "daddr"):
                record[name] = value
            elif name in SAID:
                record[name] = value or None
            elif re.fullmatch(r"-?[0-9]{1,10}", value, re.ASCII):
                record[name] = int(value)
            elif name in NAMES:
                raise Refused(f"{name} is not a whole number" if value else f"{name} is missing")
        return record
