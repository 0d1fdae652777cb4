"""Outcomes into result records: JSON lines, CSV, the feed for ZGrab2.
How text of others becomes a JSON string or a CSV cell, and why no cell is a formula: `lzr.records.escape`.

An encoder takes a batch of OUTCOME rows, the payload bytes that travel beside them (end to end, `data_len`
each) and an identity for each row, and gives the bytes to write: whole lines, ASCII only. Rows that are no
record (`record` is 0) and those a filter drops are left out, so an encoder says how many lines it made.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lzr import addresses
from lzr.kernels import NATIVE, in_c, prepared
from lzr.protocols._protocol import Identity
from lzr.records.escape import csv_cell, json_string, time_text
from lzr.records.fields import ENRICHED, FIELDS, NUMBERS, choose
from lzr.rows import ACK, FIN, OUTCOME, PSH, RST, SYN, Expected, Reason

Record = dict[str, Any]
Predicate = Callable[[Mapping[str, Any]], bool]
Named = Identity | str | None
"""The identity of a row; a label alone is enough, and None is unknown."""

UNKNOWN = Identity("unknown")

_PLACES: dict[str, int] = prepared(
    lambda native: {name: place for place, name in enumerate(native.FIELDS)}, {}
)
"""How the encoder in C calls the fields that it knows: by their place in its own table."""


def identity(name: Named) -> Identity:
    """The whole identity of a row."""
    if isinstance(name, Identity):
        return name
    return UNKNOWN if name is None else Identity(name)


class OutcomeRow(NamedTuple):
    """An OUTCOME row as plain numbers; the same fields in the same order."""

    ts: int
    peer_hi: int
    peer_lo: int
    own_hi: int
    own_lo: int
    line: int
    ticket: int
    seq: int
    ack: int
    data_len: int
    peer_port: int
    own_port: int
    window: int
    ttl: int
    flags: int
    counter: int
    acked: int
    handshake: int
    expected: int
    reason: int
    firewall: int
    final: int
    record: int
    cut: int


assert OutcomeRow._fields == OUTCOME.names


def record(
    row: OutcomeRow, data: bytes, name: Named, handshakes: Sequence[str] = (), *, expanded: bool = False
) -> Record:
    """One record with all fields, empty ones too, so that a filter can ask for any; `data` as Latin-1."""
    it = identity(name)
    flags = row.flags
    return {
        "saddr": addresses.text(row.peer_hi, row.peer_lo, expanded=expanded),
        "daddr": addresses.text(row.own_hi, row.own_lo, expanded=expanded),
        "sport": row.peer_port,
        "dport": row.own_port,
        "seqnum": row.seq,
        "acknum": row.ack,
        "window": row.window,
        "ttl": row.ttl,
        "Counter": row.counter,
        "ACK": flags & ACK != 0,
        "ACKed": row.acked != 0,
        "SYN": flags & SYN != 0,
        "RST": flags & RST != 0,
        "FIN": flags & FIN != 0,
        "PUSH": flags & PSH != 0,
        "HandshakeNum": row.handshake,
        "fingerprint": it.label,
        "Timestamp": time_text(row.ts),
        "expectedRToLZR": Expected.NAMES[row.expected] if row.expected < len(Expected.NAMES) else "",
        "data": data.decode("latin-1"),
        "ackingFirewall": row.firewall != 0,
        "application": it.application,
        "product": it.product,
        "version": it.version,
        "truncated": row.cut != 0,
        "handshake": handshakes[row.handshake] if row.handshake < len(handshakes) else "",
        "reason": Reason.NAMES[row.reason] if row.reason < len(Reason.NAMES) else "",
        "sa_only": row.reason == Reason.SA_ONLY,
        **it.details._asdict(),
    }


def unpack(rows: NDArray[Any], blob: bytes | memoryview) -> Iterator[tuple[OutcomeRow, bytes]]:
    """Each row with its payload. Raises ValueError if the rows promise more than there is."""
    if int(rows["data_len"].sum(dtype=np.uint64)) > len(blob):
        raise ValueError("the rows promise more payload than there is")
    start = 0
    for row in map(OutcomeRow._make, rows.tolist()):
        yield row, bytes(blob[start : start + row.data_len])
        start += row.data_len


class Encoder(ABC):
    """Rows in, lines out.

    fields: names of the fields to write, in order; None for the default ones.
    handshakes: names of the handshakes, for the field `handshake`.
    expanded: print IPv6 addresses in full.
    only_data: leave out records of flows that brought no data.
    wanted: a filter over `record`.
    """

    def __init__(
        self,
        *,
        fields: Sequence[str] | None = None,
        handshakes: Sequence[str] = (),
        expanded: bool = False,
        only_data: bool = False,
        wanted: Predicate | None = None,
    ) -> None:
        self.fields = choose(fields)
        self.handshakes = tuple(handshakes)
        self.expanded = expanded
        self.only_data = only_data
        self.wanted = wanted
        self.lines = 0
        """Lines made so far."""

    def header(self) -> bytes:
        """The first line of a new file, or an empty text."""
        return b""

    def keep(
        self, rows: NDArray[Any], blob: bytes | memoryview, identities: Sequence[Named]
    ) -> NDArray[np.bool_]:
        """Which rows become lines."""
        keep: NDArray[np.bool_] = rows["record"] != 0
        if self.only_data:
            keep &= rows["reason"] == Reason.DATA
        if self.wanted is not None:
            for at, ((row, data), name) in enumerate(zip(unpack(rows, blob), identities, strict=True)):
                keep[at] = keep[at] and self.wanted(self.record(row, data, name))
        return keep

    def record(self, row: OutcomeRow, data: bytes, name: Named) -> Record:
        return record(row, data, name, self.handshakes, expanded=self.expanded)

    def encode(self, rows: NDArray[Any], blob: bytes | memoryview, identities: Sequence[Named]) -> bytes:
        """The lines of a batch. identities: as many as rows."""
        if len(identities) != len(rows):
            raise ValueError("rows and identities must be equally long")
        keep = self.keep(rows, blob, identities)
        self.lines += int(keep.sum())
        return self._lines(rows, blob, identities, keep)

    def _lines(
        self,
        rows: NDArray[Any],
        blob: bytes | memoryview,
        identities: Sequence[Named],
        keep: NDArray[np.bool_],
    ) -> bytes:
        every = zip(keep.tolist(), unpack(rows, blob), identities, strict=True)
        return "".join(self._line(row, data, name) for kept, (row, data), name in every if kept).encode(
            "ascii"
        )

    @abstractmethod
    def _line(self, row: OutcomeRow, data: bytes, name: Named) -> str:
        """One line."""


class JsonEncoder(Encoder):
    """One JSON object a line, with the reference's names and order."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        known = _PLACES.keys() >= set(self.fields)
        self._places = bytes(_PLACES[name] for name in self.fields) if known else None

    def _native_lines(
        self,
        rows: NDArray[Any],
        blob: bytes | memoryview,
        identities: Sequence[Named],
        keep: NDArray[np.bool_],
    ) -> bytes:
        if self._places is None:  # it was built before there was such a field
            return super()._lines(rows, blob, identities, keep)
        rows = np.ascontiguousarray(rows)
        made: bytes = NATIVE.json_records(
            rows, blob, keep, self._places, identities, self.handshakes, self.expanded
        )
        return made

    @in_c(_native_lines)
    def _lines(
        self,
        rows: NDArray[Any],
        blob: bytes | memoryview,
        identities: Sequence[Named],
        keep: NDArray[np.bool_],
    ) -> bytes:
        return super()._lines(rows, blob, identities, keep)

    def _line(self, row: OutcomeRow, data: bytes, name: Named) -> str:
        whole = self.record(row, data, name)
        parts = []
        for key in self.fields:
            value, field = whole[key], FIELDS[NUMBERS[key]]
            if field.kind == "string":
                if value or not (field.optional or key == "fingerprint"):
                    parts.append(f'"{key}":{json_string(value)}')
            elif field.kind == "int":
                parts.append(f'"{key}":{value}')
            elif value or not field.optional:
                parts.append(f'"{key}":{"true" if value else "false"}')
        return "{" + ",".join(parts) + "}\n"


