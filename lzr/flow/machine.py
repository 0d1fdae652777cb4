"""The state machine of one flow, as a table you can draw.

``TRANSITIONS[state, trigger]`` is the action to run. States are where a flow is, triggers are what can happen
to it (a valid segment, or a timer that came due), actions are what the flow table then does; an action alone
decides the next state. The same array is the hot path (one fancy index per batch), the picture in
ARCHITECTURE.md and the oracle of the tests.

A trigger is only raised by a segment whose numbers are right: its acknowledgement within what we sent, its
sequence number the next we await or, for `ACK` and `EARLY_DATA`, beyond it within the window (RFC 9293
§3.10.7.4; for RST, RFC 5961 §3.2). Everything else is `NOTHING` and is counted, never acted on.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from lzr.rows import FlowState, Trigger


class Action(IntEnum):
    """What is done with a flow. The actions of a batch run in this order."""

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


_TABLE: dict[FlowState, dict[Trigger, Action]] = {
    FlowState.DELAYED: {Trigger.DELAY_OVER: Action.OPEN},
    FlowState.SYN_SENT: {
        Trigger.SYN_ACK: Action.SEND_PROBE_DATA,
        Trigger.ZERO_WINDOW: Action.REFUSE_WINDOW,
        Trigger.RST: Action.GIVE_UP_REFUSED,
        Trigger.RETRANSMIT_DUE: Action.RETRANSMIT_SYN,
        Trigger.TIMED_OUT: Action.GIVE_UP_SYN,
    },
    FlowState.DATA_SENT: {
        Trigger.SYN_ACK_AGAIN: Action.REPEAT,
        Trigger.ACK: Action.NOTE_ACK,
        Trigger.DATA: Action.TAKE_DATA,
        Trigger.EARLY_DATA: Action.KEEP_EARLY,
        Trigger.FIN: Action.GIVE_UP_FIN,
        Trigger.RST: Action.GIVE_UP_RST,
        Trigger.RETRANSMIT_DUE: Action.RETRANSMIT,
        Trigger.TIMED_OUT: Action.GIVE_UP_SILENT,
    },
    FlowState.ACKED: {
        Trigger.DATA: Action.TAKE_DATA,
        Trigger.EARLY_DATA: Action.KEEP_EARLY,
        Trigger.FIN: Action.GIVE_UP_FIN,
        Trigger.RST: Action.GIVE_UP_RST,
        Trigger.TIMED_OUT: Action.GIVE_UP_SILENT,
    },
    FlowState.SETTLING: {
        Trigger.DATA: Action.TAKE_DATA,
        Trigger.EARLY_DATA: Action.KEEP_EARLY,
        Trigger.FIN: Action.FINISH_DATA,
        Trigger.RST: Action.FINISH_DATA,
        Trigger.SETTLED: Action.FINISH_DATA,
    },
    FlowState.PROBE: {
        Trigger.SYN_ACK: Action.COUNT_PROBE,
        Trigger.ZERO_WINDOW: Action.COUNT_PROBE,
        Trigger.RST: Action.DROP_PROBE,
        Trigger.TIMED_OUT: Action.DROP_PROBE,
    },
}

TRANSITIONS = np.zeros((len(FlowState), len(Trigger)), np.uint8)
"""(states, triggers) uint8 of Action."""
for _state, _triggers in _TABLE.items():
    for _trigger, _action in _triggers.items():
        TRANSITIONS[_state, _trigger] = _action
TRANSITIONS.flags.writeable = False

LEADS_TO: dict[Action, tuple[FlowState, ...]] = {
    Action.COUNT_PROBE: (FlowState.FREE,),
    Action.DROP_PROBE: (FlowState.FREE,),
    Action.SEND_PROBE_DATA: (FlowState.DATA_SENT, FlowState.FREE),
    Action.REFUSE_WINDOW: (FlowState.FREE,),
    Action.NOTE_ACK: (FlowState.ACKED,),
    Action.TAKE_DATA: (FlowState.SETTLING, FlowState.FREE, FlowState.SYN_SENT, FlowState.DELAYED),
    Action.GIVE_UP_FIN: (FlowState.SYN_SENT, FlowState.DELAYED, FlowState.FREE),
    Action.GIVE_UP_RST: (FlowState.SYN_SENT, FlowState.DELAYED, FlowState.FREE),
    Action.GIVE_UP_SILENT: (FlowState.SYN_SENT, FlowState.DELAYED, FlowState.FREE),
    Action.GIVE_UP_SYN: (FlowState.SYN_SENT, FlowState.DELAYED, FlowState.FREE),
    Action.GIVE_UP_REFUSED: (FlowState.SYN_SENT, FlowState.DELAYED, FlowState.FREE),
    Action.FINISH_DATA: (FlowState.FREE, FlowState.SYN_SENT, FlowState.DELAYED),
    Action.RETRANSMIT: (FlowState.DATA_SENT,),
    Action.RETRANSMIT_SYN: (FlowState.SYN_SENT,),
    Action.OPEN: (FlowState.SYN_SENT,),
    Action.KEEP_EARLY: (),
    Action.REPEAT: (),
}
"""The states in which an action may leave its flow. After giving up that is the next handshake if there is
one, else the end. Where no handshake was asked for, the SYN-ACK is the end."""


def diagram() -> str:
    """The table as a Mermaid state diagram (ARCHITECTURE.md holds it; a test compares)."""
    lines = ["stateDiagram-v2", "    [*] --> DATA_SENT: ZMap line", "    [*] --> SYN_SENT: list line"]
    edges: dict[tuple[FlowState, FlowState], list[str]] = {}
    for state in FlowState:
        for trigger in Trigger:
            action = Action(int(TRANSITIONS[state, trigger]))
            for after in LEADS_TO.get(action, ()):
                edges.setdefault((state, after), []).append(trigger.name)
    for (before, after), triggers in edges.items():
        target = "[*]" if after is FlowState.FREE else after.name
        lines.append(f"    {before.name} --> {target}: {', '.join(dict.fromkeys(triggers))}")
    return "\n".join(lines) + "\n"
