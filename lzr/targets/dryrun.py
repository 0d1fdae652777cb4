"""Reads the output of ZMap's dry runs: targets that ZMap would have probed, to which we open connections.

``zmap --dryrun`` prints a block for each probe, TCP line first, closed by dashes (the same from ZMap 2.1.1 to
4.3; the IPv6 branch prints ``ip6``; the ``eth`` line is absent in IP mode)::

    tcp { source: 54638 | dest: 9002 | seq: 3050043809 | checksum: 0X9DB }
    ip { saddr: 10.0.0.1 | daddr: 10.4.0.131 | checksum: 0XE99C }
    eth { shost: 00:11:22:33:44:55 | dhost: 00:11:22:33:44:66 }
    ------------------------------------------------------

The source address and port in it are ZMap's, for a packet that was never sent; ours are chosen later, so they
are not kept. ``zmap --fast-dryrun`` (4.2 and later) writes six bytes for each probe: address and port in
network order.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lzr import addresses
from lzr.rows import TARGET, V4_MAPPED, Opening, join
from lzr.targets.lines import BLANK, LONGEST_LINE, every, plain
from lzr.targets.reader import Batch, LineReader, Reader, Refused, RefusedInputs, Target, host

_TCP = re.compile(rb"tcp \{ source: [0-9]{1,5} \| dest: ([0-9]{1,5}) \| [^{}]*\}")
_IP = re.compile(rb"ip6? \{ saddr: [0-9A-Fa-f:.]{2,45} \| daddr: ([0-9A-Fa-f:.]{2,45}) \| [^{}]*\}")
_ETH = re.compile(rb"eth \{ [^{}]*\}")
_DASHES = re.compile(rb"-{10,}")


class DryrunReader(LineReader):
    """Reads ``zmap --dryrun``. An input is a block; a line outside of one is an input too, and refused."""

    def __init__(self) -> None:
        super().__init__(plain)
        self._port = 0
        self._address: addresses.Halves | None = None
        self._why = ""
        self._kept = b""
        self._first = 0

    def target(self, text: bytes) -> Target:
        """Not used: a line alone is no target here; `_block` puts several together."""
        raise Refused("not a line of ZMap's dry run")

    def finish(self) -> Batch:
        """The input has ended: a block that lacks only its dashes counts, as a stopped ZMap leaves one."""
        batch = super().finish()
        if not self._kept:
            return batch
        last = self._block(b"-" * 10 + b"\n")
        batch.rows = join([batch.rows, last.rows])
        batch.refused = np.concatenate([batch.refused, last.refused])
        batch.rejected += last.rejected
        for reason, count in last.reasons.items():
            batch.reasons[reason] = batch.reasons.get(reason, 0) + count
        return batch

    def _block(self, block: bytes) -> Batch:
        if not self._started:
            block = self._open(block)
        _, lines, numbers = every(block)
        tally = RefusedInputs(self._shown)
        found: list[tuple[int, int, int, int]] = []
        for _, start, stop, number in lines:
            text = block[start:stop]
            at = self._numbers + number
            if len(text) <= LONGEST_LINE and self._part(text, at, tally, found):
                continue
            tally.refuse(self._inputs, at, "not a line of ZMap's dry run", text)
            self._inputs += 1
        self._numbers += numbers
        self._shown = tally.shown
        return tally.batch(_rows(np.array(found, np.uint64).reshape(-1, 4)))

    def _part(
        self, text: bytes, at: int, tally: RefusedInputs, found: list[tuple[int, int, int, int]]
    ) -> bool:
        """Take a line of a block. False: it is no such line."""
        if text.startswith(b"tcp ") and (match := _TCP.fullmatch(text)):
            if self._port:
                self._close(tally, found)
            self._port = int(match[1])
            if not 1 <= self._port <= 65535:
                self._why = "the port is not a whole number from 1 to 65535"
                self._port = 65536
        elif text.startswith(b"ip") and (match := _IP.fullmatch(text)):
            if self._address is not None:
                self._close(tally, found)
            try:
                self._address = host(match[1].decode(), "daddr is not an address")
            except Refused as refusal:
                self._why = str(refusal)
                self._address = (0, 0)
        elif text.startswith(b"eth") and _ETH.fullmatch(text):
            return True
        elif text.startswith(b"--") and _DASHES.fullmatch(text):
            if self._kept:
                self._close(tally, found)
            return True
        else:
            return False
        if not self._kept:
            self._kept, self._first = text, at
        return True

    def _close(self, tally: RefusedInputs, found: list[tuple[int, int, int, int]]) -> None:
        """A block has ended: it becomes a target, or is refused."""
        why = self._why
        if not self._port:
            why = "a dry-run block without a tcp line"
        elif self._address is None:
            why = "a dry-run block without an ip line"
        if why or self._address is None:
            tally.refuse(self._inputs, self._first, why, self._kept)
        else:
            found.append((self._inputs, *self._address, self._port))
        self._inputs += 1
        self._port, self._address, self._why, self._kept = 0, None, "", b""


class FastDryrunReader(Reader):
    """The six-byte records of ``zmap --fast-dryrun``. An input is a record; its number counts from 1."""

    def __init__(self) -> None:
        super().__init__()
        self._tail = b""

    def feed(self, chunk: bytes) -> Batch:
        """Take the next bytes: whole records become targets."""
        block = self._tail + chunk
        cut = len(block) - len(block) % 6
        self._tail = block[cut:]
        records = np.frombuffer(block[:cut], np.dtype([("address", ">u4"), ("port", ">u2")]))
        address, port = records["address"], records["port"]
        good = (port != 0) & (address != 0) & (address != 0xFFFFFFFF) & (address >> 28 != 14)
        ordinals = np.arange(self._inputs, self._inputs + len(records), dtype=np.uint64)
        found = np.zeros((int(good.sum()), 4), np.uint64)
        found[:, 0] = ordinals[good]
        found[:, 2] = address[good].astype(np.uint64) | np.uint64(V4_MAPPED)
        found[:, 3] = port[good]
        tally = RefusedInputs(self._shown)
        for at in np.flatnonzero(~good).tolist():
            reason = "port 0" if port[at] == 0 else "not the address of one host"
            text = f"{addresses.text(0, V4_MAPPED | int(address[at]))}:{port[at]}".encode()
            tally.refuse(self._inputs + at, self._inputs + at + 1, reason, text)
        self._inputs += len(records)
        self._shown = tally.shown
        return tally.batch(_rows(found))

    def finish(self) -> Batch:
        """The input has ended: what is left is no whole record."""
        tally = RefusedInputs(self._shown)
        if self._tail:
            tally.refuse(
                self._inputs, self._inputs + 1, "cut short: a record is six bytes", self._tail.strip(BLANK)
            )
            self._inputs += 1
            self._tail = b""
        return tally.batch(np.empty(0, TARGET))


def _rows(found: NDArray[np.uint64]) -> NDArray[Any]:
    """TARGET rows of connections to open, from columns (line, hi, lo, port)."""
    rows = np.zeros(len(found), TARGET)
    rows["line"], rows["peer_hi"], rows["peer_lo"], rows["peer_port"] = found.T
    rows["syn"] = Opening.OURS
    return rows
