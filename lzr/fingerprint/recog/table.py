"""A table of fingerprints: which one a text is, and what it says.

A fingerprint is tried only where the text begins with, or holds, the literals that its pattern cannot do
without, and the first one that matches counts, in the table's order. A pattern is compiled when its row is
first tried.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import NamedTuple

Says = dict[str, str]
_Search = Callable[[bytes], re.Match[bytes] | None]

LONGEST = 1024
"""Bytes of a text that are looked at."""

MOST_TRIED = 40
"""Patterns that are tried on a text at most. It bounds the time for texts that are made of the literals of
many fingerprints; a genuine text holds those of few."""

_KEY = 4
"""Bytes of a beginning that rows are found by; shorter beginnings have rows of their own."""


class Row(NamedTuple):
    """One fingerprint. limit: the pattern is tried on texts of at most so many bytes; on longer ones it may
    take too long.

    starts, holds: literals in lower case; the text must begin with one of `starts` and hold one of `holds`,
    where there are any. says: by name a text, in which `{name}` stands for another value, or the number of a
    group.
    """

    pattern: str
    limit: int
    starts: tuple[bytes, ...]
    holds: tuple[bytes, ...]
    says: dict[str, str | int]


class Table:
    def __init__(self, rows: str) -> None:
        """rows: JSON arrays, one a line, each [pattern, limit, starts, holds, says]."""
        self.rows = [
            Row(
                pattern,
                limit,
                tuple(text.encode("latin-1") for text in starts),
                tuple(text.encode("latin-1") for text in holds),
                says,
            )
            for pattern, limit, starts, holds, says in map(json.loads, rows.strip().split("\n"))
        ]
        self._compiled: dict[int, _Search] = {}
        self._by_start: dict[bytes, list[int]] = {}
        self._by_word: dict[bytes, list[int]] = {}
        self._always: list[int] = []
        for number, row in enumerate(self.rows):
            if row.starts:
                for key in {text[:_KEY] for text in row.starts}:
                    self._by_start.setdefault(key, []).append(number)
            elif row.holds:
                for word in row.holds:
                    self._by_word.setdefault(word, []).append(number)
            else:
                self._always.append(number)
        self._lengths = sorted({len(key) for key in self._by_start})
        self._words = tuple(self._by_word)

    def tried(self, text: bytes) -> list[int]:
        """The rows whose patterns are worth trying, in order."""
        low = text.lower()
        found = list(self._always)
        for length in self._lengths:
            found += self._by_start.get(low[:length], ())
        for word in self._words:
            if word in low:
                found += self._by_word[word]
        return [number for number in sorted(set(found)) if _may(self.rows[number], low)]

    def match(self, text: bytes) -> tuple[int, re.Match[bytes]] | None:
        """The first row that matches, and how."""
        text = text[:LONGEST]
        for number in self.tried(text)[:MOST_TRIED]:
            found = self._search(number)(text)
            if found is not None:
                return number, found
        return None

    def _search(self, number: int) -> _Search:
        search = self._compiled.get(number)
        if search is None:
            row = self.rows[number]
            pattern = re.compile(row.pattern.encode("ascii"))
            # What begins at the text's beginning is not sought elsewhere.
            search = self._compiled[number] = pattern.match if row.starts else pattern.search
        return search


def _may(row: Row, low: bytes) -> bool:
    return (
        len(low) <= row.limit
        and (not row.starts or low.startswith(row.starts))
        and (not row.holds or any(word in low for word in row.holds))
    )
