"""Opens everything that a scan needs before its input is looked at; what cannot be opened is told at once."""

from __future__ import annotations

import os
import stat
import sys
import time
from collections.abc import Callable, Collection
from contextlib import ExitStack
from pathlib import Path
from secrets import randbits as random_bits
from typing import Any

from msgspec import Struct

from coordinator.checkpoint.checkpoint import Checkpoint, open_checkpoint
from coordinator.checkpoint.hashes import InputHash, digests
from coordinator.console.signals import Signals
from coordinator.doctor import facts
from coordinator.files import samefile, standard
from coordinator.files.filereader import FileReader
from coordinator.files.opening import WhileWaiting, open_written
from coordinator.guard.firewall import GuardError
from coordinator.guard.guard import Guard
from coordinator.input import networklists
from coordinator.input.plaintext import PlainText
from coordinator.input.resumedinput import compare
from coordinator.input.stream import Stream
from coordinator.input.sweptspace import Sweep, swept
from coordinator.monitor import appended
from coordinator.monitor.log import Log, open_log
from coordinator.monitor.profiling import ProfileFiles, open_profiles
from coordinator.processes import ownuser, rights, users
from coordinator.processes.childoutput import ChildOutput
from coordinator.processes.launch import Launched
from coordinator.processes.pool import Pool
from coordinator.processes.rundir import RunDir, RunDirError
from coordinator.results.metadata import Metadata, open_metadata
from coordinator.results.outputs import Outputs, open_outputs
from coordinator.results.resultfile import content
from lzr import safetext
from lzr.errors import UsageError, check_fields, printable
from lzr.options import byport, rules
from lzr.options.handshakes import fingerprints, handshakes
from lzr.options.table import Options
from lzr.records import fields
from lzr.records.filter import ExpressionError, fields_of, parse, record_filter
from lzr.sourceports import DEFAULT_PORTS
from lzr.targets import blockorders, filetypes
from lzr.targets.blocklist import Blocklist

_MOST_TRACED = 10_000_000
"""Most lines of -d, about 1 GB, so that neither a worker that was taken over nor a host can fill a disk."""


class Opened(Struct, frozen=True):
    """options: those to go by, which a checkpoint may have changed. directory: of the processes' sockets.

    port_orders: in which order each port's handshakes are tried, None where all ports have the same.
    blocks: orders to block that hold from the beginning, as plain values (`coordinator.scan.blocks`).
    run_as: user and group of workers and collectors. trace: descriptor of the file for it.
    pause: waits so many seconds, returns whether the user wants to end.
    """

    options: Options
    port_orders: byport.PortOrders | None
    log: Log
    record: Metadata
    checkpoint: Checkpoint | None
    outputs: Outputs
    text: PlainText
    sweep: Sweep | None
    blocklist: Blocklist | None
    blocks: list[dict[str, Any]]
    run_as: tuple[int, int]
    directory: str
    pool: Pool
    profiles: ProfileFiles
    trace: int | None
    pause: Callable[[float], bool]


def open_all(
    options: Options,
    guard: Guard | None,
    stdin: Stream | None,
    signals: Signals,
    stack: ExitStack,
    launched: Launched | None = None,
) -> Opened:
    """stdin: its stream, if it is the input. stack: closes what is opened. launched: the started fork server.

    Raises UsageError, Interrupted.
    """
    reader = FileReader(signals.pause, _say)
    options, chosen = byport.choose_default(options, read_orders(options, reader))
    _check_output(options)
    waiting = WhileWaiting(signals.pause, _say)
    checkpoint = stack.enter_context(open_checkpoint(options, invoker(), reader.whole))
    if checkpoint is not None:
        options = _as_begun(checkpoint, guard)
    if port_orders := _port_orders(options, reader):
        options = options.replace(handshakes=port_orders.names)
        chosen = (*chosen, byport.shown(port_orders))
    samefile.check(options)
    appended.check(options)
    log = stack.enter_context(open_log(options, invoker(), waiting=waiting))
    reader.say, waiting = log.info, WhileWaiting(signals.pause, log.info)
    for sentence in chosen:
        log.info(f"handshakes: {sentence}")
    profiles = stack.enter_context(open_profiles(options, "lzr: coordinator", invoker(), waiting=waiting))
    record = _open_record(options, checkpoint, port_orders, stack, waiting)
    trace = _open_trace(options, stack, waiting)
    blocklist = networklists.policy(options, reader, warn=log.warn)
    outputs = stack.enter_context(open_outputs(options, invoker(), checkpoint, waiting=waiting))
    record.options = options = _named_output(options, outputs, checkpoint)
    if sweep := _sweep(options, reader, blocklist, checkpoint, log):
        options = _counted(options, sweep)
    text = _open_input(options, stdin, reader) if sweep is None else PlainText(sweep.stream())
    record.lists = digests(options, reader.whole) if options.metadata_file else {}
    _compare_input(options, text.stream, checkpoint)
    run_as = _unprivileged(options, stack)
    rundir = _run_directory(run_as, stack)
    pool = _pool(launched or Launched(), options, log, text.stream, rundir, stack)
    return Opened(
        options=options,
        port_orders=port_orders,
        log=log,
        record=record,
        checkpoint=checkpoint,
        outputs=outputs,
        text=text,
        sweep=sweep,
        blocklist=blocklist,
        blocks=_ordered(options, checkpoint, reader),
        run_as=run_as,
        directory=rundir.here,
        pool=pool,
        profiles=profiles,
        trace=trace,
        pause=signals.pause,
    )


