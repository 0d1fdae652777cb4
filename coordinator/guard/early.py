"""Puts up the RST guard before the command line has been read.

In ``zmap … | lzr …`` both start at once, and ZMap's first probe leaves some 20 ms later. Python needs ten to
start and ten to read the options properly. So the shell script ``bin/lzr``, which comes first, puts up a
plain guard and names it in the environment, and this module takes it over; where that did not happen, it puts
one up itself. It is a guess that can be corrected: it looks for the four flags that matter to the guard,
treats what it does not understand as not given, and never raises. ``Guard.change`` corrects what was guessed
wrong, and the caller removes the guard if there is no scan.
"""

from __future__ import annotations

import os

from coordinator.guard.firewall import GuardError
from coordinator.guard.guard import MODES, Guard, adopt, put_up, standing
from lzr.options.subcommands import NAMES
from lzr.sourceports import DEFAULT_PORTS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

NO_SCAN = ("h", "help", "help-all", "V", "version")
"""Flags that print something and end; so does every flag that begins with ``list-``."""
SOURCE_IP = ("sourceIP", "source-ip", "S")
SOURCE_PORT = ("source-port", "s")
INTERFACE = ("sendInterface", "send-interface", "interface", "i")
GUARD = ("guard",)


def put_up_early(argv: Sequence[str]) -> Guard | None:
    """A guard that fits the command line as far as can be told quickly.

    None if this is no scan, or we are not root, or the guard cannot be put up: ``put_up`` will say why.
    """
    adopted = take_over()
    if adopted is not None:
        return adopted
    if os.geteuid() != 0 or (argv[:1] and argv[0] in NAMES):
        return None
    values: dict[str, str] = {}
    for at, word in enumerate(argv):
        if not word.startswith("-"):
            continue
        name, equals, text = word[2 if word.startswith("--") else 1 :].partition("=")
        if name in NO_SCAN or name.startswith("list-"):
            return None
        for names in (SOURCE_IP, SOURCE_PORT, INTERFACE, GUARD):
            if name in names:
                values[names[0]] = text if equals else "".join(argv[at + 1 : at + 2])
    mode = values.get(GUARD[0], "auto")
    addresses = [part for part in values.get(SOURCE_IP[0], "").split(",") if part]
    ports = _ports(values.get(SOURCE_PORT[0], ""))
    interface = values.get(INTERFACE[0])
    for attempt in (
        (addresses, ports, mode if mode in MODES else "auto", interface),
        ([], DEFAULT_PORTS, "auto", None),
    ):
        try:
            return put_up(*attempt)
        except GuardError:
            continue
    return None


def take_over() -> Guard | None:
    """The guard that bin/lzr has begun to put up before it became this program, once it stands."""
    name, ports = os.environ.pop("LZR_GUARD", ""), os.environ.pop("LZR_GUARD_PORTS", "")
    pid = os.environ.pop("LZR_GUARD_PID", "")
    if not name:
        return None
    if pid:  # its nft is our child
        try:
            _, status = os.waitpid(int(pid), 0)
        except (ValueError, OSError, OverflowError):
            status = 1  # the shell has looked after it before it became us
        if status and not _stands(name):
            return None
    adopted = adopt(name, _ports(ports))
    if adopted is not None:
        _end_keeper()  # else it takes away at the end what we know nothing of
    return adopted


def _stands(name: str) -> bool:
    try:
        return any(seen.name == name for seen in standing())
    except (GuardError, OSError):
        return False


def _end_keeper() -> None:
    """End the shell that would remove the first guard if this program did not start: it has started."""
    text = os.environ.pop("LZR_GUARD_KEEPER", "")
    if not (text.isascii() and text.isdigit() and len(text) <= 10 and int(text) > 1):
        return
    try:
        if os.waitpid(int(text), os.WNOHANG) == (0, 0):  # it is a child of ours, and lives
            naps = _naps(text)
            os.kill(int(text), 9)  # by number: the signal module costs an import of enum
            os.waitpid(int(text), 0)
            for nap in naps:
                os.kill(nap, 9)
    except OSError:
        pass


def _naps(keeper: str) -> list[int]:
    """The sleep processes for which this shell waits; they would outlive it by up to two seconds."""
    found = []
    try:
        with open(f"/proc/{keeper}/task/{keeper}/children", "rb") as file:
            children = file.read().split()
        for child in children:
            with open(b"/proc/%s/comm" % child, "rb") as file:
                if file.read() == b"sleep\n":
                    found.append(int(child))
    except OSError:  # no such file in this kernel, or it has ended
        pass
    return found


def _ports(text: str) -> tuple[int, int]:
    low, _, high = text.partition("-")
    high = high or low
    if not (low.isascii() and low.isdigit() and high.isascii() and high.isdigit() and len(low + high) <= 10):
        return DEFAULT_PORTS
    return (int(low), int(high)) if 1 <= int(low) <= int(high) <= 65535 else DEFAULT_PORTS
