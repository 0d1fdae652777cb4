"""One scan from options to exit status: settle everything, start the fleet, loop, put everything back."""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from secrets import randbits as random_bits
from types import FrameType
from typing import Any

import numpy as np
from setproctitle import setproctitle, setthreadtitle

from coordinator.doctor import checks, facts
from coordinator.doctor.checks import Finding, Wanted
from coordinator.files import appended, samefile
from coordinator.files.opening import Interrupted
from coordinator.files.outputs import begin, free_name, open_outputs
from coordinator.files.relay import Relay
from coordinator.guard.guard import Guard, GuardError
from coordinator.guard.watch import GuardWatch
from coordinator.input.awaiting import first_targets, invite, nothing, typed
from coordinator.input.hashes import InputDiffers, InputHash, compare, digests
from coordinator.input.intake import Intake, Sources
from coordinator.input.size import Extent
from coordinator.input.stream import Source
from coordinator.input.unpack import Unpacked
from coordinator.monitor.log import Log, open_log
from coordinator.monitor.profiling import open_profiles
from coordinator.network import discover
from coordinator.network.discover import Network, NetworkError
from coordinator.network.raw_sockets import SocketError, close_shards, open_shards
from coordinator.processes import cpus, privilege
from coordinator.processes.childoutput import ChildOutput
from coordinator.processes.fleet import Fleet
from coordinator.processes.rundir import Scratch, ScratchError
from coordinator.scan import resumecommand
from coordinator.scan.checkpoint import Checkpoint, open_checkpoint
from coordinator.scan.console import Watch
from coordinator.scan.ledger import Ledger
from coordinator.scan.loop import Outputs, Scan, ScanError
from coordinator.scan.metadata import Metadata, open_metadata
from coordinator.scan.unanswered import unanswered
from lzr import __version__, addresses
from lzr.job import Job
from lzr.options import handshakes, resume
from lzr.options.table import Options, UsageError, check_fields
from lzr.records import fields
from lzr.records.encoders import ENCODERS
from lzr.records.filter import ExpressionError, record_filter
from lzr.records.summary import Summary
from lzr.rows import Opening
from lzr.secrets import Secrets
from lzr.targets.blocklist import Blocklist
from lzr.targets.dryrun import DryrunReader, FastDryrunReader
from lzr.targets.reader import Reader
from lzr.targets.zmap import ListReader, ZmapReader

DEFAULT_PORTS = (32768, 61000)
OK, FAILED, USAGE, LOST = 0, 1, 2, 3
READER_GONE = 128 + signal.SIGPIPE
"""As a shell sees any program that is ended by it: ``lzr -f - | head``."""
_FINISHING = "no more is begun, what is in flight is finished; once more ends it now"
_ENOUGH = "done, with as many results as asked for"
_FILTER_ADDRESSES = 16


