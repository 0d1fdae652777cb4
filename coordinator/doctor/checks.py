"""What has to be right before a scan begins: each check takes facts and gives one finding.

Nothing is looked up here. `coordinator/doctor/facts.py` reads the host, and `coordinator/doctor/probing.py`
tries things out; here is only what the facts mean for a scan, in one sentence and, where something is to be
done, a remedy. `lzr doctor` makes all checks, and every scan makes those of `PREFLIGHT`: a fault ends it with
status 2, warnings go into its log. A note is worth knowing, and no reason to wait with the scan: it stands as
long as the host does, so `lzr doctor` says it, and not each scan.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from msgspec import Struct, field

from lzr.errors import UsageError

OK, NOTE, WARNING, FAULT = "ok", "note", "warning", "fault"
LEVELS = (OK, NOTE, WARNING, FAULT)
MEGABYTE = 1 << 20

_PROCESS = 50 * MEGABYTE
"""Bytes that a process of ours holds without flows and rings: `python -m benchmarks.memory` has 133 MB for
all with fifty thousand flows (13 MB of these), rounded up to leave room."""
_THREADS = 3
"""Of a process of ours: its own, and ZeroMQ's two."""
_EARLIEST = 1_735_689_600.0
"""2025-01-01: a clock that shows an earlier day has not been set."""


class Finding(Struct, frozen=True):
    """What a check has found. check: its name. level: of LEVELS. remedy: what to do, or an empty text."""

    check: str
    level: str
    sentence: str
    remedy: str = ""

    def text(self) -> str:
        """What was found, and what helps."""
        return "; ".join(filter(None, (self.sentence, self.remedy)))


class ScanNeeds(Struct, frozen=True):
    """What the scan needs. sources: our addresses. routed: they are those of the ways to the targets, and
    nobody has named them. frames: of each shard's receive and transmit ring."""

    interface: str | None = None
    sources: tuple[str, ...] = ()
    routed: bool = False
    shards: int = 8
    frames: tuple[int, int] = (8192, 2048)
    processes: int = 4
    guard: str = "auto"

    @property
    def ring_bytes(self) -> int:
        return self.shards * sum(self.frames) * 2048  # bytes of a frame's slot


class HostFacts(Struct, frozen=True):
    """What this host has. Bytes and seconds; None where the host does not say."""

    kernels: str = "kernels in C"
    why_python: str = ""
    directory: str = ""
    examples: str = ""
    """The directory of the files that the documentation calls etc/…."""
    user: str = "nobody"
    shared: bool = False
    """Whether other processes may run as the workers' user."""
    closed: str = ""
    """A part of the installation that the workers' user cannot read; empty if there is none."""
    not_root_enough: str | None = None
    not_giving_up: str | None = None
    alone: bool = False
    """Whether workers stay user 0, as this user namespace has no other."""
    may_renice: bool = True
    addresses: Mapping[str, str] = field(default_factory=dict)
    """This host's addresses, and the interface of each."""
    forwards: bool = False
    """Whether this host is a router."""
    memory: int | None = None
    memory_of: str = "this host has"
    synchronised: bool | None = None
    wall: float = 0.0
    ticks: bool = True
    descriptors: int = 1024
    most_descriptors: int = 1024
    threads: int | None = None
    """How many more the workers' user, and our control groups, may have."""
    threads_of: str = "ulimit -u leaves"
    temporary: str = "/run/lzr"
    temporary_trouble: str = ""
    outputs: tuple[tuple[str, int], ...] = ()
    """(path, bytes that are free there) of what the scan writes."""
    scans: tuple[str, ...] = ()
    landlock: int = 7
    """Landlock's version; 0 where the kernel has none."""
    no_filter: str = ""
    """Why system calls are not filtered; empty if they are."""


def kernels(facts: HostFacts, wanted: ScanNeeds) -> Finding:
    """Whether the hot functions run in C."""
    if not facts.why_python:
        return Finding("kernels", OK, facts.kernels)
    remedy = "" if "=" in facts.why_python or ":" in facts.why_python else "install gcc, and lzr again"
    return Finding("kernels", WARNING, facts.kernels, remedy)


