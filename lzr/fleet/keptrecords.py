"""Merges records of many files: which of them belong to the scan, which of two is kept, and in what order.

A record is judged by its content, not by its place in a file: its host and port give its shard, our address
in it gives the box, and both together the generation. So any order of files gives the same result, and
merging a result with its own sources gives the same result again. A file that is known to be of one box may
hold no records of another.

One record is kept for each (saddr, sport, HandshakeNum). Of several, one with data is preferred to one
without; then the lower generation, then the earlier one, then the one whose line has the smaller hash. The
kept records are in the order of address, port and handshake.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lzr.rows import V4_MAPPED, Rows
from lzr.targets.inputshards import input_shards

_LOW = (1 << 64) - 1
_AT_ONCE = 1 << 16  # rows that are copied to be counted

RECORD = np.dtype(
    [
        ("peer_hi", "<u8"),
        ("peer_lo", "<u8"),
        ("own_hi", "<u8"),
        ("own_lo", "<u8"),
        ("time", "<i8"),
        ("digest", "<u8"),
        ("at", "<u8"),
        ("length", "<u4"),
        ("peer_port", "<u2"),
        ("handshake", "<u2"),
        ("generation", "<u2"),
        ("file", "<u2"),
        ("silent", "?"),
    ]
)
"""A record (69 bytes): host, our address, when (nanoseconds since the epoch), a hash of its line, where the
line is (file, offset, bytes without its end), generation, whether it has no data."""

FOREIGN = 0xFFFF
"""In place of a generation: no run of the plan has asked for this record."""

ANY = -1
"""In place of a shard: address and port do not tell it."""

NOBODYS = -2
"""In place of a shard: the plan does not ask for this pair at all."""


class Placing(Protocol):
    """Which shard a pair of address and port is in."""

    def __call__(self, rows: Rows) -> NDArray[np.int64]:
        """(n,) int64: the shard of each row. rows: with peer_hi, peer_lo and peer_port, as RECORD has them.

        `ANY` where it cannot be told; `NOBODYS` where the plan does not ask for the pair.
        """


class MergedRun(Protocol):
    """The fields of a plan's run that are used here (see `lzr.fleet.lock.Run`)."""

    @property
    def box(self) -> str: ...
    @property
    def generation(self) -> int: ...
    @property
    def shards(self) -> Sequence[int]: ...
    @property
    def source(self) -> Sequence[str]: ...


@dataclass(frozen=True)
class Hashed:
    """The shards of a list: by a hash of address and port, as `--shards` of a scan assigns them."""

    shards: int

    def __call__(self, rows: Rows) -> NDArray[np.int64]:
        return input_shards(rows, self.shards)


def anywhere(rows: Rows) -> NDArray[np.int64]:
    """The shards of ZMap: its own order decides which shard a host is in, so address and port do not
    tell it.
    """
    return np.full(len(rows), ANY, np.int64)


@dataclass(frozen=True)
class _Source:
    """A network of source addresses: its halves, the bits of them that count, by shard the generation, and
    whose it is."""

    base: tuple[int, int]
    mask: tuple[int, int]
    generations: NDArray[np.uint16]
    boxes: frozenset[str]

    def holds(self, rows: Rows) -> NDArray[np.bool_]:
        """(n,) bool: which RECORD rows were made from here."""
        return _holds(self.base, self.mask, rows)


class Generations:
    """In which generation a record was made, from our address in it and its shard."""

    def __init__(self, runs: Iterable[MergedRun], shards: int, placing: Placing) -> None:
        """runs: all of the plan, those that were given up included. Raises ValueError for an invalid
        source.
        """
        self._placing = placing
        tables: dict[tuple[tuple[int, int], tuple[int, int]], NDArray[np.uint16]] = {}
        boxes: dict[tuple[tuple[int, int], tuple[int, int]], set[str]] = {}
        for run in runs:
            for source in run.source:
                table = tables.setdefault(_network(source), np.full(shards + 1, FOREIGN, np.uint16))
                boxes.setdefault(_network(source), set()).add(run.box)
                held = [*run.shards, shards]  # the last place: any shard of this source
                table[held] = np.minimum(table[held], np.uint16(min(run.generation, FOREIGN - 1)))
        self._sources = [_Source(*of, table, frozenset(boxes[of])) for of, table in tables.items()]

    def enter(self, rows: Rows, box: str | None = None) -> None:
        """Set `generation` of RECORD rows: the first in which a box with that source had the shard.

        box: the only box whose records they can be, where that is known.
        """
        rows["generation"] = FOREIGN
        shards = self._placing(rows)
        asked = shards != NOBODYS
        for source in self._sources:
            if box is not None and box not in source.boxes:
                continue
            ours = source.holds(rows) & asked
            found = source.generations[shards[ours]]
            rows["generation"][ours] = np.minimum(rows["generation"][ours], found)