class Signals:
    """SIGINT and SIGTERM as a count, seen by the loop at once through a pipe; SIGTSTP (Ctrl-Z) as a wish."""

    def __init__(self) -> None:
        self.count = 0
        self.number = 0
        self.to_stop = False
        self.fileno, self._write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._take)
        if signal.getsignal(signal.SIGTSTP) is signal.SIG_DFL:  # a shell without job control ignores it
            signal.signal(signal.SIGTSTP, self._take_stop)
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)

    def ignore(self) -> None:
        """From here on nothing is to be cut short: what was set up is being taken away."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)

    def pause(self, seconds: float) -> bool:
        """Wait so long; whether we are to end."""
        if not self.count:
            select.select([self.fileno], [], [], seconds)
        return self.count > 0

    def _take_stop(self, number: int, _: FrameType | None) -> None:
        self.to_stop = True

    def stop(self) -> None:
        """Stop as SIGTSTP does by itself; returns when continued (at once where nobody could do that)."""
        self.to_stop = False
        self.drain()
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTSTP)
        signal.signal(signal.SIGTSTP, self._take_stop)

    def _take(self, number: int, _: FrameType | None) -> None:
        self.count += 1
        self.number = number

    def drain(self) -> None:
        try:
            while os.read(self.fileno, 64):
                pass
        except BlockingIOError:
            pass


def run(options: Options, guard: Guard | None, stdin: Source | None) -> int:
    """Scan. Raises UsageError for what the user got wrong, before a packet is sent.

    stdin: being read already, if it is the input.
    """
    setproctitle("lzr: coordinator")
    setthreadtitle("lzr: coordinator")
    signals = Signals()
    options, chosen = handshakes.settle(options)
    _check_output(options)
    with ExitStack() as stack:
        stack.callback(signals.ignore)
        if options.checkpoint and not options.resume and options.output_file is None:
            name = free_name(datetime.now(), options.output_module)  # to be found again
            options = options.replace(output_file=name)
        checkpoint = stack.enter_context(open_checkpoint(options, _invoker()))
        if checkpoint is not None:
            options = checkpoint.options
            _settle_again(guard, checkpoint)
        samefile.check(options)
        appended.check(options)
        log = stack.enter_context(open_log(options, _invoker()))
        for sentence in chosen:
            log.info(f"handshakes: {sentence}")
        profiles = stack.enter_context(open_profiles(options, "lzr: coordinator", _invoker()))
        record = stack.enter_context(open_metadata(options, sys.argv, time.time(), _invoker()))
        blocklist = _blocklist(options)
        try:
            outputs = stack.enter_context(
                open_outputs(options, _invoker(), checkpoint, pause=signals.pause, say=log.info)
            )
        except Interrupted:
            return 128 + signals.number
        source = _open_input(options, stdin)
        record.input_hash = InputHash() if checkpoint is None else checkpoint.input
        record.lists = digests(options) if options.metadata_file else {}
        if checkpoint is not None and checkpoint.resumed is not None:
            resumed = checkpoint.resumed
            compare(source.descriptor, options.dryrun == "fast", resumed.marks, resumed.prefix)
        owner = _unprivileged(options)
        try:
            scratch = Scratch(owner)
        except ScratchError as error:
            raise UsageError(str(error)) from error
        stack.callback(scratch.remove)
        fleet = Fleet(scratch, _printed(options, log))
        stack.callback(_close_quietly, fleet)
        return _run(
            options,
            guard,
            signals,
            fleet,
            outputs,
            source,
            blocklist,
            scratch.here,
            owner,
            log,
            record,
            checkpoint,
            profiles,
        )


def _check_output(options: Options) -> None:
    """Fields and filter, which the collectors would stumble over. Raises UsageError."""
    names = options.output_fields
    try:
        if names is not None:
            check_fields(names, fields.NUMBERS)
            fields.choose(names)
        if options.output_filter is not None:
            record_filter(options.output_filter)
    except ExpressionError as error:
        raise UsageError(f"--output-filter {options.output_filter}: {error}") from error
    except ValueError as error:
        raise UsageError(str(error)) from error
    frame = options.dashboard_file
    if frame and not os.access(Path(frame).absolute().parent, os.W_OK | os.X_OK):
        raise UsageError(f"cannot write {frame}: its directory is missing or closed to us")


def _run(
    options: Options,
    guard: Guard | None,
    signals: Signals,
    fleet: Fleet,
    outputs: Outputs,
    source: Unpacked,
    blocklist: Blocklist | None,
    directory: str,
    owner: tuple[int, int],
    log: Log,
    record: Metadata,
    checkpoint: Checkpoint | None,
    profiles: list[int],
) -> int:
    seed = options.seed if options.seed is not None else random_bits(64)
    if checkpoint is not None:  # other ports and numbers each time: hosts may still hold the old connections
        seed = (seed + checkpoint.run * 0x9E3779B97F4A7) % 2**64
    secrets = Secrets.derive(seed)
    ledger = Ledger()
    intake = Intake(
        _reader(options),
        ledger,
        blocklist=blocklist,
        shards=options.shards,
        shard=options.shard,
        max_targets=options.max_targets,
        allow_printers=options.allow_printers,
        checkpoint=checkpoint,
        input_hash=record.input_hash if options.metadata_file else None,
        reopen=options.reopen,
    )
    extent = Extent(source.descriptor)
    invite(options)
    more = first_targets(intake, source, signals, options, log)
    for sentence in intake.told:
        log.info(sentence)
    intake.told.clear()
    watch = Watch(
        options,
        time.monotonic(),
        results_on_stdout=1 in outputs.descriptors,
        owner=_invoker(),
        log=log,
        typed=more and typed(options),
    )
    if not intake.backlog:
        record.summary, record.fates = Summary(), intake.fates
        record.status = _nothing_to_do(options, intake, outputs, watch, signals, checkpoint)
        _put_down(record, watch, log)
        return record.status
    net = _network(options, intake)
    if checkpoint is not None and options.send_syns and not options.source_ips:
        forced = "source_ips" in resume.changed(options.resume_changed)
        checkpoint.compare_sources(net.sources, forced=forced)
    ports = _ports(options, intake)
    if guard is not None:
        _cover(guard, intake, options, net, ports)
    have, why = cpus.usable()
    crew = cpus.choose(options.flow_workers, options.collect_workers, have, why)
    workers, shards = crew.flow, cpus.shards(crew.flow, have)
    job = Job(
        options=options,
        directory=directory,
        shards=shards,
        frames=cpus.frames(shards, workers),
        own_mac=net.own_mac,
        gateway_v4=net.gateway_mac_v4 or discover.NO_MAC,
        gateway_v6=net.gateway_mac_v6 or discover.NO_MAC,
        ports=ports,
        seed=seed,
        secrets=secrets,
        uid=owner[0],
        gid=owner[1],
        cores=cpus.order() if options.pin else (),
        report_every=watch.report_every,
        findings=watch.findings is not None,
    )
    warnings = _preflight(options, job, owner, net, crew)
    sources = Sources(
        [addresses.parse(text) for text in net.source_v4],
        [addresses.parse(text) for text in net.source_v6],
        job.ports,
        secrets,
    )
    try:
        sockets = open_shards(
            net.interface, job.shards, secrets, job.ports, _own_v4(options, net), job.frames
        )
    except SocketError as error:
        raise UsageError(str(error)) from error
    locks = [] if checkpoint is None else [checkpoint.lock]
    relay = Relay(outputs.descriptors)
    fleet.set_up(job, sockets, relay.handed, [*locks, *profiles])
    relay.handed_over()
    scan = Scan(
        job,
        fleet,
        intake,
        ledger,
        sources,
        outputs,
        watch,
        source=source if more else None,
        workers=workers,
        collectors=crew.collect,
        extent=extent,
        checkpoint=checkpoint,
        relay=relay,
    )
    intake.ports = ports
    watch.totals.cores = have
    watch.totals.guard_missing = guard is None
    via = f"via {net.interface} from {_list(net.sources)}"
    watch.totals.title = f"{handshakes.shown(options.handshakes)} {via}"
    watch.open(lambda: _announce(log, net, job, crew, begin(outputs, checkpoint, options)))
    for finding in warnings:
        (log.info if finding.check in checks.BY_THE_WAY else watch.note)(finding.text())
    record.network, record.job, record.summary, record.fates = net, job, scan.summary, intake.fates
    try:
        with GuardWatch(guard) as guarded:
            record.status = _loop(scan, signals, watch, record, guarded)
        said = unanswered(watch.snapshot(time.monotonic(), time.time()), net, opening=options.send_syns)
        if said and record.status == OK:
            if not options.quiet:
                print(f"lzr: {said}", file=sys.stderr)
            log.note(said)
        if source.trouble and record.status == OK:
            record.status, record.failure = FAILED, _cut_short(source)
            print(f"lzr: {record.failure}", file=sys.stderr)
        if record.status == OK and watch.totals.results_lost:
            record.status = LOST
        if scan.unfinished:
            _say_how_to_go_on(options, log)
        return record.status
    finally:
        watch.abandon()
        _put_down(record, watch, log)
        close_shards(sockets)


def _preflight(
    options: Options, job: Job, owner: tuple[int, int], net: Network, crew: cpus.Crew
) -> list[Finding]:
    """The checks of `lzr doctor` that cost nothing. Their warnings; raises UsageError for a fault."""
    wanted = Wanted(
        net.interface, net.sources, job.shards, job.frames, crew.flow + crew.collect + 2, options.guard
    )
    user = privilege.User(options.user or str(owner[0]), *owner)
    found = checks.preflight(facts.gather(options, user), wanted)
    for finding in found:
        if finding.level == checks.FAULT:
            raise UsageError(finding.text())
    return [finding for finding in found if finding.level == checks.WARNING]


def _announce(log: Log, net: Network, job: Job, crew: cpus.Crew, begun: str) -> None:
    """What is scanned how, in the log. begun: what was done to the result file."""
    options = job.options
    how = "".join(f" {flag}={value}" for flag, value in options.echo())
    log.info(f"version {__version__}, options{how or ': none'}")
    log.info(
        f"handshakes {handshakes.shown(options.handshakes)}; "
        f"{net.interface} from {', '.join(net.sources) or 'the addresses that lines name'}; "
        f"{job.shards} shards; seed {job.seed}"
    )
    log.info(begun)
    log.info(f"workers: {crew.why}")
    if job.cores:
        log.info(cpus.bound(net.interface, crew, job.cores))
    for gateway, mac in ((net.gateway_v4, net.gateway_mac_v4), (net.gateway_v6, net.gateway_mac_v6)):
        if mac is not None:
            log.debug(f"gateway {gateway or 'on this link'} has {mac.hex(':')}")


def _say_how_to_go_on(options: Options, log: Log) -> None:
    """The last line on stderr is a command."""
    stdin = resumecommand.stdin_file() if options.input_file is None else None
    text = resumecommand.command(options, resumecommand.program_name(), stdin, os.environ)
    same = " (INPUT: the same lines again)" if options.input_file is None and stdin is None else ""
    log.note(f"to go on with this scan: {text}")
    if options.quiet:
        return
    print(f"This scan is not finished. To go on with it{same}:\n{text}", file=sys.stderr)


def _put_down(record: Metadata, watch: Watch, log: Log) -> None:
    """The last lines of the log, and the metadata."""
    wall = time.time()
    snapshot = record.snapshot = watch.snapshot(time.monotonic(), wall)
    if record.failure:
        log.fatal(record.failure)
    log.note(
        f"ended with status {record.status}: {snapshot.read} inputs read, {snapshot.done} done, "
        f"{snapshot.tx} packets sent, {snapshot.rx} received, {snapshot.drops} dropped"
    )
    try:
        record.write(wall)
    except OSError as error:
        log.error(f"cannot write {record.options.metadata_file}: {error.strerror}")


def _loop(scan: Scan, signals: Signals, watch: Watch, record: Metadata, guarded: GuardWatch) -> int:
    seen = 0
    failure, mistaken = "", False
    touched = True
    descriptors = [signals.fileno, *watch.filenos(), *guarded.filenos()]
    scan.start()
    try:
        while not (scan.finished or scan.gone or scan.enough):
            if signals.count > seen:
                seen = signals.count
                signals.drain()
                if seen > 1:
                    scan.abandon()
                    break
                watch.totals.draining = True
                scan.interrupt()
                watch.acknowledge(f"{signal.Signals(signals.number).name}: {_FINISHING}")
                continue
            if signals.to_stop:  # the workers finish what is in flight meanwhile
                watch.suspend()
                signals.stop()
                watch.resume()
            now = time.monotonic()
            if said := guarded.look(now):
                watch.totals.guard_missing = guarded.missing
                watch.alert("guard", said, lost=True)
            for command in watch.tick(now, time.time(), touched=touched):
                scan.obey(command, now)
            if scan.quitting:
                scan.abandon()
                break
            touched = scan.step(descriptors, watch.patience(now))
        if scan.gone or scan.enough:
            watch.totals.ending = "the reader of the output has gone" if scan.gone else _ENOUGH
            scan.abandon()
    except (ScanError, ChildProcessError, InputDiffers) as error:
        mistaken = isinstance(error, InputDiffers)
        failure = str(error)
        scan.abandon()
    scan.close()
    tail = scan.summary.lines()
    watch.close(time.monotonic(), time.time(), tail, scan.outputs.closing(), scan.outputs.name)
    if failure:
        record.failure = failure
        print(f"lzr: {failure}", file=sys.stderr)
        return USAGE if mistaken else FAILED
    if seen:
        return 128 + signals.number
    return READER_GONE if scan.gone else OK


# --- what has to be settled first --------------------------------------------------------------------------


def _reader(options: Options) -> Reader:
    if options.dryrun == "fast":
        return FastDryrunReader()
    if options.dryrun:
        return DryrunReader()
    return ListReader() if options.send_syns else ZmapReader()


def _open_input(options: Options, stdin: Source | None) -> Unpacked:
    source = stdin
    try:
        if options.input_file is not None:
            source = Source(os.open(options.input_file, os.O_RDONLY | os.O_CLOEXEC))
    except OSError as error:
        raise UsageError(f"cannot read {options.input_file}: {error.strerror}") from error
    return Unpacked(source or Source(0), binary=options.dryrun == "fast")


def _cut_short(source: Unpacked) -> str:
    return f"the input was not read to its end: {source.trouble}"


def _blocklist(options: Options) -> Blocklist | None:
    texts = []
    for path in (options.blocklist_file, options.allowlist_file):
        try:
            texts.append(None if path is None else Path(path).read_text("utf-8", "replace"))
        except OSError as error:
            raise UsageError(f"cannot read {path}: {error.strerror}") from error
    if texts == [None, None]:
        return None
    try:
        return Blocklist.parse(texts[0] or "", texts[1])
    except ValueError as error:
        raise UsageError(f"{options.blocklist_file or options.allowlist_file}: {error}") from error


def _nothing_to_do(
    options: Options,
    intake: Intake,
    outputs: Outputs,
    watch: Watch,
    signals: Signals,
    checkpoint: Checkpoint | None,
) -> int:
    """The input held no target: an empty result, and the summary that says why."""
    if not signals.count:
        why = nothing(intake, options)
        watch.log.info(begin(outputs, checkpoint, options))
        watch.log.info(why)
    for descriptor, form, fresh in zip(outputs.descriptors, outputs.forms, outputs.fresh, strict=True):
        if form in ENCODERS and fresh:
            os.write(descriptor, ENCODERS[form](fields=options.output_fields).header())
    fates = intake.fates
    watch.totals.read, watch.totals.rejected = fates.read, fates.rejected
    watch.totals.blocklisted, watch.totals.duplicates = fates.blocklisted, fates.duplicates
    watch.totals.other = fates.other()
    for sentence in intake.refused:
        watch.note(sentence)
    watch.close(time.monotonic(), time.time(), Summary().lines(), outputs.closing(), outputs.name)
    return 128 + signals.number if signals.count else OK


def _network(options: Options, intake: Intake) -> Network:
    """Where packets leave. The family that the first targets are not of is looked for too, if it is there."""
    targets, sources = _first_of_each_family(intake)
    wanted: dict[str, Any] = {"interface": options.interface, "gateway_mac": options.gateway_mac}
    sources = list(options.source_ips or sources)
    try:
        if len(targets) == 1 and options.send_syns and not options.source_ips:
            other = "2001:503:ba3e::2:30" if ":" not in targets[0] else "198.41.0.4"  # only asked about
            try:
                return discover.discover([*targets, other], source_ips=sources, seconds=0.5, **wanted)
            except NetworkError:
                pass
        net = discover.discover(targets, source_ips=sources, **wanted)
        if options.source_ips:  # no other address than those, not of the other family either
            given = discover.expand_sources(options.source_ips)
            net = replace(
                net,
                source_v4=tuple(text for text in given if ":" not in text),
                source_v6=tuple(text for text in given if ":" in text),
            )
        return net
    except NetworkError as error:
        raise UsageError(str(error)) from error


def _list(texts: tuple[str, ...]) -> str:
    return ", ".join(texts[:2]) + (f" and {len(texts) - 2} more" if len(texts) > 2 else "")


def _ports(options: Options, intake: Intake) -> tuple[int, int]:
    """Our source ports: as given, or ZMap's, and those that its first lines name."""
    if options.source_port is not None:
        return options.source_port
    low, high = DEFAULT_PORTS
    for rows in intake.backlog:
        given = rows["own_port"][rows["syn"] != Opening.OURS]
        if len(given):
            low, high = min(low, int(given.min())), max(high, int(given.max()))
    return low, high


