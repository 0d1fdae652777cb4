"""Lines of banners as features of services: of each banner the rarest lines that several hosts send.

Which lines several hosts send is counted over a part of the hosts where there are very many, so that what is
held is bounded; then every banner is looked at once more for these lines. Lines are told apart by a number
that is made of their bytes, for all lines of a page at once: a sum of bytes times powers of a constant, of
which the power where the line begins is divided out again (all modulo 2^64). Small and capital letters count
as the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

I64 = NDArray[np.int64]
U64 = NDArray[np.uint64]

LINES = 3
"""Features that a banner has at most."""
LOOK = 2048
"""Bytes of a banner that are looked at."""
PAGE = 2_000
"""Banners that are looked at together: 4 MB at most, and six times as much of numbers beside them."""

_LEAST_HOSTS = 3
"""Hosts that must send a line before it is a feature."""
_MOST_LINES = 24
_SHORTEST = 4
_CHANGES = (b"date:", b"expires:", b"set-cookie:", b"last-modified:", b"etag:", b"x-request-id:")
"""How lines begin that tell of the moment rather than of the host."""
_MOST_TEXTS = 200_000
_SHOWN = 80
"""Bytes of a line that are kept to be shown, of so many lines."""

_FACTOR = 0x9E3779B97F4A7C15
_SIZE = PAGE * (LOOK + 1) + 1
_BLANK = np.isin(np.arange(256), (9, 11, 12, 13, 32))


class _Page(NamedTuple):
    """The lines of some banners. text: of all. value: (n,) u64 of each line; owner: (n,) its banner's place;
    first, last: (n,) where it lies in the text, the end excluded."""

    text: bytes
    value: U64
    owner: I64
    first: I64
    last: I64


class LineCounts:
    """What is counted. `count` takes banners of a part of the hosts, then `chosen` those of all."""

    def __init__(self) -> None:
        rng = np.random.default_rng(20261130)
        self._of_byte: U64 = rng.integers(1 << 32, 1 << 63, 256, np.uint64)
        self._of_byte[65:91] = self._of_byte[97:123]
        self._power: U64 = np.empty(0, np.uint64)
        self._inverse: U64 = self._power
        self._need(1 << 12)
        self._changes = [(len(word), self._value(word)) for word in _CHANGES]
        self._known: U64 = np.empty(0, np.uint64)
        self._hosts: I64 = np.empty(0, np.int64)
        self._texts: dict[int, bytes] = {}

    def count(self, pages: Iterable[tuple[I64, Sequence[bytes]]], number: I64) -> None:
        """Learn which lines several hosts send. pages: places of services, and what each said.

        number: of the host of each service.
        """
        values: list[U64] = []
        hosts: list[I64] = []
        for place, said in pages:
            page = self._page(said)
            values.append(page.value)
            hosts.append(number[place][page.owner])
        if not values:
            return
        value, host = np.concatenate(values), np.concatenate(hosts)
        del values, hosts
        order = np.lexsort((host, value))
        value, host = value[order], host[order]
        del order
        fresh = np.ones(len(value), np.bool_)
        fresh[1:] = (value[1:] != value[:-1]) | (host[1:] != host[:-1])
        known, many = np.unique(value[fresh], return_counts=True)
        self._known, self._hosts = known[many >= _LEAST_HOSTS], many[many >= _LEAST_HOSTS]

    def chosen(self, pages: Iterable[tuple[I64, Sequence[bytes]]]) -> Iterator[tuple[I64, NDArray[np.int32]]]:
        """Places of services, and (n, LINES) the code of each one's lines; -1 where there is none."""
        known, hosts = self._known, self._hosts
        for place, said in pages:
            codes = np.full((len(place), LINES), -1, np.int32)
            if len(known):
                page = self._page(said)
                at = np.minimum(np.searchsorted(known, page.value), len(known) - 1)
                row = np.flatnonzero(known[at] == page.value)
                code, owner = at[row], page.owner[row]
                order = np.lexsort((code, hosts[code], owner))
                code, owner, row = code[order], owner[order], row[order]
                fresh = np.ones(len(code), np.bool_)
                fresh[1:] = (code[1:] != code[:-1]) | (owner[1:] != owner[:-1])
                code, owner, row = code[fresh], owner[fresh], row[fresh]
                rank = np.arange(len(owner)) - np.searchsorted(owner, owner)
                few = rank < LINES
                codes[owner[few], rank[few]] = code[few]
                self._keep(page, code[few], row[few])
            yield place, codes

    def name(self, code: int) -> str:
        """What a line says."""
        return self._texts.get(code, b"?").decode("latin-1")

    def _keep(self, page: _Page, code: I64, row: I64) -> None:
        values, at = np.unique(code, return_index=True)
        for value, line in zip(values.tolist(), row[at].tolist(), strict=True):
            if value not in self._texts and len(self._texts) < _MOST_TEXTS:
                first = int(page.first[line])
                self._texts[value] = page.text[first : min(int(page.last[line]), first + _SHOWN)]

    def _need(self, size: int) -> None:
        """Have powers for a text of so many bytes: those of a page would take a tenth of a second at once."""
        if size > len(self._power):
            size = min(max(size, 2 * len(self._power)), _SIZE)
            self._power = np.cumprod(np.full(size, _FACTOR, np.uint64), dtype=np.uint64)
            self._inverse = np.cumprod(np.full(size, pow(_FACTOR, -1, 1 << 64), np.uint64), dtype=np.uint64)

    def _value(self, word: bytes) -> np.uint64:
        found = self._sums(np.frombuffer(word, np.uint8))
        return np.uint64((found[-1:] * self._inverse[:1])[0])

    def _sums(self, text: NDArray[np.uint8]) -> U64:
        """(n + 1,) sums of what stands before each byte."""
        found = np.zeros(len(text) + 1, np.uint64)
        np.cumsum(self._of_byte[text] * self._power[: len(text)], out=found[1:])
        return found

    def _page(self, said: Sequence[bytes]) -> _Page:
        text = b"\n".join(said) + b"\n"
        if len(text) > _SIZE:
            raise ValueError("more than a page of banners")
        self._need(len(text))
        byte = np.frombuffer(text, np.uint8)
        last = np.flatnonzero(byte == 10)
        first = np.concatenate([[0], last[:-1] + 1])
        sizes = np.fromiter(map(len, said), np.int64, len(said))
        begins = np.concatenate([[0], np.cumsum(sizes + 1)[:-1]])
        owner = np.searchsorted(begins, first, "right") - 1
        rank = np.arange(len(first)) - np.searchsorted(first, begins)[owner]
        while (found := (last > first) & _BLANK[byte[last - 1]]).any():
            last = last - found
        while (found := (last > first) & _BLANK[byte[first]]).any():
            first = first + found
        keep = np.flatnonzero((rank < _MOST_LINES) & (last - first >= _SHORTEST))
        first, last, owner = first[keep], last[keep], owner[keep]
        sums = self._sums(byte)
        began, inverse = sums[first], self._inverse[first]
        value = (sums[last] - began) * inverse ^ (last - first).astype(np.uint64)
        stays = np.ones(len(first), np.bool_)
        for size, word in self._changes:
            end = np.minimum(first + size, last)
            stays &= (sums[end] - began) * inverse != word
        return _Page(text, value[stays], owner[stays], first[stays], last[stays])
