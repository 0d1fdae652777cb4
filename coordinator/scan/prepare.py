"""Prepares a scan: network, guard, processes and sockets, settled in one frozen value before the loop
begins."""

from __future__ import annotations

import socket
import time
import zlib
from contextlib import ExitStack
from functools import partial
from secrets import randbits as random_bits

from msgspec import Struct
from msgspec.structs import replace

from coordinator.checkpoint.cadence import EVERY_OF_SWEEP
from coordinator.console.console import About, Console
from coordinator.console.signals import Signals
from coordinator.doctor import checks, facts
from coordinator.doctor.checks import Finding, ScanNeeds
from coordinator.guard.guard import Guard
from coordinator.guard.widening import Widening, listened, widens
from coordinator.input.awaiting import first_targets, invite, typed
from coordinator.input.intake import Admission, Intake
from coordinator.network import discover
from coordinator.network.neighbours import NoRouteError
from coordinator.network.pcaptrace import Trace
from coordinator.network.raw_sockets import (
    SocketError,
    close_shards,
    open_errors,
    open_routed,
    open_shards,
    ring_frames,
)
from coordinator.processes import cpus, ownuser, users
from coordinator.results.terminal import Relay
from coordinator.scan.runningsweep import sample
from coordinator.setup import egress
from coordinator.setup.egress import Egress
from coordinator.setup.opened import Opened, invoker
from lzr import addresses
from lzr.errors import UsageError
from lzr.ipc.job import Job
from lzr.options import handshakes, resume
from lzr.options.kinds import amounts
from lzr.options.table import Options
from lzr.ownaddresses import Sources
from lzr.ownership.ledger import Ledger
from lzr.rows import Opening, Rows
from lzr.secrets import Secrets
from lzr.sweep.reader import SweepReader
from lzr.targets.dryrun import DryrunReader, FastDryrunReader
from lzr.targets.lists import ListReader
from lzr.targets.reader import Reader
from lzr.targets.zmap import ZmapReader

_UNREACHED = 4096
"""First targets of which at least one must have a route, else the scan ends with a mistake. A judgement: a
list may begin with hosts that have no route, but hardly with thousands."""


