"""A sweep while it runs: stretches are given to the workers at the rate, answers become targets, the rest is
counted.

`lzr.sweep.scheduler` decides what is known of each pair, and what is sent again when a worker dies.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from coordinator.processes.child import Child, try_feed
from coordinator.scan.accounts import Accounts
from coordinator.scan.feeder import Feeder
from coordinator.setup.egress import RoutesInUse
from lzr.ipc import messages, packing
from lzr.ownaddresses import OwnAddresses
from lzr.ownership.ledger import Ledger
from lzr.packet.icmp import KINDS
from lzr.packet.ways import WayKind
from lzr.rows import FRAME, TARGET, Opening, Rows, copied, join, pick
from lzr.secrets import Key
from lzr.sweep.ackfirewalls import LOOK, AckFirewalls
from lzr.sweep.hearduntil import HeardUntil
from lzr.sweep.hitrates import HitRates
from lzr.sweep.scheduler import Closed, Mask, Scheduler, Stretch
from lzr.sweep.share import Share
from lzr.sweep.verdict import Verdict
from lzr.targets.screen import overview

_BATCH = 8192  # pairs in one message
STRIDE = 0.096
"""Seconds between two batches of stretches, which the workers ask slice by slice (`lzr.sweep.spread`): a turn
of the coordinator costs as much as some hundred SYNs.
`benchmarks.beside`, 1 % answering, 1,048,576 pairs at 100,000 a second, load 5: with 48 ms, and each report
for itself, the coordinator took 0.36 s of CPU beyond its start, with 96 ms 0.24 s. Where 60 % answer a scan
is as fast. A worker that dies may have so much more that is to be sent again."""
LONG_STRIDE, _LITTLE = 0.192, 1024
"""The same where so many pairs take that long, and no checkpoint is kept: what it does not count as done is
sent again by who goes on after a kill. 60 % answering at 2,000 a second, in turns with 96 ms, all processes,
their start included: 0.91 times the CPU."""
_LEAST_STRIDE = 0.003  # where the rate brings several messages in STRIDE: for two
_AHEAD = 0.3  # seconds' worth of pairs that the workers may have and not have sent
_MOST_AHEAD = 1 << 16
"""Pairs, at most, that a worker may have and not have sent. A judgement: 65 ms at a million a second. What
one has is out of the others' reach."""
_AHEAD_OF_LIMIT = 1.0
"""Seconds' worth by --max-rate or --bandwidth that the workers may have and not have sent, and so the time
for which a sweep that is told to end, or to pause, still sends SYNs. More is assigned when half of it has
left. A judgement: more than is assigned to make good for time that the coordinator has lost (DEPTH)."""
_COVERED = 1 << 16  # addresses whose ways are looked up together: a hit list may have a million
_HASTE = 1.05
"""How much faster than the rate the SYNs of a stretch are sent. A judgement: a worker that is behind catches
up slowly, and between two stretches there is a gap of less than a ms."""
DEPTH = 0.4
"""Seconds' worth of pairs that are assigned at once at most, where the coordinator was held up: they are sent
over nearly as long. With the 20 ms of other scans a sweep at 40,000 a second came to 26,500 on a machine with
a load of 7, with twice the stride to 40,000."""
_CLOGGED = 0.01
"""Seconds until another try where no worker has room, without a rate or at a high one. At a low one each has
work for longer: until then a share of it may leave, and the coordinator rests."""
_MANY = 256
"""Answers between two batches of stretches from which on they are waited for, and the stride is half as long.
A judgement: 256 rows cost as much as a turn."""
_OVERDUE = 0.25
"""Seconds between two looks at stretches whose time is over: as often as workers say that they have looked,
and that wakes us."""
_REASONS = {
    "no_syn_ack": Verdict.NOTHING,
    "refused": Verdict.REFUSED,
    "not_asked": Verdict.FIREWALL,
    **{f"unreachable_{kind}": Verdict.UNREACHABLE + at for at, kind in enumerate(KINDS)},
}
_UNANSWERED = tuple(_REASONS.values())
"""Verdicts of pairs that have no flow and are counted when their time is over."""
_IS_UNANSWERED = np.isin(np.arange(Verdict.COUNT), _UNANSWERED, kind="table")


