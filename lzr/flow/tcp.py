"""TCP for many flows at once: segments taken or ignored, connections opened, data sent and
taken, closed with a RST.

Each function has two bodies. The one in numpy is the definition; the one in C (`lzr/native/machine.c` judges
segments and timers, `lzr/native/tcp.c` does the rest) touches each row once, gives the same
(tests/unit/lzr/test_kernels.py), and runs where the extension was built. No function here decides what a flow
does next: that is done by `machine` and `table`. Frames are made of FRAME rows by `lzr.packet.segments`.

`rows` is the flow table (FLOW), `slots` are the rows meant, (n,) int32, each at most once.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lzr.flow.index import FlowIndex, NativeIndex
from lzr.flow.machine import TRANSITIONS, FlowAction, awaited, read_triggers
from lzr.kernels import NATIVE, in_c
from lzr.layout import AGES, COOKIE_BITS
from lzr.packet.payloads import ProbeTemplate
from lzr.packet.sharding import cookie, flow_key
from lzr.protocols._firstreply import goes_on
from lzr.rows import (
    ACK,
    FIN,
    FLOW,
    FRAME,
    NO_PROBE,
    OUTCOME,
    RST,
    SYN,
    Doubt,
    FirstStep,
    FlowState,
    FlowTrigger,
    Number,
    Opening,
    Reason,
)
from lzr.secrets import Secrets
from lzr.siphash import siphash

Rows = NDArray[Any]
Slots = NDArray[np.int32]
Numbers = NDArray[np.uint32]
U64 = NDArray[np.uint64]

_TUPLE = ("peer_hi", "peer_lo", "own_hi", "own_lo", "peer_port", "own_port")
_SHARED = [name for name in FLOW.names or () if name in (OUTCOME.names or ())]
_NOTED = ("seq", "ack", "window", "ttl", "flags", "ts")
_KEEP = 255  # for `bump` in C: leave the state as it is
_TABLE = TRANSITIONS.tobytes()
_STAY = int(FlowAction.KEEP_EARLY)  # from here on an action leaves its flow where it is
_HIGH_BITS = 0xFFFFFFFF >> COOKIE_BITS << COOKIE_BITS


def _native_step(
    rows: Rows, segments: Rows, keys: U64, slots: Slots, todo: Slots, ages: NDArray[np.int64]
) -> tuple[Slots, NDArray[np.uint8], Slots, int, int]:
    todo = todo.copy()
    chosen, actions = np.empty(len(todo), np.int32), np.empty(len(todo), np.uint8)
    made, later, ignored, fresh = NATIVE.step(
        rows, segments, keys, slots, todo, _TABLE, _STAY, ages, chosen, actions
    )
    return chosen[:made], actions[:made], todo[:later], ignored, fresh


@in_c(_native_step)
def step(
    rows: Rows, segments: Rows, keys: U64, slots: Slots, todo: Slots, ages: NDArray[np.int64]
) -> tuple[Slots, NDArray[np.uint8], Slots, int, int]:
    """One round: the first segment of each flow among ``segments[todo]``, which is in order of arrival.

    slots, keys: (n,), of each segment. todo: indices of segments. Fields of segments that raise a trigger are
    noted in their flows. Returns the indices of these segments; the action of each, (m,) uint8; the indices
    left for the next round (later segments of the same flows); how many segments raised no trigger; how many
    flows are no longer fresh (see `is_fresh`). The response times of the latter are counted in `ages` (see
    `note_ages`).
    """
    _, first = np.unique(slots[todo], return_index=True)
    first.sort()
    rest = np.ones(len(todo), bool)
    rest[first] = False
    chosen, later_on = todo[first], todo[rest]
    met, seen = slots[chosen], segments[chosen]
    flows = rows[met]
    triggers = read_triggers(flows, seen)
    same = flows["key"] == keys[chosen]  # an earlier round may have moved the flow to another port
    for name in _TUPLE:
        same &= flows[name] == seen[name]
    triggers[~same] = FlowTrigger.NOTHING
    actions = TRANSITIONS[flows["state"], triggers]
    live = actions != FlowAction.IGNORE
    chosen, actions = chosen[live], actions[live]
    met, seen, flows = met[live], seen[live], flows[live]
    alive = is_fresh(flows) & (actions < _STAY)
    note_ages(ages, flows["ts"][alive], seen["ts"][alive])
    before = flows["state"] != FlowState.SETTLING  # a record tells of the segment that brought the first data
    for name in _NOTED:
        rows[name][met[before]] = seen[name][before]
    advanced = (seen["flags"] & ACK != 0) & (seen["ack"] != flows["una"])
    rows["acked"][met[advanced]] = 1
    ignored = int(len(live) - np.count_nonzero(live))
    return chosen, actions, later_on, ignored, int(np.count_nonzero(alive))


def note_ages(ages: NDArray[np.int64], sent: U64, came: U64) -> None:
    """Count response times by powers of two: ages[k], of (AGES,), counts those from 2^(k-1) to 2^k ns.

    sent, came: (n,) uint64, ns since the epoch.
    """
    took = np.where(came > sent, came - sent, np.uint64(0))
    bits = np.frexp(took.astype(np.float64))[1]
    np.add.at(ages, np.minimum(bits, AGES - 1), 1)


def is_fresh(flows: Rows) -> NDArray[np.bool_]:
    """(n,) bool: which of these FLOW rows wait for the first packet from the peer on their connection."""
    states = flows["state"]
    waiting = (states == FlowState.DATA_SENT) | (states == FlowState.SYN_SENT)
    return np.asarray(waiting & (flows["counter"] == 0), np.bool_)


def count_fresh(flows: Rows) -> int:
    """How many of these FLOW rows wait for the first packet from the peer on their connection."""
    return int(np.count_nonzero(is_fresh(flows)))


def _native_due(
    rows: Rows, slots: Slots, generations: Numbers, trigger: FlowTrigger
) -> tuple[Slots, NDArray[np.uint8], int]:
    live, actions = np.empty(len(slots), np.int32), np.empty(len(slots), np.uint8)
    made, fresh = NATIVE.due(rows, slots, generations, _TABLE, int(trigger), live, actions)
    return live[:made], actions[:made], fresh


@in_c(_native_due)
def due(
    rows: Rows, slots: Slots, generations: Numbers, trigger: FlowTrigger
) -> tuple[Slots, NDArray[np.uint8], int]:
    """Which of the timers that came due still count: their slots, the action of each, and how many of these
    flows are fresh.

    slots, generations: of the timers; one counts if its flow still has that generation.
    """
    live = slots[(rows["generation"][slots] == generations) & (rows["state"][slots] != FlowState.FREE)]
    return live, TRANSITIONS[rows["state"][live], trigger], count_fresh(rows[live])


def isn(rows: Rows, number: U64, salt: int, secrets: Secrets) -> Numbers:
    """(n,) uint32: ISNs that cannot be guessed (RFC 6528 §3), with our filter's cookie in their low bits.

    number: (n,) uint64, of the connection; the same in every run with this seed. salt: the kind of
    connection.
    """
    random = (siphash(secrets.isn, number, salt) & np.uint64(_HIGH_BITS)).astype(np.uint32)
    return np.asarray(random | cookie(rows, secrets.cookie), np.uint32)


def _native_open_rows(
    rows: Rows, index: FlowIndex, targets: Rows, slots: Slots, secrets: Secrets, wall: int
) -> tuple[NDArray[np.uint8], tuple[int, int, int, int, int]]:
    assert isinstance(index, NativeIndex)
    steps = np.empty(len(targets), np.uint8)
    targets = np.ascontiguousarray(targets)
    return steps, NATIVE.open_rows(rows, index.native, targets, slots, secrets.native, wall, steps)


@in_c(_native_open_rows)
def open_rows(
    rows: Rows, index: FlowIndex, targets: Rows, slots: Slots, secrets: Secrets, wall: int
) -> tuple[NDArray[np.uint8], tuple[int, int, int, int, int]]:
    """Make flows of TARGET rows in these slots and put them into the index.

    Returns the FirstStep of each, (n,) uint8, and (READY, ZERO_WINDOW, OURS, DUPLICATE, doubtful) counts.
    Where a 4-tuple is in the index already, its slot is left alone. wall: ns since the epoch.
    """
    steps = np.empty(len(targets), np.uint8)
    keys = flow_key(targets, secrets.index)
    ours = targets["syn"] == Opening.OURS
    steps[:] = np.where(
        ours, FirstStep.OURS, np.where(targets["window"] == 0, FirstStep.ZERO_WINDOW, FirstStep.READY)
    )
    added = index.insert(keys, slots)
    steps[~added] = FirstStep.DUPLICATE
    flows = np.zeros(len(targets), FLOW)
    for name in (*_TUPLE, "line", "ticket", "seq", "ack", "window", "ttl"):
        flows[name] = targets[name]
    una = targets["ack"].copy()
    una[ours] = isn(targets[ours], targets["line"][ours] * np.uint64(256), 0, secrets) + np.uint32(1)
    flows["key"], flows["ts"] = keys, wall
    flows["una"] = flows["nxt"] = una
    flows["rcv"] = targets["seq"] + np.uint32(1)
    flows["flags"] = np.where(ours, 0, SYN | ACK)
    flows["state"] = np.where(ours, FlowState.SYN_SENT, FlowState.DATA_SENT)
    flows["doubt"] = np.where(targets["syn"] == Opening.DOUBTFUL, Doubt.HALF_OPEN, Doubt.NONE)
    flows["generation"] = rows["generation"][slots]
    rows[slots[added]] = flows[added]
    ready, no_window, opened, refused = np.bincount(steps, minlength=len(FirstStep)).tolist()
    doubtful = np.count_nonzero((targets["syn"] == Opening.DOUBTFUL) & added)
    return steps, (ready, no_window, opened, refused, int(doubtful))


def _native_send(
    rows: Rows,
    slots: Slots,
    number: Number,
    flags: int,
    secrets: Secrets,
    probe: int = NO_PROBE,
    template: ProbeTemplate | None = None,
    *,
    arm: bool = False,
) -> tuple[Rows, Numbers | None]:
    frames = np.empty(len(slots), FRAME)
    generations = np.empty(len(slots), np.uint32) if arm else None
    length: int | bytes | None = None if template is None else template.program
    if template is not None and template.fixed_length is not None:
        length = template.fixed_length
    NATIVE.send(rows, slots, int(number), int(flags), probe, secrets.native, length, frames, generations)
    return frames, generations


@in_c(_native_send)
def send(
    rows: Rows,
    slots: Slots,
    number: Number,
    flags: int,
    secrets: Secrets,
    probe: int = NO_PROBE,
    template: ProbeTemplate | None = None,
    *,
    arm: bool = False,
) -> tuple[Rows, Numbers | None]:
    """A FRAME row for each flow, (n,); with `arm` also its next generation, (n,) uint32, which voids its
    timer.

    number: which sequence number the frames carry. probe: the handshake whose payload they carry, or
    NO_PROBE. template: the probe of that handshake, from whose length `nxt` follows, whether or not this
    frame carries it.
    """
    if template is not None:
        rows["nxt"][slots] = rows["una"][slots] + template.lengths(rows[slots])
    flows = rows[slots]
    frames = np.zeros(len(flows), FRAME)
    for name in _TUPLE:
        frames[name] = flows[name]
    if number == Number.CLOSE:
        frames["seq"] = np.where(flows["state"] == FlowState.DATA_SENT, flows["una"], flows["nxt"])
    elif number == Number.ISN:
        frames["seq"] = flows["una"] - np.uint32(1)
    else:
        frames["seq"] = flows[{Number.UNA: "una", Number.NXT: "nxt", Number.ACK: "ack"}[number]]
    frames["ack"] = flows["rcv"]
    frames["flags"], frames["probe"] = flags, probe
    if probe != NO_PROBE:
        frames["nonce"] = siphash(secrets.nonce, flows["key"])
    return frames, bump(rows, slots) if arm else None


def close(rows: Rows, slots: Slots, reason: int, secrets: Secrets) -> Rows:
    """FRAME rows of RSTs, with the sequence number that the peer awaits (RFC 5961 §3.2), for flows that have
    a connection.
    """
    if reason not in (Reason.ZERO_WINDOW, Reason.DATA, Reason.SA_ONLY):
        states = rows["state"][slots]
        slots = slots[(states != FlowState.SYN_SENT) & (states != FlowState.DELAYED)]
    # A FIN says what the peer had of ours.
    number = {Reason.DATA: Number.NXT, Reason.FIN: Number.ACK}.get(reason, Number.CLOSE)
    return send(rows, slots, number, RST | ACK, secrets)[0]


def _native_finish(
    rows: Rows, index: FlowIndex, slots: Slots, reason: int, lengths: Numbers | None, secrets: Secrets
) -> tuple[Rows, Rows]:
    assert isinstance(index, NativeIndex)
    frames, outcomes = np.empty(len(slots), FRAME), np.empty(len(slots), OUTCOME)
    made = NATIVE.finish(rows, index.native, slots, int(reason), lengths, frames, outcomes)
    return frames[:made], outcomes


@in_c(_native_finish)
def finish(
    rows: Rows, index: FlowIndex, slots: Slots, reason: int, lengths: Numbers | None, secrets: Secrets
) -> tuple[Rows, Rows]:
    """End flows: FRAME rows that close open connections, and an OUTCOME row for each; the rows are freed.

    reason: a Reason. lengths: (n,) bytes of payload, None where no flow has any.
    """
    if lengths is None:
        lengths = np.zeros(len(slots), np.uint32)
    outcomes = outcome_rows(rows, slots, reason, lengths, np.ones(len(slots), bool))
    if reason in (Reason.RST, Reason.NO_SYN_ACK, Reason.SEND_REFUSED, Reason.BLOCKED):
        frames = np.empty(0, FRAME)
    else:
        frames = close(rows, slots, reason, secrets)
    index.remove(rows["key"][slots])
    bump(rows, slots, FlowState.FREE)
    return frames, outcomes


def _native_take_data(
    rows: Rows, slots: Slots, segments: Rows, buffer: Any, enough: int, line: int
) -> tuple[Numbers, Numbers, NDArray[np.bool_]]:
    starts, lengths = np.empty(len(slots), np.uint32), np.empty(len(slots), np.uint32)
    done = np.empty(len(slots), bool)
    NATIVE.take_data(rows, slots, np.ascontiguousarray(segments), buffer, enough, line, starts, lengths, done)
    return starts, lengths, done


@in_c(_native_take_data)
def take_data(
    rows: Rows, slots: Slots, segments: Rows, buffer: Any, enough: int, line: int
) -> tuple[Numbers, Numbers, NDArray[np.bool_]]:
    """Take the new data of SEGMENT rows: (n,) starts in `buffer`, (n,) lengths, (n,) bool whether it is
    enough.

    Enough is `enough` bytes, or a line of `line` bytes after which no more is announced, or whatever comes
    with a FIN.
    """
    ahead = rows["rcv"][slots] - segments["seq"]
    starts = segments["data_at"] + ahead
    lengths = segments["data_len"] - ahead
    rows["rcv"][slots] += lengths
    last = np.frombuffer(buffer, np.uint8)[starts + lengths - 1]
    done = (segments["flags"] & FIN != 0) | (lengths >= enough)
    for at in np.flatnonzero((lengths >= line) & (last == 0x0A) & ~done).tolist():
        done[at] = not goes_on(bytes(buffer[starts[at] : starts[at] + lengths[at]]))
    return starts, lengths, done


def _native_outcome_rows(
    rows: Rows, slots: Slots, reason: int, lengths: Numbers, final: NDArray[np.bool_]
) -> Rows:
    outcome = np.empty(len(slots), OUTCOME)
    NATIVE.outcome_rows(rows, slots, int(reason), lengths, final, outcome)
    return outcome


@in_c(_native_outcome_rows)
def outcome_rows(rows: Rows, slots: Slots, reason: int, lengths: Numbers, final: NDArray[np.bool_]) -> Rows:
    """An OUTCOME row for each flow. lengths: bytes of payload; final: whether it is the flow's last."""
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
    outcome["record"] = ((flows["kept"] == 0) & (reason != Reason.BLOCKED)) | (reason == Reason.DATA)
    return outcome


