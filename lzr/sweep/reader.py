"""A sweep in the place of an input: a text that says what is swept, and no target in it.

An input of a sweep is a pair; its number is its place in the order (of those that are this box's share), so
a scan that is resumed finds the same pair under the same number. The text is read like any input, so a
checkpoint knows a sweep again as it knows a list.
"""

from __future__ import annotations

import numpy as np

from lzr.rows import TARGET
from lzr.sweep.ranges import Range, difference, union
from lzr.targets.reader import Batch, Reader

_V4 = 0xFFFF << 32
NOBODY: tuple[Range, ...] = (
    (0, 0),
    (_V4, _V4),
    (_V4 | 0xE0000000, _V4 | 0xEFFFFFFF),
    (_V4 | 0xFFFFFFFF, _V4 | 0xFFFFFFFF),
    (0xFF << 120, (1 << 128) - 1),
)
"""Addresses that are not one host's: unspecified, multicast (RFC 5771, RFC 4291 §2.7), broadcast."""


def hosts(addresses: list[Range], blocked: list[Range]) -> list[Range]:
    """Of these addresses, those that a sweep asks."""
    return difference(union(addresses), union([*blocked, *NOBODY]))


class SweepReader(Reader):
    """The pairs are assigned to the workers, who ask them; the targets are those that answer."""

    def feed(self, chunk: bytes) -> Batch:
        return Batch(np.empty(0, TARGET))

    def finish(self) -> Batch:
        return Batch(np.empty(0, TARGET))