class RunningSweep:
    """share: this box's pairs. shards: how many there are. longest_stride: seconds between two batches of
    stretches, at most.

    heard_until: before that all answers have been reported. ackfirewalls: hosts that answer on any port.
    limit: SYNs a second that may leave by --max-rate and --bandwidth, None for any number; to be set.
    """

    def __init__(
        self,
        share: Share,
        scheduler: Scheduler,
        *,
        ledger: Ledger,
        feeder: Feeder,
        accounts: Accounts,
        routes: RoutesInUse,
        shards: int,
        longest_stride: float,
    ) -> None:
        self.scheduler = scheduler
        self.heard_until = HeardUntil(shards)
        self.clogged = False  # no worker has room
        self._drops: dict[str, int] = {}  # by worker: frames that found no room, as it has reported
        self._share = share
        self._ledger, self._feeder, self._accounts = ledger, feeder, accounts
        self._routes = routes
        self._longest_stride = longest_stride
        self.limit: float | None = None
        self._turn = 0
        self._answers = 0  # heard since stretches were last assigned
        self._next = 0.0  # when stretches are assigned again
        self._begin = scheduler.next  # places before this have their fate in the sweep that is resumed
        self._before = 0  # pairs closed that had their fate before
        self.hit_rates = HitRates(share.space)
        self.ackfirewalls = AckFirewalls(share)
        self.cover()

    def cover(self) -> None:
        """Look up every way that a pair may take, so that the guard covers our addresses on all of them.

        To be called before the first SYN, and again when routes have changed.
        """
        ranges, table = self._share.space.ranges, self._routes.routing.ways.intervals
        starts = [np.concatenate([ranges[half], table[half]]) for half in ("hi", "lo")]
        ports = self._share.space.ports
        for at in range(0, len(starts[0]), _COVERED):
            high, low = (half[at : at + _COVERED] for half in starts)
            self._cover(high, low, ports[:1])
        self._cover(starts[0][:1], starts[1][:1], ports)  # rules may look at ports

    def _cover(self, high: NDArray[np.uint64], low: NDArray[np.uint64], ports: NDArray[np.uint16]) -> None:
        """Look up the ways of pairs, as far as they are of this sweep. high, low: halves of addresses. There
        is one port for all of them, or one address with each port.
        """
        rows = np.zeros(max(len(high), len(ports)), TARGET)
        rows["syn"], rows["peer_hi"], rows["peer_lo"], rows["peer_port"] = Opening.OURS, high, low, ports
        rows = pick(rows, self._share.space.numbers(rows)[1])
        self._routes.routing.admit(rows, overview(rows))

    # --- asking --------------------------------------------------------------------------------------------

    def assign(self, now: float) -> bool:
        """Give stretches to the workers, as the rate allows and while they have room; whether there was
        any.
        """
        scheduler, pacer, assigned = self.scheduler, self._feeder.pacer, 0
        if scheduler.all_assigned and not scheduler.due(now):
            self.clogged = False
            return False
        if now < self._next:
            return False
        self.clogged = False
        workers = self._feeder.feeds() if self._feeder.has_room else []
        self._tell(workers)
        room, most = pacer.allowance(now), _BATCH
        if scheduler.unsent > self._ahead(len(workers)):
            workers = []  # they have enough; who ends the scan or sets another rate does not wait for it
        elif workers and self.limit is not None:
            ahead = 2 * self._ahead(len(workers))
            # Small ones, so that each worker has some: it may send only its share.
            room, most = min(room, int(ahead) - scheduler.unsent), min(_BATCH, int(ahead / 4 / len(workers)))
        each, stride = self._over()
        begin_at, looked = scheduler.next, 0
        while workers and room > 0 and looked < LOOK:
            worker = workers[self._turn % len(workers)]
            taken = self._take(min(room, most), worker.name, now, LOOK - looked)
            if self.ackfirewalls.many:
                looked = scheduler.next - begin_at
            if taken is None:
                if looked and not scheduler.all_assigned:
                    continue
                break
            stretch, skip = taken
            bits = np.packbits(skip) if skip.any() else b""
            asked = stretch.asked
            # Each after the one before, whoever has it: together they leave at the rate.
            begin, span = int((now + assigned * each) * 1e9), int(min(DEPTH, asked * each) * 1e9)
            message = messages.Stretch(stretch.number, stretch.first, stretch.count, begin, span, bits)
            if not try_feed(worker, packing.pack(message)):
                scheduler.give_back(stretch)
                workers.remove(worker)
                continue
            pacer.spend(asked)
            room -= asked
            assigned += asked
            self._turn += 1
        more = not scheduler.all_assigned
        if looked >= LOOK:  # the next pairs at once, after what else there is to do
            pacer.rest(now)
            stride = 0.0
        elif more and room > 0:
            self.clogged = True
            pacer.rest(now)
        many, self._answers = self._answers >= _MANY, 0
        if self.clogged:
            stride = 0.0 if many else max(_CLOGGED, stride / 2)
        elif many:
            stride = min(stride, max(stride, STRIDE) / 2)
        self._next = now + stride if assigned or self.clogged else 0.0
        self._feeder.note_asked(assigned, held=more and pacer.rate is not None, clogged=self.clogged)
        return assigned > 0

    def _take(self, most: int, worker: str, now: float, look: int) -> tuple[Stretch, Mask] | None:
        """The next stretch, with at most so many pairs to be asked; None if there is none, or none among the
        pairs that were looked at, up to `look`.
        """
        ackfirewalls, before = self.ackfirewalls, self.scheduler.next
        if not ackfirewalls.many:
            return self.scheduler.take(most, worker, now)
        look = min(look, ackfirewalls.ahead(most))
        taken = self.scheduler.take(most, worker, now, spared=ackfirewalls.among, look=look)
        ackfirewalls.note_looked(self.scheduler.next - before, 0 if taken is None else taken[0].asked)
        return taken

    def _tell(self, workers: Sequence[Child]) -> None:
        """Tell the workers of the hosts that answer on any port, as far as they do not know them."""
        if len(self.ackfirewalls):
            for worker in workers:
                if len(hosts := self.ackfirewalls.untold(worker.name)):
                    worker.order(messages.Firewalls(hosts))

    def _ahead(self, workers: int) -> float:
        """How many pairs may be assigned and not sent when more are assigned."""
        rate, most = self._feeder.pacer.rate, float(_MOST_AHEAD * workers)
        if self.limit is not None:
            most = min(most, max(_AHEAD_OF_LIMIT / 2 * self.limit, 2 * workers))
        return most if rate is None else min(most, max(_AHEAD * rate, _BATCH * workers))

    def _over(self) -> tuple[float, float]:
        """(seconds for one pair, seconds until stretches are assigned again)."""
        rate = self._feeder.pacer.rate
        if rate is None:
            return 0.0, 0.0
        stride = max(STRIDE, min(self._longest_stride, _LITTLE / rate))
        # The workers' shares of a lower limit space what they have, and that may be all at once.
        each = 0.0 if self.limit is not None and self.limit <= rate else 1 / rate / _HASTE
        return each, max(_LEAST_STRIDE, min(stride, 2 * _BATCH / rate))

    @property
    def step(self) -> float:
        """How many pairs are assigned in one turn, where the rate holds them back."""
        rate = self._feeder.pacer.rate
        return 1.0 if rate is None else max(1.0, rate * self._over()[1])

    def left(self, worker: str, shards: Sequence[int], now: float, *, lost: bool) -> int:
        """A worker has ended. Returns how many pairs are sent SYNs again because of it. shards: those that it
        had, or was about to adopt. lost: it died."""
        until = self.heard_until.of(shards)
        if until is None:
            return self.scheduler.left(worker, now, lost=False)  # no answer came to it
        return self.scheduler.left(worker, until, lost=lost)

    def note_drops(self, worker: str, shards: Sequence[int], drops: int) -> tuple[int, int]:
        """A worker has reported how many frames have found no room in its receive rings so far. shards: those
        that it has.

        Returns what `Scheduler.dropped` does. To be called before the worker's statement of the same report
        counts (`heard_until`): these frames have come after the statement before.
        """
        if drops <= self._drops.get(worker, 0):
            return 0, 0
        self._drops[worker] = drops
        until = self.heard_until.of(shards)
        return self.scheduler.dropped(self.heard_until.all if until is None else until)

    def stop(self) -> None:
        """Assign nothing new."""
        self.scheduler.stop()

    # --- hearing -------------------------------------------------------------------------------------------

    def hear(self, reports: Sequence[tuple[str, messages.SweepAnswers]], now: float) -> None:
        """Take reports, each with the name of its worker: pairs that answered, and stretches whose SYNs have
        left.
        """
        parts = [heard for _, heard in reports if len(heard.rows)]
        if parts:
            self._hear(
                join([heard.rows for heard in parts]), np.concatenate([heard.verdicts for heard in parts])
            )
        for worker, heard in reports:
            for number in heard.sent:
                self.scheduler.sent(number, worker, now)

    def _hear(self, rows: Rows, verdicts: NDArray[np.uint8]) -> None:
        self._answers += len(rows)
        places = self._share.places(rows)
        news = self.scheduler.hear(places, verdicts)
        answered = news & (verdicts == Verdict.ANSWERED)
        if answered.any():
            targets = copied(pick(rows, answered))
            targets["line"], targets["syn"] = places[answered], Opening.TAKEN
            self._ledger.admit(targets)
            self._feeder.put(targets)
            self.hit_rates.add(targets)
        if len(left := np.flatnonzero(verdicts == Verdict.FIREWALL)):
            self.ackfirewalls.note(pick(rows, left))
        blocked = news & (verdicts == Verdict.BLOCKED)
        if blocked.any():
            self._accounts.blocked(places[blocked].astype(np.uint64))
        lost = news & (verdicts == Verdict.NO_WAY)
        if lost.any():
            self._lose(pick(rows, lost), places[lost])

    def _lose(self, rows: Rows, places: NDArray[np.int64]) -> None:
        """Count pairs as unroutable."""
        kinds = self._routes.routing.ways.kinds(rows)
        kinds[kinds < WayKind.NONE] = WayKind.NO_ADDRESS
        self._accounts.unroutable(places.astype(np.uint64), kinds, rows)

    # --- the end of each pair ------------------------------------------------------------------------------

    def _heard(self, now: float) -> float:
        """The time before which all answers have been reported: no pair counts as silent while its answer may
        lie unread, or was lost with a worker.
        """
        return min(now, self.heard_until.all)

    def close(self, now: float) -> None:
        """Count the pairs whose time is over."""
        for closed in self.scheduler.close(self._heard(now)):
            counts = _counts(closed)
            self._before += int(counts[Verdict.BEFORE])
            self._accounts.unanswered(_reasons(counts), closed.first, _IS_UNANSWERED[closed.verdicts])

    def quiet(self, now: float) -> dict[str, int]:
        """For the next checkpoint: counts, by reason, of pairs that have their fate in it, as their answers
        are not to be expected any longer. Where one comes all the same, the checkpoint after it has it open.
        """
        found = self.scheduler.quiet(self._heard(now))
        self._accounts.presume(found.first, _IS_UNANSWERED[found.verdicts])
        return _reasons(_counts(found))

    @property
    def asked(self) -> int:
        """Pairs to which this run has sent, or is sending, SYNs."""
        return max(0, self.scheduler.next - self._begin - self._before - self.scheduler.not_asked)

    def update(self) -> None:
        """Bring the figures up to date."""
        self._accounts.swept(self.scheduler.next, self._begin + self._before)

    def abandon(self) -> int:
        """How many pairs are given up without a fate; those that have answered are counted by the ledger."""
        counts = _counts(Closed(0, self.scheduler.open_verdicts))
        self._before += int(counts[Verdict.BEFORE])
        return int(sum(counts[verdict] for verdict in _UNANSWERED))

    def resting(self, now: float) -> bool:
        """Whether answers can wait until stretches are assigned again, which saves a turn of the loop."""
        return not self.scheduler.all_assigned and now < self._next

    def wait(self, now: float) -> float | None:
        """Seconds until there is something to do; None if that depends on reports only."""
        if self.clogged:
            return max(self._next - now, _CLOGGED)
        if not self.scheduler.all_assigned:
            return max(self._feeder.pacer.wait(now), self._next - now, _LEAST_STRIDE)
        waits = self.scheduler.wait(now)
        return None if waits is None else max(waits, _OVERDUE)


