"""``lzr guard on|off|status``: the RST guard by itself, for pipelines that need it before the scan starts.

A guard made here belongs to no process and is never stale, so only a person removes it: ``off`` removes it,
for all addresses or for those named. Both look what is set and set what follows from it, so of several such
commands at the same moment one does so after the other.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NoReturn

from coordinator.commandline.argumentparser import ArgumentParser
from coordinator.files import standard
from coordinator.files.exclusive import open_locks
from coordinator.guard import guard, tablenames
from coordinator.guard.firewall import GuardError, Standing, ToolError, spans
from lzr import ranges, safetext
from lzr.addresses import text
from lzr.addresstext import ranges_of
from lzr.errors import UsageError, printable, suggest, two_dashes
from lzr.exitstatus import MISTAKE, OK
from lzr.sourceports import DEFAULT_PORTS, DEFAULT_RANGE

NONE = 1
"""Exit status: there is no such guard."""
LOCK = Path("/run/lzr/guard")
"""The file that is locked while guards set by hand are changed. Its directory is root's."""


_COMMANDS = ("on", "off", "status", "help")
_FLAGS = ("source-ip", "sourceIP", "source-port", "interface", "sendInterface", "guard", "help")


class _Parser(ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise GuardError(message)


def main(argv: list[str]) -> int:
    """Run the command; the exit status is 0 done, 1 no guard stands (status, off), 2 a mistake."""
    if not argv:
        print(_parser().format_help(), end="", file=sys.stderr)
        return MISTAKE
    try:
        options = _parser().parse_args(two_dashes(argv, _FLAGS))
        if options.command not in _COMMANDS:
            guess = suggest(options.command, _COMMANDS) or "; there are on, off and status"
            raise GuardError(f"{printable(options.command)} is no command of the guard{guess}")
        printing = options.command in ("help", "status")
        if printing and (trouble := standard.stdout_trouble()):
            raise GuardError(trouble)
        if options.command == "help":
            _parser().print_help()
            return OK
        _check_taken(options)
        addresses = [part.strip() for given in options.source_ip for part in given.split(",")]
        _numbers(addresses)  # raises for what is none, also where all addresses are covered already
        if options.command == "status":
            return _status()
        with _alone():
            if options.command == "on":
                return _on(addresses, _ports(options.source_port), options.guard or "auto", options.interface)
            return _off(addresses, None if options.source_port is None else _ports(options.source_port))
    except (GuardError, UsageError) as error:
        print(safetext.line(f"lzr guard: {error}"), file=sys.stderr)
        return MISTAKE
    except ToolError as error:
        print(safetext.line(f"lzr guard: {guard.forbidden() if error.forbidden else error}"), file=sys.stderr)
        return MISTAKE


def _check_taken(options: argparse.Namespace) -> None:
    """Raises GuardError for an option that the command would not look at."""
    given = {
        "--source-ip": bool(options.source_ip),
        "--source-port": options.source_port is not None,
        "--interface": options.interface is not None,
        "--guard": options.guard is not None,
    }
    taken = {"on": tuple(given), "off": ("--source-ip", "--source-port"), "status": ()}[options.command]
    for flag, is_given in given.items():
        if is_given and flag not in taken:
            raise GuardError(f"{flag} is not for lzr guard {options.command}")


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """A context in which no other such command changes guards, as far as that can be had."""
    held = open_locks(LOCK)
    try:
        if held is not None:
            with contextlib.suppress(OSError):  # a file system without locks
                fcntl.flock(held, fcntl.LOCK_EX)
        yield
    finally:
        if held is not None:
            os.close(held)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="lzr guard",
        description="Suppress the kernel's own RSTs for a scan's source addresses and ports.",
        epilog="example: lzr guard on --source-ip 192.0.2.7 && zmap … | lzr … ; lzr guard off",
    )
    parser.add_argument("command", metavar="on|off|status")
    parser.add_argument(
        "--source-ip",
        "--sourceIP",
        "-S",
        action="append",
        default=[],
        metavar="A[,B…]",
        help="source addresses, prefixes or ranges first-last (default: all that this host has)",
    )
    parser.add_argument(
        "--source-port",
        "-s",
        metavar="LO-HI",
        help=f"source ports (default: those ZMap uses, {DEFAULT_RANGE})",
    )
    parser.add_argument(
        "--interface", "-i", "--sendInterface", metavar="NAME", help="where --guard ingress drops"
    )
    parser.add_argument(
        "--guard", choices=("auto", "output", "ingress"), help="how it guards (default: auto)"
    )
    return parser


def _ports(text: str | None) -> tuple[int, int]:
    if text is None:
        return DEFAULT_PORTS
    low, _, high = text.partition("-")
    digits = low.isascii() and low.isdigit() and (not high or (high.isascii() and high.isdigit()))
    if not digits or len(text) > 64:
        raise GuardError(f"{text[:64]!r} is not a range of source ports, as in {DEFAULT_RANGE}")
    return int(low), int(high or low)


def _on(addresses: list[str], ports: tuple[int, int], mode: str, interface: str | None) -> int:
    name = tablenames.manual_name(ports)
    before = [seen for seen in guard.standing() if seen.name == name]
    if any(seen.wide for seen in before):
        addresses = []
    elif addresses:
        # What was set before stays set; the guard is widened by what is new.
        addresses += [had for seen in before for had in seen.addresses]
    for note in guard.put_up(addresses, ports, mode, interface, name=name).notes:
        print(safetext.line(f"lzr guard: {note}"), file=sys.stderr)
    return OK


def _off(addresses: list[str], ports: tuple[int, int] | None) -> int:
    wanted = [
        seen
        for seen in guard.standing()
        if tablenames.is_manual(seen.name) and (ports is None or seen.ports == ports)
    ]
    gone = _numbers(addresses)
    if addresses:
        wanted = [seen for seen in wanted if ranges.intersection(_numbers(seen.addresses), gone)]
    for seen in wanted:
        left = _texts(ranges.difference(_numbers(seen.addresses), gone)) if addresses else []
        if left and seen.ports:
            guard.put_up(left, seen.ports, "output" if seen.mode == "output" else "auto", name=seen.name)
        else:
            guard.remove_named(seen.name)
    left_behind = guard.clean()
    if wanted or left_behind:
        return OK
    print("lzr guard: there was no guard to take away", file=sys.stderr)
    return NONE


def _numbers(texts: Iterable[str]) -> list[ranges.Range]:
    """What they cover: the firewall may show it in other pieces than it was given."""
    return ranges.union(range_ for one in texts for clean in spans(one) for range_ in ranges_of(clean))


def _texts(numbers: list[ranges.Range]) -> list[str]:
    return [f"{text(*divmod(first, 1 << 64))}-{text(*divmod(last, 1 << 64))}" for first, last in numbers]


def _status() -> int:
    found = guard.standing()
    for seen in found:
        print(safetext.line(_line(seen)))
    if not found:
        print("no guard")
    return OK if found else NONE


def _line(seen: Standing) -> str:
    pid = tablenames.pid_of(seen.name)
    whose = "set by hand" if pid is None else f"run with pid {pid}"
    if tablenames.is_stale(seen.name):
        whose += ", which is dead"
    where = ", ".join(seen.addresses) or "all addresses"
    ports = f"{seen.ports[0]}-{seen.ports[1]}" if seen.ports else "unknown"
    stopped = f"{seen.resets} RSTs and {seen.segments} segments dropped"
    return f"{seen.name} ({seen.tool}, {whose}): {where}, ports {ports}; {stopped}"
