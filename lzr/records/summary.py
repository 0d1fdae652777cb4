"""What a run found and what became of its inputs, in counts that add up.

A `Summary` grows by batches of OUTCOME rows and is added to others (each collector keeps one), so it consists
of named numbers only. The reference's nine counters keep their names and count records; a record may count in
several of them (data that came with FIN is both), except that an ACKing firewall counts only as one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import compress
from typing import Any

import numpy as np
from msgspec import Struct, field
from numpy.typing import NDArray

from lzr.kernels import NATIVE, in_c
from lzr.rows import ACK, FIN, RST, SYN, Expected, Reason, pick

COUNTERS = (
    "TotalResponses",  # records
    "ZeroWindow",  # the SYN-ACK allowed no data (an RST's window says nothing and is not counted)
    "ACKed",  # the host acknowledged data of ours
    "Data",  # the host sent data
    "No_SYNACK",  # the last SYN was not answered
    "Rst",  # the last packet had RST (of a host that sends data: the packet that brought it)
    "Fin",  # the last packet had FIN
    "Resp_ack",  # the last packet had ACK and not SYN: something came after the SYN-ACK
    "HyperACKtive",  # ACKing firewall
)


Tallied = tuple[int, tuple[int, ...], dict[int, int], dict[int, int]]
"""Inputs at their end; counts in the order of COUNTERS; records by reason; those with data by handshake."""


def _native_tally(rows: NDArray[Any]) -> Tallied:
    found: Tallied = NATIVE.tally(np.ascontiguousarray(rows))
    return found


@in_c(_native_tally)
def tally(rows: NDArray[Any]) -> Tallied:
    """The counts of a batch of OUTCOME rows, reasons and handshakes by number."""
    resolved = int(np.count_nonzero(rows["final"]))
    rows = pick(rows, rows["record"] != 0)
    total, reasons = len(rows), rows["reason"]
    firewall = (rows["firewall"] != 0) | (reasons == Reason.FIREWALL)
    by_reason = _by_number(reasons)
    rows = pick(rows, ~firewall)
    flags, data, reasons = rows["flags"], rows["data_len"] != 0, rows["reason"]
    counts = (
        (reasons == Reason.ZERO_WINDOW) | ((reasons == Reason.SA_ONLY) & (rows["window"] == 0)),
        rows["acked"] != 0,
        data,
        rows["expected"] == Expected.SYN_ACK,
        flags & RST != 0,
        flags & FIN != 0,
        flags & (SYN | ACK) == ACK,
        firewall,
    )
    counters = total, *(int(np.count_nonzero(which)) for which in counts)
    return resolved, counters, by_reason, _by_number(rows["handshake"][data])


def _by_number(column: NDArray[Any]) -> dict[int, int]:
    return {number: count for number, count in enumerate(np.bincount(column).tolist()) if count}


class Summary(Struct):
    """Counts over the records so far.

    counters: the reference's, by name.
    fingerprints: records by label.
    handshakes: records with data, by name of the handshake that brought it.
    reasons: records by how the flow ended.
    resolved: inputs that have come to their end (several records may belong to one).
    """

    counters: dict[str, int] = field(default_factory=lambda: dict.fromkeys(COUNTERS, 0))
    fingerprints: Counter[str] = field(default_factory=Counter)
    handshakes: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    resolved: int = 0

    def add(
        self,
        rows: NDArray[Any],
        labels: Iterable[str] | Mapping[str, int],
        handshakes: Sequence[str] = (),
    ) -> None:
        """Count a batch: OUTCOME rows and the label of each, or where all are recorded how many have each.

        `handshakes` names the handshakes by index.
        """
        resolved, counters, reasons, brought = tally(rows)
        self.resolved += resolved
        recorded = counters[0] == len(rows)
        self.fingerprints.update(labels if recorded else compress(labels, (rows["record"] != 0).tolist()))
        for name, count in zip(COUNTERS, counters, strict=True):
            self.counters[name] += count
        for number, count in reasons.items():
            self.reasons[Reason.NAMES[number] if number < len(Reason.NAMES) else str(number)] += count
        for number, count in brought.items():
            self.handshakes[handshakes[number] if number < len(handshakes) else str(number)] += count

    def merge(self, other: Summary) -> None:
        """Count what `other` counted too."""
        for name, count in other.counters.items():
            self.counters[name] = self.counters.get(name, 0) + count
        self.fingerprints.update(other.fingerprints)
        self.handshakes.update(other.handshakes)
        self.reasons.update(other.reasons)
        self.resolved += other.resolved

    def to_dict(self) -> dict[str, Any]:
        """Plain dicts and numbers, for a message or a file."""
        return {
            "counters": dict(self.counters),
            "fingerprints": dict(self.fingerprints),
            "handshakes": dict(self.handshakes),
            "reasons": dict(self.reasons),
            "resolved": self.resolved,
        }

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Summary:
        """What `to_dict` gave."""
        return cls(
            dict(plain["counters"]),
            Counter(plain["fingerprints"]),
            Counter(plain["handshakes"]),
            Counter(plain["reasons"]),
            plain["resolved"],
        )

    def lines(self) -> list[str]:
        """As the reference ends: its counters as JSON, then a count for each fingerprint, most first."""
        counters = ",".join(f'"{name}":{self.counters[name]}' for name in COUNTERS)
        ranked = sorted(self.fingerprints.items(), key=lambda item: (-item[1], item[0]))
        return ["{" + counters + "}", *(f"{label}: {count}" for label, count in ranked)]


def agree(read: int, fates: Mapping[str, int]) -> bool:
    """Whether every input read has exactly one fate."""
    return read == sum(fates.values())


def inputs_line(read: int, fates: Mapping[str, int]) -> str:
    """Inputs read, and their fates, on one line; the first fate is shown always, others when they happened.

    >>> inputs_line(10, {"recorded": 8, "unparsable": 2, "interrupted": 0})
    'inputs: 10 read = 8 recorded + 2 unparsable (agree)'
    """
    shown = [f"{count} {fate}" for at, (fate, count) in enumerate(fates.items()) if count or not at]
    difference = read - sum(fates.values())
    if not difference:
        return f"inputs: {read} read = {' + '.join(shown)} (agree)"
    what = f"{difference} without a fate" if difference > 0 else f"{-difference} fates too many"
    return f"inputs: {read} read, {' + '.join(shown)} (DISAGREE: {what})"