def installation(facts: HostFacts, wanted: ScanNeeds) -> Finding:
    """Whether workers can read what is installed."""
    if facts.closed:
        sentence = f"{facts.closed} is closed to {facts.user}, so workers load all they need while still root"
    else:
        sentence = f"{facts.directory} can be read by {facts.user}, whom workers run as"
    etc = f"; all.ini and lzr.toml are in {facts.examples}" if facts.examples else ""
    return Finding("installation", OK, sentence + etc)


def capabilities(facts: HostFacts, wanted: ScanNeeds) -> Finding:
    """Whether we may do what a scan needs root for, and give it up again."""
    for trouble in (facts.not_root_enough, facts.not_giving_up):
        if trouble:
            remedy = "in a container: --cap-add" if trouble == facts.not_giving_up else ""
            return Finding("capabilities", FAULT, trouble, remedy)
    if facts.alone:
        sentence = (
            "this user namespace has one user, so workers stay what it is outside, without capabilities, "
            "files by name, or system calls that they do not need"
        )
        return Finding(
            "capabilities", WARNING, sentence, "map more users, as subuid(5) has them, for one apart"
        )
    if not facts.may_renice:
        sentence = "all that is needed; without CAP_SYS_NICE lzr does not make way for a ZMap beside it"
        return Finding("capabilities", OK, sentence)
    return Finding("capabilities", OK, "all that is needed")


def source(facts: HostFacts, wanted: ScanNeeds) -> Finding:
    """Whether the source addresses are this host's; answers to other addresses come only if they are routed
    here.
    """
    for address in wanted.sources:
        there = facts.addresses.get(address)
        if there is None:
            remedy = "no answer comes back unless the network routes that address to this host"
            if wanted.guard == "none" and facts.forwards:
                remedy += ", and without the guard this host forwards it back: sysctl net.ipv4.ip_forward=0"
            return Finding("source", WARNING, f"{address} is not an address of this host", remedy)
        # A scan of this host itself leaves by lo; and routers keep addresses of the whole host there.
        if wanted.interface not in (None, "lo", there) and there != "lo" and not wanted.routed:
            remedy = f"answers may come in at {there}: check --interface and --source-ip"
            return Finding(
                "source", WARNING, f"{address} is an address of {there}, not of {wanted.interface}", remedy
            )
    if not wanted.sources:
        return Finding("source", OK, "lines of ZMap name the source addresses")
    more = f" and {len(wanted.sources) - 1} more" if len(wanted.sources) > 1 else ""
    return Finding("source", OK, f"{wanted.sources[0]}{more} on {facts.addresses[wanted.sources[0]]}")


def memory(facts: HostFacts, wanted: ScanNeeds) -> Finding:
    """Whether there is memory for the rings, and for the processes."""
    rings = wanted.ring_bytes
    asked = f"{wanted.shards} shards ask for {_megabytes(rings)} of ring memory"
    if facts.memory is None:
        return Finding("memory", OK, asked)
    room = f"{facts.memory_of} {_megabytes(facts.memory)} left"
    if facts.memory < rings:
        return Finding("memory", FAULT, f"{asked}, and {room}", "fewer workers: -w flow=1,collect=1")
    need = rings + wanted.processes * _PROCESS
    if facts.memory < need:
        sentence = f"{asked}, the processes for {_megabytes(need - rings)} more, and {room}"
        return Finding("memory", WARNING, sentence, "fewer workers: -w flow=1,collect=1")
    return Finding("memory", OK, f"{asked}, and {room}")


def clock(facts: HostFacts, wanted: ScanNeeds) -> Finding:
    """Whether the clocks run, and are right."""
    if not facts.ticks:
        return Finding("clock", FAULT, "the monotonic clock of this host stands still or goes back")
    if facts.wall < _EARLIEST:
        return Finding("clock", WARNING, "the clock shows a day long past, and Timestamps will", "set it")
    if facts.synchronised is False:
        remedy = "systemd-timesyncd or chrony sets it; in a container, the host does"
        sentence = "the kernel knows of nobody who sets its clock, so Timestamps may be off"
        return Finding("clock", NOTE, sentence, remedy)
    return Finding("clock", OK, "set by the network" if facts.synchronised else "runs")


def descriptors(facts: HostFacts, wanted: ScanNeeds) -> Finding:
    """Whether enough descriptors can be open: the hard limit counts, a scan raises the soft one by itself."""
    need = 64 + 2 * wanted.shards + 16 * wanted.processes
    most = max(facts.descriptors, facts.most_descriptors)
    sentence = f"{most} may be open at once, and about {need} are needed"
    if most >= need:
        return Finding("descriptors", OK, sentence)
    remedy = f"ulimit -n {need} as root, LimitNOFILE= under systemd, or fewer workers: -w"
    return Finding("descriptors", FAULT, sentence, remedy)


