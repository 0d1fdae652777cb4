"""One scan from options to exit status: open, begin, prepare, loop, put everything back."""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack

from msgspec.structs import replace
from setproctitle import setproctitle, setthreadtitle

from coordinator.console.signals import Signals
from coordinator.doctor import checks
from coordinator.files.opening import Interrupted
from coordinator.guard.guard import Guard
from coordinator.guard.watch import GuardWatch
from coordinator.input.stream import Stream
from coordinator.processes import ulimits
from coordinator.processes.launch import Launched
from coordinator.scan import wording
from coordinator.scan.loop import Loop, ScanEnding
from coordinator.scan.prepare import Prepared, begin, make_console, prepare
from coordinator.setup.opened import open_all
from lzr import safetext
from lzr.errors import UsageError
from lzr.exitstatus import FAILED, OK
from lzr.options import handshakes
from lzr.options.table import Options
from lzr.records.summary import Summary


def run(options: Options, guard: Guard | None, stdin: Stream | None, launched: Launched | None = None) -> int:
    """Scan. Raises UsageError for the user's mistakes, before a packet is sent.

    stdin: the stream that reads it already, if stdin is the input. launched: the fork server, where it was
    started already; it is the caller's to end while no pool has taken it.
    """
    setproctitle("lzr: coordinator")
    setthreadtitle("lzr: coordinator")
    signals = Signals()
    if ulimits.raise_descriptors() < ulimits.LEAST:
        raise UsageError(f"fewer than {ulimits.LEAST} descriptors may be open at once: raise ulimit -n")
    try:
        return _run(options, guard, stdin, signals, launched)
    except Interrupted:  # while a FIFO waited for its other end, or a name for its address
        return 128 + signals.number
    except ChildProcessError as error:  # before a packet was sent: later it ends the loop
        print(safetext.line(f"lzr: {error}"), file=sys.stderr)
        return FAILED


def _run(
    options: Options,
    guard: Guard | None,
    stdin: Stream | None,
    signals: Signals,
    launched: Launched | None,
) -> int:
    with ExitStack() as stack:
        stack.callback(signals.ignore)
        opened = open_all(options, guard, stdin, signals, stack, launched)
        begun = begin(opened, signals)
        record, intake = opened.record, begun.intake
        if begun.empty:
            title = handshakes.shown(opened.options.handshakes)
            shown = make_console(opened, begun, title, guarded=guard is not None)
            record.summary, record.fates = Summary(), intake.fates
            record.status, record.failure = wording.nothing_to_do(opened, begun, shown, signals)
            if record.failure:
                print(safetext.line(f"lzr: {record.failure}"), file=sys.stderr)
            return wording.conclude(record, shown, opened.log)
        ready = prepare(opened, begun, guard, stack, signals)
        return _scan(ready, signals, stack.enter_context(GuardWatch(guard)))


def _scan(ready: Prepared, signals: Signals, guarded: GuardWatch) -> int:
    """Start the processes and run the loop; from here on packets are sent. Returns the exit status."""
    opened, shown, log, record = ready.opened, ready.console, ready.opened.log, ready.opened.record
    file = opened.outputs.file
    results = (opened.outputs.name, file.descriptor) if file is not None and file.regular else None
    shown.open(lambda: wording.announce(ready), results)
    for finding in ready.warnings:
        (log.info if finding.check in checks.BY_THE_WAY else shown.note)(finding.text())
    loop = Loop(ready, signals, guarded)
    record.network, record.job = ready.egress.network, ready.job
    record.summary, record.fates = loop.accounts.summary, ready.begun.intake.fates
    try:
        ending = loop.run()
        record.status, record.failure, record.unfinished = ending.status, ending.failure, ending.unfinished
        _tell(ready, ending)
        if opened.text.trouble and ending.status == OK:
            ending = replace(
                ending,
                status=FAILED,
                failure=f"the input was not read to its end: {opened.text.trouble}",
            )
        record.status, record.failure = ending.status, ending.failure
        if ending.failure:
            print(safetext.line(f"lzr: {ending.failure}"), file=sys.stderr)
        if ending.unfinished:
            wording.say_how_to_go_on(ready.job.options, log)
    finally:
        shown.abandon()
        status = wording.conclude(record, shown, log)
    return status


def _tell(ready: Prepared, ending: ScanEnding) -> None:
    """If nobody has answered, tell the user where to look."""
    options = ready.job.options
    snapshot = ready.console.snapshot(time.monotonic(), time.time())
    said = wording.unanswered(
        snapshot, ready.egress.network, opening=options.send_syns, given_mac=options.gateway_mac
    )
    if said and ending.status == OK:
        if not options.quiet:
            print(safetext.line(f"lzr: {said}"), file=sys.stderr)
        ready.opened.log.note(said)
