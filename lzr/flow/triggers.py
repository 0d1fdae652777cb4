"""Which trigger a segment raises for its flow; sequence numbers are checked here and nowhere else."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lzr.layout import REPEATED, WINDOW
from lzr.rows import ACK, FIN, RST, SYN, Expected, FlowState, Reason, Trigger

Rows = NDArray[Any]


def read_triggers(flows: Rows, segments: Rows) -> NDArray[np.uint8]:
    """(n,) uint8 of Trigger: what each segment raises for its flow; NOTHING where its numbers are wrong.

    flows: FLOW rows, (n,), of the SEGMENT rows.
    """
    flags = segments["flags"]
    syn, fin, rst, acks = (flags & bit != 0 for bit in (SYN, FIN, RST, ACK))
    ack_ok = acks & (segments["ack"] - flows["una"] <= flows["nxt"] - flows["una"])
    ahead = flows["rcv"] - segments["seq"]  # mod 2^32: bytes of this segment that we have already
    beyond = -ahead.astype(np.int64) & 0xFFFFFFFF  # bytes between what we have and this segment
    length = segments["data_len"]
    opening = (flows["state"] == FlowState.SYN_SENT) | (flows["state"] == FlowState.PROBE)
    triggers = np.zeros(len(flows), np.uint8)
    plain = ~opening & ~syn & ~rst & ack_ok
    data = plain & (ahead < length)
    triggers[data] = Trigger.DATA
    early = plain & ~data & (length > 0) & (beyond < WINDOW)
    triggers[early] = Trigger.EARLY_DATA
    repeated = ~opening & syn & ~rst & acks & (segments["ack"] == flows["una"]) & (ahead == 1)
    repeated &= segments["ts"] >= flows["ts"] + np.uint64(REPEATED)
    triggers[repeated] = Trigger.SYN_ACK_AGAIN
    triggers[plain & ~data & fin & (ahead == length)] = Trigger.FIN
    # Beyond a gap it says that what we await was sent, and lost: its FIN is not the end of it.
    bare = plain & (length == 0) & (beyond < WINDOW) & (segments["ack"] != flows["una"])
    triggers[bare & (~fin | (beyond > 0))] = Trigger.ACK
    triggers[~opening & rst & (ahead == 0) & (ack_ok | ~acks)] = Trigger.RST
    triggers[opening & rst & ack_ok] = Trigger.RST
    answer = opening & syn & ~rst & ack_ok
    triggers[answer] = np.where(segments["window"][answer] == 0, Trigger.ZERO_WINDOW, Trigger.SYN_ACK)
    return triggers


def awaited(flows: Rows, reason: int) -> NDArray[np.uint8]:
    """(n,) uint8 of Expected: what each flow was waiting for when it ended; NOTHING where the peer
    ended it.
    """
    if reason in (Reason.ZERO_WINDOW, Reason.RST, Reason.FIN, Reason.SA_ONLY):
        return np.zeros(len(flows), np.uint8)
    if reason == Reason.DATA:
        return np.full(len(flows), Expected.DATA, np.uint8)
    by_state = np.zeros(len(FlowState), np.uint8)
    by_state[[FlowState.SYN_SENT, FlowState.DELAYED]] = Expected.SYN_ACK
    by_state[[FlowState.ACKED, FlowState.SETTLING]] = Expected.DATA
    expected = by_state[flows["state"]]
    sent = flows["state"] == FlowState.DATA_SENT
    nothing_sent = flows["nxt"] == flows["una"]
    expected[sent] = np.where(nothing_sent[sent], Expected.DATA, Expected.ACK)
    return np.asarray(expected, np.uint8)