def read_orders(options: Options, reader: FileReader) -> byport.ByPort:
    """Read the files of -handshakes-by-port. Paths are made absolute, as in a checkpoint, so that a FIFO is
    read once.

    Raises UsageError, or Interrupted.
    """
    return byport.read(options.handshakes_by_port, lambda path: reader.whole(os.path.abspath(path)))


def _port_orders(options: Options, reader: FileReader) -> byport.PortOrders | None:
    """The handshake orders of ports, where there are any. Raises UsageError, or Interrupted."""
    if not options.handshakes_by_port:
        return None
    return byport.port_orders(options.handshakes, read_orders(options, reader))


def _as_begun(checkpoint: Checkpoint, guard: Guard | None) -> Options:
    """The options that a scan with a checkpoint goes by; the guard is changed to them. Raises UsageError."""
    options = checkpoint.options
    if checkpoint.resumed is not None:  # they come from a file, which may say anything
        handshakes(options.handshakes)
        fingerprints(options.priority_fingerprint)
        _check_output(options)
        wrong, sentence = rules.no_shard(options)
        if wrong:
            raise UsageError(sentence)
    _change_again(guard, checkpoint)
    if isinstance(options.max_targets, str) and not options.target_ports:
        raise UsageError(rules.no_share(options))
    return options


def _sweep(
    options: Options,
    reader: FileReader,
    blocklist: Blocklist | None,
    checkpoint: Checkpoint | None,
    log: Log,
) -> Sweep | None:
    """The sweep that the options ask for, if they do; it is logged. Raises UsageError, or Interrupted."""
    if not options.target_ports:
        return None
    begun = checkpoint.resumed.prefix if checkpoint is not None and checkpoint.resumed else b""
    seed = random_bits(64) if options.seed is None else options.seed
    found = swept(options, reader, blocklist, seed, begun, tell=log.info)
    log.info(found.sentence)
    return found


def _counted(options: Options, sweep: Sweep) -> Options:
    """The options with the number of a sweep's pairs: in all, and at most where there is a limit."""
    most = None if options.max_targets is None else sweep.total
    return options.replace(targets_total=options.targets_total or sweep.total, max_targets=most)


def _named_output(options: Options, outputs: Outputs, checkpoint: Checkpoint | None) -> Options:
    """With a checkpoint the default name of the results becomes an option, so that a resumed scan finds
    them."""
    if checkpoint is None or options.output_file is not None:
        return options
    name = os.path.abspath(outputs.name)
    checkpoint.options = checkpoint.options.replace(output_file=name)
    return options.replace(output_file=name)


def _ordered(options: Options, checkpoint: Checkpoint | None, reader: FileReader) -> list[dict[str, Any]]:
    """The orders to block from the resumed scan and from --block-orders. Raises UsageError."""
    before = [] if checkpoint is None else checkpoint.blocks
    if options.block_orders is None:
        return before
    try:
        found = blockorders.together(before, blockorders.of_lines(reader.whole(options.block_orders)))
    except ValueError as error:
        raise UsageError(f"--block-orders {printable(options.block_orders)}: {error}") from None
    if checkpoint is not None:
        checkpoint.blocks = found
    return found


def _check_enriched(option: str, names: Collection[str], options: Options) -> None:
    for name in () if options.enrich else fields.ENRICHED:
        if name in names:
            raise UsageError(f"{option}: the field {name} is empty without --enrich")


def _check_output(options: Options) -> None:
    """Check fields and filter before the collectors use them. Raises UsageError."""
    names = options.output_fields
    try:
        if names is not None:
            check_fields(names, fields.NUMBERS)
            fields.choose(names)
            _check_enriched("--output-fields", names, options)
        if options.output_filter is not None:
            record_filter(options.output_filter)
            _check_enriched("--output-filter", fields_of(parse(options.output_filter)), options)
    except ExpressionError as error:
        raise UsageError(f"--output-filter {options.output_filter}: {error}") from error
    except ValueError as error:
        raise UsageError(str(error)) from error
    needs_stdout = options.feed_zgrab or "-" in (options.output_file, options.metadata_file)
    if needs_stdout and standard.stdout_trouble():
        raise UsageError(f"{standard.stdout_trouble()}, and results are to go there")
    frame = options.dashboard_file
    if frame and not os.access(Path(frame).absolute().parent, os.W_OK | os.X_OK):
        raise UsageError(f"cannot write {frame}: its directory is missing or closed to us")
    if frame and os.path.isdir(frame):
        raise UsageError(f"cannot write {frame}: it is a directory")


