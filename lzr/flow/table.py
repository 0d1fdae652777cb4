"""The flows of one worker's shards: segments and timers in, frames and outcomes out. No socket, no clock.

The life of a flow, with handshakes h0..hk given by the user:

1. A SYN-ACK is there, from ZMap's line or in answer to our own SYN. Window 0: record it, end.
2. Send ACK carrying h0's bytes, without PSH; wait `retransmit_wait`.
3. Data arrives, in order: send RST, record it, end. A first segment too short to be judged may be followed by
   others for `settle` seconds first; each is acknowledged.
4. A bare ACK of our bytes: the service takes data but is silent, or its answer was lost. Wait `timeout`; with
   more than one retransmit also as long as the peer needs to repeat its answer (`FlowConfig.patience`).
5. RST or FIN, or `retransmit_number` retransmits (with PSH) and `timeout` gone by: close with RST, go to the
   next handshake on a fresh source port: SYN, and from step 2. None left: record what was awaited, end.
6. Against ACKing firewalls (`haf` > 0): with the first bare ACK or beside the first follow-up, SYNs to `haf`
   random ephemeral ports of the host. Enough SYN-ACKs: the host answers everywhere, so record that, end. In a
   sweep of many ports also where many ports of a host have answered.

Which of these happens is `machine.TRANSITIONS[state, trigger]`; this module raises the triggers and runs
the actions, each once over all flows of a batch that take it: they are steps of `lzr.flow.connections` and
`lzr.flow.replies`. A batch in which a flow has several segments is taken in rounds, so that order within a
flow is kept.

A flow is a row of FLOW; its fields are the columns. Random choices (ports, ISNs, nonces) are drawn from
(seed, input line, handshake), so a seed fixes them whatever the timing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lzr.flow import handover, tcp
from lzr.flow.ackfirewall import FirewallChecks
from lzr.flow.config import FlowConfig
from lzr.flow.connections import Connections
from lzr.flow.handover import ShardFlows
from lzr.flow.index import FlowIndex
from lzr.flow.machine import FlowAction
from lzr.flow.output import Output
from lzr.flow.reassembly import Reassembly
from lzr.flow.replies import Replies
from lzr.flow.store import FlowStore
from lzr.flow.tcp import Rows, Slots
from lzr.flow.timers import RETRANSMIT, Timers
from lzr.layout import AGES
from lzr.packet.sharding import flow_key
from lzr.rows import FirstStep, FlowState, Reason, distinct, pick
from lzr.targets.blocklist import Blocklist

_NONE = np.empty(0, np.int32)
# As plain numbers: to look a member of an enumeration up costs as much as a small batch.
_READY, _ZERO_WINDOW, _OURS, _DUPLICATE = (int(step) for step in FirstStep)
_COUNT_FIREWALL_CHECK = int(FlowAction.COUNT_FIREWALL_CHECK)
_MOST_SENT = 254  # packets that a flow has sent again, as a byte counts them: it is not asked once more


class FlowTable:
    """The flows of all shards that one worker has. Call `open`, `receive`, `expire`; then `take_frames`,
    `take_outcomes`.

    store: the rows; timers: what each flow waits for; output: frames and outcomes to be taken;
    firewall_checks: SYNs that look for ACKing firewalls; reassembly: replies that come in several segments;
    connections, replies: the steps of a flow's life.
    """

    def __init__(self, config: FlowConfig, capacity: int = 4096, index: FlowIndex | None = None) -> None:
        self.config = config
        self.store = FlowStore(config, capacity, index)
        self.timers = Timers(self.store)
        self.output = Output(self.store, self.timers)
        self.firewall_checks = FirewallChecks(self.store, self.timers, self.output)
        self.reassembly = Reassembly(config.max_data)
        self.connections = Connections(
            self.store, self.timers, self.output, self.firewall_checks, self.reassembly
        )
        self.replies = Replies(self.store, self.timers, self.output, self.reassembly, self.connections)
        self.silent = 0
        """Fresh flows that have been waited for in vain, since the start."""
        self.ages = np.zeros(AGES, np.int64)
        """Of first answers, see `tcp.note_ages`."""
        self.ignored = {"stray": 0, "out_of_turn": 0}
        self.hear: Callable[[Rows], int] | None = None
        """Takes segments of no flow, in a sweep; how many of them it knows what to do with. Set by
        `FlowEngine.sweep`, to what asks `Sweeper.hear`."""
        self._now = 0
        self._buffer = memoryview(b"")
        self._met = _NONE  # slots of the flows of this round
        self._actions = self._made_actions()

    def _made_actions(self) -> dict[int, Callable[[Slots, Any], None]]:
        """By action, as a plain number, the function that performs it: called with the slots of the flows and
        the segment of each.
        """
        connections, replies, checks = self.connections, self.replies, self.firewall_checks

        def give_up(reason: int) -> Callable[[Slots, Any], None]:
            return lambda slots, _: connections.give_up(slots, reason, self._now)

        return {
            FlowAction.COUNT_FIREWALL_CHECK: lambda slots, _: connections.end_firewalled(
                checks.count(slots), self._met, self._now
            ),
            FlowAction.DROP_FIREWALL_CHECK: lambda slots, _: checks.drop(slots),
            FlowAction.SEND_PROBE_DATA: lambda slots, segments: connections.accept(
                slots, segments, self._now
            ),
            FlowAction.REFUSE_WINDOW: lambda slots, segments: connections.refuse_window(
                slots, segments, self._now
            ),
            FlowAction.NOTE_ACK: lambda slots, _: connections.note_ack(slots, self._now),
            FlowAction.TAKE_DATA: lambda slots, segments: replies.take_data(
                slots, segments, self._buffer, self._now
            ),
            FlowAction.KEEP_EARLY: lambda slots, segments: replies.keep_early(slots, segments, self._buffer),
            FlowAction.REPEAT: lambda slots, _: connections.repeat(slots, self._now),
            FlowAction.GIVE_UP_FIN: lambda slots, _: connections.give_up_fin(slots, self._now),
            FlowAction.GIVE_UP_RST: give_up(Reason.RST),
            FlowAction.GIVE_UP_SILENT: give_up(Reason.SILENT),
            FlowAction.GIVE_UP_SYN: give_up(Reason.NO_SYN_ACK),
            FlowAction.GIVE_UP_REFUSED: give_up(Reason.RST),
            FlowAction.FINISH_DATA: lambda slots, _: replies.finish_parts(slots, self._now),
            FlowAction.RETRANSMIT: lambda slots, _: connections.retransmit(slots, self._now),
            FlowAction.RETRANSMIT_SYN: lambda slots, _: connections.retransmit_syn(slots, self._now),
            FlowAction.OPEN: lambda slots, _: connections.send_syn(slots, self._now),
        }

    # --- what it holds ---------------------------------------------------------------------------------

    @property
    def rows(self) -> Rows:
        """(capacity,) FLOW; another array after the table has grown."""
        return self.store.rows

    @property
    def index(self) -> FlowIndex:
        """The index from 4-tuples to rows."""
        return self.store.index

    @property
    def in_flight(self) -> int:
        """Flows that have not ended; checks for firewalls are not counted."""
        return self.store.in_flight

    @property
    def fresh(self) -> int:
        """Flows that have sent their first packet on a connection and have had no packet back."""
        return self.connections.fresh

    @property
    def retransmits(self) -> int:
        """How many segments were sent again."""
        return self.connections.retransmits

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
        """Take the flows of `shard` out of this table; outcomes that are held for them leave with
        `take_outcomes`.
        """
        self.output.let_go_of_shard(shard)
        state = handover.extract(shard, self.store, self.timers, self.firewall_checks, self.reassembly)
        self.connections.count_fresh()
        return state

    def adopt(self, state: ShardFlows) -> None:
        """Put in flows that another table's `extract` gave."""
        handover.adopt(state, self.store, self.timers, self.firewall_checks, self.reassembly)
        self.connections.doubts |= bool(state.flows["doubt"].any())
        self.connections.count_fresh()

    # --- what comes in ---------------------------------------------------------------------------------

    def open(self, targets: Rows, now: int, wall: int = 0) -> None:
        """Start flows for TARGET rows. A 4-tuple that is in flight already ends as a DUPLICATE outcome.

        now: monotonic ns; wall: ns since the epoch, the time stamp of flows that never answer.
        """
        self._now = now
        config, connections = self.config, self.connections
        slots = self.store.allocate(len(targets))
        steps, (ready, no_window, ours, duplicates, doubtful) = tcp.open_rows(
            self.rows, self.index, targets, slots, config.secrets, wall
        )
        if duplicates:
            refused = steps == _DUPLICATE
            self.output.unopened(pick(targets, refused), Reason.DUPLICATE)
            self.store.give_back(slots[refused])
        self.connections.doubts |= doubtful > 0
        if config.handshake_orders is not None:
            self.rows["handshake"][slots] = config.handshake_orders.first(self.rows["peer_port"][slots])
        self.store.in_flight += len(slots) - duplicates
        if self.firewall_checks.wanted:
            self.firewall_checks.begin(slots)
            self.firewall_checks.note_answered(slots[steps != _DUPLICATE] if duplicates else slots, now)
        if ours:
            connections.send_syn(slots if ours == len(slots) else slots[steps == _OURS], now)
        if no_window:
            connections.finish(slots[steps == _ZERO_WINDOW], connections.zero_window_reason, now)
        if ready:
            begun = slots if ready == len(slots) else slots[steps == _READY]
            if len(begun := self._without_firewalls(begun, now)):
                connections.send_first(begun, now)
        self.store.end_of_call()

    def _without_firewalls(self, slots: Slots, now: int) -> Slots:
        """In a sweep, end flows to hosts that are known to be ACKing firewalls, before anything is asked of
        them; returns the slots of the others.
        """
        if self.hear is None or not self.firewall_checks.wanted:
            return slots
        known = self.firewall_checks.known(pick(self.rows, slots))
        if not known.any():
            return slots
        self.connections.finish(slots[known], Reason.FIREWALL, now)
        return np.asarray(slots[~known], np.int32)

    def receive(self, segments: Rows, buffer: Any, now: int) -> None:
        """Act on SEGMENT rows, in order; their payloads are in `buffer` (bytes-like) until this returns."""
        self._now = now
        self._buffer = memoryview(buffer)
        keys = flow_key(segments, self.config.secrets.index)
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
            live, actions, todo, ignored, fresh = tcp.step(self.rows, segments, keys, slots, todo, self.ages)
            self.ignored["out_of_turn"] += ignored
            self.connections.fresh -= fresh
            if len(live):
                self._met = slots[live]
                self._dispatch(self._met, pick(segments, live), actions)
        self._met = _NONE
        self._buffer = memoryview(b"")
        self.replies.stay_within(now)
        self.store.end_of_call()

    def expire(self, now: int, most: int = 1 << 31) -> None:
        """Act on the timers due at `now`: at most `most` of each kind, since the packets they send bring
        answers.
        """
        self._now = now
        for wait, queue in self.timers.queues():
            due = queue.pop(now, most)
            if due is None:
                continue
            slots, actions, silent = tcp.due(self.rows, *due, wait.trigger)
            if len(slots):
                self.connections.fresh -= silent
                self.silent += silent
                self._dispatch(slots, None, actions)
        self.store.end_of_call()

    def refuse(self, frames: Rows) -> None:
        """End the flows of frames that this host's own firewall does not let out, with the reason
        SEND_REFUSED.

        frames: SEGMENT rows parsed from our own frames, so their `peer` is our address.
        """
        rows = frames.copy()
        for one, other in (("peer_hi", "own_hi"), ("peer_lo", "own_lo"), ("peer_port", "own_port")):
            rows[one], rows[other] = frames[other], frames[one]
        slots = distinct(self.index.find(flow_key(rows, self.config.secrets.index)))
        slots = slots[slots >= 0].astype(np.int32)
        asking = self.rows["state"][slots] == FlowState.FIREWALL_CHECK
        self.firewall_checks.drop(slots[asking])
        slots = slots[~asking]
        self.connections.forget_fresh(slots)
        self.connections.finish(slots, Reason.SEND_REFUSED, self._now)
        self.store.end_of_call()

    def ask_again(self, shards: Collection[int], now: int, wall: int) -> int:
        """Frames found no room in the receive rings of these shards, and answers may have been among them:
        give the flows that have sent their last packet another try, unless they are about to send one.

        One that has waited for `FlowConfig.longest` gets none, so that each ends at some time. Nor does any
        where no packet may be sent again. Returns of how many flows an answer may be lost therefore.
        """
        states, repeats = self.rows["state"], self.config.repeats
        waiting = (states == FlowState.SYN_SENT) | (states == FlowState.DATA_SENT)
        slots = np.flatnonzero(waiting & (self.rows["counter"] >= repeats)).astype(np.int32)
        flows = pick(self.rows, slots)
        theirs = np.isin(self.store.shards(flows), list(shards), kind="table")
        theirs &= ~self.timers.are_waiting(RETRANSMIT, slots)
        slots, flows = slots[theirs], pick(flows, theirs)
        longest = min(round(self.config.longest * 1e9), wall)  # with the greatest -rn and -rt: millennia
        late = flows["ts"] < np.uint64(wall - longest)
        late |= (repeats == 0) | (flows["counter"] >= _MOST_SENT)
        self.connections.ask_again(slots[~late], now)
        return int(np.count_nonzero(late))

    def step_clock(self, by: int) -> None:
        """The clock of the time stamps was set, by so many ns: set those of the flows alike. Else each would
        seem to have waited for so much longer.
        """
        used = self.rows["state"] != FlowState.FREE
        stamps = self.rows["ts"][used].astype(np.int64) + by
        self.rows["ts"][used] = np.maximum(stamps, 0).astype(np.uint64)

    def block(self, policy: Blocklist) -> None:
        """End the flows of hosts that may no longer be contacted: with the part of a reply that has come,
        else with the reason BLOCKED. Frames that were already taken have to be held back by the caller.
        """
        slots = np.flatnonzero(self.rows["state"] != FlowState.FREE).astype(np.int32)
        rows = pick(self.rows, slots)
        slots = slots[~policy.allowed(rows["peer_hi"], rows["peer_lo"])]
        states = self.rows["state"][slots]
        self.firewall_checks.drop(slots[states == FlowState.FIREWALL_CHECK])
        self.replies.finish_parts(slots[states == FlowState.SETTLING], self._now)
        slots = slots[states != FlowState.FIREWALL_CHECK]
        # With every handshake asked for, those that had a part of a reply have begun the next one.
        slots = slots[self.rows["state"][slots] != FlowState.FREE]
        self.connections.forget_fresh(slots)
        recorded = self.rows["kept"][slots] != 0  # another handshake's data is their record
        self.connections.finish(slots[recorded], Reason.SILENT, self._now)
        self.connections.finish(slots[~recorded], Reason.BLOCKED, self._now)
        self.store.end_of_call()

    # --- one round -------------------------------------------------------------------------------------

    def _dispatch(self, slots: Slots, segments: Rows | None, actions: NDArray[np.uint8]) -> None:
        present = np.bincount(actions).nonzero()[0].tolist()
        if len(present) == 1:
            if present[0]:
                self._actions[present[0]](slots, segments)
            return
        for action in present:
            if not action:
                continue
            chosen = (actions == action).nonzero()[0]
            if present[0] <= _COUNT_FIREWALL_CHECK:  # a verdict on the firewall may have ended the flow
                chosen = chosen[self.rows["state"][slots[chosen]] != FlowState.FREE]
            if len(chosen):
                theirs = None if segments is None else pick(segments, chosen)
                self._actions[action](slots[chosen], theirs)
