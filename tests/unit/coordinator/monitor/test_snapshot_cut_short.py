"""Scans that end before their input does: exactly N results, a reader that goes away, Ctrl-C."""

from __future__ import annotations

import json

import numpy as np

from coordinator.monitor import status
from coordinator.monitor.meter import Meter
from coordinator.monitor.snapshot import Phase, Totals
from lzr.options.table import Options
from lzr.rows import OUTCOME, Reason
from workers.collect.label import Labeller

# --- exactly N ---------------------------------------------------------------------------------------------


def test_a_part_of_a_batch() -> None:
    """A cut between the records of one target: it is done; those that follow are not."""
    maker = Labeller(Options(handshakes=("http", "tls"), force_all_handshakes=True), ["json"])
    rows = np.zeros(6, OUTCOME)
    rows["record"] = [1, 0, 1, 1, 0, 1]
    rows["final"] = [1, 1, 0, 1, 1, 1]
    rows["ticket"] = [10, 11, 12, 12, 13, 14]
    rows["reason"] = Reason.DATA
    rows["data_len"] = 3
    blob = b"abcdefghijklmnopqr"
    for records, data, tickets in (
        (1, ["abc"], [10]),
        (2, ["abc", "ghi"], [10, 11, 12]),
        (3, ["abc", "ghi", "jkl"], [10, 11, 12]),
        (4, ["abc", "ghi", "jkl", "pqr"], [10, 11, 12, 13, 14]),
        (9, ["abc", "ghi", "jkl", "pqr"], [10, 11, 12, 13, 14]),
    ):
        block = maker.part(rows, blob, records)
        assert [json.loads(line)["data"] for line in block.lines[0].splitlines()] == data
        assert sorted(block.tickets.tolist()) == tickets
        assert block.counts.lines == [len(data)]
        assert block.counts.summary.counters["TotalResponses"] == len(data)


# --- the reader of the results goes away -------------------------------------------------------------------


# --- Ctrl-C ------------------------------------------------------------------------------------------------


def test_what_was_given_up_is_not_done() -> None:
    meter = Meter(0.0)
    totals = Totals(total=1000, read=800, done=100, input_ended=True, cut_short=True, phase=Phase.DONE)
    totals.interrupted = 700
    snapshot = meter.snapshot(1.0, totals)
    assert (snapshot.share, snapshot.total, snapshot.fates, snapshot.eta) == (0.1, 1000, 800, None)
    assert status.summary(snapshot).startswith("-- lzr: interrupted")
    totals.total = None
    assert meter.snapshot(1.0, totals).share is None
    totals.cut_short, totals.interrupted, totals.done = False, 0, 800
    assert meter.snapshot(1.0, totals).share == 1.0
