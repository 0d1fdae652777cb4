"""Writes every step of every flow as text (``-d``): segments received and sent, and outcomes.

`Traced` is a flow table that also passes each batch to `tell` as lines of text on its way in or out; without
``-d`` a plain `FlowTable` is used.

    10.64.0.1:9002 from 10.1.0.2:40000 <- SYN ACK seq 17 ack 42 window 64240
    10.64.0.1:9002 from 10.1.0.2:40000 -> ACK seq 42 ack 18 carrying http
    10.64.0.1:9002 from 10.1.0.2:40000 == data, handshake http, 312 bytes
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from lzr import addresses
from lzr.flow.config import FlowConfig
from lzr.flow.index import FlowIndex
from lzr.flow.table import FlowTable
from lzr.rows import ACK, FIN, NO_PROBE, PSH, RST, SYN, Opening, Reason, Rows

_FLAGS = ((SYN, "SYN"), (FIN, "FIN"), (RST, "RST"), (PSH, "PSH"), (ACK, "ACK"))


def flags(value: int) -> str:
    """Names of TCP flags, RFC 9293 §3.1."""
    return " ".join(name for bit, name in _FLAGS if value & bit) or "no flags"


def _flow(row: Any) -> str:
    ends = []
    for side in ("peer", "own"):
        host = addresses.text(int(row[f"{side}_hi"]), int(row[f"{side}_lo"]))
        ends.append(f"[{host}]:{row[f'{side}_port']}" if ":" in host else f"{host}:{row[f'{side}_port']}")
    return " from ".join(ends)


def targets(rows: Rows) -> Iterator[str]:
    """TARGET rows that a worker begins with."""
    for row in rows:
        how = "to be opened" if row["syn"] == Opening.OURS else f"half open, window {row['window']}"
        yield f"{_flow(row)} ++ line {row['line'] + 1}, {how}"


def segments(rows: Rows) -> Iterator[str]:
    """SEGMENT rows that arrived."""
    for row in rows:
        length = f", {row['data_len']} bytes" if row["data_len"] else ""
        numbers = f"seq {row['seq']} ack {row['ack']} window {row['window']}"
        yield f"{_flow(row)} <- {flags(int(row['flags']))} {numbers}{length}"


def frames(rows: Rows, handshakes: Sequence[str]) -> Iterator[str]:
    """FRAME rows that are sent."""
    for row in rows:
        carries = "" if row["probe"] == NO_PROBE else f" carrying {handshakes[row['probe']]}"
        ack = f" ack {row['ack']}" if row["flags"] & ACK else ""
        yield f"{_flow(row)} -> {flags(int(row['flags']))} seq {row['seq']}{ack}{carries}"


def outcomes(rows: Rows, handshakes: Sequence[str]) -> Iterator[str]:
    """OUTCOME rows that are reported."""
    for row in rows:
        length = f", {row['data_len']} bytes" if row["data_len"] else ""
        more = "" if row["final"] else ", more to come"
        reason = Reason.NAMES[row["reason"]].replace("_", " ")
        yield f"{_flow(row)} == {reason}, handshake {handshakes[row['handshake']]}{length}{more}"


class Traced(FlowTable):
    """A flow table that writes what passes in and out. tell: takes lines without their ends."""

    def __init__(
        self,
        config: FlowConfig,
        handshakes: Sequence[str],
        tell: Callable[[Iterator[str]], None],
        index: FlowIndex | None = None,
    ) -> None:
        super().__init__(config, index=index)
        self._handshakes = handshakes
        self._tell = tell

    def open(self, targets_: Rows, now: int, wall: int = 0) -> None:
        self._tell(targets(targets_))
        super().open(targets_, now, wall)

    def receive(self, segments_: Rows, buffer: Any, now: int) -> None:
        self._tell(segments(segments_))
        super().receive(segments_, buffer, now)

    def take_frames(self) -> list[Rows]:
        bursts = super().take_frames()
        for burst in bursts:
            self._tell(frames(burst, self._handshakes))
        return bursts

    def take_outcomes(self) -> tuple[Rows, bytes]:
        rows, payloads = super().take_outcomes()
        self._tell(outcomes(rows, self._handshakes))
        return rows, payloads