def _first_of_each_family(intake: Intake) -> tuple[list[str], list[str]]:
    """The first target of each family, and the addresses of ours that ZMap used for them."""
    targets, sources = [], []
    for rows in intake.backlog:
        v4 = (rows["peer_hi"] == 0) & (rows["peer_lo"] >> np.uint64(32) == 0xFFFF)
        for family in (True, False):
            found = np.flatnonzero(v4 == family)
            if len(found):
                row = rows[found[0]]
                targets.append(addresses.text(int(row["peer_hi"]), int(row["peer_lo"])))
                if row["own_lo"] or row["own_hi"]:
                    sources.append(addresses.text(int(row["own_hi"]), int(row["own_lo"])))
    return targets, sources


def _cover(guard: Guard, intake: Intake, options: Options, net: Network, ports: tuple[int, int]) -> None:
    """See that the guard covers every address and port we will send from, and no more than it must."""
    _, sources = _first_of_each_family(intake)
    try:
        if ports != guard.cover.ports:
            guard.settle(options.source_ips, ports, options.guard, options.interface)
        if options.send_syns and not options.source_ips:
            guard.narrow(net.sources)
        for address in sources:
            guard.extend(address)
    except GuardError as error:
        raise UsageError(str(error)) from error


def _own_v4(options: Options, net: Network) -> tuple[int, ...]:
    """Our addresses for the socket filter, where they are known and few; else any will do."""
    if not options.send_syns and not options.source_ips:
        return ()  # ZMap's lines say, one by one
    own = [addresses.parse(text)[1] & 0xFFFFFFFF for text in net.source_v4]
    return tuple(own) if len(own) <= _FILTER_ADDRESSES else ()


