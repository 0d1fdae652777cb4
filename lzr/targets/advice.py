"""What to tell the user when no line of an input can be used: what it seems to be, and what to do.

It goes by the first line only. The sentence is for the user; no targets are guessed from it.
"""

from __future__ import annotations

import orjson

from lzr.targets import lists, zmapfields
from lzr.targets.lines import BLANK
from lzr.targets.reader import Refused

ASK_ZMAP = f"{zmapfields.HOW} -O json"


def advice(first: bytes, *, send_syns: bool) -> str:
    """The end of the sentence that begins 'no line of the input can be used'. first: the first input."""
    text = first.strip(BLANK)
    if text.startswith((b"tcp {", b"ip {", b"ip6 {", b"eth {")):
        return "it is what zmap --dryrun prints: use -dryrun"
    return _for_list(text) if send_syns else _for_zmap(text)


def half_open(first: bytes) -> bool:
    """Whether this is a complete record of ZMap, or the heading of such, and not one of ours with the same
    fields.
    """
    names = _all_fields(first)
    return bool(names) and "fingerprint" not in names


def result(first: bytes) -> bool:
    """Whether this is a record of a scan of ours or of the reference's, or the heading of ours: its
    connection has ended.
    """
    return {"fingerprint", "HandshakeNum"} <= _all_fields(first)


def _all_fields(first: bytes) -> set[str]:
    """The fields of a JSON object, or the columns of a heading, that has all of ZMap's; else none."""
    try:
        record = orjson.loads(first)
    except orjson.JSONDecodeError:
        record = dict.fromkeys(_cells(first))
    return set(record) if isinstance(record, dict) and set(zmapfields.NEEDED) <= record.keys() else set()


def _cells(text: bytes) -> list[str]:
    return [cell.strip().strip('"') for cell in text.decode("latin-1").split(",")]


def _for_zmap(text: bytes) -> str:
    if _names_fields(text) or _is_address(text):
        return ASK_ZMAP
    try:
        found = lists.blocks(text)
    except Refused:
        found = []
    if found and not text.startswith(b"{"):
        return "it looks like a list of targets: -sendSYNs opens the connections to them"
    if found:
        return f"they name targets: -sendSYNs opens new connections to them, or {ASK_ZMAP}"
    columns = lists.heading(text)
    if columns is not None and columns.port >= 0:
        return "it looks like a list of targets: -sendSYNs opens the connections to them"
    return f"{ASK_ZMAP} | lzr; or for a list of address:port, lzr -sendSYNs < list"


def _for_list(text: bytes) -> str:
    if _names_fields(text) or _is_address(text) or lists.heading(text) is not None:
        return "a target needs a port: write address:port on each line, or ask zmap for -f saddr,sport"
    return "what is read is one target a line, as in 10.0.0.1:80 or [2001:db8::1]:443 (docs/input.md)"


def _names_fields(text: bytes) -> bool:
    """Whether this is a record of ZMap, or its heading, that lacks some of the fields we need."""
    if text.startswith(b"{"):
        try:
            record = orjson.loads(text)
        except orjson.JSONDecodeError:
            return False
        return isinstance(record, dict) and "saddr" in record and ("sport" not in record or "daddr" in record)
    cells = _cells(text)
    return "saddr" in cells and set(cells) <= zmapfields.KNOWN


def _is_address(text: bytes) -> bool:
    try:
        lists.blocks(text + b",1")
    except Refused:
        return False
    return not any(mark in text for mark in b':;, \t/"{[-') or text.count(b":") > 1
