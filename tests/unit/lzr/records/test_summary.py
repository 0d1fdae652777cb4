"""The summary: the reference's counters, counts by label, sums over collectors, and the inputs' line."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from lzr.records.summary import COUNTERS, Summary, agree, inputs_line
from lzr.rows import ACK, FIN, OUTCOME, PSH, RST, SYN, Expected, Reason


def outcome(**columns: Any) -> Any:
    row = np.zeros(1, OUTCOME)
    row["record"] = row["final"] = 1
    row["window"] = 1
    for name, value in columns.items():
        row[name] = value
    return row


def test_the_counters() -> None:
    rows = np.concatenate(
        [
            outcome(reason=Reason.DATA, data_len=3, flags=ACK | PSH | FIN, acked=1, handshake=1),
            outcome(reason=Reason.ZERO_WINDOW, window=0, flags=SYN | ACK),
            outcome(reason=Reason.RST, window=0, flags=RST),
            outcome(reason=Reason.NO_SYN_ACK, expected=Expected.SYN_ACK),
            outcome(reason=Reason.FIREWALL, firewall=1, flags=ACK, acked=1),
            outcome(reason=Reason.SILENT, flags=ACK, acked=1, final=0),
            outcome(reason=Reason.DUPLICATE, record=0),
            outcome(reason=Reason.SA_ONLY, flags=SYN | ACK),
            outcome(reason=Reason.SA_ONLY, window=0, flags=SYN | ACK),
        ]
    )
    summary = Summary()
    summary.add(rows, ["http", *["unknown"] * 8], ("wait", "http"))
    assert summary.counters == {
        "TotalResponses": 8,
        "ZeroWindow": 2,
        "ACKed": 2,
        "Data": 1,
        "No_SYNACK": 1,
        "Rst": 1,
        "Fin": 1,
        "Resp_ack": 2,
        "HyperACKtive": 1,
    }
    assert summary.fingerprints == {"http": 1, "unknown": 7}
    assert summary.handshakes == {"http": 1}
    assert summary.resolved == 8
    assert summary.reasons["silent"] == 1
    first, *rest = summary.lines()
    assert list(json.loads(first)) == list(COUNTERS)
    assert rest == ["unknown: 7", "http: 1"]


@settings(deadline=None)
@given(
    raw=arrays.arrays(np.uint8, st.tuples(st.integers(0, 20), st.just(OUTCOME.itemsize))),
    cut=st.integers(0, 20),
)
def test_sums_do_not_depend_on_batches(raw: np.ndarray[Any, Any], cut: int) -> None:
    rows = raw.view(OUTCOME).reshape(-1)
    labels = [str(row["handshake"] % 3) for row in rows]
    whole, one, other = Summary(), Summary(), Summary()
    whole.add(rows, labels)
    one.add(rows[:cut], labels[:cut])
    other.add(rows[cut:], labels[cut:])
    one.merge(Summary.from_dict(json.loads(json.dumps(other.to_dict()))))
    assert one == whole
    assert whole.counters["TotalResponses"] == whole.fingerprints.total() == whole.reasons.total()


def test_labels_may_be_counted_already_where_all_are_recorded() -> None:
    rows = np.concatenate([outcome(reason=Reason.DATA, data_len=3), outcome(reason=Reason.SILENT)] * 2)
    one, other = Summary(), Summary()
    one.add(rows, ["http", "unknown", "ssh", "unknown"])
    other.add(rows, {"http": 1, "unknown": 2, "ssh": 1})
    assert one == other


def test_the_inputs_line() -> None:
    assert inputs_line(0, {"recorded": 0}) == "inputs: 0 read = 0 recorded (agree)"
    fates = {"recorded": 8, "unparsable": 2, "interrupted": 0}
    assert agree(10, fates)
    assert inputs_line(10, fates) == "inputs: 10 read = 8 recorded + 2 unparsable (agree)"
    assert not agree(11, fates)
    assert inputs_line(11, fates).endswith("(DISAGREE: 1 without a fate)")
    assert inputs_line(9, fates).endswith("(DISAGREE: 1 fates too many)")
