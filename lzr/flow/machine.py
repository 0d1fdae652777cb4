"""The state machine of one flow: which trigger a segment raises, and which action follows, as a table.

``TRANSITIONS[state, trigger]`` is the action to run. States are where a flow is, triggers are what can happen
to it (a valid segment, or a timer that came due), actions are what the flow table then does; an action alone
decides the next state. What an action does is in `connections` and `replies`. The same array is the hot path
(one fancy index per batch), the picture in ARCHITECTURE.md and the oracle of the tests.

A trigger is only raised by a segment whose numbers are right: its acknowledgement within what we sent, its
sequence number the next we await or, for `ACK` and `EARLY_DATA`, beyond it within the window (RFC 9293
§3.10.7.4; for RST, RFC 5961 §3.2). Everything else is `NOTHING` and is counted, never acted on. Sequence
numbers are checked in `read_triggers`, in its twin in C (`read_trigger` of lzr/native/machine.c), and nowhere
else.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from lzr.layout import REPEATED, WINDOW
from lzr.rows import ACK, FIN, RST, SYN, Expected, FlowState, FlowTrigger, Reason, Rows


class FlowAction(IntEnum):
    """What is done with a flow. The actions of a batch run in this order; from KEEP_EARLY on they leave the
    flow in its state."""

    IGNORE = 0
    COUNT_FIREWALL_CHECK = 1  # first, so that a firewall is known before its other answers are acted on
    DROP_FIREWALL_CHECK = 2
    SEND_PROBE_DATA = 3
    REFUSE_WINDOW = 4
    NOTE_ACK = 5
    TAKE_DATA = 6
    GIVE_UP_FIN = 7
    GIVE_UP_RST = 8
    GIVE_UP_SILENT = 9
    GIVE_UP_SYN = 10
    GIVE_UP_REFUSED = 11
    FINISH_DATA = 12
    RETRANSMIT = 13
    RETRANSMIT_SYN = 14
    OPEN = 15
    KEEP_EARLY = 16
    REPEAT = 17


_TABLE: dict[FlowState, dict[FlowTrigger, FlowAction]] = {
    FlowState.DELAYED: {FlowTrigger.DELAY_OVER: FlowAction.OPEN},
    FlowState.SYN_SENT: {
        FlowTrigger.SYN_ACK: FlowAction.SEND_PROBE_DATA,
        FlowTrigger.ZERO_WINDOW: FlowAction.REFUSE_WINDOW,
        FlowTrigger.RST: FlowAction.GIVE_UP_REFUSED,
        FlowTrigger.RETRANSMIT_DUE: FlowAction.RETRANSMIT_SYN,
        FlowTrigger.TIMED_OUT: FlowAction.GIVE_UP_SYN,
    },
    FlowState.DATA_SENT: {
        FlowTrigger.SYN_ACK_AGAIN: FlowAction.REPEAT,
        FlowTrigger.ACK: FlowAction.NOTE_ACK,
        FlowTrigger.DATA: FlowAction.TAKE_DATA,
        FlowTrigger.EARLY_DATA: FlowAction.KEEP_EARLY,
        FlowTrigger.FIN: FlowAction.GIVE_UP_FIN,
        FlowTrigger.RST: FlowAction.GIVE_UP_RST,
        FlowTrigger.RETRANSMIT_DUE: FlowAction.RETRANSMIT,
        FlowTrigger.TIMED_OUT: FlowAction.GIVE_UP_SILENT,
    },
    FlowState.ACKED: {
        FlowTrigger.DATA: FlowAction.TAKE_DATA,
        FlowTrigger.EARLY_DATA: FlowAction.KEEP_EARLY,
        FlowTrigger.FIN: FlowAction.GIVE_UP_FIN,
        FlowTrigger.RST: FlowAction.GIVE_UP_RST,
        FlowTrigger.TIMED_OUT: FlowAction.GIVE_UP_SILENT,
    },
    FlowState.SETTLING: {
        FlowTrigger.DATA: FlowAction.TAKE_DATA,
        FlowTrigger.EARLY_DATA: FlowAction.KEEP_EARLY,
        FlowTrigger.FIN: FlowAction.FINISH_DATA,
        FlowTrigger.RST: FlowAction.FINISH_DATA,
        FlowTrigger.SETTLED: FlowAction.FINISH_DATA,
    },
    FlowState.FIREWALL_CHECK: {
        FlowTrigger.SYN_ACK: FlowAction.COUNT_FIREWALL_CHECK,
        FlowTrigger.ZERO_WINDOW: FlowAction.COUNT_FIREWALL_CHECK,
        FlowTrigger.RST: FlowAction.DROP_FIREWALL_CHECK,
        FlowTrigger.TIMED_OUT: FlowAction.DROP_FIREWALL_CHECK,
    },
}

TRANSITIONS = np.zeros((len(FlowState), len(FlowTrigger)), np.uint8)
"""(states, triggers) uint8 of FlowAction."""
for _state, _triggers in _TABLE.items():
    for _trigger, _action in _triggers.items():
        TRANSITIONS[_state, _trigger] = _action
TRANSITIONS.flags.writeable = False

LEADS_TO: dict[FlowAction, tuple[FlowState, ...]] = {
    FlowAction.COUNT_FIREWALL_CHECK: (FlowState.FREE,),
    FlowAction.DROP_FIREWALL_CHECK: (FlowState.FREE,),
    FlowAction.SEND_PROBE_DATA: (FlowState.DATA_SENT, FlowState.FREE),
    FlowAction.REFUSE_WINDOW: (FlowState.FREE,),
    FlowAction.NOTE_ACK: (FlowState.ACKED,),
    FlowAction.TAKE_DATA: (FlowState.SETTLING, FlowState.FREE, FlowState.SYN_SENT, FlowState.DELAYED),
    FlowAction.GIVE_UP_FIN: (FlowState.SYN_SENT, FlowState.DELAYED, FlowState.FREE),
    FlowAction.GIVE_UP_RST: (FlowState.SYN_SENT, FlowState.DELAYED, FlowState.FREE),
    FlowAction.GIVE_UP_SILENT: (FlowState.SYN_SENT, FlowState.DELAYED, FlowState.FREE),
    FlowAction.GIVE_UP_SYN: (FlowState.SYN_SENT, FlowState.DELAYED, FlowState.FREE),
    FlowAction.GIVE_UP_REFUSED: (FlowState.SYN_SENT, FlowState.DELAYED, FlowState.FREE),
    FlowAction.FINISH_DATA: (FlowState.FREE, FlowState.SYN_SENT, FlowState.DELAYED),
    FlowAction.RETRANSMIT: (FlowState.DATA_SENT,),
    FlowAction.RETRANSMIT_SYN: (FlowState.SYN_SENT,),
    FlowAction.OPEN: (FlowState.SYN_SENT,),
    FlowAction.KEEP_EARLY: (),
    FlowAction.REPEAT: (),
}
"""The states in which an action may leave its flow. After giving up that is the next handshake if there is
one, else the end. Where no handshake was asked for, the SYN-ACK is the end."""


def diagram() -> str:
    """The table as a Mermaid state diagram (ARCHITECTURE.md holds it; a test compares)."""
    lines = ["stateDiagram-v2", "    [*] --> DATA_SENT: ZMap line", "    [*] --> SYN_SENT: list line"]
    edges: dict[tuple[FlowState, FlowState], list[str]] = {}
    for state in FlowState:
        for trigger in FlowTrigger:
            action = FlowAction(int(TRANSITIONS[state, trigger]))
            for after in LEADS_TO.get(action, ()):
                edges.setdefault((state, after), []).append(trigger.name)
    for (before, after), triggers in edges.items():
        target = "[*]" if after is FlowState.FREE else after.name
        lines.append(f"    {before.name} --> {target}: {', '.join(dict.fromkeys(triggers))}")
    return "\n".join(lines) + "\n"


def read_triggers(flows: Rows, segments: Rows) -> NDArray[np.uint8]:
    """(n,) uint8 of FlowTrigger: what each segment raises for its flow; NOTHING where its numbers are wrong.

    flows: FLOW rows, (n,), of the SEGMENT rows.
    """
    flags = segments["flags"]
    syn, fin, rst, acks = (flags & bit != 0 for bit in (SYN, FIN, RST, ACK))
    ack_ok = acks & (segments["ack"] - flows["una"] <= flows["nxt"] - flows["una"])
    ahead = flows["rcv"] - segments["seq"]  # mod 2^32: bytes of this segment that we have already
    beyond = -ahead.astype(np.int64) & 0xFFFFFFFF  # bytes between what we have and this segment
    length = segments["data_len"]
    opening = (flows["state"] == FlowState.SYN_SENT) | (flows["state"] == FlowState.FIREWALL_CHECK)
    triggers = np.zeros(len(flows), np.uint8)
    plain = ~opening & ~syn & ~rst & ack_ok
    data = plain & (ahead < length)
    triggers[data] = FlowTrigger.DATA
    early = plain & ~data & (length > 0) & (beyond < WINDOW)
    triggers[early] = FlowTrigger.EARLY_DATA
    repeated = ~opening & syn & ~rst & acks & (segments["ack"] == flows["una"]) & (ahead == 1)
    repeated &= segments["ts"] >= flows["ts"] + np.uint64(REPEATED)
    triggers[repeated] = FlowTrigger.SYN_ACK_AGAIN
    triggers[plain & ~data & fin & (ahead == length)] = FlowTrigger.FIN
    # Beyond a gap it says that what we await was sent, and lost: its FIN is not the end of it.
    bare = plain & (length == 0) & (beyond < WINDOW) & (segments["ack"] != flows["una"])
    triggers[bare & (~fin | (beyond > 0))] = FlowTrigger.ACK
    triggers[~opening & rst & (ahead == 0) & (ack_ok | ~acks)] = FlowTrigger.RST
    triggers[opening & rst & ack_ok] = FlowTrigger.RST
    answer = opening & syn & ~rst & ack_ok
    triggers[answer] = np.where(segments["window"][answer] == 0, FlowTrigger.ZERO_WINDOW, FlowTrigger.SYN_ACK)
    return triggers


def awaited(flows: Rows, reason: int) -> NDArray[np.uint8]:
    """(n,) uint8 of Expected: what each flow was waiting for when it ended; NOTHING where the peer
    ended it. Its twin in C is in lzr/native/tcp.c.
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
