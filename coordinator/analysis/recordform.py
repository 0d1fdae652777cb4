"""What a file of results holds, by its first bytes: lines of JSON, CSV, the feed for ZGrab2, or Parquet."""

from __future__ import annotations

import csv

from coordinator.analysis import decoding
from coordinator.analysis.source import Source
from lzr.errors import UsageError
from lzr.targets import filetypes

_PARQUET = b"PAR1"
_ZMAP = frozenset(("saddr", "daddr", "sport", "dport", "seqnum", "acknum", "window"))
"""The fields that ZMap writes for LZR: a file with exactly these is an input of a scan, not its results."""
LOOK = 1 << 20
"""Bytes at the beginning of a file in which there must be a record."""


def form_of(source: Source) -> str:
    """What it is: "parquet", "json", "csv" or "feed". Raises UsageError where it is something else."""
    head = source.head
    if head.startswith(_PARQUET):
        if not source.regular or source.packed:
            raise UsageError(f"{source.name} is Parquet, which can only be read from a file as it is")
        return "parquet"
    lines = [line.removesuffix(b"\r") for line in head[:LOOK].split(b"\n") if line.strip()]
    if not lines:
        return "json"
    first = lines[0]
    if first.lstrip().startswith(b"{"):
        _refuse_zmap(source, decoding.keys(first))
        return "json"
    cells = _cells(first)
    if decoding.heading(cells):
        _refuse_zmap(source, cells)
        return "csv"
    if decoding.is_feed(first):
        return "feed"
    if any(line.startswith(b'{"') for line in lines):  # its first line is cut off
        return "json"
    if any(map(decoding.is_feed, lines)):
        return "feed"
    found = filetypes.what(head)
    raise UsageError(f"{source.name} holds no results of lzr" + (f", it is {found}" if found else ""))


def form_of_line(first: bytes) -> str:
    """By the first line: "csv", "feed", or else "json"."""
    if decoding.heading(_cells(first)):
        return "csv"
    return "feed" if decoding.is_feed(first) else "json"


def _refuse_zmap(source: Source, names: list[str]) -> None:
    if set(names) == _ZMAP:
        raise UsageError(f"{source.name} holds no results of lzr, it is ZMap's output")


def _cells(line: bytes) -> list[str]:
    try:
        return next(csv.reader([line[:10_000].decode("latin-1")]), [])
    except csv.Error:
        return []
