"""What a segment means, against RFC 9293's words written out with whole numbers for one segment at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from lzr.flow.machine import awaited, read_triggers
from lzr.layout import REPEATED, WINDOW
from lzr.rows import ACK, FIN, FLOW, RST, SEGMENT, SYN, Expected, FlowState, FlowTrigger, Reason
from tests.effort import examples

WORD = 1 << 32


def distance(start: int, end: int) -> int:
    """From `start` to `end` on the circle of sequence numbers, the short way: negative is back."""
    return (end - start + WORD // 2) % WORD - WORD // 2


def plain(flow: dict[str, int], segment: dict[str, int]) -> FlowTrigger:
    """The trigger, slowly."""
    flags, length = segment["flags"], segment["data_len"]
    sent = distance(flow["una"], flow["nxt"])
    acknowledged = flags & ACK and 0 <= distance(flow["una"], segment["ack"]) <= sent
    gap = distance(flow["rcv"], segment["seq"])  # how far beyond the awaited byte it begins
    if flow["state"] in (FlowState.SYN_SENT, FlowState.FIREWALL_CHECK):
        if not acknowledged:
            return FlowTrigger.NOTHING
        if flags & RST:
            return FlowTrigger.RST
        if flags & SYN:
            return FlowTrigger.ZERO_WINDOW if segment["window"] == 0 else FlowTrigger.SYN_ACK
        return FlowTrigger.NOTHING
    if flags & RST:
        return FlowTrigger.RST if gap == 0 and (acknowledged or not flags & ACK) else FlowTrigger.NOTHING
    if flags & SYN and acknowledged and gap == -1 and segment["ack"] == flow["una"]:
        return FlowTrigger.SYN_ACK_AGAIN if segment["ts"] - flow["ts"] >= REPEATED else FlowTrigger.NOTHING
    if flags & SYN or not acknowledged:
        return FlowTrigger.NOTHING
    if gap <= 0 < gap + length:
        return FlowTrigger.DATA
    if length and 0 < gap < WINDOW:
        return FlowTrigger.EARLY_DATA
    if flags & FIN and gap + length == 0:
        return FlowTrigger.FIN
    if length == 0 and 0 <= gap < WINDOW and segment["ack"] != flow["una"]:
        return FlowTrigger.ACK
    return FlowTrigger.NOTHING


near = st.integers(-3, 3) | st.integers(-70000, 70000)


@st.composite
def meetings(draw: st.DrawFn) -> tuple[dict[str, int], dict[str, int]]:
    """A flow and a segment whose numbers are near it, anywhere on the circle."""
    una, rcv = draw(st.integers(0, WORD - 1)), draw(st.integers(0, WORD - 1))
    state = draw(st.sampled_from([state for state in FlowState if state is not FlowState.FREE]))
    opening = state in (FlowState.SYN_SENT, FlowState.FIREWALL_CHECK)
    sent = 0 if opening else draw(st.integers(0, 500))
    flow = {"una": una, "nxt": (una + sent) % WORD, "rcv": rcv, "state": int(state)}
    flow["ts"] = draw(st.integers(0, 2 * REPEATED))
    length = draw(st.integers(0, 4) | st.integers(0, 65000))
    segment = {
        "seq": (rcv + draw(near | st.just(-length))) % WORD,
        "ack": (una + draw(near | st.just(sent))) % WORD,
        "flags": draw(st.integers(0, 63) | st.sampled_from([ACK, ACK | SYN, ACK | FIN, RST, RST | ACK])),
        "window": draw(st.sampled_from([0, 1, 65535])),
        "data_len": length,
        "ts": draw(st.integers(0, 2 * REPEATED)),
    }
    return flow, segment


def rows(dtype: Any, made: list[dict[str, int]]) -> Any:
    out = np.zeros(len(made), dtype)
    for row, fields in zip(out, made, strict=True):
        for name, value in fields.items():
            row[name] = value
    return out


@settings(max_examples=examples(150), deadline=None)
@given(st.lists(meetings(), min_size=1, max_size=8))
def test_columns_say_what_plain_words_say(made: list[tuple[dict[str, int], dict[str, int]]]) -> None:
    flows, segments = rows(FLOW, [flow for flow, _ in made]), rows(SEGMENT, [segment for _, segment in made])
    triggers = read_triggers(flows, segments)
    assert [FlowTrigger(trigger) for trigger in triggers.tolist()] == [plain(*one) for one in made]


def test_what_was_awaited() -> None:
    flows = rows(
        FLOW,
        [
            {"state": int(FlowState.SYN_SENT)},
            {"state": int(FlowState.DELAYED)},
            {"state": int(FlowState.DATA_SENT), "una": 5, "nxt": 10},
            {"state": int(FlowState.DATA_SENT), "una": 5, "nxt": 5},
            {"state": int(FlowState.ACKED), "una": 5, "nxt": 10},
        ],
    )
    expected = [Expected.SYN_ACK, Expected.SYN_ACK, Expected.ACK, Expected.DATA, Expected.DATA]
    for reason in (Reason.SILENT, Reason.NO_SYN_ACK, Reason.FIREWALL):
        assert awaited(flows, reason).tolist() == expected
    for reason in (Reason.RST, Reason.FIN, Reason.ZERO_WINDOW, Reason.SA_ONLY):
        assert not awaited(flows, reason).any()
    assert (awaited(flows, Reason.DATA) == Expected.DATA).all()
