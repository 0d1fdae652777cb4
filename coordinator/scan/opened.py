"""What a scan opens before its input is looked at: what cannot be opened costs nothing but a sentence."""

from __future__ import annotations

import os
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from coordinator.files import appended, samefile
from coordinator.files.outputs import Outputs, free_name, open_outputs
from coordinator.guard.guard import Guard, GuardError
from coordinator.input.hashes import InputHash, compare, digests
from coordinator.input.stream import Source
from coordinator.input.unpack import Unpacked
from coordinator.monitor.log import Log, open_log
from coordinator.monitor.profiling import open_profiles
from coordinator.processes import privilege
from coordinator.processes.childoutput import ChildOutput
from coordinator.processes.fleet import Fleet
from coordinator.processes.rundir import Scratch, ScratchError
from coordinator.scan.checkpoint import Checkpoint, open_checkpoint
from coordinator.scan.metadata import Metadata, open_metadata
from coordinator.scan.signals import Signals
from lzr.errors import printable
from lzr.options import handshakes
from lzr.options.table import Options, UsageError, check_fields
from lzr.records import fields
from lzr.records.filter import ExpressionError, record_filter
from lzr.sourceports import DEFAULT_PORTS
from lzr.targets.blocklist import Blocklist


@dataclass(frozen=True, slots=True)
class Opened:
    """options: those to go by, which a checkpoint may have changed. directory: of the processes' sockets.

    owner: whom workers and collectors run as. profiles: descriptors of files for them.
    """

    options: Options
    log: Log
    record: Metadata
    checkpoint: Checkpoint | None
    outputs: Outputs
    source: Unpacked
    blocklist: Blocklist | None
    owner: tuple[int, int]
    directory: str
    fleet: Fleet
    profiles: list[int]


def open_all(
    options: Options, guard: Guard | None, stdin: Source | None, signals: Signals, stack: ExitStack
) -> Opened:
    """stdin: being read already, if it is the input. stack: closes what is opened here.

    Raises UsageError, and Interrupted where a signal came while we waited for an output.
    """
    options, chosen = handshakes.settle(options)
    _check_output(options)
    if options.checkpoint and not options.resume and options.output_file is None:
        name = free_name(datetime.now(), options.output_module)  # to be found again
        options = options.replace(output_file=name)
    checkpoint = stack.enter_context(open_checkpoint(options, invoker()))
    if checkpoint is not None:
        options = checkpoint.options
        _settle_again(guard, checkpoint)
    samefile.check(options)
    appended.check(options)
    log = stack.enter_context(open_log(options, invoker()))
    for sentence in chosen:
        log.info(f"handshakes: {sentence}")
    profiles = stack.enter_context(open_profiles(options, "lzr: coordinator", invoker()))
    record = stack.enter_context(open_metadata(options, sys.argv, time.time(), invoker()))
    blocklist = _blocklist(options, log)
    outputs = stack.enter_context(
        open_outputs(options, invoker(), checkpoint, pause=signals.pause, say=log.info)
    )
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
    return Opened(
        options=options,
        log=log,
        record=record,
        checkpoint=checkpoint,
        outputs=outputs,
        source=source,
        blocklist=blocklist,
        owner=owner,
        directory=scratch.here,
        fleet=fleet,
        profiles=profiles,
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


def _open_input(options: Options, stdin: Source | None) -> Unpacked:
    source = stdin
    try:
        if options.input_file is not None:
            source = Source(os.open(options.input_file, os.O_RDONLY | os.O_CLOEXEC))
    except OSError as error:
        raise UsageError(f"cannot read {options.input_file}: {error.strerror}") from error
    return Unpacked(source or Source(0), binary=options.dryrun == "fast")


def _blocklist(options: Options, log: Log) -> Blocklist | None:
    """Raises UsageError, also for an allowlist that allows nobody; a blocklist that blocks nobody is said."""
    texts = []
    for path in (options.blocklist_file, options.allowlist_file):
        try:
            texts.append(None if path is None else Path(path).read_text("utf-8", "replace"))
        except OSError as error:
            raise UsageError(f"cannot read {path}: {error.strerror}") from error
    if texts == [None, None]:
        return None
    try:
        found = Blocklist.parse(texts[0] or "", texts[1])
    except ValueError as error:
        raise UsageError(f"{options.blocklist_file or options.allowlist_file}: {error}") from error
    if found.only is not None and not len(found.only):
        raise UsageError(f"--allowlist-file {printable(options.allowlist_file or '')} allows nobody")
    if options.blocklist_file is not None and not (found.blocked and len(found.blocked)):
        log.warn(f"--blocklist-file {printable(options.blocklist_file)} names no network: nothing is blocked")
    return found


def _printed(options: Options, log: Log) -> ChildOutput:
    """Where what the children print is shown: in the log file, else on stderr, beside no dashboard."""
    if options.debug:  # what is asked for is shown as it is
        return ChildOutput(most=None)
    return ChildOutput(None if log.file is None else log.error, lambda: log.screen_taken)


def invoker() -> tuple[int, int] | None:
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


def _close_quietly(fleet: Fleet) -> None:
    if not fleet.closed:
        fleet.close()
