"""The RST guard: keeps the kernel from answering for connections that only the scan knows.

The kernel sees SYN-ACKs and data for connections it never opened, and would reset each. What is put up
is taken away: at the end by ``Guard.remove``, and after a ``kill -9`` by the next
run, which knows the rules of a dead holder by their name (``coordinator/guard/tablenames.py``).

A guard covers source addresses and a range of source ports, in both families, and nothing else. Modes:

``output``   drop the RSTs that leave from there; and, where an address is not this host's and the host
             forwards, what would be forwarded to it by the way it came. Part of all that follow.
``ingress``  also drop all TCP that comes for there at one interface, before the kernel looks at it. Cheapest,
             and right only where the addresses belong to the scan alone.
``auto``     also drop TCP that comes for there and that no socket of this host has a claim on. Nearly as
             cheap as ``ingress`` and right for a host that lives on the same address.
``none``     nothing at all.

A mode that the kernel or the tool does not know falls back to the next simpler one and leaves a sentence
in ``notes``. This module is the first thing a run does, so it imports next to nothing.
"""

from __future__ import annotations

import os

from coordinator.guard import tablenames
from coordinator.guard.firewall import (
    Cover,
    GuardError,
    Standing,
    ToolError,
    canonical,
    default_interface,
    find_tool,
    make_cover,
)
from coordinator.guard.iptables import Iptables
from coordinator.guard.nft import Nft
from lzr.sourceports import DEFAULT_PORTS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MODES = ("auto", "output", "ingress", "none")
ADOPTED = "adopted"
"""The mode of a guard that was put up before this program began (``bin/lzr``)."""
NO_TOOL = "neither nft nor iptables is installed (apt install nftables)"
Tool = Nft | Iptables


def forbidden() -> str:
    """The sentence for who may not change the firewall."""
    from coordinator.processes import rights  # not before it is wanted: guards go up in a hurry

    return f"suppressing the kernel's RSTs needs {rights.how_to_get('CAP_NET_ADMIN')}"