def threads(facts: HostFacts, wanted: ScanNeeds) -> Finding:
    """Whether enough threads can be started: else that is found out in the middle of a scan."""
    need = _THREADS * wanted.processes
    if facts.threads is None:
        return Finding("threads", OK, f"about {need} are needed, and nothing limits them")
    threads = "1 thread" if facts.threads == 1 else f"{facts.threads:,} threads"
    left = f"{facts.threads_of} {threads} to user {facts.user}"
    sentence = f"{left}, and about {need} are needed"
    if facts.threads >= need:
        return Finding("threads", OK, sentence)
    remedy = (
        f"ulimit -u {need} as root, TasksMax= under systemd, a container's --pids-limit, or fewer workers: -w"
    )
    return Finding("threads", FAULT, sentence, remedy)


def room(facts: HostFacts, wanted: ScanNeeds) -> Finding:
    """Whether there is room for the outputs, and for a socket."""
    if facts.temporary_trouble:
        trouble = f"no socket can be made in {facts.temporary}: {facts.temporary_trouble}"
        return Finding("room", FAULT, trouble, "set TMPDIR to another directory")
    tight = [(path, free) for path, free in facts.outputs if free < 64 * MEGABYTE]
    for path, free in tight:
        return Finding("room", WARNING, f"{path} has {_megabytes(free)} left to grow into")
    if facts.outputs:
        path, free = min(facts.outputs, key=lambda one: one[1])
        return Finding("room", OK, f"{path} has {_megabytes(free)} left to grow into")
    return Finding("room", OK, f"sockets can be made in {facts.temporary}")


def scans(facts: HostFacts, wanted: ScanNeeds) -> Finding:
    """Whether other scans are running on this host."""
    if not facts.scans:
        return Finding("scans", OK, "no other scan is running")
    remedy = "give each its own --source-port, and remember that their rates add up"
    return Finding("scans", WARNING, f"also running: {', '.join(facts.scans)}", remedy)


def confinement(facts: HostFacts, wanted: ScanNeeds) -> Finding:
    """Whether Landlock and a filter of system calls confine the workers, besides their being another user."""
    missing = [facts.no_filter] if facts.no_filter else []
    if not facts.landlock:
        missing.append("this kernel has no Landlock (5.13), or does not switch it on")
    if missing:
        remedy = "on a machine that matters, run it under a newer kernel"
        return Finding("confinement", WARNING, f"workers are held less tightly: {'; '.join(missing)}", remedy)
    scopes = "" if facts.landlock >= 6 else ", without scopes for signals and abstract sockets (6.12)"
    whose = "which other processes may be, too" if facts.shared else "which is this run's alone"
    held = f"Landlock {facts.landlock}{scopes}, a filter of system calls, and user {facts.user}, {whose}"
    return Finding("confinement", OK, held)


Check = Callable[[HostFacts, ScanNeeds], Finding]
PREFLIGHT: tuple[Check, ...] = (
    kernels, installation, capabilities, source, memory, descriptors, threads, room, clock, scans,
    confinement,
)  # fmt: skip
"""In the order in which they are reported. All of them together take under a millisecond."""
BY_THE_WAY = ("clock", "scans", "confinement")
"""Checks whose warnings do not concern the scan's results: in its log they are INFO."""


def preflight(facts: HostFacts, wanted: ScanNeeds) -> list[Finding]:
    """The findings of `PREFLIGHT`, in its order."""
    return [check(facts, wanted) for check in PREFLIGHT]


def warnings(findings: list[Finding]) -> tuple[Finding, ...]:
    """Those that a scan says. Raises UsageError where one is a fault."""
    for finding in findings:
        if finding.level == FAULT:
            raise UsageError(finding.text())
    return tuple(finding for finding in findings if finding.level == WARNING)


def worst(findings: list[Finding]) -> str:
    """The highest level among these findings."""
    return max((finding.level for finding in findings), key=LEVELS.index, default=OK)


def _megabytes(number: int) -> str:
    return f"{number / MEGABYTE:,.0f} MB"
