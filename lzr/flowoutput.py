"""What leaves a flow table: frames to be sent, outcomes with their payloads.

The law: *frames leave in the order in which they were made, and the outcomes of one input leave together*,
with its last, so that a worker that dies leaves none of them or all.
"""

from __future__ import annotations

import numpy as np

from lzr import flowrows
from lzr.flowindex import FlowIndex
from lzr.flowrows import Number, Rows, Slots
from lzr.flowstore import FlowStore, Wait
from lzr.plan import Plan
from lzr.rows import ACK, NO_PROBE, OUTCOME, SYN, Reason, join, pick
from lzr.shardflows import ShardFlows

_TUPLE = ("peer_hi", "peer_lo", "own_hi", "own_lo", "peer_port", "own_port")


class FlowOutput(FlowStore):
    """The frames and outcomes of a `FlowTable`."""

    def __init__(self, plan: Plan, capacity: int, index: FlowIndex | None) -> None:
        super().__init__(plan, capacity, index)
        self._bursts: list[Rows] = []
        self._outcomes: list[Rows] = []
        self._payloads: list[bytes] = []
        self._held: dict[int, list[tuple[Rows, bytes]]] = {}  # by slot, where every handshake was asked for

    def take_frames(self) -> list[Rows]:
        """Bursts of FRAME rows to send, in order; within a burst all agree in `probe` and in having SYN."""
        bursts, self._bursts = self._bursts, []
        return bursts

    @property
    def outcomes_waiting(self) -> int:
        """Rows that `take_outcomes` would give."""
        return sum(map(len, self._outcomes))

    def take_outcomes(self) -> tuple[Rows, bytes]:
        """OUTCOME rows and their payloads, one after the other."""
        if not self._outcomes:
            return np.empty(0, OUTCOME), b""
        rows, blob = join(self._outcomes), b"".join(self._payloads)
        self._outcomes, self._payloads = [], []
        return rows, blob

    # --- frames ----------------------------------------------------------------------------------------

    def _emit(self, slots: Slots, number: Number, flags: int) -> None:
        self._bursts.append(flowrows.send(self.rows, slots, number, flags, self.plan.seed)[0])

    def _emit_close(self, slots: Slots, reason: int) -> None:
        frames = flowrows.close(self.rows, slots, reason, self.plan.seed)
        if len(frames):
            self._bursts.append(frames)

    def _emit_syn(self, slots: Slots) -> None:
        self._emit(slots, Number.ISN, SYN)

    def _emit_probe(self, slots: Slots, flags: int, wait: Wait | None = None) -> None:
        """ACK with the probe of each flow's handshake, from its first byte. wait: the timer that is armed."""
        if len(self.plan.probes) == 1:
            groups = [(0, slots)]
        else:
            handshakes = self.rows["handshake"][slots]
            groups = [(int(h), slots[handshakes == h]) for h in np.flatnonzero(np.bincount(handshakes))]
        for handshake, group in groups:
            probe = self.plan.probes[handshake]
            carried, flag = (handshake, flags) if probe.parts else (NO_PROBE, ACK)
            frames, generations = flowrows.send(
                self.rows,
                group,
                Number.UNA,
                flag,
                self.plan.seed,
                carried,
                probe,
                arm=wait is not None,
            )
            self._bursts.append(frames)
            if wait is not None and generations is not None:
                self._timers[wait].push(self._now, group, generations)

    # --- outcomes --------------------------------------------------------------------------------------

    def _settle_duplicates(self, targets: Rows) -> None:
        outcome = np.zeros(len(targets), OUTCOME)
        for name in (*_TUPLE, "line", "ticket", "seq", "ack"):
            outcome[name] = targets[name]
        outcome["reason"], outcome["final"] = Reason.DUPLICATE, 1
        self._outcomes.append(outcome)

    def _hold(self, slots: Slots, outcomes: Rows, payloads: bytes) -> None:
        """The outcomes of one input leave together, with its last: a worker that dies leaves none or all."""
        start = 0
        for at, slot in enumerate(slots.tolist()):
            end = start + int(outcomes["data_len"][at])
            self._held.setdefault(slot, []).append((outcomes[at : at + 1], payloads[start:end]))
            start = end
            if outcomes["final"][at]:
                self._let_go(slot)

    def _let_go(self, slot: int) -> None:
        for outcome, payload in self._held.pop(slot):
            self._outcomes.append(outcome)
            self._payloads.append(payload)

    def extract(self, shard: int) -> ShardFlows:
        """Take the flows of `shard` out of this table; what they have brought so far is let go of here."""
        held = np.fromiter(self._held, np.int32, len(self._held))
        for slot in held[self._shards(pick(self.rows, held)) == shard].tolist():
            self._let_go(slot)
        return super().extract(shard)