def order(share: Share, key: Key, own: OwnAddresses) -> messages.Swept:
    """What a worker has to know before its first stretch. key: of the order of the pairs. own: our
    addresses.
    """
    return messages.Swept(
        order=key,
        mine=np.array(share.mine, np.uint32),
        step=share.step,
        ranges=share.space.ranges,
        ports=share.space.ports,
        v4=own.v4.reshape(-1),
        v6=own.v6.reshape(-1),
    )


def sample(share: Share, place: int, count: int) -> Rows:
    """The first `count` pairs from a place on, as TARGET rows: packets to them show which way the sweep
    takes.
    """
    pairs = np.zeros(max(0, min(count, share.total - place)), FRAME)
    share.pairs(place, pairs)
    rows = np.zeros(len(pairs), TARGET)
    for name in ("peer_hi", "peer_lo", "peer_port"):
        rows[name] = pairs[name]
    rows["syn"] = Opening.OURS
    return rows


def _counts(closed: Closed) -> NDArray[np.int64]:
    return np.bincount(closed.verdicts, minlength=Verdict.COUNT)


def _reasons(counts: NDArray[np.int64]) -> dict[str, int]:
    """The counts by reason, as the summary names them; none that is 0."""
    return {reason: int(counts[verdict]) for reason, verdict in _REASONS.items() if counts[verdict]}