class Guard:
    """A guard that is in place. Made by ``put_up``; also a context manager that removes it.

    Only the process that put it up removes it: in a forked child ``remove`` does nothing.
    """

    def __init__(self, tool: Tool | None, name: str, cover: Cover, ways: Sequence[str]) -> None:
        self.name = name
        self.cover = cover
        self.ways = tuple(ways)
        self.mode = "none"
        """As asked for; ``ways`` is what came of it."""
        self.notes: list[str] = []
        """Sentences for the log; there is none yet when the guard goes up."""
        self._tool = tool
        self._owner = os.getpid()
        self._up = tool is not None
        self._listed = ""  # what the tool says of it, as it should be

    def extend(self, address: str) -> bool:
        """Cover one more source address, at once; True if it was new. Raises GuardError."""
        clean_address = canonical(address)
        if self._tool is None or not self._up or self.cover.holds(clean_address):
            return False
        four, six = list(self.cover.four), list(self.cover.six)
        (six if ":" in clean_address else four).append(clean_address)
        # A guard over all addresses stays one: those it has not been told of are still covered.
        cover = Cover(four, six, self.cover.ports, self.cover.interface, wide=self.cover.wide)
        try:
            self._tool.add(self.name, self.cover, cover, clean_address, self.ways)
        except ToolError:  # it may have been flushed away a moment ago
            with _Sentence():
                self._tool.change(self.name, cover, self.ways)
        self.cover, self._listed = cover, ""
        return True

    def widen(self, ports: tuple[int, int]) -> None:
        """Cover these source ports, which must include those covered now. Raises GuardError."""
        had = self.cover
        cover = Cover(had.four, had.six, ports, had.interface, wide=had.wide)
        if self._tool is not None and self._up:
            with _Sentence():
                self._tool.change(self.name, cover, self.ways)
        self.cover, self._listed = cover, ""

    def narrow(self, addresses: Iterable[str]) -> None:
        """Cover these addresses and no others, once the source addresses are known. Raises GuardError."""
        cover = make_cover(addresses, self.cover.ports, self.cover.interface)
        if self._tool is not None and self._up:
            with _Sentence():
                self._tool.change(self.name, cover, self.ways)
        self.cover, self._listed = cover, ""

    def change(
        self,
        addresses: Iterable[str] = (),
        ports: tuple[int, int] = DEFAULT_PORTS,
        mode: str = "auto",
        interface: str | None = None,
    ) -> None:
        """Make it what ``put_up`` would have made of these arguments, without a moment in between without a
        guard.

        For a guard that was put up on a guess (``coordinator/guard/early.py``). Raises GuardError.
        """
        cover = make_cover(addresses, ports, interface)
        if self._tool is None or not self._up or (mode == self.mode and cover.key() == self.cover.key()):
            return
        if mode == "none":
            self.remove()
            return
        adopted = self.mode == ADOPTED
        name = tablenames.new_name() if adopted else self.name
        plans, notes = _plans(mode, cover)
        refused = []
        for ways in plans:
            try:
                _check_ways(self._tool, ways)
                self._tool.change(name, cover, ways, self.name)
            except ToolError as error:
                refused.append(f"{self._tool.tool} says: {error.args[0].splitlines()[0]}")
                continue
            self.name, self.mode, self.cover, self.ways, self._listed = name, mode, cover, ways, ""
            self.notes += notes + _fallen_back(ways, plans, refused)
            if adopted:
                self.notes += _clean_up(self._tool, self._tool.names())
            return
        raise GuardError(f"the kernel's RSTs cannot be suppressed: {'; '.join(refused)}")

    @property
    def stands(self) -> bool:
        """Whether it is in place: not removed, and not of mode ``none``."""
        return self._tool is not None and self._up

    @property
    def tells(self) -> bool:
        """Whether the kernel reports it when somebody changes this guard (nftables does)."""
        return isinstance(self._tool, Nft)

    def restore(self) -> bool:
        """Put the guard up again if somebody has changed or removed it; returns whether that was so.

        The first time after a change of our own, what is found is taken to be right if all rules are there:
        somebody may have been at it meanwhile. Raises GuardError.
        """
        if self._tool is None or not self._up:
            return False
        with _Sentence():
            found = self._listing()
            if found and found == (self._listed or found):
                self._listed = found
                return False
            self._tool.change(self.name, self.cover, self.ways)
            self._listed = self._listing()
            return True

    def _listing(self) -> str:
        """The guard as it stands, for comparison; nothing where rules of it are missing."""
        if self._tool is None:
            return ""
        found = self._tool.listing(self.name, self.cover, self.ways)
        return found if self._tool.is_whole(found, self.name, self.cover, self.ways) else ""

    def status(self) -> Standing | None:
        """What it covers and has dropped so far; None if it is not in place."""
        if self._tool is None:
            return None
        with _Sentence():
            return next((seen for seen in self._tool.standing() if seen.name == self.name), None)

    def remove(self) -> None:
        """Remove the guard. May be called again, and when it is gone already. Raises GuardError."""
        if self._tool is None or not self._up or os.getpid() != self._owner:
            return
        try:
            self._tool.take_down(self.name)
        except ToolError:  # on a busy machine: once more
            with _Sentence():
                self._tool.take_down(self.name)
        self._up = False

    def __enter__(self) -> Guard:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()


def put_up(
    addresses: Iterable[str] = (),
    ports: tuple[int, int] = DEFAULT_PORTS,
    mode: str = "auto",
    interface: str | None = None,
    *,
    name: str | None = None,
) -> Guard:
    """Put up a guard, and remove those that dead runs left behind. Raises GuardError.

    ``addresses`` are source addresses, prefixes or ranges ``first-last``; none means all addresses of this
    host. ``ports`` includes both ends. ``interface`` matters to ``ingress`` only, which uses that of the
    default route when none is given.
    """
    if mode not in MODES:
        raise GuardError(f"{mode!r} is not a way to guard: choose one of {', '.join(MODES)}")
    cover = make_cover(addresses, ports, interface)
    if mode == "none":
        return Guard(None, "", cover, ())
    plans, notes = _plans(mode, cover)
    name = name or tablenames.new_name()
    refused = []
    for tool in _tools():
        for ways in plans:
            try:
                names = _put_up(tool, name, cover, ways)
            except ToolError as error:
                if error.forbidden:
                    raise GuardError(forbidden()) from None
                refused.append(f"{tool.tool} says: {error.args[0].splitlines()[0]}")
                continue
            guard = Guard(tool, name, cover, ways)
            guard.mode = mode
            guard.notes = notes + _fallen_back(ways, plans, refused) + _clean_up(tool, names)
            return guard
    raise GuardError(f"the kernel's RSTs cannot be suppressed: {'; '.join(refused) or NO_TOOL}")