_FOREIGN = frozenset({"data", "fingerprint", "application", "product", "version", "handshake", *ENRICHED})
"""Fields whose text others chose; the rest are numbers, addresses and words of our own."""


class CsvEncoder(Encoder):
    """Comma-separated values with a heading; lines end with LF, as ZMap's do."""

    def header(self) -> bytes:
        return (",".join(self.fields) + "\n").encode("ascii")

    def _line(self, row: OutcomeRow, data: bytes, name: Named) -> str:
        whole = self.record(row, data, name)
        cells = []
        for key in self.fields:
            value = whole[key]
            if key in _FOREIGN:
                cells.append(csv_cell(value) if value else "")
            elif value is True or value is False:
                cells.append("true" if value else "false")
            else:
                cells.append(str(value))
        return ",".join(cells) + "\n"


class ZgrabEncoder(Encoder):
    """What ``zgrab2 multiple`` reads: ``address,,fingerprint,port``. `known_only` leaves out `unknown`."""

    def __init__(self, *, known_only: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self._known_only = known_only

    def keep(
        self, rows: NDArray[Any], blob: bytes | memoryview, identities: Sequence[Named]
    ) -> NDArray[np.bool_]:
        keep = super().keep(rows, blob, identities)
        if self._known_only:
            keep &= np.array([identity(name).label != "unknown" for name in identities], np.bool_)
        return keep

    def _line(self, row: OutcomeRow, data: bytes, name: Named) -> str:
        address = addresses.text(row.peer_hi, row.peer_lo, expanded=self.expanded)
        return f"{address},,{csv_cell(identity(name).label)},{row.peer_port}\n"


ENCODERS: dict[str, type[Encoder]] = {"json": JsonEncoder, "csv": CsvEncoder, "zgrab": ZgrabEncoder}
