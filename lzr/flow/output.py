"""What leaves a flow table: frames to be sent, outcomes with their payloads.

Frames leave in the order in which they were made. The outcomes of one input leave together, with its last, so
that a worker that dies leaves none of them or all.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lzr.flow import tcp
from lzr.flow.store import FlowStore
from lzr.flow.tcp import Rows, Slots
from lzr.flow.timers import Timers, Wait
from lzr.rows import ACK, NO_PROBE, OUTCOME, SYN, Number, join

_SHORT = 512
"""Bytes of a payload that are kept even where memory is short. A judgement: banners and the beginnings of
replies, by which nearly every label is found, fit into it."""
_TUPLE = ("peer_hi", "peer_lo", "own_hi", "own_lo", "peer_port", "own_port")


class Output:
    """Frames and outcomes of the flows in `store`, until they are taken."""

    def __init__(self, store: FlowStore, timers: Timers) -> None:
        self._store = store
        self._timers = timers
        self._bursts: list[Rows] = []
        self._outcomes: list[Rows] = []
        self._payloads: list[bytes] = []
        self._held: dict[int, list[tuple[Rows, bytes]]] = {}  # by slot, where every handshake was asked for
        self.held_bytes = 0  # of payload in there

    def take_frames(self) -> list[Rows]:
        """Bursts of FRAME rows to send, in order; within a burst all agree in `probe` and in having SYN."""
        bursts, self._bursts = self._bursts, []
        return bursts

    @property
    def outcomes_waiting(self) -> int:
        """How many rows `take_outcomes` would give."""
        return sum(map(len, self._outcomes))

    def take_outcomes(self) -> tuple[Rows, bytes]:
        """OUTCOME rows, and their payloads one after the other."""
        if not self._outcomes:
            return np.empty(0, OUTCOME), b""
        rows, blob = join(self._outcomes), b"".join(self._payloads)
        self._outcomes, self._payloads = [], []
        return rows, blob

    # --- frames ----------------------------------------------------------------------------------------

    def send(self, slots: Slots, number: Number, flags: int) -> None:
        """Send a frame without payload for each flow."""
        self._bursts.append(tcp.send(self._store.rows, slots, number, flags, self._store.config.secrets)[0])

    def send_syn(self, slots: Slots) -> None:
        """Send a SYN for each flow, with its ISN."""
        self.send(slots, Number.ISN, SYN)

    def send_close(self, slots: Slots, reason: int) -> None:
        """Send RSTs for flows that have a connection. reason: the Reason why they end."""
        frames = tcp.close(self._store.rows, slots, reason, self._store.config.secrets)
        if len(frames):
            self._bursts.append(frames)

    def send_probe(self, slots: Slots, flags: int, now: int, wait: Wait | None = None) -> None:
        """Send ACKs with the whole probe of each flow's handshake. wait: the timer to arm, None for none."""
        rows, config = self._store.rows, self._store.config
        if len(config.probes) == 1:
            groups = [(0, slots)]
        else:
            handshakes = rows["handshake"][slots]
            groups = [(int(h), slots[handshakes == h]) for h in np.flatnonzero(np.bincount(handshakes))]
        for handshake, group in groups:
            probe = config.probes[handshake]
            carried, flag = (handshake, flags) if probe.parts else (NO_PROBE, ACK)
            frames, generations = tcp.send(
                rows, group, Number.UNA, flag, config.secrets, carried, probe, arm=wait is not None
            )
            self._bursts.append(frames)
            if wait is not None and generations is not None:
                self._timers.push(wait, group, generations, now)

    # --- outcomes --------------------------------------------------------------------------------------

    def unopened(self, targets: Rows, reason: int) -> None:
        """Make outcomes for TARGET rows that get no flow. reason: DUPLICATE, where the 4-tuple is in flight
        already; BLOCKED.
        """
        outcome = np.zeros(len(targets), OUTCOME)
        for name in (*_TUPLE, "line", "ticket", "seq", "ack"):
            outcome[name] = targets[name]
        outcome["reason"], outcome["final"] = reason, 1
        self._outcomes.append(outcome)

    def finish(
        self,
        slots: Slots,
        reason: int,
        lengths: NDArray[np.uint32] | None = None,
        payloads: bytes = b"",
        cut: NDArray[np.bool_] | None = None,
    ) -> None:
        """Close these flows, make their outcomes, free their rows.

        lengths: (n,), bytes of each flow's part of `payloads`; None where there are no payloads. cut: (n,)
        bool, True where more had come than is kept; None where nothing was cut.
        """
        store = self._store
        frames, outcomes = tcp.finish(store.rows, store.index, slots, reason, lengths, store.config.secrets)
        if len(frames):
            self._bursts.append(frames)
        if cut is not None:
            outcomes["cut"] = cut
        self._outcomes.append(outcomes)
        self._payloads.append(payloads)
        store.note_released(slots)

    def hold(
        self,
        slots: Slots,
        reason: int,
        lengths: NDArray[np.uint32],
        payloads: bytes,
        final: NDArray[np.bool_],
        cut: NDArray[np.bool_] | None = None,
    ) -> None:
        """Make outcomes that leave together with the last one of their input. final: (n,) bool, which are the
        last.
        """
        outcomes = tcp.outcome_rows(self._store.rows, slots, reason, lengths, final)
        if cut is not None:
            outcomes["cut"] = cut
        self.held_bytes += len(payloads)
        start = 0
        for at, slot in enumerate(slots.tolist()):
            end = start + int(outcomes["data_len"][at])
            self._held.setdefault(slot, []).append((outcomes[at : at + 1], payloads[start:end]))
            start = end
            if outcomes["final"][at]:
                self._let_go(slot)

    def shorten_held(self, excess: int) -> None:
        """Cut the longest payloads that are held, until `excess` bytes are freed or none exceeds `_SHORT`."""
        held = [(slot, at) for slot, outcomes in self._held.items() for at in range(len(outcomes))]
        held.sort(key=lambda place: len(self._held[place[0]][place[1]][1]), reverse=True)
        for slot, at in held:
            outcome, payload = self._held[slot][at]
            if excess <= 0 or len(payload) <= _SHORT:
                break
            excess -= len(payload) - _SHORT
            self.held_bytes -= len(payload) - _SHORT
            outcome["data_len"], outcome["cut"] = _SHORT, 1
            self._held[slot][at] = outcome, bytes(payload[:_SHORT])

    def let_go_of_shard(self, shard: int) -> None:
        """Release the outcomes held for flows of a shard now, as the shard is about to move."""
        held = np.fromiter(self._held, np.int32, len(self._held))
        for slot in held[self._store.shards(self._store.rows[held]) == shard].tolist():
            self._let_go(slot)

    def _let_go(self, slot: int) -> None:
        for outcome, payload in self._held.pop(slot):
            self.held_bytes -= len(payload)
            self._outcomes.append(outcome)
            self._payloads.append(payload)
