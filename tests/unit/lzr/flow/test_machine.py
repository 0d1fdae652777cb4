"""The table is whole, says where it leads, and is drawn in ARCHITECTURE.md as it is."""

from __future__ import annotations

import re

import numpy as np
import pytest

from lzr.flow.machine import LEADS_TO, TRANSITIONS, FlowAction, diagram
from lzr.rows import FlowState, FlowTrigger
from tests import ROOT

ARCHITECTURE = ROOT / "ARCHITECTURE.md"

EDGES = [
    (state, trigger)
    for state in FlowState
    for trigger in FlowTrigger
    if TRANSITIONS[state, trigger] != FlowAction.IGNORE
]


def test_the_diagram_in_the_documentation_is_the_table() -> None:
    """Between the markers is the output of lzr.flow.machine.diagram() in a mermaid block."""
    text = ARCHITECTURE.read_text(encoding="utf-8")
    blocks = re.findall(r"<!-- state diagram -->(.*?)<!-- end -->", text, re.DOTALL)
    assert len(blocks) == 1
    assert blocks[0].strip() == f"```mermaid\n{diagram().strip()}\n```"


def test_the_table_is_read_only_and_has_a_row_and_a_column_for_each() -> None:
    assert TRANSITIONS.shape == (len(FlowState), len(FlowTrigger))
    assert TRANSITIONS.dtype == np.uint8
    with pytest.raises(ValueError, match="read-only"):
        TRANSITIONS[0, 0] = 1


def test_numbers_are_indices() -> None:
    for kind in (FlowState, FlowTrigger, FlowAction):
        assert [member.value for member in kind] == list(range(len(kind)))


def test_nothing_never_does_anything_and_no_trigger_reaches_a_free_row() -> None:
    assert not TRANSITIONS[:, FlowTrigger.NOTHING].any()
    assert not TRANSITIONS[FlowState.FREE].any()


def test_every_action_is_used_and_leads_somewhere() -> None:
    used = {FlowAction(int(TRANSITIONS[edge])) for edge in EDGES}
    assert used == set(FlowAction) - {FlowAction.IGNORE} == set(LEADS_TO)


def test_every_state_is_reached_and_left() -> None:
    reached = {
        FlowState.DATA_SENT,
        FlowState.SYN_SENT,
        FlowState.FIREWALL_CHECK,
    }  # where flows and firewall checks begin
    while True:
        more = {
            after
            for state, trigger in EDGES
            if state in reached
            for after in LEADS_TO[FlowAction(TRANSITIONS[state, trigger])]
        }
        if more <= reached:
            break
        reached |= more
    assert reached == set(FlowState)
    for state in set(FlowState) - {FlowState.FREE}:
        assert any(TRANSITIONS[state, trigger] for trigger in FlowTrigger)


def test_every_state_ends_with_time_alone() -> None:
    """Whatever a peer does not send, a flow comes to its end: a timer leads on from each state."""
    timers = (FlowTrigger.TIMED_OUT, FlowTrigger.SETTLED, FlowTrigger.DELAY_OVER)
    for state in set(FlowState) - {FlowState.FREE}:
        after = [
            LEADS_TO[FlowAction(TRANSITIONS[state, trigger])]
            for trigger in timers
            if TRANSITIONS[state, trigger]
        ]
        assert len(after) == 1
        assert state not in after[0] or state == FlowState.SYN_SENT  # there, of the next handshake


def test_the_drawing_has_every_edge() -> None:
    drawn = diagram()
    assert drawn.startswith("stateDiagram-v2\n")
    for state, trigger in EDGES:
        for after in LEADS_TO[FlowAction(TRANSITIONS[state, trigger])]:
            target = r"\[\*\]" if after is FlowState.FREE else after.name
            assert re.search(rf"^    {state.name} --> {target}: .*\b{trigger.name}\b", drawn, re.MULTILINE)