def _printed(options: Options, log: Log) -> ChildOutput:
    """Where what the children print is shown: in the log file, else on stderr, beside no dashboard."""
    if options.debug:  # what is asked for is shown as it is
        return ChildOutput(most=None)
    return ChildOutput(None if log.file is None else log.error, lambda: log.screen_taken)


def _invoker() -> tuple[int, int] | None:
    """Whom new files are to belong to, if not to us."""
    user = privilege.invoking_user()
    return None if user is None else (user.uid, user.gid)


def _unprivileged(options: Options) -> tuple[int, int]:
    """Whom workers and collectors run as. Who is not root stays who he is."""
    try:
        user = privilege.choose_user(options.user if os.geteuid() == 0 else None)
    except privilege.UserError as error:
        raise UsageError(str(error)) from error
    why_not = privilege.why_not_give_up_root(user)
    if why_not:
        raise UsageError(why_not)
    return user.uid, user.gid


def _settle_again(guard: Guard | None, checkpoint: Checkpoint) -> None:
    """The guard went up before it was known how the scan that is resumed was begun."""
    options = checkpoint.options
    if guard is None or checkpoint.resumed is None:
        return
    try:
        guard.settle(
            options.source_ips, options.source_port or DEFAULT_PORTS, options.guard, options.interface
        )
    except GuardError as error:
        raise UsageError(str(error)) from error


def _close_quietly(fleet: Fleet) -> None:
    if not fleet.closed:
        fleet.close()
