"""The guard as iptables and ip6tables rules, for hosts without nftables.

Every rule of ours has its guard's name as a comment, and only rules with such a comment are ever deleted; a
table of our own is not possible here. Only RSTs that leave, and answers that would be forwarded in a loop,
are dropped; the cheaper ways are possible with nftables only.
"""

from __future__ import annotations

from coordinator.guard import tablenames
from coordinator.guard.firewall import (
    Cover,
    GuardError,
    Standing,
    ToolError,
    default_interface,
    find_tool,
    make_cover,
    run,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

WAIT = "-w"  # for the lock that all iptables programs share
CHAINS = ("OUTPUT", "FORWARD")
BY_NOBODY = ["-m", "owner", "!", "--uid-owner", "0-4294967294"]
"""The kernel's own RSTs have no user; what a program sends by a socket has one, and so have our packets where
the kernel routes them (xt_owner; as ``meta skuid`` in ``coordinator/guard/nft.py``)."""


class Iptables:
    """Guards kept by ``iptables``, and by ``ip6tables`` where there is one."""

    tool = "iptables"
    ways: tuple[str, ...] = ("resets", "loops")

    def __init__(self, path: str) -> None:
        self.four = path
        self.six = find_tool("ip6tables")

    def put_up(self, name: str, cover: Cover, ways: Sequence[str]) -> list[str]:
        """Add the rules and return the names of the guards that stand now."""
        before = self._lines(name) if tablenames.is_manual(name) else []
        done: list[list[str]] = []
        try:
            for program, rule in self._rules(name, cover, ways):
                try:
                    added = _insert(program, rule)
                except ToolError:
                    if program != self.six or cover.six:
                        raise
                    continue  # a host without IPv6 sends no RST over it
                done.append([program, WAIT, "-D", *added])
        except ToolError:
            for undo in done:
                try:
                    run(undo)
                except ToolError:
                    continue
            raise
        self._delete(before)
        return self.names()

    def add(self, name: str, old: Cover, cover: Cover, address: str, ways: Sequence[str]) -> None:
        """Cover one address more."""
        for program, rule in self._rules(name, make_cover([address], cover.ports, cover.interface), ways):
            _insert(program, rule)

    def change(self, name: str, cover: Cover, ways: Sequence[str], former: str = "") -> None:
        """Add what is new, then delete what was: there is no moment without a rule."""
        stale = self._lines(former or name)
        self.put_up(name, cover, ways)
        self._delete(stale)

    def take_down(self, *names: str) -> None:
        """Remove guards; one that is gone already is no error."""
        for name in names:
            self._delete(self._lines(name))

    def listing(self, name: str, cover: Cover, ways: Sequence[str]) -> str:
        """The guard as it stands, for comparison; nothing if it does not stand."""
        found = []
        for program, chain in dict.fromkeys((who, rule[0]) for who, rule in self._rules(name, cover, ways)):
            try:
                listing = run([program, WAIT, "-S", chain])
            except ToolError:
                if program == self.six and not cover.six:
                    continue
                raise
            found += [line for line in listing.splitlines() if _comment(_words(line)) == name]
        return "\n".join(found)

    def is_whole(self, listing: str, name: str, cover: Cover, ways: Sequence[str]) -> bool:
        """Whether as many rules stand in a listing as the guard has, or more: one for each address."""
        return len(listing.splitlines()) >= len(self._rules(name, cover, ways))

    def names(self) -> list[str]:
        return list(dict.fromkeys(found for _, _, found in self._all_lines()))

    def standing(self) -> list[Standing]:
        """The guards that stand on this host, as their rules show them."""
        found: dict[str, Standing] = {}
        for _, words, name in self._all_lines("-v"):
            seen = found.setdefault(name, Standing(name, "iptables"))
            loop = words[1] == "FORWARD"
            for at, word in enumerate(words[:-1]):
                following = words[at + 1]
                if word == "-o" and not loop:
                    seen.wide = True
                elif word == "-s":
                    seen.addresses += (following.removesuffix("/32").removesuffix("/128"),)
                elif word == "--sport":
                    low, _, high = following.partition(":")
                    seen.ports = (int(low), int(high or low))
                elif word == "-c" and loop:
                    seen.segments += int(following)
                elif word == "-c":
                    seen.resets += int(following)
        return list(found.values())

    def _rules(self, name: str, cover: Cover, ways: Sequence[str]) -> list[tuple[str, list[str]]]:
        """(program, rule) for each family that needs one; many addresses go in one call."""
        if cover.six and self.six is None:
            raise GuardError("neither nft nor ip6tables is installed, so IPv6 cannot be guarded")
        low, high = cover.ports
        drop = ["-m", "comment", "--comment", name, "-j", "DROP"]
        what = ["-p", "tcp", "--sport", f"{low}:{high}", "--tcp-flags", "RST", "RST", *BY_NOBODY, *drop]
        link = (cover.interface or default_interface()) if "loops" in ways else None
        rules = []
        for program, members in ((self.four, cover.four), (self.six, cover.six)):
            if program is not None and members:
                rules.append((program, ["OUTPUT", "-s", ",".join(members), *what]))
            if program is not None and members and link is not None:
                back = ["-i", link, "-o", link, "-p", "tcp", "--dport", f"{low}:{high}", *drop]
                rules.append((program, ["FORWARD", "-d", ",".join(members), *back]))
            if program is not None and cover.wide:
                rules.append((program, ["OUTPUT", "!", "-o", "lo", *what]))
        return rules

    def _all_lines(self, *flags: str) -> list[tuple[str, list[str], str]]:
        """(program, words of a rule, name of its guard) for every rule of ours."""
        found = []
        for program in (self.four, self.six):
            if program is None:
                continue
            try:
                listing = "".join(run([program, WAIT, *flags, "-S", chain]) for chain in CHAINS)
            except ToolError:
                if program == self.six:
                    continue
                raise
            for line in listing.splitlines():
                words = _words(line)
                if words[:1] == ["-A"] and tablenames.is_ours(name := _comment(words)):
                    found.append((program, words, name))
        return found

    def _lines(self, name: str) -> list[tuple[str, list[str]]]:
        return [(program, words) for program, words, found in self._all_lines() if found == name]

    def _delete(self, lines: list[tuple[str, list[str]]]) -> None:
        """Delete rules. One that is gone is no error: other processes remove what dead runs left, too."""
        for program, words in lines:
            try:
                run([program, WAIT, "-D", *words[1:]])
            except ToolError:
                if (program, words) in ((who, rule) for who, rule, _ in self._all_lines()):
                    raise


def _words(line: str) -> list[str]:
    """The words of a rule; old versions put every comment in quotes."""
    return line.replace('"', "").split()


def _comment(words: list[str]) -> str:
    """The word behind ``--comment``; empty where there is none, or a comment without a word ends the rule."""
    if "--comment" not in words:
        return ""
    return "".join(words[words.index("--comment") + 1 :][:1])


def _insert(program: str, rule: list[str]) -> list[str]:
    """Put a rule before all others and return it as it stands: without xt_owner, for all senders."""
    try:
        run([program, WAIT, "-I", *rule])
    except ToolError as error:
        if error.forbidden or BY_NOBODY[1] not in rule:
            raise
        at = rule.index(BY_NOBODY[1]) - 1
        rule = rule[:at] + rule[at + len(BY_NOBODY) :]
        run([program, WAIT, "-I", *rule])
    return rule
