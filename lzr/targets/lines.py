"""Makes rows of a block of whole lines at once: plain lines in C, the others are left to Python.

Each function takes the block, the rows to fill (one for each line there may be) and the number of the block's
first input. It returns how many inputs the block has, the lines that `LineReader.target` has to read, and how
many lines there were. The Python bodies leave every line.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lzr.kernels import NATIVE, in_c

LONGEST_LINE = 65536
"""Bytes; a longer line is refused and never held whole."""

BLANK = b" \t\r"

Left = list[tuple[int, int, int, int]]
"""Lines left to Python: (index of the row, start and end in the block, number within the block from 1)."""

Found = tuple[int, Left, int]
Scan = Callable[[bytes, NDArray[Any], int], Found]

_LEFT = np.dtype([("row", "<u4"), ("start", "<u4"), ("stop", "<u4"), ("number", "<u4")])


def _native_zmap_json(block: bytes, rows: NDArray[Any], inputs: int) -> Found:
    left = np.empty(len(rows), _LEFT)
    count, some, lines = NATIVE.zmap_lines(block, rows, left, inputs)
    return count, left[:some].tolist(), lines


@in_c(_native_zmap_json)
def zmap_json(block: bytes, rows: NDArray[Any], inputs: int) -> Found:
    """ZMap's records as JSON objects, one a line."""
    return every(block)


def _native_zmap_csv(block: bytes, rows: NDArray[Any], inputs: int, codes: bytes) -> Found:
    left = np.empty(len(rows), _LEFT)
    count, some, lines = NATIVE.csv_lines(block, rows, left, inputs, codes)
    return count, left[:some].tolist(), lines


@in_c(_native_zmap_csv)
def zmap_csv(block: bytes, rows: NDArray[Any], inputs: int, codes: bytes) -> Found:
    """ZMap's records as CSV; `codes` says which field each column is, as the enumeration in lines.c does."""
    return every(block)


def _native_listed(block: bytes, rows: NDArray[Any], inputs: int) -> Found:
    left = np.empty(len(rows), _LEFT)
    count, some, lines = NATIVE.list_lines(block, rows, left, inputs)
    return count, left[:some].tolist(), lines


@in_c(_native_listed)
def listed(block: bytes, rows: NDArray[Any], inputs: int) -> Found:
    """A list's lines ``a.b.c.d:port`` and ``[v6]:port``; # begins a comment."""
    return every(block, comments=True)


def plain(block: bytes, rows: NDArray[Any], inputs: int) -> Found:
    """Lines that no function in C reads; # means nothing."""
    return every(block)


def commented(block: bytes, rows: NDArray[Any], inputs: int) -> Found:
    """Lines that no function in C reads; # begins a comment."""
    return every(block, comments=True)


def every(block: bytes, *, comments: bool = False) -> Found:
    """Leave every line to Python except blank ones and, with `comments`, those that # begins."""
    left: Left = []
    start = number = 0
    for line in block.split(b"\n"):
        end = start + len(line)
        text = line
        if len(line) <= LONGEST_LINE:
            text = line.lstrip(BLANK)
            first = end - len(text)
            text = text.rstrip(BLANK)
        else:
            first = start
        number += 1
        if text and not (comments and len(line) <= LONGEST_LINE and text.startswith(b"#")):
            left.append((len(left), first, first + len(text), number))
        start = end + 1
    return len(left), left, number - (not block or block.endswith(b"\n"))