def adopt(name: str, ports: tuple[int, int]) -> Guard | None:
    """Take over the guard that this process put up before it became this program; ``change`` it soon."""
    path = find_tool("nft")
    if path is None or tablenames.pid_of(name) != os.getpid():
        return None
    guard = Guard(Nft(path), name, make_cover([], ports), ("resets",))
    guard.mode = ADOPTED
    return guard


def clean() -> list[str]:
    """Remove what dead runs left behind and return the names of those guards. Raises GuardError."""
    with _Sentence():
        return [name for tool in _tools() for name in _sweep(tool, tool.names())]


def standing() -> list[Standing]:
    """Every guard on this host, whoever put it up. Raises GuardError."""
    with _Sentence():
        return [seen for tool in _tools() for seen in tool.standing()]


def _plans(mode: str, cover: Cover) -> tuple[list[tuple[str, ...]], list[str]]:
    """The ways to try, best first, and what to tell the user about the choice."""
    output = [("resets", "loops"), ("resets",)]
    auto = [("resets", "unclaimed"), *output]
    if mode == "output":
        return output, []
    if mode == "auto":
        return auto, []
    if cover.wide:
        return auto, ["guarding at ingress needs --source-ip: falls back to auto"]
    cover.interface = cover.interface or default_interface()
    if cover.interface is None:
        return auto, ["guarding at ingress needs --interface: falls back to auto"]
    return [("resets", "early"), *auto], []


def _fallen_back(ways: tuple[str, ...], plans: list[tuple[str, ...]], refused: list[str]) -> list[str]:
    if ways == plans[0]:
        return []
    return ["; ".join([f"the guard falls back to {' and '.join(ways)}", *refused])]


def _tools() -> list[Tool]:
    """The firewall tools of this host, the better one first."""
    found: list[Tool] = []
    nft = find_tool("nft")
    iptables = find_tool("iptables")
    if nft is not None:
        found.append(Nft(nft))
    if iptables is not None:
        found.append(Iptables(iptables))
    return found


def _put_up(tool: Tool, name: str, cover: Cover, ways: Sequence[str]) -> list[str]:
    _check_ways(tool, ways)
    try:
        return tool.put_up(name, cover, ways)
    except (KeyboardInterrupt, SystemExit):
        tool.take_down(name)
        raise


def _check_ways(tool: Tool, ways: Sequence[str]) -> None:
    if not set(ways) <= set(tool.ways):
        raise ToolError("only RSTs that leave can be dropped", forbidden=False)


def _clean_up(tool: Tool, names: Iterable[str]) -> list[str]:
    """Remove what dead runs left behind; returns sentences on what failed, which is no reason not to scan."""
    try:
        gone = _sweep(tool, names)
        if isinstance(tool, Nft) and tool.beside_iptables:
            for other in _tools():
                if isinstance(other, Iptables):
                    gone += _sweep(other, other.names())
    except ToolError as error:
        return [f"the rules of a dead run could not be removed: {error}"]
    return [f"removed the guard that a dead run left behind ({name})" for name in gone]


def _sweep(tool: Tool, names: Iterable[str]) -> list[str]:
    stale = [name for name in names if tablenames.is_stale(name)]
    if stale:
        tool.take_down(*stale)
    return stale


class _Sentence:
    """A context manager that turns a tool's complaint into a GuardError."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: object, _trace: object) -> None:
        if isinstance(error, ToolError):
            raise GuardError(forbidden() if error.forbidden else f"the RST guard: {error}") from None


def remove_named(name: str) -> None:
    """Remove a guard by name, whichever tool keeps it. Raises GuardError."""
    with _Sentence():
        for tool in _tools():
            if name in tool.names():
                tool.take_down(name)
