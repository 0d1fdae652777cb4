"""`lzr ctl`: steers a running scan, over its control socket. What can be said to a scan is
in `coordinator.endpoints.ctlcommands`; the socket's other end is `coordinator.endpoints.control`.
"""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import socket
import sys
import time
from pathlib import Path
from typing import Any

from coordinator.endpoints import control, ctlcommands
from coordinator.endpoints.control import running
from coordinator.endpoints.ctlcommands import Command, CommandError
from coordinator.endpoints.named import ControlError
from coordinator.processes.users import invoking_user
from lzr import safetext
from lzr.errors import printable, suggest
from lzr.exitstatus import MISTAKE
from lzr.safetext import lines

TIMEOUT = 5.0  # seconds for which a reply is awaited; a scan answers within a turn of its loop
SETTLING = 30.0  # seconds for which --wait waits until workers have started and shards have moved
MOST_REPLY = 4 << 20
"""Bytes; the status of a scan with 1,024 workers has less than one million."""


def ask(path: str | Path, line: str, timeout: float = TIMEOUT) -> tuple[bool, str]:
    """Send a line, return whether it was accepted and the reply without its closing `ok`.

    Who answers has to be root or this user. The reply comes within `timeout` seconds, has at most MOST_REPLY
    bytes, and is returned as text that is harmless on a terminal. Raises ControlError.
    """
    shown = printable(os.fspath(path))
    until = time.monotonic() + timeout
    reply = b""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            sock.settimeout(timeout)
            sock.connect(os.fspath(path))
            if not control.is_ours(sock):
                raise ControlError(
                    f"{shown} is a socket of another user's, who is not root: nothing was sent"
                )
            sock.sendall(line.encode("utf-8", "replace") + b"\n")
            while not _is_whole(reply):
                left = until - time.monotonic()
                if left <= 0:
                    raise TimeoutError
                sock.settimeout(left)
                data = sock.recv(65536)
                if not data:
                    raise ControlError(f"{shown}: the scan ended before it answered")
                reply += data
                if len(reply) > MOST_REPLY:
                    raise ControlError(
                        f"{shown}: the reply is longer than {MOST_REPLY} bytes, that is no scan"
                    )
    except TimeoutError:
        raise ControlError(f"{shown}: the scan does not answer") from None
    except ControlError:
        raise
    except (ConnectionResetError, BrokenPipeError):
        raise ControlError(f"{shown}: the scan ended before it answered") from None
    except OSError as error:
        raise ControlError(f"{shown}: {error.strerror or error}") from error  # a path too long has none
    text = lines(reply.decode("utf-8", "replace"))
    if text.startswith("error:"):
        return False, text.removeprefix("error:").strip()
    return True, text.removesuffix("ok\n") if text.endswith("\nok\n") else text


def _is_whole(reply: bytes) -> bool:
    if not reply.endswith(b"\n"):
        return False
    return reply[reply.rfind(b"\n", 0, -1) + 1 :].startswith((b"ok", b"error:"))


_WORDY = {"block": ("reason", "by"), "lease": ("from",)}
"""Options that belong to the command itself: from the first of them on, everything goes to the scan as
it is."""

USAGE = """\
usage: lzr ctl [--socket PATH | --all] [--wait] COMMAND

Steers a scan that is running. Without --socket, the one running scan is found
by itself; with --all, every one of this user's is told. --wait returns when the
workers that were asked for are there. `block` returns when no packet leaves any
more, and with status 1 where that is not known.

"""


def main(argv: list[str]) -> int:
    """`lzr ctl …`: 0 done, 1 refused or no scan to be found, 2 wrong usage."""
    if not argv:
        print(USAGE + ctlcommands.HELP, end="", file=sys.stderr)
        return MISTAKE
    try:
        words, socket_path, wait, everywhere = _asked(argv)
        # --json may stand before its command, too.
        words.sort(key=lambda word: word in ("-json", "--json"))
        line = " ".join(words)
        command = ctlcommands.parse(line)
    except CommandError as error:
        return _fail(str(error), MISTAKE)
    if command.kind == "help":
        print(USAGE + ctlcommands.HELP, end="")
        return 0
    if command.kind == "block" and not command.by:
        line = signed(line)
    if socket_path is None:
        scans = running()
        if not scans:
            return _fail("no scan is running (as this user)", 1)
        if everywhere:
            return max(_steer(os.fspath(path), command, line, wait, f"{path.stem}: ") for path in scans)
        if len(scans) > 1:
            return _fail(
                "several scans are running, choose one: "
                + ", ".join(f"--socket {printable(str(path))}" for path in scans)
                + ", or all: --all",
                2,
            )
        socket_path = os.fspath(scans[0])
    elif everywhere:
        return _fail("--socket names one scan, and --all means every one", MISTAKE)
    return _steer(socket_path, command, line, wait)