def _holds(base: tuple[int, int], mask: tuple[int, int], rows: Rows) -> NDArray[np.bool_]:
    found = np.ones(len(rows), np.bool_)
    for name, half, bits in zip(("own_hi", "own_lo"), base, mask, strict=True):
        found &= rows[name] & np.uint64(bits) == np.uint64(half)
    return found


def _network(text: str) -> tuple[tuple[int, int], tuple[int, int]]:
    """Base and mask, in halves, of an address or a network. Raises ValueError."""
    network = ip_network(text, strict=False)
    first, bits = int(network.network_address), network.prefixlen
    if network.version == 4:
        first, bits = V4_MAPPED | first, bits + 96
    mask = (1 << 128) - (1 << 128 - bits)
    first &= mask
    return (first >> 64, first & _LOW), (mask >> 64, mask & _LOW)


@dataclass(frozen=True)
class Chosen:
    """Which of the RECORD rows are kept.

    rows: their numbers, (n,) int64, in the order in which they are written. same: how many records were
    dropped because an equal one is kept; other: because a different one is kept. lines: numbers of rows, one
    for each distinct line.
    """

    rows: NDArray[np.int64]
    same: int
    other: int
    lines: NDArray[np.int64]


def chosen(rows: Rows) -> Chosen:
    """One for each (saddr, sport, HandshakeNum). rows: RECORD, none of them FOREIGN."""
    if not len(rows):
        return Chosen(np.empty(0, np.int64), 0, 0, np.empty(0, np.int64))
    order = np.lexsort(
        (
            *(rows["file"], rows["at"]),  # of equal lines: the result is the same, and so is the way to it
            *(rows["length"], rows["digest"], rows["time"], rows["generation"], rows["silent"]),
            *(rows["handshake"], rows["peer_port"], rows["peer_lo"], rows["peer_hi"]),
        )
    )
    first = np.ones(len(rows), np.bool_)
    equal = np.ones(len(rows), np.bool_)
    for name in ("peer_hi", "peer_lo", "peer_port", "handshake"):
        column = rows[name][order]
        equal[1:] &= column[1:] == column[:-1]
    first[1:] = ~equal[1:]
    kept = order[first]
    of_group = np.cumsum(first) - 1
    same, again = ~first, ~first
    for name in ("digest", "length"):
        column = rows[name][order]
        same &= column == rows[name][kept][of_group]
        again[1:] &= column[1:] == column[:-1]  # equal lines follow one another
    alike = int(np.count_nonzero(same))
    return Chosen(kept, alike, len(rows) - len(kept) - alike, order[~again])


def by_box(runs: Iterable[MergedRun], rows: Rows, lines: NDArray[np.int64]) -> dict[str, int]:
    """How many of these RECORD rows are of each box, by its sources. lines: the rows' numbers."""
    networks: dict[str, set[tuple[tuple[int, int], tuple[int, int]]]] = {}
    for run in runs:
        networks.setdefault(run.box, set()).update(map(_network, run.source))
    counts = dict.fromkeys(networks, 0)
    for begin in range(0, len(lines), _AT_ONCE):
        part = rows[lines[begin : begin + _AT_ONCE]]
        for box, sources in networks.items():
            held = np.zeros(len(part), np.bool_)
            for base, mask in sources:
                held |= _holds(base, mask, part)
            counts[box] += int(np.count_nonzero(held))
    return counts