def _native_bump(rows: Rows, slots: Slots, state: FlowState | None = None) -> Numbers:
    generations = np.empty(len(slots), np.uint32)
    NATIVE.bump(rows, slots, _KEEP if state is None else int(state), generations)
    return generations


@in_c(_native_bump)
def bump(rows: Rows, slots: Slots, state: FlowState | None = None) -> Numbers:
    """Give each flow its next generation, (n,) uint32, which voids its timer. Sets the state if one is
    given.
    """
    generations = np.asarray(rows["generation"][slots] + np.uint32(1), np.uint32)
    rows["generation"][slots] = generations
    if state is not None:
        rows["state"][slots] = state
    return generations


def _native_gather(buffer: Any, starts: Numbers, lengths: Numbers) -> bytes:
    joined: bytes = NATIVE.gather(buffer, starts, lengths)
    return joined


@in_c(_native_gather)
def gather(buffer: Any, starts: Numbers, lengths: Numbers) -> bytes:
    """The parts of `buffer` with these starts and lengths, joined. Raises IndexError for a part that is not
    in it.
    """
    view = memoryview(buffer)
    ends = starts.astype(np.int64) + lengths
    if len(ends) and int(ends.max()) > len(view):
        raise IndexError("a part lies outside the buffer")
    return b"".join(view[a:b] for a, b in zip(starts.tolist(), ends.tolist(), strict=True))
