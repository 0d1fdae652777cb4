"""Which matchers to ask: a table from a reply's first bytes to the few protocols that can begin so.

Built once from `Protocol.starts` and `Protocol.at`. A reply costs one look-up by its first two bytes, one
more for each offset that some protocol keys on, and the matchers found there; so its cost does not grow
with the number of protocols. Keys at an offset are for binary protocols: a reply whose head is all text has
none. Protocols without a key are asked every time.
"""

from __future__ import annotations

from collections.abc import Iterable

from lzr.protocols.base import Matcher, Protocol

Entry = tuple[bytes, Matcher, str]
"""Prefix still to be checked (empty: nothing left to check), matcher, name."""

Table = tuple[int, tuple[tuple[Entry, ...], ...]]
"""Offset, and the entries for each byte that may stand there."""

_HEAD = 20
"""Bytes at the front that tell text from binary."""

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
        keys = [(at, key, p.match, p.name) for p in first if p.match for at, key in p.at]
        self._by_offset = _tables(keys)

    def matching(self, data: bytes) -> list[str]:
        """Names of the protocols that take `data` for their own, in catalogue order."""
        if not data:
            return []
        found: list[str] = []
        entries, last = self._by_head.get(data[:2]) or self._by_head[data[:1]]
        for prefix, match, name in entries:
            if data.startswith(prefix) and match(data):
                found.append(name)
        if data[:_HEAD].translate(None, _TEXT):
            size = len(data)
            for at, rows in self._by_offset:
                if at >= size:
                    break
                for key, match, name in rows[data[at]]:
                    if data.startswith(key, at) and match(data):
                        found.append(name)
        if not found:
            for prefix, match, name in last:
                if data.startswith(prefix) and match(data):
                    found.append(name)
        if len(found) > 1:
            return sorted(set(found), key=self._rank.__getitem__)
        return found


def _entries(asked: list[Protocol], heads: list[bytes]) -> dict[bytes, tuple[Entry, ...]]:
    """The entries for replies that begin with each of `heads` (one or two bytes)."""
    by_byte: list[list[tuple[bytes, Matcher, str]]] = [[] for _ in range(256)]
    for p in asked:
        assert p.match is not None
        keyless = not p.starts and (not p.at or p.last_resort)
        for key in [bytes([byte]) for byte in range(256)] if keyless else p.starts:
            by_byte[key[0]].append((key, p.match, p.name))
    found: dict[bytes, tuple[Entry, ...]] = {}
    for head in heads:
        entries: list[Entry] = []
        for key, match, name in by_byte[head[0]]:
            if head.startswith(key):
                entries.append((b"", match, name))
            elif len(head) == 2 and key.startswith(head):
                entries.append((key, match, name))
        found[head] = tuple(entries)
    return found


def _tables(keys: list[tuple[int, bytes, Matcher, str]]) -> list[Table]:
    """For each offset, in order: the entries by the byte that stands there."""
    tables: list[Table] = []
    for at in sorted({key[0] for key in keys}):
        keyed = [entry[1:] for entry in keys if entry[0] == at]
        rows = tuple(tuple(entry for entry in keyed if entry[0][0] == byte) for byte in range(256))
        tables.append((at, rows))
    return tables
