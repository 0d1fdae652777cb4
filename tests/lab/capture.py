"""What crosses a link, as a list: tcpdump in a namespace, read back as TCP segments.

What is captured is what was on the wire between `capture` and `stop`, both ends known to be reached:
tcpdump says when it listens, and is flushed when it ends.
"""

from __future__ import annotations

import contextlib
import os
import signal
import struct
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lzr import addresses
from lzr.packet.segments import parse
from lzr.rows import ACK, FIN, PSH, RST, SYN
from tests.lab.net import LabError, Namespace

_PCAP_HEADER, _RECORD_HEADER, _ETHERNET = 24, 16, 14


@dataclass(frozen=True)
class Seen:
    """One TCP segment. time in seconds."""

    time: float
    source: str
    target: str
    sport: int
    dport: int
    seq: int
    ack: int
    flags: int
    data: bytes

    @property
    def letters(self) -> str:
        """Its flags as tcpdump writes them: S, F, R, P, and . for ACK."""
        named = ((SYN, "S"), (FIN, "F"), (RST, "R"), (PSH, "P"), (ACK, "."))
        return "".join(letter for bit, letter in named if self.flags & bit)


def read(path: Path) -> list[Seen]:
    """The TCP segments of a capture with nanosecond time stamps, through the scan's own parser."""
    raw = path.read_bytes()
    if raw[:4] != b"\x4d\x3c\xb2\xa1":
        raise LabError(f"{path}: not a capture with nanoseconds")
    starts, sizes, times = [], [], []
    at = _PCAP_HEADER
    while at + _RECORD_HEADER <= len(raw):
        seconds, nanos, size, _ = struct.unpack_from("<4I", raw, at)
        at += _RECORD_HEADER
        starts.append(at + _ETHERNET)
        sizes.append(size - _ETHERNET)
        times.append(seconds * 1_000_000_000 + nanos)
        at += size
    rows, _ = parse(
        np.frombuffer(raw, np.uint8),
        np.array(starts, np.int64),
        np.array(sizes, np.int64),
        np.array(times, np.uint64),
        np.ones(len(starts), np.bool_),
    )
    return [_seen(row, raw) for row in rows]


def _seen(row: Any, raw: bytes) -> Seen:
    start = int(row["data_at"])
    return Seen(
        int(row["ts"]) / 1e9,
        addresses.text(int(row["peer_hi"]), int(row["peer_lo"])),
        addresses.text(int(row["own_hi"]), int(row["own_lo"])),
        int(row["peer_port"]),
        int(row["own_port"]),
        int(row["seq"]),
        int(row["ack"]),
        int(row["flags"]),
        raw[start : start + int(row["data_len"])],
    )


class Capture:
    """A running capture of TCP; `stop` ends it and returns what was seen."""

    def __init__(self, namespace: Namespace, interface: str, path: Path, more: str = "") -> None:
        self._path = path
        self._seen: list[Seen] | None = None
        words = (
            "tcpdump",
            "-i",
            interface,
            "-w",
            path,
            "-U",
            "--immediate-mode",
            "-B",
            "65536",
            "-n",
            "-s",
            "300",
        )
        precise = ("--time-stamp-precision=nano", f"(tcp or ip6) {more}".strip())
        self._process: subprocess.Popen[str] = namespace.popen(
            *words, *precise, stderr=subprocess.PIPE, text=True
        )
        assert self._process.stderr is not None
        for line in self._process.stderr:
            if "listening on" in line:
                break
        else:
            raise LabError("tcpdump does not listen")

    def stop(self) -> list[Seen]:
        if self._seen is None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(120)
            self._seen = read(self._path)
        return self._seen


@contextlib.contextmanager
def capture(namespace: Namespace, interface: str = "eth0", more: str = "") -> Iterator[Capture]:
    """All TCP on an interface while the context lasts. more: a condition to add, as ``and port 9``."""
    path = namespace.lab.directory / f"{namespace.name}-{os.urandom(4).hex()}.pcap"
    made = Capture(namespace, interface, path, more)
    try:
        yield made
    finally:
        made.stop()
