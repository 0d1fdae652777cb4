"""Sets of whole numbers as sorted, disjoint ranges: united, subtracted, intersected, counted.
Texts are parsed by `lzr.addresstext`.

The numbers are addresses (128 bits, IPv4 in its mapped form, see `lzr.rows`) or ports.
"""

from __future__ import annotations

from collections.abc import Iterable

Range = tuple[int, int]
"""First and last number."""


def union(ranges: Iterable[Range]) -> list[Range]:
    """The numbers in these ranges, as sorted ranges that do not touch each other."""
    found: list[Range] = []
    for range_ in sorted(ranges):
        first, last = range_
        if first > last:
            raise ValueError("a range that ends before it begins")
        if found and first <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(found[-1][1], last))
        else:
            found.append(range_)  # itself: a hit list has a million
    return found


def difference(ranges: list[Range], without: list[Range]) -> list[Range]:
    """The numbers in `ranges` that are not in `without`; both are as `union` gives them."""
    found: list[Range] = []
    at = 0
    for range_ in ranges:
        first, last = range_
        while at < len(without) and without[at][1] < first:
            at += 1
        next_, start = at, first
        while next_ < len(without) and without[next_][0] <= last:
            if start < without[next_][0]:
                found.append((start, without[next_][0] - 1))
            start = without[next_][1] + 1
            next_ += 1
        if start <= last:
            found.append(range_ if start == first else (start, last))
    return found


def intersection(one: list[Range], other: list[Range]) -> list[Range]:
    """The numbers that are in both; both are as `union` gives them."""
    found: list[Range] = []
    a = b = 0
    while a < len(one) and b < len(other):
        first, last = max(one[a][0], other[b][0]), min(one[a][1], other[b][1])
        if first <= last:
            found.append((first, last))
        if one[a][1] < other[b][1]:
            a += 1
        else:
            b += 1
    return found


def size(ranges: Iterable[Range]) -> int:
    """How many numbers."""
    return sum(last - first + 1 for first, last in ranges)
