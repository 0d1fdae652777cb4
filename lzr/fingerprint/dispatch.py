"""Which matchers to ask: a table from a reply's first bytes to the few protocols that can begin so.

Built once from `Protocol.starts` and `Protocol.at`. A reply costs one look-up by its first bytes and the
matchers found there; so its cost does not grow with the number of protocols. The table is by the first
two bytes; what it says of the first twelve is kept for the heads that were met (a status line, an SSH
version), so that the longer keys of a crowded row need not be compared each time. Keys at an offset are
for binary protocols whose first bytes vary: they are looked up (one look-up for each offset that some
protocol keys on) where the head is not all text and no protocol took the reply by its beginning.
Protocols without a key are asked every time.
"""

from __future__ import annotations

from collections.abc import Iterable

from lzr.protocols._protocol import Matcher, Protocol

Entry = tuple[bytes | tuple[bytes, ...], Matcher, str]
"""Prefix or prefixes still to be checked (empty: nothing left to check), matcher, name."""

Row = tuple[Entry, ...]

_HEAD = 20
"""Bytes at the front that tell text from binary."""

_MEMO = 12
"""Bytes at the front of a reply for which the compared row is kept: "HTTP/1.1 200" has as many."""

_KEPT = 4096
"""Rows kept at most, so that hosts which send noise cannot fill the memory. `python -m benchmarks.classify`
shows what a look-up costs."""

_TEXT = bytes([*range(32, 127), 10, 13])


class Dispatcher:
    """`matching(reply)` is the list of names whose matcher takes the reply, each at most once."""

    def __init__(self, protocols: Iterable[Protocol]) -> None:
        asked = [p for p in protocols if p.match is not None]
        self._rank = {p.name: i for i, p in enumerate(asked)}
        first = [p for p in asked if not p.last_resort]
        last = [p for p in asked if p.last_resort]
        pairs = {key[:2] for p in asked for key in p.starts if len(key) > 1}
        heads = [*pairs, *(bytes([byte]) for byte in range(256))]
        asked_first, asked_last = _entries(first, heads), _entries(last, heads)
        self._by_head = {head: (asked_first[head], asked_last[head]) for head in heads}
        self._by_offset = _tables(first)
        self._kept: dict[bytes, tuple[Row, Row]] = {}

    def matching(self, data: bytes) -> list[str]:
        """Names of the protocols that take `data` for their own, in catalogue order."""
        if not data:
            return []
        found: list[str] = []
        entries, last = self._kept.get(data[:_MEMO]) or self._rows(data[:_MEMO])
        for prefix, match, name in entries:
            if (not prefix or data.startswith(prefix)) and match(data):
                found.append(name)
        if found:
            return found if len(found) == 1 else sorted(found, key=self._rank.__getitem__)
        if data[:_HEAD].translate(None, _TEXT):
            size = len(data)
            for at, rows in self._by_offset:
                if at >= size:
                    break
                row = rows.get(data[at])
                if row:
                    for key, match, name in row:
                        if data.startswith(key, at) and match(data):
                            found.append(name)
        if not found:
            for prefix, match, name in last:
                if (not prefix or data.startswith(prefix)) and match(data):
                    found.append(name)
        if len(found) > 1:
            return sorted(set(found), key=self._rank.__getitem__)
        return found

    def _rows(self, head: bytes) -> tuple[Row, Row]:
        """The entries for replies that begin with `head`, their keys compared while there is room."""
        rows = self._by_head.get(head[:2]) or self._by_head[head[:1]]
        if len(self._kept) < _KEPT:
            rows = self._kept[head] = _compared(rows[0], head), _compared(rows[1], head)
        return rows


def _compared(entries: Row, head: bytes) -> Row:
    """The entries that a reply beginning with `head` may be: without the keys that it has, or cannot have."""
    left: list[Entry] = []
    for prefix, match, name in entries:
        keys = prefix if isinstance(prefix, tuple) else (prefix,)
        longer = tuple(key for key in keys if key.startswith(head) and len(key) > len(head))
        if head.startswith(keys):
            left.append((b"", match, name))
        elif longer:
            left.append((longer, match, name))
    return tuple(left)


def _entries(asked: list[Protocol], heads: list[bytes]) -> dict[bytes, Row]:
    """The entries for replies that begin with each of `heads` (one or two bytes): one for each protocol."""
    by_byte: dict[int, list[tuple[Protocol, list[bytes]]]] = {byte: [] for byte in range(256)}
    for p in asked:
        beginning: dict[int, list[bytes]] = {}  # its keys by their first byte
        if not p.starts and (not p.at or p.last_resort):
            beginning = {byte: [bytes([byte])] for byte in range(256)}
        for key in filter(None, p.starts):
            beginning.setdefault(key[0], []).append(key)
        for byte, keys in beginning.items():
            by_byte[byte].append((p, keys))
    found: dict[bytes, Row] = {}
    for head in heads:
        entries: list[Entry] = []
        for p, keys in by_byte[head[0]]:
            assert p.match is not None
            if any(head.startswith(key) for key in keys):
                entries.append((b"", p.match, p.name))
            elif len(head) == 2:
                longer = tuple(key for key in keys if key.startswith(head))
                if longer:
                    entries.append((longer if len(longer) > 1 else longer[0], p.match, p.name))
        found[head] = tuple(entries)
    return found


def _tables(asked: list[Protocol]) -> list[tuple[int, dict[int, Row]]]:
    """For each offset, in order: the entries by the byte that stands there."""
    tables: dict[int, dict[int, dict[str, tuple[list[bytes], Matcher]]]] = {}
    for p in asked:
        for at, key in p.at if p.match else ():
            assert p.match is not None
            tables.setdefault(at, {}).setdefault(key[0], {}).setdefault(p.name, ([], p.match))[0].append(key)
    return [
        (
            at,
            {
                byte: tuple((tuple(keys), match, name) for name, (keys, match) in row.items())
                for byte, row in tables[at].items()
            },
        )
        for at in sorted(tables)
    ]
