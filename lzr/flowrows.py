"""What is done to the rows of many flows at once: judge segments, open, send, record.

Each function has two bodies. The one in numpy is the definition; the one in ``lzr._native`` touches each row
once and gives the same (tests/test_kernels.py), and runs where there is one. No function here knows what
a flow does next: that is `transitions` and `flows`.

`rows` is the flow table (FLOW), `slots` are the rows meant, (n,) int32, each at most once.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lzr.cues import awaited, read_cues
from lzr.kernels import NATIVE
from lzr.rows import ACK, FLOW, FRAME, NO_PROBE, OUTCOME, SYN, Reason
from lzr.sharding import draw
from lzr.transitions import TRANSITIONS, Action, Cue, State

Rows = NDArray[Any]
Slots = NDArray[np.int32]
Numbers = NDArray[np.uint32]
U64 = NDArray[np.uint64]

_TUPLE = ("peer_hi", "peer_lo", "own_hi", "own_lo", "peer_port", "own_port")
_SHARED = [name for name in FLOW.names or () if name in (OUTCOME.names or ())]
_NOTED = ("seq", "ack", "window", "ttl", "flags", "ts")
_NONCE = 6  # salt
_KEEP = 255
_TABLE = TRANSITIONS.tobytes()


class Number(IntEnum):
    """Which sequence number a frame carries."""

    UNA = 0  # the first byte of the probe
    ISN = 1
    NXT = 2  # after all that was sent
    ACK = 3  # what the peer said it awaits
    CLOSE = 4  # what the peer awaits, as far as we know


def step(
    rows: Rows, segments: Rows, keys: U64, slots: Slots, todo: Slots
) -> tuple[Slots, NDArray[np.uint8], Slots, int]:
    """One round: the first segment of each flow among ``segments[todo]``, which is in order of arrival.

    slots, keys: of each segment. Segments that mean something are noted in their flows. Returns which
    those are and the Action of each, what is left for the next round (later segments of the same flows), and
    how many meant nothing.
    """
    if NATIVE is not None:
        todo = todo.copy()
        chosen, actions = np.empty(len(todo), np.int32), np.empty(len(todo), np.uint8)
        made, later, ignored = NATIVE.step(rows, segments, keys, slots, todo, _TABLE, chosen, actions)
        return chosen[:made], actions[:made], todo[:later], ignored
    _, first = np.unique(slots[todo], return_index=True)
    first.sort()
    rest = np.ones(len(todo), bool)
    rest[first] = False
    chosen, later_on = todo[first], todo[rest]
    met, seen = slots[chosen], segments[chosen]
    flows = rows[met]
    cues = read_cues(flows, seen)
    same = flows["key"] == keys[chosen]  # an earlier round may have moved the flow to another port
    for name in _TUPLE:
        same &= flows[name] == seen[name]
    cues[~same] = Cue.NOTHING
    actions = TRANSITIONS[flows["state"], cues]
    live = actions != Action.IGNORE
    chosen, actions = chosen[live], actions[live]
    met, seen, flows = met[live], seen[live], flows[live]
    for name in _NOTED:
        rows[name][met] = seen[name]
    advanced = (seen["flags"] & ACK != 0) & (seen["ack"] != flows["una"])
    rows["acked"][met[advanced]] = 1
    return chosen, actions, later_on, int(len(live) - np.count_nonzero(live))


def due(rows: Rows, slots: Slots, generations: Numbers, cue: Cue) -> tuple[Slots, NDArray[np.uint8]]:
    """Of timers that came due, those that still count, and the Action of each."""
    if NATIVE is not None:
        live, actions = np.empty(len(slots), np.int32), np.empty(len(slots), np.uint8)
        made = NATIVE.due(rows, slots, generations, _TABLE, int(cue), live, actions)
        return live[:made], actions[:made]
    live = slots[(rows["generation"][slots] == generations) & (rows["state"][slots] != State.FREE)]
    return live, TRANSITIONS[rows["state"][live], cue]


def open_rows(rows: Rows, slots: Slots, targets: Rows, keys: U64, una: Numbers, wall: int) -> None:
    """New flows for TARGET rows. una: our ISN + 1. The generations of the rows go on."""
    if NATIVE is not None:
        NATIVE.open_rows(rows, slots, np.ascontiguousarray(targets), keys, una, wall)
        return
    flows = np.zeros(len(targets), FLOW)
    for name in (*_TUPLE, "line", "ticket", "seq", "ack", "window", "ttl"):
        flows[name] = targets[name]
    syn = targets["syn"] != 0
    flows["key"], flows["ts"] = keys, wall
    flows["una"] = flows["nxt"] = una
    flows["rcv"] = targets["seq"] + np.uint32(1)
    flows["flags"] = np.where(syn, 0, SYN | ACK)
    flows["state"] = np.where(syn, State.SYN_SENT, State.DATA_SENT)
    flows["generation"] = rows["generation"][slots]
    rows[slots] = flows


def frame_rows(rows: Rows, slots: Slots, number: Number, flags: int, probe: int, seed: int) -> Rows:
    """A FRAME row for each flow. probe: the handshake whose payload it carries, or NO_PROBE."""
    if NATIVE is not None:
        frames = np.empty(len(slots), FRAME)
        NATIVE.frame_rows(rows, slots, int(number), int(flags), int(probe), seed, frames)
        return frames
    flows = rows[slots]
    frames = np.zeros(len(flows), FRAME)
    for name in _TUPLE:
        frames[name] = flows[name]
    if number == Number.CLOSE:
        frames["seq"] = np.where(flows["state"] == State.DATA_SENT, flows["una"], flows["nxt"])
    elif number == Number.ISN:
        frames["seq"] = flows["una"] - np.uint32(1)
    else:
        frames["seq"] = flows[{Number.UNA: "una", Number.NXT: "nxt", Number.ACK: "ack"}[number]]
    frames["ack"] = flows["rcv"]
    frames["flags"], frames["probe"] = flags, probe
    if probe != NO_PROBE:
        frames["nonce"] = draw(seed, flows["key"], _NONCE)
    return frames


def outcome_rows(rows: Rows, slots: Slots, reason: int, lengths: Numbers, final: NDArray[np.bool_]) -> Rows:
    """An OUTCOME row for each flow. lengths: bytes of payload; final: whether it is the flow's last."""
    if NATIVE is not None:
        outcome = np.empty(len(slots), OUTCOME)
        NATIVE.outcome_rows(rows, slots, int(reason), lengths, final, outcome)
        return outcome
    flows = rows[slots]
    outcome = np.zeros(len(slots), OUTCOME)
    for name in _SHARED:
        outcome[name] = flows[name]
    outcome["data_len"] = lengths
    outcome["reason"] = reason
    outcome["expected"] = awaited(flows, reason)
    outcome["firewall"] = reason == Reason.FIREWALL
    outcome["final"] = final
    # With every handshake asked for, those that got nothing are told only if none got anything.
    outcome["record"] = (flows["kept"] == 0) | (reason == Reason.DATA)
    return outcome


def bump(rows: Rows, slots: Slots, state: State | None = None) -> Numbers:
    """The next generation of each flow, (n,) uint32: its timer is void. Sets the state if one is given."""
    if NATIVE is not None:
        generations = np.empty(len(slots), np.uint32)
        NATIVE.bump(rows, slots, _KEEP if state is None else int(state), generations)
        return generations
    generations = np.asarray(rows["generation"][slots] + np.uint32(1), np.uint32)
    rows["generation"][slots] = generations
    if state is not None:
        rows["state"][slots] = state
    return generations


def gather(buffer: Any, starts: Numbers, lengths: Numbers) -> bytes:
    """The pieces of `buffer`, one after the other. Raises IndexError for one that is not inside."""
    if NATIVE is not None:
        joined: bytes = NATIVE.gather(buffer, starts, lengths)
        return joined
    view = memoryview(buffer)
    ends = starts.astype(np.int64) + lengths
    if len(ends) and int(ends.max()) > len(view):
        raise IndexError("a piece outside the buffer")
    return b"".join(view[a:b] for a, b in zip(starts.tolist(), ends.tolist(), strict=True))
