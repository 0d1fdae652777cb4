"""What a checkpoint holds, and the bytes of its file."""

from __future__ import annotations

import hashlib
import time
import zlib
from typing import Any, NamedTuple

import msgpack
import numpy as np
from msgspec import Struct, field

from coordinator.checkpoint.hashes import LISTS, Mark
from coordinator.checkpoint.progress import Progress
from lzr.options.table import Options
from lzr.sweep.everywhere import Halves, unpack

_LOOKING = "haf", "haf_threshold", "force_all_handshakes"
_MAGIC = b"lzr checkpoint 2\n"


class SavedOutput(NamedTuple):
    """An output: its form, its length in bytes, whether its heading is still to come, records so far."""

    form: str
    length: int = 0
    fresh: bool = True
    lines: int = 0


def _frozen(value: Any) -> Any:
    """A value of an option as the table has it: tuples, of tuples."""
    return tuple(map(_frozen, value)) if isinstance(value, list) else value


class Saved(Struct):
    """What a checkpoint holds.

    summary: `lzr.records.summary.Summary` as plain values. runs: how many times the scan was begun. prefix,
    marks: of its input. lists: hashes of the lists of networks. sources: our addresses, where the route
    decided them. ended: it is the last checkpoint of its run, after which nobody wrote. written: when (epoch
    seconds). blocks: orders to block, as plain values (`coordinator.scan.blocks`). everywhere: hosts of a
    sweep that answer on any port (`lzr.sweep.everywhere.pack`).
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
    everywhere: bytes = b""

    def hosts(self, options: Options) -> Halves:
        """(n, 2): the hosts that answer on any port, where `options` look for such hosts just as those of the
        scan did; none otherwise.
        """
        alike = all(getattr(self.options, name) == getattr(options, name) for name in _LOOKING)
        return unpack(self.everywhere if options.haf and alike else b"")

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
                "everywhere": self.everywhere,
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
        marks = np.frombuffer(zlib.decompress(found["marks"]), np.uint8)
        above = np.unpackbits(marks, count=found["marked"]).astype(np.bool_)
        known = Options().values()
        values: dict[str, Any] = {
            name: _frozen(value) for name, value in found["options"].items() if name in known
        }
        for attr in LISTS:  # one file, as it was once kept
            if not isinstance(values.get(attr), tuple):
                values[attr] = () if values.get(attr) is None else (values[attr],)
        answering = found.get("everywhere", b"")
        unpack(answering)
        return cls(
            Options(**values),
            Progress(found["low"], above),
            [SavedOutput(*output) for output in found["outputs"]],
            found["summary"],
            found["prefix"],
            found["runs"],
            found["ended"],
            found["written"],
            [(length, digest) for length, digest in found["read"]],
            found["lists"],
            found["sources"],
            found.get("blocks", []),
            answering,
        )
