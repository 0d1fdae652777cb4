"""`lzr doctor`: whether a scan would begin here, and if not, why. The checks of every scan, and some that try
it.

One line each: level, what was checked, a sentence and a remedy. It takes a scan's options and a target;
nothing is sent to the target.
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
import socket
import sys
from collections.abc import Sequence

from msgspec.structs import asdict

from coordinator.commandline import configfile
from coordinator.doctor import checks, facts, outputrules, portways, probing
from coordinator.doctor.checks import FAULT, NOTE, OK, WARNING, Finding, ScanNeeds
from coordinator.network.raw_sockets import ring_frames
from coordinator.processes import cpus, ownuser, users
from lzr import __version__, addresses, safetext
from lzr.addresstext import ranges_of
from lzr.errors import UsageError, printable
from lzr.exitstatus import MISTAKE
from lzr.options import parse
from lzr.options.table import Options
from lzr.sourceports import DEFAULT_PORTS

USAGE = """\
usage: lzr doctor [--json] [TARGET] [FLAGS OF A SCAN]

Says what is right and what is not for a scan from this host, a line each: ok,
note, warning or fault, with what to do about it. TARGET is an address (a port
behind it is ignored); nothing is sent to it, but the way to it is looked up,
and the next hop asked for its MAC. Of a scan's flags all are taken; those that
matter are -i (interface), -S (source address), -G (gateway's MAC), -w, --user,
--guard and the output files.

Exit status: 0 all is well, or there are only notes, 1 there are warnings,
2 there is a fault, with which a scan would not begin.

example: lzr doctor 192.0.2.7 -i eth0
"""
_ORDER = (
    "kernels", "installation", "capabilities", "confinement", "route", "rules", "source", "guard", "egress",
    "memory", "rings", "descriptors", "threads", "room", "clock", "scans",
)  # fmt: skip
_STATUS = {OK: 0, NOTE: 0, WARNING: 1, FAULT: MISTAKE}


def main(argv: Sequence[str]) -> int:
    """Run the command. The exit status is of the worst level: 0 ok or note, 1 warning, 2 fault (or wrong
    usage).
    """
    try:
        words, target, as_json = _split(argv)
    except UsageError as error:
        return _mistake(error)
    if words is None:
        print(USAGE, end="")
        return 0
    try:
        options = parse.parse(words, configfile.read)
        found = examine(options, None if target is None else _address(target))
    except UsageError as error:
        return _mistake(error)
    except parse.ShowText as answer:
        answer.show()
        return 0
    level = checks.worst(found)
    if as_json:
        print(
            json.dumps({"version": __version__, "level": level, "findings": [asdict(one) for one in found]})
        )
    else:
        for one in found:
            print(safetext.line(f"{one.level:8} {one.check:13} {one.text()}"))
        print(safetext.line(_sum(found)))
    return _STATUS[level]


def examine(options: Options, target: str | None) -> list[Finding]:
    """All findings, in the order in which a scan meets what they are about."""
    found: list[Finding] = []
    own = ownuser.take() if options.user is None else None
    if own is not None:
        own.release()  # one like it is what a scan takes
    try:
        user = facts.whom(options.user, own)
    except users.UserError as error:
        found.append(Finding("installation", FAULT, str(error)))
        user = users.choose_user(None)
    have, why = cpus.usable()
    workers = cpus.choose(options.flow_workers, options.collect_workers, have, why)
    here, net = probing.route(options, target)
    found += [here, portways.ways_by_port()]
    shards = cpus.shards(workers.flow, have)
    wanted = ScanNeeds(
        interface=net.interface if net else options.interface,
        sources=net.sources if net else options.source_ips,
        shards=shards,
        frames=ring_frames(shards, workers.flow),
        processes=workers.flow + workers.collect + 2,
        guard=options.guard,
    )
    known = facts.gather(options, user, wanted.interface)
    found += [one for one in checks.preflight(known, wanted) if one.check not in {had.check for had in found}]
    if known.not_root_enough is None:
        found.append(probing.guarding(options, wanted))
        way_out = outputrules.output_rules(wanted.interface)
        if way_out is not None:
            found.append(way_out)
        if net is not None:
            found.append(probing.rings(options, wanted, net, options.source_port or DEFAULT_PORTS))
    files = [options.output_file, options.log_file, options.metadata_file, options.status_updates_file]
    trouble = probing.files(files)
    if trouble is not None:
        found = [one for one in found if one.check != "room"] + [trouble]
    return sorted(found, key=lambda one: _ORDER.index(one.check))


def _split(argv: Sequence[str]) -> tuple[list[str] | None, str | None, bool]:
    """(a scan's words, or None where help is asked for; the target; whether --json). Raises UsageError."""
    words: list[str] = []
    targets: list[str] = []
    as_json = False
    rest = list(argv)
    while rest:
        word = rest.pop(0)
        if word in ("-h", "-help", "--help"):
            return None, None, False
        if word in ("--json", "-json"):
            as_json = True
        elif word.startswith("-"):
            words.append(word)
            row = parse.FLAGS.get(_name(word))
            if row is not None and row.kind.bare is None and "=" not in word and rest:
                words.append(rest.pop(0))
        else:
            targets.append(word)
    if any(parse.FLAGS.get(_name(word)) is parse.FLAGS["p"] for word in words if word.startswith("-")):
        words += targets  # they are what the flags of a sweep need
    elif len(targets) > 1:
        raise UsageError(f"{printable(targets[1])}: one target is enough")
    return words, targets[0] if targets else None, as_json


def _name(word: str) -> str:
    """The name of a flag, without its dashes and its value."""
    return word.partition("=")[0].removeprefix("-").removeprefix("-")


def _address(text: str) -> str:
    """An address of `address`, `address:port`, `[v6]:port`, a network, a range or a name.

    Raises UsageError.
    """
    for form in (text, text.rpartition(":")[0].strip("[]"), text.strip("[]")):
        try:
            return str(ipaddress.ip_address(form))
        except ValueError:
            continue
    with contextlib.suppress(ValueError):
        first, last = ranges_of(text)[0]
        return addresses.text(*divmod(min(first + 1, last), 1 << 64))  # the first is nobody's in a network
    name = text.rpartition(":")[0] or text
    try:
        return str(socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)[0][4][0])
    except (OSError, UnicodeError):
        raise UsageError(f"{printable(text)} is neither an address nor a name that resolves") from None


def _sum(found: Sequence[Finding]) -> str:
    faults = sum(one.level == FAULT for one in found)
    warnings = sum(one.level == WARNING for one in found)
    notes = sum(one.level == NOTE for one in found)
    if faults:
        return f"{_count(faults, 'fault')}: a scan would not begin"
    if warnings:
        return f"{_count(warnings, 'warning')}: a scan would begin"
    return f"all is well ({_count(notes, 'note')})" if notes else "all is well"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _mistake(error: UsageError) -> int:
    print(safetext.line(f"lzr doctor: {error}"), file=sys.stderr)
    return MISTAKE
