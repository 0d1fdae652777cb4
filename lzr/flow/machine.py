"""The state machine of one flow, as a table you can draw.

``TRANSITIONS[state, cue]`` is the action to run. States are where a flow is, cues are what can happen to it
(a valid segment, or a timer that came due), actions are what the flow table then does; an action alone
decides the next state. The same array is the hot path (one fancy index per batch), the picture in
ARCHITECTURE.md and the oracle of the tests.

A cue is only raised by a segment whose numbers are right: its acknowledgement within what we sent, its
sequence number the next we await or, for `ACK` and `EARLY_DATA`, beyond it within the window (RFC 9293
§3.10.7.4; for RST, RFC 5961 §3.2). Everything else is `NOTHING` and is counted, never acted on.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np


class State(IntEnum):
    FREE = 0  # no flow in this row
    DELAYED = 1  # a follow-up waits for --probe-delay
    SYN_SENT = 2  # our SYN is out, a SYN-ACK is awaited
    DATA_SENT = 3  # ACK with the probe is out, an answer is awaited
    ACKED = 4  # the peer acknowledged the probe, data is awaited
    SETTLING = 5  # a first, short piece of data has come, more may follow
    PROBE = 6  # a SYN to a random port, asking whether the host is an ACKing firewall


class Cue(IntEnum):
    NOTHING = 0  # stray, duplicate, out of order, or wrong numbers
    SYN_ACK = 1
    ZERO_WINDOW = 2  # a SYN-ACK that announces no window
    ACK = 3  # acknowledges (part of) the probe, carries nothing; also beyond a gap, and then with FIN too
    DATA = 4
    FIN = 5
    RST = 6
    RETRANSMIT_DUE = 7
    TIMED_OUT = 8  # the wait after the last retransmit is over
    SETTLED = 9
    DELAY_OVER = 10
    EARLY_DATA = 11  # data beyond a gap
    SYN_ACK_AGAIN = 12  # the peer repeats its SYN-ACK: our ACK has not come through


class Action(IntEnum):
    IGNORE = 0
    COUNT_PROBE = 1  # first, so that a firewall is known before its other answers are acted on
    DROP_PROBE = 2
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


_TABLE: dict[State, dict[Cue, Action]] = {
    State.DELAYED: {Cue.DELAY_OVER: Action.OPEN},
    State.SYN_SENT: {
        Cue.SYN_ACK: Action.SEND_PROBE_DATA,
        Cue.ZERO_WINDOW: Action.REFUSE_WINDOW,
        Cue.RST: Action.GIVE_UP_REFUSED,
        Cue.RETRANSMIT_DUE: Action.RETRANSMIT_SYN,
        Cue.TIMED_OUT: Action.GIVE_UP_SYN,
    },
    State.DATA_SENT: {
        Cue.SYN_ACK_AGAIN: Action.REPEAT,
        Cue.ACK: Action.NOTE_ACK,
        Cue.DATA: Action.TAKE_DATA,
        Cue.EARLY_DATA: Action.KEEP_EARLY,
        Cue.FIN: Action.GIVE_UP_FIN,
        Cue.RST: Action.GIVE_UP_RST,
        Cue.RETRANSMIT_DUE: Action.RETRANSMIT,
        Cue.TIMED_OUT: Action.GIVE_UP_SILENT,
    },
    State.ACKED: {
        Cue.DATA: Action.TAKE_DATA,
        Cue.EARLY_DATA: Action.KEEP_EARLY,
        Cue.FIN: Action.GIVE_UP_FIN,
        Cue.RST: Action.GIVE_UP_RST,
        Cue.TIMED_OUT: Action.GIVE_UP_SILENT,
    },
    State.SETTLING: {
        Cue.DATA: Action.TAKE_DATA,
        Cue.EARLY_DATA: Action.KEEP_EARLY,
        Cue.FIN: Action.FINISH_DATA,
        Cue.RST: Action.FINISH_DATA,
        Cue.SETTLED: Action.FINISH_DATA,
    },
    State.PROBE: {
        Cue.SYN_ACK: Action.COUNT_PROBE,
        Cue.ZERO_WINDOW: Action.COUNT_PROBE,
        Cue.RST: Action.DROP_PROBE,
        Cue.TIMED_OUT: Action.DROP_PROBE,
    },
}

TRANSITIONS = np.zeros((len(State), len(Cue)), np.uint8)
"""(states, cues) uint8 of Action."""
for _state, _cues in _TABLE.items():
    for _cue, _action in _cues.items():
        TRANSITIONS[_state, _cue] = _action
TRANSITIONS.flags.writeable = False

LEADS_TO: dict[Action, tuple[State, ...]] = {
    Action.COUNT_PROBE: (State.FREE,),
    Action.DROP_PROBE: (State.FREE,),
    Action.SEND_PROBE_DATA: (State.DATA_SENT,),
    Action.REFUSE_WINDOW: (State.FREE,),
    Action.NOTE_ACK: (State.ACKED,),
    Action.TAKE_DATA: (State.SETTLING, State.FREE, State.SYN_SENT, State.DELAYED),
    Action.GIVE_UP_FIN: (State.SYN_SENT, State.DELAYED, State.FREE),
    Action.GIVE_UP_RST: (State.SYN_SENT, State.DELAYED, State.FREE),
    Action.GIVE_UP_SILENT: (State.SYN_SENT, State.DELAYED, State.FREE),
    Action.GIVE_UP_SYN: (State.SYN_SENT, State.DELAYED, State.FREE),
    Action.GIVE_UP_REFUSED: (State.SYN_SENT, State.DELAYED, State.FREE),
    Action.FINISH_DATA: (State.FREE, State.SYN_SENT, State.DELAYED),
    Action.RETRANSMIT: (State.DATA_SENT,),
    Action.RETRANSMIT_SYN: (State.SYN_SENT,),
    Action.OPEN: (State.SYN_SENT,),
    Action.KEEP_EARLY: (),
    Action.REPEAT: (),
}
"""Where an action may leave its flow: after giving up, the next handshake if there is one, else the end."""


def diagram() -> str:
    """The table as a Mermaid state diagram (ARCHITECTURE.md holds it; a test compares)."""
    lines = ["stateDiagram-v2", "    [*] --> DATA_SENT: ZMap line", "    [*] --> SYN_SENT: list line"]
    edges: dict[tuple[State, State], list[str]] = {}
    for state in State:
        for cue in Cue:
            action = Action(int(TRANSITIONS[state, cue]))
            for after in LEADS_TO.get(action, ()):
                edges.setdefault((state, after), []).append(cue.name)
    for (before, after), cues in edges.items():
        target = "[*]" if after is State.FREE else after.name
        lines.append(f"    {before.name} --> {target}: {', '.join(dict.fromkeys(cues))}")
    return "\n".join(lines) + "\n"
