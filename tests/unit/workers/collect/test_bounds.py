"""Results as no worker of a scan can have them."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest

from lzr.ipc import messages
from lzr.ipc.counts import MOST_LABELS, Counts, Names
from lzr.ipc.schema import SchemaError
from lzr.options.table import Options
from lzr.rows import OUTCOME
from tests.messagesamples import COUNTS
from workers.collect.bounds import Bounds

pytestmark = pytest.mark.attack
OPTIONS = Options(handshakes=("wait", "http"), max_size=1)


def outcomes(count: int, **fields: int) -> messages.Outcomes:
    rows = np.zeros(count, OUTCOME)
    for name, value in fields.items():
        rows[name] = value
    return messages.Outcomes(2, 1, rows, bytes(int(rows["data_len"].sum())))


def lines(**other: Any) -> messages.Lines:
    found = messages.Lines(2, 1, 1, COUNTS, np.zeros(1, "<u4"), b"", b"", (b"a line\n",))
    return msgspec.structs.replace(found, **other)


def changed(**fields: Any) -> Counts:
    """Counts with other fields, or others in their summary."""
    tally = {name: fields.pop(name) for name in list(fields) if hasattr(COUNTS.summary, name)}
    return msgspec.structs.replace(COUNTS, summary=msgspec.structs.replace(COUNTS.summary, **tally), **fields)


def test_what_can_be() -> None:
    bounds = Bounds(OPTIONS, 1)
    for message in (outcomes(3, data_len=1024, handshake=1), outcomes(20_000), lines()):
        bounds.check(message)


@pytest.mark.parametrize(
    ("message", "says"),
    [
        (outcomes(0), "nothing"),
        (outcomes(1, handshake=2), "not tried"),
        (outcomes(1, data_len=1025), "than is kept"),
        (outcomes(1 << 17), "at a time"),
        (outcomes(9000, data_len=1024), "at a time"),
        (lines(records=0), "nothing"),
        (lines(records=1 << 40), "too many"),
        (lines(lines=(b"a\n", b"b\n")), "outputs"),
        (lines(counts=changed(counters={"Bytes": 1})), "counter"),
        (lines(counts=changed(reasons={"boredom": 1})), "reason"),
        (lines(counts=changed(handshakes={"tls": 1})), "handshake"),
        (lines(counts=changed(found=[("tls", "ssh", 1)])), "handshake"),
        (lines(counts=changed(latest=[("192.0.2.1", 22, "ssh", "tls", b"")])), "handshake"),
    ],
)
def test_what_cannot_be(message: messages.Outcomes | messages.Lines, says: str) -> None:
    with pytest.raises(SchemaError, match=says):
        Bounds(OPTIONS, 1).check(message)


def test_names_without_end_are_not_remembered() -> None:
    """By who writes, and so by the coordinator, which checks the same."""
    names = Names(("wait",))
    for at in range(MOST_LABELS // 64):
        names.check(changed(found=[("wait", f"label-{at}-{n}", 1) for n in range(64)], fingerprints={}))
    for _ in range(3):
        with pytest.raises(SchemaError, match="fingerprints"):
            names.check(changed(fingerprints={"one more": 1}, found=[]))
    names.check(changed(found=[("wait", "label-0-1", 1)], fingerprints={}))
