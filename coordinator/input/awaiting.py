"""Reads until there is a target to scan; tells the user what is waited for, and why there was nothing."""

from __future__ import annotations

import os
import stat
import sys
from typing import Protocol

from coordinator.files import readiness
from coordinator.input import zmapstuck
from coordinator.input.intake import EARLY, Intake
from coordinator.input.plaintext import PlainText
from coordinator.monitor.log import Log
from lzr.errors import UsageError
from lzr.options.table import Options
from lzr.targets import zmapfields
from lzr.targets.advice import advice, half_open, result

_AFTER = 1.0
"""Seconds without new input after which the user is told that no line so far could be used."""

_LONG = 5.0
"""Seconds after which the user is told that nothing has come."""

_LIST = (
    "type one target a line, as in 10.0.0.1:80, and end with Ctrl-D "
    "(or have them from a file: lzr -sendSYNs < list)"
)
_ZMAP = (
    "waiting for ZMap's records on this terminal; they come from a pipe, as in zmap -p 80 -O json "
    f"-f {','.join(zmapfields.NEEDED)} 192.0.2.0/24 | lzr; "
    "for a list of address:port, lzr -sendSYNs < list; Ctrl-D ends"
)


class Interrupts(Protocol):
    """Signals that ask to end, as `coordinator.console.signals.Signals` has them."""

    fileno: int
    count: int


def typed(options: Options) -> bool:
    """Whether the targets are typed on the terminal that the dashboard would use."""
    if options.input_file is not None or options.target_ports:
        return False
    try:
        return os.isatty(0) and not (os.isatty(2) and os.ttyname(0) != os.ttyname(2))
    except OSError:
        return False


def invite(options: Options) -> None:
    """On a terminal, tell the user to type targets."""
    if typed(options) and not options.quiet:
        print("lzr: " + (_LIST if options.send_syns and not options.dryrun else _ZMAP), file=sys.stderr)


def first_targets(intake: Intake, text: PlainText, signals: Interrupts, options: Options, log: Log) -> bool:
    """Read until there is a target, since the first targets decide on the interface. False when the input has
    ended.

    Raises UsageError where the input is no list, or cannot be read to its end.
    """
    more, said, quiet = True, False, not typed(options)
    while not intake.backlog:
        if signals.count:
            return False
        if intake.pending:
            intake.more()
            continue
        if not more and not intake.parked:
            return False
        reading = more and not intake.crowded
        if not (reading and text.ready()):
            reads = [text.stream.fileno()] if reading else []
            seconds = 0.25 if intake.parked else _AFTER if intake.refused else _LONG
            ready = readiness.readable([*reads, signals.fileno, *intake.awaited], seconds)
            if not ready and not said and not intake.parked:
                said = bool(intake.fates.read)
                if said:
                    log.warn(_useless("no line so far can be used", intake, options))
                elif quiet:
                    if not options.send_syns and zmapstuck.hangs(text.stream.descriptor):
                        log.error(zmapstuck.ADVICE)  # also with -q
                    else:
                        log.info("waiting for the input")
                    quiet = False
        intake.look_up()
        if not (reading and text.ready()):
            continue
        chunk = text.read()
        if chunk == b"":
            more = False
            intake.finish()
            if text.trouble and not intake.backlog:
                raise UsageError(f"the input was not read to its end: {text.trouble}")
        elif chunk:
            intake.feed(chunk, early=text.stream.age < EARLY)
    if not options.send_syns and result(intake.first):
        raise UsageError(
            "the input is records of a scan, whose connections have ended: -sendSYNs opens new ones to them"
        )
    if options.send_syns and half_open(intake.first):
        log.info(
            "these are ZMap's half-open connections: -sendSYNs opens them anew, without it they are used"
        )
    return more


def _useless(what: str, intake: Intake, options: Options) -> str:
    first = intake.refused[0] if intake.refused else "nothing is understood"
    if options.dryrun:
        return f"{what} ({first}): -dryrun is for what zmap --dryrun prints (--fast-dryrun: -dryrun=fast)"
    if zmapfields.HOW in first:
        return f"{what} ({first})"
    return f"{what} ({first}): {advice(intake.first, send_syns=options.send_syns)}"


def nothing(intake: Intake, options: Options) -> tuple[str, bool]:
    """Why the ended input has nothing to scan, and whether that is worth a warning.

    Raises UsageError where it is the user's mistake.

    An empty input is none: ZMap may have found nothing. But where it comes from a pipe its writer may have
    failed, which nobody here can see.
    """
    fates = intake.fates
    if not fates.read:
        why = "the input is empty: nothing to scan"
        if not _from_pipe(options):
            return why, False
        return f"{why}; see whether what writes into the pipe (zmap) has failed", True
    if fates.rejected == fates.read:
        raise UsageError(_useless("no line of the input can be used", intake, options))
    if fates.rejected + fates.unresolved == fates.read:
        first = intake.refused[0] if intake.refused else "no names are known"
        raise UsageError(f"no name in the input has an address ({first})")
    counts = {
        "unusable": fates.rejected,
        "blocklisted": fates.blocklisted,
        "duplicate": fates.duplicates,
        **fates.other(),
    }
    why = ", ".join(f"{count:,} {what}" for what, count in counts.items() if count)
    inputs = "1 input" if fates.read == 1 else f"{fates.read:,} inputs"
    said = f"nothing is left to scan of {inputs}: {why}"
    known = fates.rejected + fates.unresolved + fates.blocklisted + fates.duplicates + fates.printers
    lists = " and ".join(flag for flag, paths in _lists(options) if paths)
    chosen = (
        options.send_syns and options.resume is None
    )  # and not what ZMap found, or what is left of a list
    if fates.blocklisted and known == fates.read and chosen and lists:
        raise UsageError(f"{said} ({lists})")
    return said, bool(fates.blocklisted)


def _from_pipe(options: Options) -> bool:
    try:
        return options.input_file is None and stat.S_ISFIFO(os.fstat(0).st_mode)
    except OSError:
        return False


def _lists(options: Options) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Flags of the lists that say who is not scanned, and their files."""
    return ("--blocklist-file", options.blocklist_file), ("--allowlist-file", options.allowlist_file)