def _asked(argv: list[str]) -> tuple[list[str], str | None, bool, bool]:
    """The words of the command, the path of --socket, and whether --wait and --all are given.

    Raises CommandError.
    """
    socket_path: str | None = None
    wait = everywhere = False
    words: list[str] = []
    left = list(argv)
    while left:
        word = left.pop(0)
        name, equals, value = word.partition("=")
        name = name.removeprefix("-").removeprefix("-") if word.startswith("-") else ""
        if name in ("h", "help"):
            words = ["help"]
            break
        if words and name in _WORDY.get(words[0], ()):
            words += [word, *left]
            break
        if name == "wait" and not equals:
            wait = True
        elif name == "all" and not equals:
            everywhere = True
        elif name in ("socket", "control-socket"):
            if not equals and not left:
                raise CommandError(f"{word} needs a value (PATH)")
            socket_path = value if equals else left.pop(0)
        elif name and name != "json" and not name[0].isdigit():
            guess = suggest(f"--{name}", ("--socket", "--all", "--wait", "--json", "--reason", "--help"))
            raise CommandError(f"unknown option {printable(word)}{guess or '; see lzr ctl --help'}")
        else:
            words.append(word)
    return words, socket_path, wait, everywhere


def _steer(path: str, command: Command, line: str, wait: bool, head: str = "") -> int:
    """Send a command to one scan; 0 if it was carried out. head: printed before the reply."""
    try:
        good, text = ask(path, line)
        if good and wait and command.kind == "workers":
            good, text = _settled(path, text)
        if good and command.kind == "block":
            good, text = _in_force(path, command, text)
    except ControlError as error:
        return _fail(head + str(error), 1)
    if not good:
        return _fail(head + text, 1)
    print(safetext.lines(head + (text.rstrip("\n").removeprefix("ok ") or "ok")))
    return 0


def signed(line: str) -> str:
    """The line with the name of the user, before the reason; with sudo or its like, of who called it."""
    caller = invoking_user()
    name = os.environ.get("SUDO_USER") or ("" if caller is None else caller.name)
    with contextlib.suppress(KeyError):  # nobody in /etc/passwd
        name = name or pwd.getpwuid(os.getuid()).pw_name
    name = "".join(letter for letter in name[:32] if letter.isalnum() or letter in "._-") or str(os.getuid())
    before, reason, after = line.partition(" --reason")
    if not reason:
        before, reason, after = line.partition(" -reason")
    return f"{before} --by {name}{reason}{after}"


def _in_force(path: str, command: Command, text: str) -> tuple[bool, str]:
    """Wait until every process of the scan goes by the order, and its checkpoint, if any, has it."""
    until = time.monotonic() + TIMEOUT
    while time.monotonic() < until:
        ours = [block for block in _status(path, "blocks") if tuple(block["networks"]) == command.networks]
        if ours and ours[-1]["in_force"]:
            return True, text
        time.sleep(0.02)
    shown = ", ".join(command.networks)
    return False, f"{shown}: not every process has confirmed it within {TIMEOUT:.0f} s; see lzr ctl status"


def blocks(path: str | Path) -> list[dict[str, Any]]:
    """The orders to block of a scan: the networks of each, and whether it is in force. Raises
    ControlError.
    """
    return _status(os.fspath(path), "blocks")


def _status(path: str, what: str) -> list[dict[str, Any]]:
    """A list out of the status of a scan. Raises ControlError."""
    _, reply = ask(path, "status --json")
    try:
        found = json.loads(reply)[what]
        if not all(isinstance(one, dict) and "networks" in one and "in_force" in one for one in found):
            raise TypeError
    except (ValueError, KeyError, TypeError) as error:
        raise ControlError(
            f"{printable(path)}: that is no status of a scan ({type(error).__name__})"
        ) from error
    return list(found)


def _settled(path: str, text: str) -> tuple[bool, str]:
    """Wait until the wanted workers are there and each has its share of the shards."""
    until = time.monotonic() + SETTLING
    while time.monotonic() < until:
        _, reply = ask(path, "status --json")
        try:
            scan = json.loads(reply)
            there = (len(scan["workers"]), len(scan["collectors"]))
            shards = [worker["shards"] for worker in scan["workers"]]
            share = scan["shards"] // max(1, len(shards))
            fair = sum(shards) == scan["shards"] and min(shards, default=-1) == share
            wanted = (scan["wanted_flow"], scan["wanted_collect"])
        except (ValueError, KeyError, TypeError) as error:
            raise ControlError(
                f"{printable(path)}: that is no status of a scan ({type(error).__name__})"
            ) from error
        if fair and there == wanted:
            return True, text
        time.sleep(0.05)
    return False, f"the workers are not there after {SETTLING:.0f} s"


def _fail(sentence: str, code: int) -> int:
    print(safetext.lines(f"lzr ctl: {sentence}"), file=sys.stderr)
    return code