def _change_again(guard: Guard | None, checkpoint: Checkpoint) -> None:
    """Change the guard to the resumed scan's options, which were not known when it was put up."""
    options = checkpoint.options
    if guard is None or checkpoint.resumed is None:
        return
    try:
        guard.change(
            options.source_ips, options.source_port or DEFAULT_PORTS, options.guard, options.interface
        )
    except GuardError as error:
        raise UsageError(str(error)) from error


def _say(sentence: str) -> None:
    """Say a sentence on stderr: there is no log yet."""
    print(safetext.line(f"lzr: {sentence}"), file=sys.stderr, flush=True)


def _open_input(options: Options, stdin: Stream | None, reader: FileReader) -> PlainText:
    stream = stdin
    if options.input_file is not None:
        stream = Stream(reader.open(options.input_file))
    return PlainText(stream or Stream(0), binary=options.dryrun == "fast")


def _compare_input(options: Options, stream: Stream, checkpoint: Checkpoint | None) -> None:
    """Check that a resumed scan has its input again, if that is a file. Raises InputDiffers."""
    if checkpoint is not None and checkpoint.resumed is not None:
        resumed = checkpoint.resumed
        compare(stream.descriptor, options.dryrun == "fast", resumed.marks, resumed.prefix)


def _open_record(
    options: Options,
    checkpoint: Checkpoint | None,
    port_orders: byport.PortOrders | None,
    stack: ExitStack,
    waiting: WhileWaiting,
) -> Metadata:
    """The metadata of the scan, with what is known of it by now. waiting: as for `open_metadata`."""
    begun = time.clock_gettime(time.CLOCK_BOOTTIME)
    record = stack.enter_context(
        open_metadata(options, sys.argv, time.time(), invoker(), begun=begun, waiting=waiting)
    )
    record.port_orders = port_orders
    record.input_hash = InputHash() if checkpoint is None else checkpoint.input
    return record


def _open_trace(options: Options, stack: ExitStack, waiting: WhileWaiting) -> int | None:
    """Open the file of --trace-pcap; what it holds stays until there is a trace. Raises UsageError."""
    if options.trace_pcap is None:
        return None
    try:
        found = open_written(options.trace_pcap, invoker(), append=True, alone=True, waiting=waiting)
        stack.callback(os.close, found)
        if stat.S_ISREG(os.fstat(found).st_mode):
            head = content(found, 0, 4)
            if head and head not in filetypes.PCAP:
                shown = printable(options.trace_pcap)
                raise UsageError(f"--trace-pcap {shown}: the file is there and is no capture")
    except OSError as error:
        raise UsageError(f"cannot write {printable(options.trace_pcap)}: {error.strerror}") from error
    return found


def _show_printed(printed: ChildOutput, options: Options, log: Log) -> None:
    """Have the children's output shown: in the log file, else on stderr while there is no dashboard."""
    if options.debug:  # what is asked for is shown as it is
        printed.pass_to(most=_MOST_TRACED)
    else:
        printed.pass_to(None if log.file is None else log.error, lambda: log.screen_taken)


def invoker() -> tuple[int, int] | None:
    """User and group that new files are to belong to: who called sudo, else None."""
    user = users.invoking_user()
    return None if user is None else (user.uid, user.gid)


def _unprivileged(options: Options, stack: ExitStack) -> tuple[int, int]:
    """User and group of workers and collectors: --user, else a uid of this run's own, kept until `stack` is
    closed.

    Without root they are our own. Raises UsageError.
    """
    own = ownuser.take() if options.user is None else None
    if own is not None:
        stack.callback(own.release)
    try:
        user = facts.whom(options.user, own)
    except users.UserError as error:
        raise UsageError(str(error)) from error
    why_not = rights.why_not_give_up_root(user)
    if why_not:
        raise UsageError(why_not)
    return user.uid, user.gid


def _run_directory(run_as: tuple[int, int], stack: ExitStack) -> RunDir:
    """The directory of the processes' sockets, until `stack` is closed. Raises UsageError."""
    try:
        rundir = RunDir(run_as)
    except RunDirError as error:
        raise UsageError(str(error)) from error
    stack.callback(rundir.remove)
    return rundir


def _pool(
    launched: Launched, options: Options, log: Log, stream: Stream, rundir: RunDir, stack: ExitStack
) -> Pool:
    """The fork server, which loads its modules while we go on. It ends when `stack` is closed."""
    _show_printed(launched.printed, options, log)
    gives_way = stream.piped and not options.send_syns  # to ZMap, which writes the pipe
    pool = Pool(rundir, launched, gives_way=gives_way)
    stack.callback(_close_quietly, pool)
    return pool


def _close_quietly(pool: Pool) -> None:
    if not pool.closed:
        pool.close()
