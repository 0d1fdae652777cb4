"""Makes rates, history and a `Snapshot` of the counters that processes report.

A process reports only what it has counted since it was started; everything derived (rates, shares, sums over
the processes that were there before, the last minute) is made here, and `now` is an argument. Counters that
start again at zero, because a successor took over, never make a rate negative or a sum smaller.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Mapping
from typing import Any

from msgspec.structs import replace

from coordinator.monitor.snapshot import (
    HISTORY_SECONDS,
    Figures,
    Phase,
    ProcessState,
    ProcessView,
    Second,
    Snapshot,
    Totals,
    WorkerView,
)
from coordinator.monitor.warnings import warnings

WINDOW = 3.0
"""Seconds over which rates "now" are averaged. A judgement: reports come four times a second, so twelve of
them."""

SILENT_AFTER = 3.0
"""Seconds without a report after which a process counts as silent."""

SILENCE = 100
"""Packets sent without a single one received after which a warning doubts the network itself. A judgement: in
a list of live services the first answers come within a few packets."""

BLOCKED = 0.3
"""Share of its time that the writing collector waits for the reader of the results, from which a warning says
so. A judgement."""

_SUMMED = ("rx", "tx", "rx_bytes", "tx_bytes", "retransmits", "drops", "send_failures")
_CUMULATIVE = (*_SUMMED, "cpu_ns", "busy_ns", "blocked_ns", "records", "bytes")
_BY_KIND = ("ignored", "send_errors")
_COORDINATOR = Figures.__struct_fields__
_SHOWN = tuple(name for name in _SUMMED if name in Snapshot.__struct_fields__)
_QUIET = (ProcessState.SILENT, ProcessState.DEAD)
_REMEMBERED = 16  # processes that have left, whose last words may still be on their way


class Rate:
    """Samples of a growing count, and its increase per second over the last `window` seconds."""

    __slots__ = ("_samples", "_window")

    def __init__(self, window: float = WINDOW) -> None:
        self._samples: deque[tuple[float, float]] = deque()
        self._window = window

    def add(self, now: float, value: float) -> None:
        """A new value of the count, at `now` (monotonic seconds)."""
        samples = self._samples
        if samples and now <= samples[-1][0]:
            samples[-1] = (samples[-1][0], value)
            return
        samples.append((now, value))
        # One sample at or before the window's edge is kept, so the window is covered in full.
        while len(samples) > 2 and samples[1][0] <= now - self._window:
            samples.popleft()

    def per_second(self) -> float:
        """How fast the count has grown over the samples that are kept."""
        if len(self._samples) < 2:
            return 0.0
        (t0, v0), (t1, v1) = self._samples[0], self._samples[-1]
        return max(0.0, (v1 - v0) / (t1 - t0)) if t1 > t0 else 0.0


class _Process:
    """One place (role, index), whichever process is there: its counters and the views made of them.

    For a moment two processes may report for one place: one that is leaving and its successor. Current values
    are those of the newer one; counts are the sum of both.
    """

    def __init__(self, role: str, index: int, now: float) -> None:
        self.role, self.index = role, index
        self.pid = 0
        self.heard = now
        self.reported = False
        self.state: str | None = None
        self.restarts = 0
        self.base: Counter[str] = Counter()  # of processes that are no longer in `last`
        self.last: dict[int, dict[str, int]] = {}  # by pid
        self.gauges: Mapping[str, Any] = {}
        self.kinds: dict[str, dict[int, Mapping[str, Any]]] = {key: {} for key in _BY_KIND}  # by pid
        self.rates: dict[str, Rate] = {}
        self._since = now

    def filled(self, pid: int) -> None:
        """From now on the process at this place is `pid`."""
        if pid in self.last:
            return
        self.pid, self.gauges = pid, {}
        self.last[pid] = {}
        while len(self.last) > _REMEMBERED:
            self.base.update(self.last.pop(next(iter(self.last))))

    def feed(self, now: float, stats: Mapping[str, Any]) -> None:
        """Take a report of the process that is at this place."""
        pid = _count(stats, "pid")
        if pid not in self.last:
            self.filled(pid)
            self.state = None
        last = self.last[pid]
        for key in _CUMULATIVE:
            if key not in stats:
                continue
            value = _count(stats, key)
            if value < last.get(key, 0):
                self.base[key] += last[key]
            last[key] = value
            if key not in self.rates:
                self.rates[key] = Rate()
                self.rates[key].add(self._since, 0)  # or its first report would show no rate
            self.rates[key].add(now, self.total(key))
        for key, counts in self.kinds.items():
            if isinstance(stats.get(key), Mapping):
                counts[pid] = stats[key]
        if pid != self.pid:
            return  # last words of one that has left
        self.gauges = stats
        self.heard = now
        self.reported = True

    def total(self, key: str) -> int:
        return self.base[key] + sum(last.get(key, 0) for last in self.last.values())

    def by_kind(self, key: str) -> Counter[str]:
        return sum((Counter(counts) for counts in self.kinds[key].values()), Counter[str]())

    def rate(self, key: str) -> float:
        rate = self.rates.get(key)
        return rate.per_second() if rate else 0.0

    def common(self, now: float) -> dict[str, Any]:
        """The fields that the views of workers and collectors have in common."""
        state = self.state
        if state is None:
            state = ProcessState.RUNNING if self.reported else ProcessState.STARTING
            state = ProcessState.SILENT if now - self.heard > SILENT_AFTER else state
        quiet = state in _QUIET
        return {
            "name": f"{self.role} {self.index}",
            "pid": self.pid,
            "cpu": 0.0 if quiet else self.rate("cpu_ns") / 1e9,
            "busy": 0.0 if quiet else min(1.0, self.rate("busy_ns") / 1e9),
            "queue": _count(self.gauges, "queue"),
            "restarts": self.restarts,
            "state": state,
        }

    def worker(self, now: float) -> WorkerView:
        """The view of a flow worker."""
        size = _count(self.gauges, "ring_size")
        common, rate = self._of(now)
        return WorkerView(
            **common,
            shards=_count(self.gauges, "shards"),
            in_flight=_count(self.gauges, "in_flight"),
            rx=rate("rx"),
            tx=rate("tx"),
            rx_bits=rate("rx_bytes") * 8,
            tx_bits=rate("tx_bytes") * 8,
            retransmits=self.total("retransmits"),
            retransmit_rate=rate("retransmits"),
            ring=min(1.0, _count(self.gauges, "ring_used") / size) if size else 0.0,
            drops=self.total("drops"),
            outbox=_count(self.gauges, "outbox"),
            send_failures=self.total("send_failures"),
        )

    def process(self, now: float) -> ProcessView:
        common, rate = self._of(now)
        return ProcessView(**common, records_rate=rate("records"), bytes_rate=rate("bytes"))

    def _of(self, now: float) -> tuple[dict[str, Any], Callable[[str], float]]:
        """The fields in common, and what tells rates: none of one that was not heard of lately."""
        common = self.common(now)
        return common, (lambda _: 0.0) if common["state"] in _QUIET else self.rate


class Meter:
    """Takes reports as they come (`feed`); makes a `snapshot` when asked."""

    def __init__(self, started: float) -> None:
        self.started = started
        self._processes: dict[tuple[str, int], _Process] = {}
        self._coordinator = _Process("coordinator", 0, started)
        self._left: deque[_Process] = deque()  # that were removed, newest last
        self._gone: Counter[str] = Counter()  # what those before them had counted
        self._gone_kinds: dict[str, Counter[str]] = {key: Counter() for key in _BY_KIND}
        self._restarts = 0
        self._read = Rate()
        self._done = Rate()
        for rate in (self._read, self._done):
            rate.add(started, 0)
        self._history: deque[Second] = deque(maxlen=HISTORY_SECONDS)
        self._second = 0  # the second that is being counted, since `started`
        self._edge = (0, 0, 0, 0)  # read, done, rx, tx at its beginning
        self._faults: deque[tuple[int, int, int]] = deque(maxlen=HISTORY_SECONDS)
        self._faults.append((0, 0, 0))  # drops, send failures, restarts a minute ago (newest last)

    def feed(self, now: float, stats: Mapping[str, Any]) -> None:
        """Take a process's report: `role` flow, collect or coordinator, `index`, `pid` and its counters.

        Counters only grow; where one shrinks, it began anew. The others (in_flight, queue, outbox, ring_used,
        ring_size, shards, cooling) are as they are now.
        """
        role = stats.get("role")
        if role == "coordinator":
            self._coordinator.feed(now, stats)
        elif role in ("flow", "collect"):
            key, pid = (str(role), _count(stats, "index")), _count(stats, "pid")
            for gone in self._left:
                if (gone.role, gone.index) == key and pid in gone.last:
                    gone.feed(now, stats)
                    return
            self._place(*key, now).feed(now, stats)

    def launched(self, now: float, role: str, index: int, pid: int) -> None:
        """A process was started (first time, or one more); it shows as starting until it reports."""
        place = self._place(role, index, now)
        place.reported = place.reported and place.pid == pid
        place.filled(pid)
        place.heard, place.state = now, None

    def mark(self, now: float, role: str, index: int, state: str) -> None:
        """Set a process's state, as LEAVING or DEAD of `ProcessState`, until it or its successor is launched.

        Empty: as its reports say.
        """
        self._place(role, index, now).state = state or None

    def restarted(self, now: float, role: str, index: int, pid: int) -> None:
        """A process ended unasked and a successor was started in its place."""
        self.launched(now, role, index, pid)
        self._place(role, index, now).restarts += 1
        self._restarts += 1

    def removed(self, role: str, index: int) -> None:
        """A process was ended on purpose; what it has counted, its last report included, stays in the
        sums.
        """
        place = self._processes.pop((role, index), None)
        if place is not None:
            self._left.append(place)
            while len(self._left) > _REMEMBERED:
                first = self._left.popleft()
                self._gone.update({key: first.total(key) for key in _SUMMED})
                for key in _BY_KIND:
                    self._gone_kinds[key] += first.by_kind(key)

    @staticmethod
    def _cooldown_left(now: float, totals: Totals, places: list[_Process]) -> float | None:
        """How long the last flow may still wait, when all flows only wait for a late SYN-ACK."""
        if totals.sweep_left is not None:
            return totals.sweep_left
        if totals.phase != Phase.FINISHING or totals.backlog or not totals.in_flight:
            return None
        workers = [place for place in places if place.role == "flow" and place.reported]
        cooling = [place for place in workers if _count(place.gauges, "cooling")]
        flows = sum(_count(place.gauges, "in_flight") for place in workers)
        if not cooling or sum(_count(place.gauges, "cooling") for place in cooling) < flows:
            return None
        return max(0.0, *(_count(p.gauges, "cooling_ns") / 1e9 - (now - p.heard) for p in cooling))

    def _place(self, role: str, index: int, now: float) -> _Process:
        key = (role, index)
        if key not in self._processes:
            self._processes[key] = _Process(role, index, now)
        return self._processes[key]

    def _sum(self, key: str) -> int:
        return self._gone[key] + sum(place.total(key) for place in (*self._processes.values(), *self._left))

    def _turn_seconds(
        self, now: float, counts: tuple[int, int, int, int], faults: tuple[int, int, int]
    ) -> None:
        """Add an entry to the history for every second since the last call; the counts are spread over them
        evenly.
        """
        second = int(now - self.started)
        passed = second - self._second
        if passed <= 0:
            return
        grown = [max(0, new - old) for new, old in zip(counts, self._edge, strict=True)]
        for step in range(max(0, passed - HISTORY_SECONDS), passed):
            parts = [n * (step + 1) // passed - n * step // passed for n in grown]
            self._history.append(Second(*parts))
            self._faults.append(faults)
        self._second, self._edge = second, counts

    def snapshot(self, now: float, totals: Totals, wall: float = 0.0) -> Snapshot:
        """The state of the scan. Call it as often as something is shown (at least once a second)."""
        sums = {key: self._sum(key) for key in _SUMMED}
        # A resumed sweep begins where it was: its rates are of what is asked now.
        asked = totals.read - (totals.other.get("done before", 0) if totals.sweep else 0)
        self._read.add(now, asked)
        self._done.add(now, totals.done)
        faults = (sums["drops"], sums["send_failures"], self._restarts)
        self._turn_seconds(now, (asked, totals.done, sums["rx"], sums["tx"]), faults)
        places = [self._processes[key] for key in sorted(self._processes)]
        workers = tuple(place.worker(now) for place in places if place.role == "flow")
        collectors = _with_queues([place.process(now) for place in places if place.role == "collect"], places)
        own = replace(self._coordinator.process(now), name="coordinator", state=ProcessState.RUNNING)
        fingerprints, handshakes, by_handshake = _fold(totals)
        elapsed = max(now - self.started, 1e-9)
        cooldown_left = self._cooldown_left(now, totals, places)
        snapshot = Snapshot(
            **self._counted(totals, sums, places, cooling=cooldown_left is not None),
            now=now,
            started=self.started,
            wall=wall,
            rate_in=self._read.per_second(),
            rate_in_average=asked / elapsed,
            rate_done=self._done.per_second(),
            rate_done_average=totals.done / elapsed,
            rx_rate=sum(worker.rx for worker in workers),
            tx_rate=sum(worker.tx for worker in workers),
            rx_bits=sum(worker.rx_bits for worker in workers),
            tx_bits=sum(worker.tx_bits for worker in workers),
            recent_drops=sums["drops"] - self._faults[0][0],
            recent_send_failures=sums["send_failures"] - self._faults[0][1],
            history=tuple(self._history),
            workers=workers,
            collectors=collectors,
            coordinator=replace(own, records_rate=self._read.per_second()),
            outcomes=dict(totals.outcomes),
            fingerprints=fingerprints,
            handshakes=handshakes,
            by_handshake=by_handshake,
            latest=tuple(reversed(totals.latest)),
            window_full=any(place.gauges.get("held") for place in places),
            output_blocked=any(place.rate("blocked_ns") >= BLOCKED * 1e9 for place in places),
            cooldown_left=cooldown_left,
            restarts=self._restarts,
            recent_restarts=self._restarts - self._faults[0][2],
            alerts=tuple(totals.alerts.values()),
            gateway_silent=not sums["rx"] and sums["tx"] >= SILENCE,
        )
        return replace(snapshot, warnings=(*warnings(snapshot), *reversed(totals.warnings)))

    def _counted(
        self, totals: Totals, sums: dict[str, int], places: list[_Process], *, cooling: bool
    ) -> dict[str, Any]:
        """The fields of a snapshot that are counts as they were reported. sums: of all processes."""
        shown: dict[str, Any] = {name: getattr(totals, name) for name in _COORDINATOR}
        shown |= {name: sums[name] for name in _SHOWN}
        for key, gone in self._gone_kinds.items():
            shown[key] = dict(sum((place.by_kind(key) for place in (*places, *self._left)), Counter(gone)))
        shown["other"] = dict(totals.other)
        if cooling:
            shown["phase"] = Phase.COOLDOWN
        if totals.input_ended and not totals.cut_short:  # all that was to come has come
            shown |= {"total": totals.read, "total_estimated": False}
        return shown


def _with_queues(collectors: list[ProcessView], places: list[_Process]) -> tuple[ProcessView, ...]:
    """The collectors with their queues: what their flow workers wait to see written, and finished lines."""
    waiting = [collector.queue for collector in collectors]
    for place in places:
        if place.role == "flow" and waiting:
            waiting[place.index % len(waiting)] += _count(
                place.gauges, "outbox"
            )  # as workers are linked to them
    return tuple(
        replace(collector, queue=queue) for collector, queue in zip(collectors, waiting, strict=True)
    )


def _fold(totals: Totals) -> tuple[dict[str, int], dict[str, int], dict[str, dict[str, int]]]:
    """Counts by fingerprint, by handshake, and by both."""
    fingerprints: Counter[str] = Counter()
    handshakes: Counter[str] = Counter()
    crossed: dict[str, dict[str, int]] = {}
    for (handshake, fingerprint), count in totals.found.items():
        fingerprints[fingerprint] += count
        handshakes[handshake] += count
        crossed.setdefault(handshake, {})[fingerprint] = count
    return dict((+fingerprints).most_common()), dict((+handshakes).most_common()), crossed


def _count(stats: Mapping[str, Any], key: str, default: int = 0) -> int:
    value = stats.get(key, default)
    return max(0, int(value)) if isinstance(value, int | float) else default
