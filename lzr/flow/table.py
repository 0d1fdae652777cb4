"""The flows of one worker's shards: segments and timers in, frames and outcomes out. No socket, no clock.

The life of a flow, with handshakes h0..hk given by the user:

1. A SYN-ACK is there, from ZMap's line or in answer to our own SYN. Window 0: record it, end.
2. Send ACK carrying h0's bytes, without PSH; wait `retransmit_wait`.
3. Data arrives, in order: send RST, record it, end. A first segment too short to be judged may be followed by
   others for `settle` seconds first; each is acknowledged.
4. A bare ACK of our bytes: the service takes data but is silent, or its answer was lost. Wait `timeout`; with
   more than one retransmit also for as many repeats of the answer, which come the later the less the peer
   knows of the round trip (`Plan.patience`).
5. RST or FIN, or `retransmit_number` retransmits (with PSH) and `timeout` gone by: close with RST, go to the
   next handshake on a fresh source port: SYN, and from step 2. None left: record what was awaited, end.
6. Against ACKing firewalls (`haf` > 0): with the first bare ACK or beside the first follow-up, SYNs to `haf`
   random ephemeral ports of the host. Enough SYN-ACKs: the host answers everywhere, so record that, end.

Which of these happens is `machine.TRANSITIONS[state, trigger]`; this module raises the triggers and runs
the actions, each once over all flows of a batch that take it. A batch in which a flow has several segments
is taken in rounds, so order within a flow is kept.

A flow is a row of FLOW; its fields are the columns. Random choices (ports, ISNs, nonces) are drawn from
(seed, input line, handshake), so a seed fixes them whatever the timing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lzr.flow import columns, handover
from lzr.flow.ackfirewall import FirewallProbes
from lzr.flow.config import Plan
from lzr.flow.handover import ShardFlows
from lzr.flow.index import FlowIndex
from lzr.flow.machine import Action
from lzr.flow.output import Output
from lzr.flow.reassembly import Reassembly
from lzr.flow.store import FlowStore
from lzr.flow.timers import DELAY, RETRANSMIT, SETTLE, TIMEOUT, Timers
from lzr.layout import AGES
from lzr.packet.sharding import flow_key
from lzr.protocols import _firstreply
from lzr.rows import ACK, FIN, PSH, Doubt, Kind, Number, Reason, State, pick
from lzr.targets.blocklist import Blocklist

Rows = NDArray[Any]
Slots = NDArray[np.int32]
Mask = NDArray[np.bool_]

_MAX_ANSWERS = 32  # ACKs that a host gets for segments of a reply (docs/faults.md); then it is taken as it is
_PROMPT = 900  # ms within which a SYN-ACK is no repeated one (RFC 6298 §2.1: 1 s; clocks may be coarse)
_PORT, _ISN = 1, 1  # salts
_NONE = np.empty(0, np.int32)
# As plain numbers: to look a member of an enumeration up costs as much as a small batch.
_READY, _CLOSED, _OURS, _DUPLICATE = (int(kind) for kind in Kind)


class FlowTable:
    """The flows of all shards that one worker has. Call `open`, `receive`, `expire`; then `take_frames`,
    `take_outcomes`.

    store: the rows; timers: what each flow waits for; output: what is to leave; firewall_probes: the
    questions beside the handshakes; reassembly: replies that come in several segments.
    """

    def __init__(self, plan: Plan, capacity: int = 4096, index: FlowIndex | None = None) -> None:
        self.plan = plan
        self.store = FlowStore(plan, capacity, index)
        self.timers = Timers(self.store)
        self.output = Output(self.store, self.timers)
        self.firewall_probes = FirewallProbes(self.store, self.timers, self.output)
        self.reassembly = Reassembly(plan.max_data)
        self.fresh = 0  # flows whose first packet on a connection is out and has brought nothing yet
        self.silent = 0  # fresh flows that have been waited for in vain, since the start
        self.ages = np.zeros(AGES, np.int64)  # of first answers, see `columns.note_ages`
        self.retransmits = 0
        self.ignored = {"stray": 0, "out_of_turn": 0}
        self.hear: Callable[[Rows], int] | None = None
        """Takes segments of no flow, in a sweep; how many of them it knows what to do with."""
        self._now = 0
        self._buffer = memoryview(b"")
        self._met = _NONE  # slots of the flows of this round
        self._doubts = False  # whether any flow here ever was in doubt: spares the others the question
        self._actions: dict[Action, Callable[[Slots, Rows | None], None]] = {
            Action.COUNT_PROBE: lambda slots, _: self._condemn(self.firewall_probes.count(slots)),
            Action.DROP_PROBE: lambda slots, _: self.firewall_probes.drop(slots),
            Action.SEND_PROBE_DATA: self._send_probe_data,
            Action.REFUSE_WINDOW: self._refuse_window,
            Action.NOTE_ACK: self._note_ack,
            Action.TAKE_DATA: self._take_data,
            Action.KEEP_EARLY: self._keep_early,
            Action.REPEAT: self._repeat,
            Action.GIVE_UP_FIN: self._give_up_fin,
            Action.GIVE_UP_RST: lambda slots, _: self._give_up(slots, Reason.RST),
            Action.GIVE_UP_SILENT: lambda slots, _: self._give_up(slots, Reason.SILENT),
            Action.GIVE_UP_SYN: lambda slots, _: self._give_up(slots, Reason.NO_SYN_ACK),
            Action.GIVE_UP_REFUSED: lambda slots, _: self._give_up(slots, Reason.RST),
            Action.FINISH_DATA: lambda slots, _: self._finish_parts(slots),
            Action.RETRANSMIT: self._retransmit,
            Action.RETRANSMIT_SYN: self._retransmit_syn,
            Action.OPEN: lambda slots, _: self._send_syn(slots),
        }

    # --- what it holds ---------------------------------------------------------------------------------

    @property
    def rows(self) -> Rows:
        """(capacity,) FLOW; another array after the table has grown."""
        return self.store.rows

    @property
    def index(self) -> FlowIndex:
        return self.store.index

    @property
    def in_flight(self) -> int:
        """Flows that have not ended; probes for firewalls are not counted."""
        return self.store.in_flight

    @property
    def next_due(self) -> int | None:
        """When `expire` has something to do next (monotonic ns)."""
        return self.timers.next_due

    # --- what goes out ---------------------------------------------------------------------------------

    def take_frames(self) -> list[Rows]:
        """Bursts of FRAME rows to send, in order; within a burst all agree in `probe` and in having SYN."""
        return self.output.take_frames()

    def take_outcomes(self) -> tuple[Rows, bytes]:
        """OUTCOME rows and their payloads, one after the other."""
        return self.output.take_outcomes()

    def extract(self, shard: int) -> ShardFlows:
        """Take the flows of `shard` out of this table; outcomes that are held for them leave from here."""
        self.output.let_go_of_shard(shard)
        state = handover.extract(shard, self.store, self.timers, self.firewall_probes, self.reassembly)
        self.fresh = columns.count_fresh(self.rows)
        return state

    def adopt(self, state: ShardFlows) -> None:
        """Take over what another table's `extract` gave."""
        handover.adopt(state, self.store, self.timers, self.firewall_probes, self.reassembly)
        self._doubts |= bool(state.flows["doubt"].any())
        self.fresh = columns.count_fresh(self.rows)

    # --- what comes in ---------------------------------------------------------------------------------

    def open(self, targets: Rows, now: int, wall: int = 0) -> None:
        """Start flows for TARGET rows. A 4-tuple that is in flight already ends as a DUPLICATE outcome.

        now: monotonic ns; wall: ns since the epoch, the time stamp of flows that never answer.
        """
        self._now = now
        plan = self.plan
        slots = self.store.allocate(len(targets))
        kinds, (ready, closed, ours, duplicates, doubtful) = columns.open_rows(
            self.rows, self.index, targets, slots, plan.secrets, wall
        )
        if duplicates:
            refused = kinds == _DUPLICATE
            self.output.unopened(pick(targets, refused), Reason.DUPLICATE)
            self.store.give_back(slots[refused])
        self._doubts |= doubtful > 0
        if plan.orders is not None:
            self.rows["handshake"][slots] = plan.orders.first(self.rows["peer_port"][slots])
        self.store.in_flight += len(slots) - duplicates
        self.firewall_probes.begin(slots)
        if ours:
            self._send_syn(slots if ours == len(slots) else slots[kinds == _OURS])
        if closed:
            self._finish(slots[kinds == _CLOSED], self._refused)
        if ready:
            self._send_first(slots if ready == len(slots) else slots[kinds == _READY])
        self.store.end_of_call()

    def receive(self, segments: Rows, buffer: Any, now: int) -> None:
        """Act on SEGMENT rows, in order; their payloads are in `buffer` (bytes-like) until this returns."""
        self._now = now
        self._buffer = memoryview(buffer)
        keys = flow_key(segments, self.plan.secrets.index)
        slots = self.index.find(keys)
        known = slots >= 0
        if not known.all():
            strays = int(len(slots) - np.count_nonzero(known))
            if self.hear is not None:
                strays -= self.hear(pick(segments, ~known))
            self.ignored["stray"] += strays
            segments, keys, slots = pick(segments, known), keys[known], slots[known]
        todo = np.arange(len(slots), dtype=np.int32)
        while len(todo):
            live, actions, todo, ignored, fresh = columns.step(
                self.rows, segments, keys, slots, todo, self.ages
            )
            self.ignored["out_of_turn"] += ignored
            self.fresh -= fresh
            if len(live):
                self._met = slots[live]
                self._dispatch(self._met, pick(segments, live), actions)
        self._met = _NONE
        self._buffer = memoryview(b"")
        self._stay_within()
        self.store.end_of_call()

    def expire(self, now: int, most: int = 1 << 31) -> None:
        """Act on the timers due at `now`, at most `most` of each kind: what they send brings answers."""
        self._now = now
        for wait, queue in self.timers.queues():
            due = queue.pop(now, most)
            if due is None:
                continue
            slots, actions, silent = columns.due(self.rows, *due, wait.trigger)
            if len(slots):
                self.fresh -= silent
                self.silent += silent
                self._dispatch(slots, None, actions)
        self.store.end_of_call()

    def refuse(self, frames: Rows) -> None:
        """End the flows of frames that this host's firewall does not let out, with the reason SEND_REFUSED.

        frames: SEGMENT rows of what was to be sent, so `peer` is our own address.
        """
        rows = frames.copy()
        for one, other in (("peer_hi", "own_hi"), ("peer_lo", "own_lo"), ("peer_port", "own_port")):
            rows[one], rows[other] = frames[other], frames[one]
        slots = np.unique(self.index.find(flow_key(rows, self.plan.secrets.index)))
        slots = slots[slots >= 0].astype(np.int32)
        asking = self.rows["state"][slots] == State.PROBE
        self.firewall_probes.drop(slots[asking])
        slots = slots[~asking]
        self.fresh -= columns.count_fresh(pick(self.rows, slots))
        self._finish(slots, Reason.SEND_REFUSED)
        self.store.end_of_call()

    def block(self, policy: Blocklist) -> None:
        """End the flows of hosts that may not be contacted any more: with what has come of a reply, else with
        the reason BLOCKED. What is left to be sent to them is for who sends it to hold back.
        """
        slots = np.flatnonzero(self.rows["state"] != State.FREE).astype(np.int32)
        rows = pick(self.rows, slots)
        slots = slots[~policy.allowed(rows["peer_hi"], rows["peer_lo"])]
        states = self.rows["state"][slots]
        self.firewall_probes.drop(slots[states == State.PROBE])
        self._finish_parts(slots[states == State.SETTLING])
        slots = slots[(states != State.PROBE) & (states != State.SETTLING)]
        self.fresh -= columns.count_fresh(pick(self.rows, slots))
        recorded = self.rows["kept"][slots] != 0  # another handshake's data is their record
        self._finish(slots[recorded], Reason.SILENT)
        self._finish(slots[~recorded], Reason.BLOCKED)
        self.store.end_of_call()

    # --- one round -------------------------------------------------------------------------------------

    def _dispatch(self, slots: Slots, segments: Rows | None, actions: NDArray[np.uint8]) -> None:
        present = np.flatnonzero(np.bincount(actions))
        if len(present) == 1:
            if present[0]:
                self._actions[Action(int(present[0]))](slots, segments)
            return
        for action in present.tolist():
            if not action:
                continue
            chosen = np.flatnonzero(actions == action)
            if present[0] <= Action.COUNT_PROBE:  # a verdict on the firewall may have ended the flow
                chosen = chosen[self.rows["state"][slots[chosen]] != State.FREE]
            if len(chosen):
                theirs = None if segments is None else pick(segments, chosen)
                self._actions[Action(action)](slots[chosen], theirs)

    # --- actions ---------------------------------------------------------------------------------------

    def _send_syn(self, slots: Slots) -> None:
        self.rows["state"][slots] = State.SYN_SENT
        if self.plan.retransmit_number > 1:
            self.rows["syn_ms"][slots] = self._milliseconds
        self.output.send_syn(slots)
        self.fresh += len(slots)
        self.timers.arm_retransmit(slots, self._now)

    def _send_probe_data(self, slots: Slots, segments: Rows | None) -> None:
        assert segments is not None
        self.rows["rcv"][slots] = segments["seq"] + np.uint32(1)
        self.rows["state"][slots] = State.DATA_SENT
        if self.plan.retransmit_number > 1:
            waited = self._milliseconds - self.rows["syn_ms"][slots]
            self.rows["measured"][slots] = (waited < _PROMPT) & (self.rows["counter"][slots] == 0)
        self.rows["counter"][slots] = 0
        self._send_first(slots)

    def _refuse_window(self, slots: Slots, segments: Rows | None) -> None:
        assert segments is not None
        self.rows["rcv"][slots] = segments["seq"] + np.uint32(1)
        self._finish(slots, self._refused)

    @property
    def _refused(self) -> int:
        """Why a flow ends whose SYN-ACK announces no window: a port scan would have sent nothing."""
        return Reason.ZERO_WINDOW if self.plan.probes else Reason.SA_ONLY

    def _send_first(self, slots: Slots) -> None:
        """The ACK that completes the handshake, with the probe unless only PSH may carry it."""
        if not self.plan.probes:
            self._finish(slots, Reason.SA_ONLY)
            return
        self.fresh += len(slots)
        if self.plan.push_data_only:
            self.output.send(slots, Number.UNA, ACK)
            self.timers.arm_retransmit(slots, self._now)
        else:
            self.output.send_probe(
                slots, ACK, self._now, RETRANSMIT if self.plan.retransmit_number else TIMEOUT
            )

    def _note_ack(self, slots: Slots, segments: Rows | None) -> None:
        self.rows["state"][slots] = State.ACKED
        self.timers.arm_retransmit(slots, self._now)
        self.firewall_probes.ask(slots, self._now)

    def _retransmit(self, slots: Slots, segments: Rows | None) -> None:
        self.retransmits += len(slots)
        self.rows["counter"][slots] += 1
        self.output.send_probe(slots, ACK | PSH, self._now)
        self.timers.arm_retransmit(slots, self._now)

    def _repeat(self, slots: Slots, segments: Rows | None) -> None:
        """The peer repeats its SYN-ACK: our ACK and what it carried were lost.

        At once, instead of a retransmit that would have been due later: whatever the peer repeats, it gets
        as many probes as were asked for.
        """
        counted = "answers" if self.plan.push_data_only else "counter"  # those carry no probe
        slots = slots[self.rows[counted][slots] < self.plan.retransmit_number]
        if not len(slots):
            return
        self.retransmits += len(slots)
        if self.plan.push_data_only:
            self.rows["answers"][slots] += 1
            self.output.send(slots, Number.UNA, ACK)
        else:
            self.fresh -= columns.count_fresh(pick(self.rows, slots))
            self.rows["counter"][slots] += 1
            self.output.send_probe(slots, ACK, self._now)
            self.timers.arm_retransmit(slots, self._now)

    def _retransmit_syn(self, slots: Slots, segments: Rows | None) -> None:
        self.retransmits += len(slots)
        self.rows["counter"][slots] += 1
        self.output.send_syn(slots)
        self.timers.arm_retransmit(slots, self._now)

    def _take_data(self, slots: Slots, segments: Rows | None) -> None:
        assert segments is not None
        start, length, done = columns.take_data(
            self.rows, slots, segments, self._buffer, _firstreply.ENOUGH, _firstreply.LINE
        )
        if self.reassembly:
            done &= np.fromiter((slot not in self.reassembly for slot in slots.tolist()), bool, len(slots))
        if done.all():
            self._finish_whole(slots, start, length)
            return
        if done.any():
            self._finish_whole(slots[done], start[done], length[done])
        rest = np.flatnonzero(~done)
        fin = segments["flags"][rest] & FIN != 0
        self._take_part(slots[rest], start[rest], start[rest] + length[rest], fin)

    def _finish_whole(self, slots: Slots, start: Rows, length: Rows) -> None:
        """End flows whose first segment is enough; start, length: (n,) where its data is in the buffer."""
        most = self.plan.max_data
        cut = None
        if int(length.max()) > most:
            cut, length = length > most, np.minimum(length, np.uint32(most))
        self._finish(slots, Reason.DATA, length, columns.gather(self._buffer, start, length), cut)

    def _take_part(self, slots: Slots, start: Rows, end: Rows, fin: Mask) -> None:
        """Keep segments of replies, acknowledge them, and wait for more unless the reply is enough by now."""
        complete = fin.copy()
        awaited = self.rows["rcv"][slots]
        spans = zip(slots.tolist(), start.tolist(), end.tolist(), strict=True)
        for at, (slot, a, b) in enumerate(spans):
            held, moved = self.reassembly.append(slot, int(awaited[at]), bytes(self._buffer[a:b]))
            awaited[at] = int(awaited[at]) + moved & 0xFFFFFFFF
            complete[at] |= _firstreply.complete(held)
        self.rows["rcv"][slots] = awaited
        self.rows["answers"][slots] += 1
        complete |= self.rows["answers"][slots] >= _MAX_ANSWERS
        if complete.any():
            self._finish_parts(slots[complete])
        waiting = slots[~complete]
        if len(waiting):
            self.output.send(waiting, Number.NXT, ACK)
            self.rows["state"][waiting] = State.SETTLING
            self.timers.arm(SETTLE, waiting, self._now)

    def _keep_early(self, slots: Slots, segments: Rows | None) -> None:
        """Data beyond a gap: the acknowledgement of what we have makes the peer send the rest again."""
        assert segments is not None
        fields = (segments[name].tolist() for name in ("seq", "data_at", "data_len"))
        for slot, sequence, start, length in zip(slots.tolist(), *fields, strict=True):
            self.reassembly.keep_early(slot, sequence, bytes(self._buffer[start : start + length]))
        slots = slots[self.rows["answers"][slots] < _MAX_ANSWERS]  # no more than so many answers
        if len(slots):
            self.rows["answers"][slots] += 1
            self.output.send(slots, Number.NXT, ACK)

    def _finish_parts(self, slots: Slots, *, early: bool = False) -> None:
        """End flows with what has come of their replies. early: before `settle` was over, for want of
        memory."""
        payloads = [self.reassembly.take(slot) for slot in slots.tolist()]
        lengths = np.fromiter(map(len, payloads), np.uint32, len(payloads))
        most = self.plan.max_data
        cut = (lengths > most) | early
        joined = b"".join([payload[:most] for payload in payloads])
        self._finish(slots, Reason.DATA, np.minimum(lengths, np.uint32(most)), joined, cut)

    def _stay_within(self) -> None:
        """Where flows hold more memory than `most_held`, end those that hold most with what they have.

        This frees a quarter at once, so that the search is not made for every segment. Segments beyond a gap
        are dropped: the peer sends them again.
        """
        excess = self.reassembly.cost + self.output.held_bytes - self.plan.most_held
        if excess <= 0:
            return
        excess += self.plan.most_held // 4
        if self.output.held_bytes:
            self.output.shorten_held(excess)
            excess = self.reassembly.cost + self.output.held_bytes - self.plan.most_held
            if excess <= 0:
                return
        begun, early = self.reassembly.largest(excess)
        self.reassembly.forget(early)
        if begun:
            self._finish_parts(np.array(begun, np.int32), early=True)

    def _give_up_fin(self, slots: Slots, segments: Rows | None) -> None:
        self.rows["rcv"][slots] += np.uint32(1)  # a FIN takes a sequence number
        self._give_up(slots, Reason.FIN)

    def _give_up(self, slots: Slots, reason: int) -> None:
        """Go on to the next handshake, as this one brought nothing; after the last, end with `reason`."""
        rows = self.rows
        if self._doubts and reason == Reason.RST:
            slots = self._reopen(slots)
        if self._doubts and reason == Reason.NO_SYN_ACK:
            refused = rows["doubt"][slots] == Doubt.REOPENED
            self._give_up(slots[refused], Reason.RST)  # so the RST was the service's own
            slots = slots[~refused]
        if not len(slots):
            return
        if self.firewall_probes.wanted:
            firewall = self.firewall_probes.condemns(slots)
            if firewall.any():
                self._finish(slots[firewall], Reason.FIREWALL)
                slots = slots[~firewall]
        if len(self.plan.probes) == 1:
            self._finish(slots, reason)
            return
        first_syn = (rows["state"][slots] == State.SYN_SENT) & self.store.at_first(slots)
        more = self.store.has_another(slots) & ~first_syn
        if not more.all():
            self._finish(slots[~more], reason)
        if more.any():
            if reason != Reason.RST:
                self.output.send_close(slots[more], reason)
            self._follow_up(slots[more])

    def _finish(
        self,
        slots: Slots,
        reason: int,
        lengths: NDArray[np.uint32] | None = None,
        payloads: bytes = b"",
        cut: Mask | None = None,
    ) -> None:
        """Close, make the outcome, and free the row (or go on, where every handshake was asked for).

        lengths: of each flow's part of `payloads`. cut: whether that is not all that came.
        """
        if not len(slots):
            return
        if self.reassembly:
            self.reassembly.forget(slots.tolist())
        if self.plan.force_all_handshakes:
            self._finish_some(slots, reason, lengths, payloads, cut)
            return
        self.output.finish(slots, reason, lengths, payloads, cut)

    def _finish_some(
        self,
        slots: Slots,
        reason: int,
        lengths: NDArray[np.uint32] | None,
        payloads: bytes,
        cut: Mask | None,
    ) -> None:
        """The same where every handshake was asked for."""
        if reason not in (Reason.RST, Reason.NO_SYN_ACK, Reason.SEND_REFUSED, Reason.BLOCKED):
            self.output.send_close(slots, reason)
        final = np.ones(len(slots), bool)
        if reason == Reason.DATA:
            final = ~self.store.has_another(slots)
        if lengths is None:
            lengths = np.zeros(len(slots), np.uint32)
        self.output.hold(slots, reason, lengths, payloads, final, cut)
        if final.all():
            self.store.release(slots)
            return
        self.store.release(slots[final])
        going = slots[~final]
        self.rows["kept"][going] = 1
        self._follow_up(going)

    def _condemn(self, slots: Slots) -> None:
        """End flows whose hosts answer on every port, as ACKing firewalls."""
        if len(slots):
            unmet = slots[~np.isin(slots, self._met)]  # the others have shown a sign of life by now
            self.fresh -= columns.count_fresh(pick(self.rows, unmet))
            self._finish(slots, Reason.FIREWALL)

    def _reopen(self, slots: Slots) -> Slots:
        """Open connections anew that our own kernel may have reset; returns the slots of all others."""
        doubtful = self.rows["doubt"][slots] == Doubt.HALF_OPEN
        again = slots[doubtful]
        if len(again):
            self.rows["doubt"][again] = Doubt.REOPENED
            self._send_syn(self._reconnect(again))
        rest: Slots = slots[~doubtful]
        return rest

    def _follow_up(self, slots: Slots) -> None:
        """Begin the next handshake, on a new connection."""
        if self.plan.orders is None:
            self.rows["handshake"][slots] += 1
        else:
            self.rows["handshake"][slots] = self.store.following(slots)
        self.rows["doubt"][slots] = Doubt.NONE  # it was about the first connection
        slots = self._reconnect(slots)
        self.firewall_probes.ask(slots, self._now)  # may grow the table
        if self.plan.probe_delay > 0:
            self.rows["state"][slots] = State.DELAYED
            self.timers.arm(DELAY, slots, self._now)
        else:
            self._send_syn(slots)

    def _reconnect(self, slots: Slots) -> Slots:
        """A fresh source port that the same shard owns, a fresh ISN. Returns those that got one.

        The others end: no port of ours is free for their hosts.
        """
        rows = self.rows
        if self.reassembly:
            self.reassembly.forget(slots.tolist())
        flows = pick(rows, slots)
        number = flows["line"] * np.uint64(256) + flows["handshake"]
        chosen = self.store.choose_ports(flows, slots, self.store.shards(flows), number, _PORT)
        if not chosen.all():
            lost = slots[~chosen]
            rows["state"][lost] = State.SYN_SENT  # what is awaited from now on
            self._finish(lost, Reason.NO_SYN_ACK)
            flows, slots, number = flows[chosen], slots[chosen], number[chosen]
        self.index.remove(rows["key"][slots])
        for name in ("own_port", "key"):
            rows[name][slots] = flows[name]
        for name in ("counter", "answers"):
            rows[name][slots] = 0
        isn = columns.isn(flows, number, _ISN, self.plan.secrets)
        rows["una"][slots] = isn + np.uint32(1)
        rows["nxt"][slots] = isn + np.uint32(1)
        return slots

    @property
    def _milliseconds(self) -> np.uint32:
        """Of the monotonic clock, mod 2^32."""
        return np.uint32(self._now // 1_000_000 & 0xFFFFFFFF)