class Begun(Struct, frozen=True):
    """The input, read as far as its first targets, if it has any.

    seed, secrets: of this run. more: the input has not ended. now: when the scan began (monotonic seconds).
    low: of a sweep, the first pair without a fate. first: TARGET rows, by which the way out is found.
    """

    seed: int
    secrets: Secrets
    ledger: Ledger
    intake: Intake
    more: bool
    now: float
    low: int = 0
    first: tuple[Rows, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether there is nothing to scan."""
        return not self.first


class Prepared(Struct, frozen=True):
    """Everything that the loop needs; it does not change any more.

    sources: chooses our address and port for each target. workers: how many processes to start with.
    warnings: of the checks that were made. relay: copies results to a terminal. trace: that of --trace-pcap.
    """

    opened: Opened
    begun: Begun
    egress: Egress
    job: Job
    workers: cpus.Workers
    sources: Sources
    console: Console
    warnings: tuple[Finding, ...]
    relay: Relay
    trace: Trace | None


def begin(opened: Opened, signals: Signals) -> Begun:
    """Read the input until there is something to scan. Raises UsageError."""
    options, checkpoint = opened.options, opened.checkpoint
    seed = options.seed if options.seed is not None else random_bits(64)
    if checkpoint is not None:  # other ports and numbers each time: hosts may still hold the old connections
        seed = (seed + checkpoint.run * 0x9E3779B97F4A7) % 2**64
    ledger = Ledger()
    intake = Intake(
        _reader(options) if opened.sweep is None else SweepReader(),
        ledger,
        Admission(
            opened.blocklist,
            shards=options.shards if opened.sweep is None else 1,  # its reader has this box's share only
            shard=amounts.shards(options.shard) if opened.sweep is None else (0,),
            max_targets=options.max_targets if isinstance(options.max_targets, int) else None,
            allow_printers=options.allow_printers,
            reopen=options.reopen,
        ),
        checkpoint=checkpoint,
        input_hash=opened.record.input_hash if options.metadata_file else None,
    )
    invite(options)
    more = first_targets(intake, opened.text, signals, options, opened.log)
    for sentence in intake.sentences:
        opened.log.info(sentence)
    intake.sentences.clear()
    begun = Begun(seed, Secrets.derive(seed), ledger, intake, more, time.monotonic())
    if opened.sweep is None:
        return replace(begun, first=tuple(intake.backlog))
    low = 0 if checkpoint is None or checkpoint.done is None else checkpoint.done.low
    if low >= opened.sweep.total:
        intake.fates.read = intake.fates.resumed = opened.sweep.total
        return begun
    first = sample(opened.sweep.share, low, min(_UNREACHED, opened.sweep.total - low))
    return replace(begun, low=low, first=(first,))


def make_console(opened: Opened, begun: Begun, title: str, cores: int = 1, *, guarded: bool) -> Console:
    """The console of the scan, not opened yet. title: what is scanned, and how, for the dashboard's
    header.
    """
    return Console(
        opened.options,
        begun.now,
        results_on_stdout=1 in opened.outputs.descriptors,
        invoker=invoker(),
        log=opened.log,
        typed=begun.more and typed(opened.options),
        about=About(title, cores, guard_missing=not guarded),
        pause=opened.pause,
    )


def prepare(
    opened: Opened, begun: Begun, guard: Guard | None, stack: ExitStack, signals: Signals
) -> Prepared:
    """Settle what is left: network, guard, processes, sockets. Raises UsageError.

    stack: takes what has to be closed at the end.
    """
    options, checkpoint, intake = opened.options, opened.checkpoint, begun.intake
    out, begun = _find(opened, begun, guard, signals)
    stack.callback(out.routes.routing.close)
    net = out.network
    if checkpoint is not None and options.send_syns and not options.source_ips:
        forced = "source_ips" in resume.changed(options.resume_changed)
        checkpoint.compare_sources(net.sources, forced=forced)
    if guard is not None:
        egress.cover(guard, out, intake, options)
    have, why = cpus.usable()
    workers = cpus.choose(options.flow_workers, options.collect_workers, have, why)
    title = f"{handshakes.shown(options.handshakes)} {out.title()}"
    shown = make_console(opened, begun, title, have, guarded=guard is not None)
    job = _job(opened, begun, out, workers, cpus.shards(workers.flow, have), shown)
    warnings = _preflight(options, job, opened.run_as, out, workers)
    sources = Sources(
        [addresses.parse(text) for text in net.source_v4],
        [addresses.parse(text) for text in net.source_v6],
        out.ports,
        begun.secrets,
    )
    heard = listened(options, out.ports)
    sockets = _open_sockets(opened, job, out, heard, stack)
    trace = None
    if opened.trace is not None:
        trace = Trace(options.trace_pcap or "", opened.trace, out.routes.links, out.ports, opened.run_as)
        trace.tell(partial(shown.miss, "trace"))
        stack.callback(trace.close)
    out.routes.started(out.own_v4, out.routes.links)
    locks = [] if checkpoint is None else [checkpoint.lock]
    relay = Relay(opened.outputs.descriptors)
    opened.pool.set_up(job, sockets, relay.handed, [*locks, *opened.profiles.descriptors])
    relay.handed_over()
    if begun.more and opened.text.stream.piped and not options.send_syns:
        opened.pool.priority.lower(opened.text.stream.threads())
    else:
        opened.pool.restore_priority()
    if widens(options):
        _widen(Widening(guard, options, shown.alert), intake, heard)
    else:
        intake.listen_on(out.ports)
    return Prepared(opened, begun, out, job, workers, sources, shown, warnings, relay, trace)


def _job(
    opened: Opened, begun: Begun, out: Egress, workers: cpus.Workers, shards: int, shown: Console
) -> Job:
    """What every worker and collector is told of the scan before it starts."""
    options, net, by_port = opened.options, out.network, opened.port_orders
    return Job(
        options=options,
        directory=opened.directory,
        shards=shards,
        frames=ring_frames(shards, workers.flow),
        own_mac=net.own_mac,
        gateway_v4=net.gateway_mac_v4 or discover.NO_MAC,
        gateway_v6=net.gateway_mac_v6 or discover.NO_MAC,
        ports=out.ports,
        seed=begun.seed,
        secrets=begun.secrets,
        uid=opened.run_as[0],
        gid=opened.run_as[1],
        cores=cpus.order() if options.pin else (),
        report_every=_report_every(options, shown),
        findings=shown.findings is not None,
        own_user=options.user is None and ownuser.is_own(opened.run_as[0]),
        handshake_orders=() if by_port is None else by_port.orders,
        order_of_port=b"" if by_port is None else zlib.compress(by_port.of_port.tobytes()),
    )


def _report_every(options: Options, shown: Console) -> float:
    """Seconds between two reports of other processes. A checkpoint takes no pair of a sweep for silent before
    all answers up to some time after its SYN have been reported.
    """
    if options.target_ports and options.checkpoint:
        return min(shown.report_every, EVERY_OF_SWEEP / 2)
    return shown.report_every


def _open_sockets(
    opened: Opened, job: Job, out: Egress, heard: tuple[int, int], stack: ExitStack
) -> list[socket.socket]:
    """All raw sockets, in the order that `Setup` states. Raises UsageError.

    heard: first and last of the ports that they let in. stack: closes them.
    """
    links, secrets, sweep = out.routes.links, job.secrets, opened.sweep
    traced = opened.trace is not None
    try:
        shards = open_shards(None, job.shards, secrets, heard, out.own_v4, job.frames, links, traced=traced)
        stack.callback(close_shards, shards)
        routed = open_routed(job.options.interface)
        errors = [] if sweep is None else open_errors(sweep.families, heard, secrets, links)
    except SocketError as error:
        raise UsageError(str(error)) from error
    stack.callback(close_shards, routed)
    out.routes.routing.chosen.bound = routed
    stack.callback(close_shards, errors)
    return [*shards, *routed, *errors]


def _find(opened: Opened, begun: Begun, guard: Guard | None, signals: Signals) -> tuple[Egress, Begun]:
    """Find the way out. Where none of the first targets has a route, read on. Raises UsageError."""
    intake = begun.intake
    while True:
        try:
            return egress.find(opened.options, begun.first, guard), begun
        except NoRouteError as error:
            if not begun.more or intake.waiting >= _UNREACHED:
                raise UsageError(str(error)) from error
        before = [*intake.backlog]
        intake.backlog.clear()
        more = first_targets(intake, opened.text, signals, opened.options, opened.log)
        intake.backlog.extendleft(reversed(before))
        begun = replace(begun, more=more, first=tuple(intake.backlog))


def _widen(widening: Widening, intake: Intake, heard: tuple[int, int]) -> None:
    """Let `widening` examine the first lines, which have been read already, and all later ones.

    heard: first and last of the ports that the sockets let in.
    """
    for rows in intake.backlog:
        if widening.take(rows):
            rows["syn"][rows["syn"] == Opening.TAKEN] = Opening.DOUBTFUL
        deaf = (rows["own_port"] < heard[0]) | (rows["own_port"] > heard[1])
        for name, value in (("syn", Opening.OURS), ("seq", 0), ("ack", 0), ("window", 0)):
            rows[name][deaf] = value
    intake.widen_by(widening)


def _reader(options: Options) -> Reader:
    if options.dryrun == "fast":
        return FastDryrunReader()
    if options.dryrun:
        return DryrunReader()
    return ListReader() if options.send_syns else ZmapReader()


def _preflight(
    options: Options, job: Job, run_as: tuple[int, int], out: Egress, workers: cpus.Workers
) -> tuple[Finding, ...]:
    """The checks of `lzr doctor` that cost nothing. Their warnings. Raises UsageError."""
    net, processes = out.network, workers.flow + workers.collect + 2
    routed = options.send_syns and not options.source_ips
    wanted = ScanNeeds(net.interface, net.sources, routed, job.shards, job.frames, processes, options.guard)
    user = users.User(options.user or str(run_as[0]), *run_as)
    return checks.warnings(checks.preflight(facts.gather(options, user, wanted.interface), wanted))
