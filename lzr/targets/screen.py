"""Screens targets as they come in: what a batch has in common, and which may be scanned.

Each function has two bodies: one in numpy, which is the definition, and one in C (`lzr/native/screen.c`).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lzr.addresses import Halves
from lzr.kernels import NATIVE, in_c
from lzr.rows import Opening, Rows

WANTED, SPARED, FOREIGN = range(3)
"""Verdicts of `screen` on a target: to be scanned; on a port that is spared; half open on a port of ours that
our sockets do not hear."""

PRINTERS = (9100, 9107)
"""Ports of raw printing, which are spared: what is sent there may be printed."""


class Overview(NamedTuple):
    """What a batch of targets has in common, so that most batches need not be looked at column by column.

    most: the greatest `syn`. ours: for how many we open the connection. low, high: the least and the greatest
    of our ports. own: our address, if it is one for all (0, 0 where it is not chosen yet); else None.
    """

    most: int
    ours: int
    low: int
    high: int
    own: Halves | None


_NOTHING = Overview(0, 0, 0, 0, None)


def _native_overview(rows: Rows) -> Overview:
    if not len(rows):
        return _NOTHING
    most, ours, low, high, own_hi, own_lo, alike = NATIVE.overview(np.ascontiguousarray(rows))
    return Overview(most, ours, low, high, (own_hi, own_lo) if alike else None)


@in_c(_native_overview)
def overview(rows: Rows) -> Overview:
    """An overview of TARGET rows."""
    if not len(rows):
        return _NOTHING
    syn, port, hi, lo = (rows[name] for name in ("syn", "own_port", "own_hi", "own_lo"))
    alike = not np.count_nonzero(lo != lo[0]) and not np.count_nonzero(hi != hi[0])
    own = (int(hi[0]), int(lo[0])) if alike else None
    ours = int(np.count_nonzero(syn == Opening.OURS))
    return Overview(int(syn.max()), ours, int(port.min()), int(port.max()), own)


def _native_screen(rows: Rows, own: tuple[int, int], spared: tuple[int, int]) -> NDArray[np.uint8] | None:
    verdicts = np.empty(len(rows), np.uint8)
    return verdicts if NATIVE.screen(np.ascontiguousarray(rows), *own, *spared, verdicts) else None


@in_c(_native_screen)
def screen(rows: Rows, own: tuple[int, int], spared: tuple[int, int]) -> NDArray[np.uint8] | None:
    """A verdict on each of TARGET rows, (n,) uint8; None where all are wanted.

    own: our source ports, from and to. spared: ports that are not scanned, from and to.
    """
    verdicts = np.empty(len(rows), np.uint8)
    port, ours = rows["peer_port"], rows["own_port"]
    foreign = (rows["syn"] != Opening.OURS) & ((ours < own[0]) | (ours > own[1]))
    verdicts[:] = np.where(
        (port >= spared[0]) & (port <= spared[1]), SPARED, np.where(foreign, FOREIGN, WANTED)
    )
    return verdicts if verdicts.any() else None
