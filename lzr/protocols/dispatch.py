"""Which matchers to ask: a table from a reply's first bytes to the few protocols that can begin so.

Built once from `Protocol.starts` and `Protocol.at`. A reply costs one look-up by its first two bytes, one
more for each offset that some protocol keys on, and the matchers found there; so its cost does not grow
with the number of protocols. Protocols without a key are asked every time.
"""

from __future__ import annotations

from collections.abc import Iterable

from lzr.protocols.base import Matcher, Protocol

Entry = tuple[bytes, Matcher, str]
"""Prefix still to be checked (empty: nothing left to check), matcher, name."""


class Dispatcher:
    """`matching(reply)` is the list of names whose matcher takes the reply, each at most once."""

    def __init__(self, protocols: Iterable[Protocol]) -> None:
        asked = [p for p in protocols if p.match is not None]
        self._rank = {p.name: i for i, p in enumerate(asked)}
        pairs = {key[:2] for p in asked for key in p.starts if len(key) > 1}
        self._by_pair = {pair: self._entries(asked, pair) for pair in pairs}
        self._by_first = [self._entries(asked, bytes([first])) for first in range(256)]
        self._by_offset = [self._table(asked, at) for at in sorted({at for p in asked for at, _ in p.at})]

    @staticmethod
    def _entries(asked: list[Protocol], head: bytes) -> tuple[Entry, ...]:
        """The entries for replies that begin with `head` (one or two bytes)."""
        entries: list[Entry] = []
        for p in asked:
            assert p.match is not None
            if not p.starts and not p.at:
                entries.append((b"", p.match, p.name))
            for key in p.starts:
                if head.startswith(key):
                    entries.append((b"", p.match, p.name))
                elif key.startswith(head) and len(head) == 2:
                    entries.append((key, p.match, p.name))
        return tuple(entries)

    @staticmethod
    def _table(asked: list[Protocol], at: int) -> tuple[int, int, dict[bytes, tuple[Entry, ...]]]:
        """(start, stop, entries by the bytes there) for the keys at one offset, by the shortest of them."""
        keyed = [(key, p.match, p.name) for p in asked if p.match for offset, key in p.at if offset == at]
        size = min(len(key) for key, _, _ in keyed)
        heads = {key[:size] for key, _, _ in keyed}
        table = {head: tuple(entry for entry in keyed if entry[0].startswith(head)) for head in heads}
        return at, at + size, table

    def matching(self, data: bytes) -> list[str]:
        """Names of the protocols that take `data` for their own, in catalogue order."""
        if not data:
            return []
        found: list[str] = []
        entries = self._by_pair.get(data[:2])
        if entries is None:
            entries = self._by_first[data[0]]
        for prefix, match, name in entries:
            if data.startswith(prefix) and match(data):
                found.append(name)
        for start, stop, table in self._by_offset:
            others = table.get(data[start:stop])
            if others is not None:
                for key, match, name in others:
                    if data.startswith(key, start) and match(data):
                        found.append(name)
        if len(found) > 1:
            return sorted(set(found), key=self._rank.__getitem__)
        return found
