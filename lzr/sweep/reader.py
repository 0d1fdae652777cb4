"""Reads the text that stands for a sweep in place of an input; there are no targets in it.

An input of a sweep is a pair; its number is its place in the order (counting this box's pairs only), so a
resumed scan finds the same pair under the same number. The text is read like any input, so a checkpoint
recognises a sweep as it recognises a list.
"""

from __future__ import annotations

import numpy as np

from lzr.ranges import Range, difference, union
from lzr.rows import TARGET
from lzr.targets.blocklist import carriers
from lzr.targets.reader import Batch, Reader

_V4 = 0xFFFF << 32
NOBODY: tuple[Range, ...] = (
    (0, 0),
    (_V4, _V4),
    (_V4 | 0xE0000000, _V4 | 0xEFFFFFFF),
    (_V4 | 0xFFFFFFFF, _V4 | 0xFFFFFFFF),
    (0xFF << 120, (1 << 128) - 1),
)
"""Addresses that are not those of one host: unspecified, multicast (RFC 5771, RFC 4291 §2.7), broadcast."""


def hosts(addresses: list[Range], blocked: list[Range]) -> list[Range]:
    """Those of the addresses that a sweep scans. blocked: a blocklist's IPv4 entries also keep it from the
    IPv6 addresses in which they stand (`lzr.targets.blocklist`)."""
    left = difference(union(addresses), union([*blocked, *NOBODY]))
    return difference(left, union(carriers(left, union(blocked))))


class SweepReader(Reader):
    """Yields no targets: pairs are assigned to the workers, and those that answer become targets."""

    def feed(self, chunk: bytes) -> Batch:
        return Batch(np.empty(0, TARGET))

    def finish(self) -> Batch:
        return Batch(np.empty(0, TARGET))
