"""What a checkpoint holds, and the bytes of its file."""

from __future__ import annotations

import hashlib
import time
import zlib
from typing import Annotated, Any, NamedTuple

import msgpack
import numpy as np
from msgspec import Meta, Struct, ValidationError, convert, field

from coordinator.checkpoint.hashes import LISTS, Mark
from coordinator.checkpoint.progress import Progress
from lzr.addresstext import ranges_of
from lzr.options.resume import is_possible
from lzr.options.table import TABLE, Options
from lzr.sweep.ackfirewalls import Halves, unpack

_LOOKING = "haf", "haf_threshold", "force_all_handshakes"
_MAGIC = b"lzr checkpoint 2\n"

_Count = Annotated[int, Meta(ge=0, le=(1 << 62) - 1)]
_Moment = Annotated[float, Meta(ge=-62135596800, le=253402300799)]
"""Seconds since the epoch, of the years 1 to 9999: others have no date."""
_Marks = Annotated[int, Meta(ge=0, le=1 << 32)]
"""Inputs behind the first without a fate: a running scan has a byte of memory for each."""


class SavedOutput(NamedTuple):
    """An output: its form, its length in bytes, whether its heading is still to come, records so far."""

    form: str
    length: _Count = 0
    fresh: bool = True
    lines: _Count = 0


class _Counts(Struct):
    """What a summary may hold (`lzr.records.summary.Summary`)."""

    counters: dict[str, _Count] = field(default_factory=dict)
    fingerprints: dict[str, _Count] = field(default_factory=dict)
    handshakes: dict[str, _Count] = field(default_factory=dict)
    reasons: dict[str, _Count] = field(default_factory=dict)
    resolved: _Count = 0


class _Order(Struct):
    """What an order to block may hold (`coordinator.scan.blocks.to_plain`)."""

    networks: list[str]
    reason: str
    by: str
    at: _Moment


class _Content(Struct):
    """What may stand in the file. Who could write it could write anything, so each value is looked at."""

    options: dict[str, Any]
    low: _Count
    marks: bytes
    marked: _Marks
    outputs: list[SavedOutput]
    summary: _Counts | None
    prefix: bytes
    runs: _Count
    ended: bool
    written: _Moment
    read: list[tuple[_Count, bytes]]
    lists: dict[str, str]
    sources: list[str]
    blocks: list[_Order] = field(default_factory=list)
    ackfirewalls: bytes = b""


def _frozen(value: Any) -> Any:
    """A value of an option as the table has it: tuples, of tuples."""
    return tuple(map(_frozen, value)) if isinstance(value, list) else value


class Saved(Struct):
    """What a checkpoint holds.

    summary: `lzr.records.summary.Summary` as plain values. runs: how many times the scan was begun. prefix,
    marks: of its input. lists: hashes of the lists of networks. sources: our addresses, where the route
    decided them. ended: it is the last checkpoint of its run, after which nobody wrote. written: when (epoch
    seconds). blocks: orders to block, as plain values (`coordinator.scan.blocks`). ackfirewalls: hosts of a
    sweep that answer on any port (`lzr.sweep.ackfirewalls.pack`).
    """

    options: Options
    progress: Progress = field(default_factory=Progress)
    outputs: list[SavedOutput] = field(default_factory=list)
    summary: dict[str, Any] | None = None
    prefix: bytes = b""
    runs: int = 0
    ended: bool = False
    written: float = field(default_factory=time.time)
    marks: list[Mark] = field(default_factory=list)
    lists: dict[str, str] = field(default_factory=dict)
    sources: list[str] = field(default_factory=list)
    blocks: list[dict[str, Any]] = field(default_factory=list)
    ackfirewalls: bytes = b""

    def hosts(self, options: Options) -> Halves:
        """(n, 2): the hosts that answer on any port, where `options` look for such hosts just as those of the
        scan did; none otherwise.
        """
        alike = all(getattr(self.options, name) == getattr(options, name) for name in _LOOKING)
        return unpack(self.ackfirewalls if options.haf and alike else b"")

    def pack(self) -> bytes:
        """As bytes, with their hash, as they stand in the file."""
        marks = self.progress.above()
        body = msgpack.packb(
            {
                "options": self.options.as_dict(),
                "low": self.progress.low,
                "marks": zlib.compress(np.packbits(marks).tobytes(), 1),
                "marked": len(marks),
                "outputs": self.outputs,
                "summary": self.summary,
                "prefix": self.prefix,
                "runs": self.runs,
                "ended": self.ended,
                "written": self.written,
                "read": self.marks,
                "lists": self.lists,
                "sources": self.sources,
                "blocks": self.blocks,
                "ackfirewalls": self.ackfirewalls,
            },
            unicode_errors="surrogateescape",  # names of files are bytes, and need not be UTF-8 (PEP 383)
        )
        return b"".join((_MAGIC, hashlib.sha256(body).digest(), body))

    @classmethod
    def unpack(cls, data: bytes) -> Saved:
        """Raises ValueError if these bytes are not a whole checkpoint of this version."""
        head = len(_MAGIC) + 32
        if not data.startswith(_MAGIC):
            raise ValueError("it is no checkpoint of this version of lzr")
        body = data[head:]
        if hashlib.sha256(body).digest() != data[len(_MAGIC) : head]:
            raise ValueError("it is damaged")
        found = msgpack.unpackb(body, unicode_errors="surrogateescape")
        try:
            content = convert(found, _Content, builtin_types=(bytes,))
        except ValidationError as error:
            raise ValueError(f"it holds what no scan writes: {error}") from error
        size = -(-content.marked // 8)
        marks = np.frombuffer(zlib.decompressobj().decompress(content.marks, size + 1), np.uint8)
        if len(marks) != size:
            raise ValueError("it has not as many marks as it says")
        above = np.unpackbits(marks, count=content.marked).astype(np.bool_)
        for order in content.blocks:
            for network in order.networks:
                ranges_of(network)
        known = Options().values()
        values: dict[str, Any] = {
            name: _frozen(value) for name, value in content.options.items() if name in known
        }
        for attr in LISTS:  # one file, as it was once kept
            if not isinstance(values.get(attr), tuple):
                values[attr] = () if values.get(attr) is None else (values[attr],)
        for row in TABLE:
            if not is_possible(row, values.get(row.attr, row.default)):
                raise ValueError(f"{row.flag} has a value in it that it cannot have")
        unpack(content.ackfirewalls)
        return cls(
            Options(**values),
            Progress(content.low, above),
            content.outputs,
            found["summary"],
            content.prefix,
            content.runs,
            content.ended,
            content.written,
            content.read,
            content.lists,
            content.sources,
            found.get("blocks", []),
            content.ackfirewalls,
        )
