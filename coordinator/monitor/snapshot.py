"""What is known about a running scan at one moment, as values.

Everything that shows a scan (dashboard, status line, metrics, control socket, the advice on worker
counts) is a function of a `Snapshot` and of nothing else, so they can never disagree.
`coordinator.monitor.meter` makes snapshots from raw counters; nothing here reads a clock, and all times are
seconds of the monotonic clock unless a name says otherwise.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping

from msgspec import Struct, field

from coordinator.monitor.figures import OUTCOME_WORDS, RARE_OUTCOMES

HISTORY_SECONDS = 60
"""Length of the sparklines."""

LATEST = 64
"""Identified services kept for display."""


class Phase:
    """Where a scan is. A plain string, so that it prints as it is."""

    STARTING = "starting"
    RUNNING = "running"  # reading input
    FINISHING = "finishing"  # the input has ended, flows are in flight
    COOLDOWN = "cooling down"  # all that is in flight waits for a late SYN-ACK
    DONE = "done"


class ProcessState:
    """How a process is."""

    RUNNING = "running"
    STARTING = "starting"  # launched, nothing heard yet
    SILENT = "silent"  # launched, nothing heard for SILENT_AFTER seconds
    LEAVING = "leaving"  # handing its shards over, then ending
    DEAD = "dead"  # ended unasked; a successor is on its way


class ProcessView(Struct, frozen=True):
    """A process as it is seen from outside. Shares are of one core, 0..1; None: nothing is known yet."""

    name: str
    pid: int = 0
    cpu: float = 0.0  # processor time over time
    busy: float = 0.0  # time not spent waiting over time
    queue: int = 0  # batches it has to deal with: a worker of targets, a collector of results
    restarts: int = 0
    state: str = ProcessState.RUNNING
    records_rate: float = 0.0  # collectors: records written per second; coordinator: inputs read per second
    bytes_rate: float = 0.0  # collectors: bytes written per second

    @property
    def load(self) -> float:
        """The share of its time that is used; it decides whether this process is the bottleneck."""
        return max(self.cpu, self.busy)

    @property
    def work(self) -> float:
        """The share of a core it needs; time spent waiting for a core does not count."""
        return self.cpu or self.busy


class WorkerView(ProcessView, frozen=True):
    """A flow worker."""

    shards: int = 1
    in_flight: int = 0
    rx: float = 0.0  # packets per second
    tx: float = 0.0
    rx_bits: float = 0.0  # bits per second
    tx_bits: float = 0.0
    retransmits: int = 0  # since the start
    retransmit_rate: float = 0.0
    ring: float = 0.0  # fill share of the fullest receive ring, 0..1
    drops: int = 0  # packets the kernel dropped because a ring was full, since the start
    outbox: int = 0  # results waiting to be sent to a collector
    send_failures: int = 0


class Second(Struct, frozen=True):
    """What happened in one second of the past."""

    read: int = 0
    done: int = 0
    rx: int = 0
    tx: int = 0

    @property
    def packets(self) -> int:
        return self.rx + self.tx


class Identified(Struct, frozen=True):
    """A service that was named. `banner` is raw and hostile: only `lzr.safetext` may show it."""

    address: str
    port: int
    fingerprint: str
    handshake: str = ""
    banner: bytes = b""


class BlockOrder(Struct, frozen=True):
    """Somebody's order not to contact these networks any more.

    by: who, by their own account. at: seconds since the epoch. in_force: every process goes by it, and the
    checkpoint has it.
    """

    networks: tuple[str, ...]
    reason: str = ""
    by: str = ""
    at: float = 0.0
    in_force: bool = False


class Figures(Struct):
    """What the coordinator counts: kept in its `Totals`, shown in every `Snapshot`.

    All counts are since the start (and, on a resumed scan, include what was done before).
    """

    phase: str = Phase.STARTING
    title: str = ""  # what is scanned how, for the header: "wait,http,tls via eth0 from 192.0.2.1"
    total: int | None = None  # inputs in all, when known (when the input has ended, it is `read`)
    total_estimated: bool = False
    sweep_wait: float | None = None  # seconds that a sweep waits for each pair at most; None: it is none
    read: int = 0  # input lines read
    rejected: int = 0  # unparsable
    blocklisted: int = 0
    duplicates: int = 0
    interrupted: int = 0  # given up because the scan was told to end
    other: Mapping[str, int] = field(default_factory=dict)  # inputs with a fate of another kind, by its name
    in_flight: int = 0
    done: int = 0  # inputs with a result
    backlog: int = 0  # inputs read and not yet given to a worker
    input_ended: bool = False
    cut_short: bool = False  # it was given up before its end
    ending: str = ""  # why the scan ended, where it was not done: "interrupted"
    input_waiting: bool = False  # the coordinator waits for stdin
    input_held: bool = False  # stdin waits for the coordinator
    guard_missing: bool = False
    sweep: bool = False  # most of whom we ask are not there, and that is as it should be
    hit_rates_by: str = ""  # "port" or "network": what `hit_rates` tells apart
    hit_rates: Mapping[str, tuple[int, int]] = field(default_factory=dict)  # by it: answered, about asked
    results_lost: bool = False  # results are missing or wrong for one of the reasons in the alerts
    refused: int = 0  # messages between the processes that were not believed
    blocks: tuple[BlockOrder, ...] = ()  # whom somebody blocked while the scan ran
    paused: bool = False
    draining: bool = False
    auto_workers: bool = False
    rate_limit: float | None = None  # targets started per second
    packet_limit: float | None = None  # all packets per second
    bit_limit: float | None = None  # bits per second
    paced: bool = False  # the pacer holds work back
    late: bool = False  # it does, and yet the rate is not reached: nobody was there when it let work go
    shards: int = 1
    most_processes: int = 1 << 20  # workers and collectors that there may be, as descriptors are limited
    full: bool = False  # the last process that was asked for could not be started
    wanted_flow: int = 1  # workers asked for; the views show those that are there
    wanted_collect: int = 1
    cores: int = 1
    moves: int = 0  # shards that have changed hands
    slowest_move: float = 0.0  # seconds


class Totals(Figures):
    """The coordinator's own figures, which the console hands to `Meter.snapshot`, to be shown.

    Written by `coordinator.scan.accounts` (what it counts), `coordinator.scan.upkeep` (all that others know)
    and `coordinator.console` (alerts and warnings).
    """

    outcomes: Counter[str] = field(default_factory=Counter)  # by lzr.rows.Reason.NAMES
    found: Counter[tuple[str, str]] = field(default_factory=Counter)  # sent data: (handshake, fingerprint)
    latest: deque[Identified] = field(default_factory=lambda: deque(maxlen=LATEST))  # oldest first
    warnings: list[str] = field(default_factory=list)  # sentences of the coordinator, oldest first
    alerts: dict[str, str] = field(default_factory=dict)  # what has gone wrong, by kind: stands to the end
    busy_ns: int = 0  # time the coordinator did not wait
    sweep_left: float | None = None  # seconds until a sweep gives up its last pair, if nothing else waits


class Snapshot(Figures):
    """A scan at one moment: the coordinator's figures, and what the meter makes of reports. Never changed."""

    now: float = 0.0
    started: float = 0.0
    wall: float = 0.0  # the same moment in seconds since the epoch; 0: not known
    rate_in: float = 0.0  # inputs read per second, now
    rate_in_average: float = 0.0
    rate_done: float = 0.0  # inputs done per second, now
    rate_done_average: float = 0.0
    rx_rate: float = 0.0  # packets per second, now
    tx_rate: float = 0.0
    rx_bits: float = 0.0
    tx_bits: float = 0.0
    rx: int = 0  # packets since the start
    tx: int = 0
    retransmits: int = 0
    drops: int = 0
    recent_drops: int = 0  # in the last minute
    send_failures: int = 0
    recent_send_failures: int = 0
    send_errors: Mapping[str, int] = field(default_factory=dict)  # the failures, by errno
    ignored: Mapping[str, int] = field(default_factory=dict)  # packets not acted on, by kind
    history: tuple[Second, ...] = ()  # oldest first, at most HISTORY_SECONDS
    workers: tuple[WorkerView, ...] = ()
    collectors: tuple[ProcessView, ...] = ()
    coordinator: ProcessView = field(default=ProcessView("coordinator"))
    outcomes: Mapping[str, int] = field(default_factory=dict)
    fingerprints: Mapping[str, int] = field(default_factory=dict)  # most first
    handshakes: Mapping[str, int] = field(default_factory=dict)  # services found by each, most first
    by_handshake: Mapping[str, Mapping[str, int]] = field(default_factory=dict)  # -> fingerprint -> count
    latest: tuple[Identified, ...] = ()  # newest first
    warnings: tuple[str, ...] = ()  # worst first
    window_full: bool = False  # as many flows are outstanding as may be: targets wait for answers to others
    output_blocked: bool = False  # the reader of the results holds work back
    cooldown_left: float | None = None  # seconds until the last late SYN-ACK is given up
    restarts: int = 0
    recent_restarts: int = 0
    alerts: tuple[str, ...] = ()  # sentences on what has gone wrong, which stand to the end
    gateway_silent: bool = False  # much was sent, nothing at all received

    @property
    def elapsed(self) -> float:
        return max(0.0, self.now - self.started)

    @property
    def used(self) -> float:
        """How many cores our processes use together."""
        return sum(process.work for process in (*self.workers, *self.collectors, self.coordinator))

    @property
    def by_fate(self) -> dict[str, int]:
        """What became of the inputs, also for `lzr.records.summary.inputs_line`."""
        return {
            "recorded": self.done,
            "unparsable": self.rejected,
            "blocklisted": self.blocklisted,
            "duplicate": self.duplicates,
            "interrupted": self.interrupted,
            **self.other,
        }

    @property
    def fates(self) -> int:
        """Inputs whose fate is known."""
        return sum(self.by_fate.values())

    @property
    def by_reason(self) -> dict[str, int]:
        """How the flows ended that made a record; each reason is there, also where it is 0."""
        return {reason: self.outcomes.get(reason, 0) for reason in (*OUTCOME_WORDS, *RARE_OUTCOMES)}

    @property
    def hit_rates_answered(self) -> dict[str, int]:
        """Pairs of a sweep that answered SYN-ACK, by place."""
        return {place: answered for place, (answered, _) in self.hit_rates.items()}

    @property
    def hit_rates_asked(self) -> dict[str, int]:
        """About how many pairs were asked there."""
        return {place: asked for place, (_, asked) in self.hit_rates.items()}

    @property
    def unreachable(self) -> int:
        """Pairs of a sweep to which an ICMP error came back, of all kinds."""
        return sum(count for reason, count in self.outcomes.items() if reason.startswith("unreachable_"))

    @property
    def identified(self) -> int:
        """Services that were given a name."""
        return sum(self.fingerprints.values()) - self.fingerprints.get("unknown", 0)

    @property
    def hit_rate(self) -> float:
        """Share of the finished inputs that sent data; in a port scan, that answered."""
        hits = self.outcomes.get("data", 0) + self.outcomes.get("sa_only", 0)
        return hits / self.done if self.done else 0.0

    @property
    def share(self) -> float | None:
        """How far the scan is, 0..1; None: the total is not known. Inputs that were given up do not count as
        done.
        """
        if self.total is None:
            return None
        done = self.fates - self.interrupted
        return min(1.0, done / self.total) if self.total > 0 else float(not self.cut_short)

    @property
    def eta(self) -> float | None:
        """Seconds to go at the pace of the last minute; None: not known."""
        if self.phase == Phase.COOLDOWN:
            return self.cooldown_left
        if self.total is None or self.paused or self.cut_short:
            return None
        left = max(0, self.total - self.fates)
        if not left:
            return 0.0
        if self.sweep_wait is not None and self.read < self.total:  # who is silent is done that much later
            asking = sum(second.read for second in self.history) / len(self.history) if self.history else 0.0
            asking = asking or self.rate_in_average
            return (self.total - self.read) / asking + self.sweep_wait if asking > 0 else None
        recent = sum(second.done for second in self.history) / len(self.history) if self.history else 0.0
        rate = recent or self.rate_done_average
        return left / rate if rate > 0 else None
