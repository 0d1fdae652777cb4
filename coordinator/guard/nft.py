"""The guard as nftables: one table ``inet lzr_…`` per guard, made by one ``nft -f -``.

One transaction puts the whole guard up and one takes it away; no rule of anybody
else is read or touched. Three ways of keeping the kernel quiet about flows it does not know:

``resets``     output hook: drop the kernel's own RSTs that leave from our addresses and ports, not those that
               programs send by a socket, as we do where the kernel routes a packet. Always there.
``unclaimed``  input hook: drop TCP that comes for our addresses and ports when no socket of this host has a
               claim on it, before the kernel has looked for one and made its RST. Programs that live on the
               same address keep what is theirs: the ``socket`` expression finds connected, listening and
               closing sockets alike. It stands after address translation and after routing, so that neither
               answers to masqueraded hosts nor what is forwarded ever comes here. And it is the first place
               that a packet socket on a bridge has certainly passed: with bridge-nf-call-iptables, frames
               go through the prerouting hook at the bridge's *port*, before the bridge itself has them.
``early``      ingress hook of one interface: drop all TCP that comes for our addresses and ports. The
               cheapest, and right only where the addresses are the scan's own.

``loops``      forward hook: where an address of ours is not this host's and the host forwards, an answer
               would go back to where it came from, and around until its TTL is used up: drop what would
               leave by the interface that it came in at. Only with such addresses.

Packet sockets of type ETH_P_ALL (ours and ZMap's) see a packet before any of these.
"""

from __future__ import annotations

from coordinator.guard import tablenames
from coordinator.guard.firewall import Cover, Standing, ToolError, run, spans

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

_NOBODY = 0xFFFFFFFF
"""No user has this number. The kernel's own RSTs have no user, so they are not compared with it."""
MODES = {"unclaimed": "auto", "early": "ingress"}
"""By a chain that only such a guard has, its mode; another has mode ``output``."""
FAMILIES = (("ip", "four", "ipv4_addr"), ("ip6", "six", "ipv6_addr"))


def render(name: str, cover: Cover, ways: Sequence[str]) -> str:
    """The script that makes the guard; one of that name must not be there."""
    table = f"inet {name}"
    low, high = cover.ports
    lines = [f"create table {table}"]
    for (_, family, kind), members in zip(FAMILIES, (cover.four, cover.six), strict=True):
        flags = " flags interval; auto-merge;" if any("/" in member for member in members) else ""
        lines.append(f"add set {table} {family} {{ type {kind};{flags} }}")
        if members:
            lines.append(f"add element {table} {family} {{ {', '.join(members)} }}")
    lines.append(f"add chain {table} resets {{ type filter hook output priority -300; policy accept; }}")
    # A socket in a program's hands: those by which packets that the kernel routes leave, ours among them.
    lines.append(f"add rule {table} resets meta skuid != {_NOBODY} accept")
    reset = f"add rule {table} resets tcp sport {low}-{high} tcp flags & rst == rst"
    if cover.wide:
        # Not on the loopback: a local program must still learn that a local port is closed.
        lines.append(f'{reset} oifname != "lo" counter drop')
    lines += [f"{reset} {ip} saddr @{family} counter drop" for ip, family, _ in FAMILIES]
    if "unclaimed" in ways:
        lines += _unclaimed(table, cover)
    if set(ways) != {"resets"}:
        lines += _loops(table, cover)
    if "early" in ways:
        hook = f'hook ingress device "{cover.interface}" priority -500'
        lines.append(f"add chain {table} early {{ type filter {hook}; policy accept; }}")
        lines += [
            f"add rule {table} early tcp dport {low}-{high} {ip} daddr @{family} counter drop"
            for ip, family, _ in FAMILIES
        ]
    return "\n".join(lines) + "\n"


def clear(*names: str) -> str:
    """The script that takes guards away, whether they are there or not. Deleting takes the kernel 15 ms."""
    return "".join(f"add table inet {name}\ndelete table inet {name}\n" for name in names)


def _unclaimed(table: str, cover: Cover) -> list[str]:
    low, high = cover.ports
    lines = [
        f"add chain {table} orphans",
        f"add chain {table} unclaimed {{ type filter hook input priority -300; policy accept; }}",
        f"add rule {table} orphans socket transparent 0 accept",
        f"add rule {table} orphans socket transparent 1 accept",
        f"add rule {table} orphans counter drop",
    ]
    came = f"add rule {table} unclaimed tcp dport {low}-{high}"
    if cover.wide:
        lines.append(f'{came} iifname != "lo" jump orphans')
    return lines + [f"{came} {ip} daddr @{family} jump orphans" for ip, family, _ in FAMILIES]


def _loops(table: str, cover: Cover) -> list[str]:
    low, high = cover.ports
    lines = [f"add chain {table} loops {{ type filter hook forward priority -300; policy accept; }}"]
    return lines + [
        f"add rule {table} loops tcp dport {low}-{high} {ip} daddr @{family} "
        "fib daddr . iif oif exists counter drop"
        for ip, family, _ in FAMILIES
    ]


class Nft:
    """Guards kept by one ``nft`` program."""

    tool = "nft"
    ways: tuple[str, ...] = ("resets", "unclaimed", "loops", "early")

    def __init__(self, path: str) -> None:
        self.path = path
        self.beside_iptables = False
        """iptables rules stand on this host too, so there may be guards among them."""

    def put_up(self, name: str, cover: Cover, ways: Sequence[str]) -> list[str]:
        """Make the guard and return the names of the guards that stand now."""
        before = clear(name) if tablenames.is_manual(name) else ""
        listing = run([self.path, "-f", "-"], before + render(name, cover, ways) + "list tables\n")
        self.beside_iptables = "table ip filter\n" in listing or "table ip6 filter\n" in listing
        return _names(listing)

    def add(self, name: str, old: Cover, cover: Cover, address: str, ways: Sequence[str]) -> None:
        """Cover one address more, which ``cover`` has and ``old`` had not."""
        family = "six" if ":" in address else "four"
        run([self.path, "-f", "-"], f"add element inet {name} {family} {{ {address} }}\n")

    def change(self, name: str, cover: Cover, ways: Sequence[str], former: str = "") -> None:
        """Replace the guard, or the one of that former name, in one step; there is no moment without one."""
        run([self.path, "-f", "-"], clear(former or name) + render(name, cover, ways))

    def take_down(self, *names: str) -> None:
        """Remove guards; one that is gone already is no error."""
        run([self.path, "-f", "-"], clear(*names))

    def listing(self, name: str, cover: Cover, ways: Sequence[str]) -> str:
        """The guard as it stands, without its counters, for comparison; nothing if it does not stand."""
        return self._text(name, "-s")

    def is_whole(self, listing: str, name: str, cover: Cover, ways: Sequence[str]) -> bool:
        """Whether as many rules stand in a listing as the guard has."""
        made = render(name, cover, ways).splitlines()
        return _rules_in(listing) == sum(line.startswith("add rule ") for line in made)

    def names(self) -> list[str]:
        return _names(run([self.path, "list", "tables"]))

    def standing(self) -> list[Standing]:
        """The guards that stand on this host, as their tables show them."""
        import json

        found = []
        for name in self.names():
            try:
                objects = json.loads(run([self.path, "-j", "list", "table", "inet", name]))["nftables"]
            except ToolError:  # taken away since it was listed, or an nft that was built without JSON
                if text := self._text(name):
                    found.append(_describe_text(name, text))
                continue
            found.append(_describe(name, objects))
        return found

    def _text(self, name: str, *flags: str) -> str:
        """The guard as nft lists it; nothing if it does not stand."""
        try:
            return run([self.path, *flags, "list", "table", "inet", name])
        except ToolError as error:
            if error.forbidden or name in self.names():
                raise
            return ""


def _rules_in(listing: str) -> int:
    """How many rules the chains of a table have, as nft lists it."""
    found, in_chain = 0, False
    for line in listing.splitlines():
        words = line.split()
        if words[:1] == ["chain"]:
            in_chain = True
        elif words[:1] == ["}"]:
            in_chain = False
        elif in_chain and words and words[0] != "type":
            found += 1
    return found


def _names(listing: str) -> list[str]:
    words = [line.split() for line in listing.splitlines()]
    return [word[2] for word in words if len(word) == 3 and word[1] == "inet" and tablenames.is_ours(word[2])]


def _describe(name: str, objects: list[dict[str, Any]]) -> Standing:
    """What one table says in nft's JSON (libnftables-json(5))."""
    seen = Standing(name, "nft")
    for item in objects:
        if "set" in item:
            for element in item["set"].get("elem", []):
                seen.addresses += tuple(_members(element))
        elif "chain" in item:
            seen.mode = MODES.get(str(item["chain"]["name"]), seen.mode)
        elif "rule" in item:
            _describe_rule(seen, item["rule"])
    return seen


def _describe_text(name: str, listing: str) -> Standing:
    """The same from nft's text."""
    import re

    seen, chain = Standing(name, "nft"), ""
    for elements in re.findall(r"elements = \{([^}]*)\}", listing):
        seen.addresses += tuple(clean for member in elements.split(",") for clean in spans(member.strip()))
    for line in listing.splitlines():
        if found := re.match(r"\s*chain (\w+)", line):
            chain = found[1]
            seen.mode = MODES.get(chain, seen.mode)
        if found := re.search(r"\bcounter packets (\d+)", line):
            _count(seen, chain, int(found[1]))
        if chain == "resets":
            seen.wide |= 'oifname != "lo"' in line
            if found := re.search(r"\btcp sport (\d+)(?:-(\d+))?", line):
                seen.ports = int(found[1]), int(found[2] or found[1])
    return seen


def _count(seen: Standing, chain: str, packets: int) -> None:
    if chain == "resets":
        seen.resets += packets
    else:
        seen.segments += packets


def _members(element: Any) -> list[str]:
    """Prefixes and addresses of an element of a set; neighbours that nft has merged are a range."""
    if not isinstance(element, dict):
        return [str(element)]
    if "range" in element:
        first, last = element["range"]
        return spans(f"{first}-{last}")
    prefix = element["prefix"]
    return [f"{prefix['addr']}/{prefix['len']}"]


def _describe_rule(seen: Standing, rule: dict[str, Any]) -> None:
    for expression in rule["expr"]:
        if "counter" in expression:
            _count(seen, rule["chain"], int(expression["counter"]["packets"]))
        elif "match" in expression and rule["chain"] == "resets":
            left, right = expression["match"]["left"], expression["match"]["right"]
            if left.get("payload", {}).get("field") == "sport":
                low, high = right["range"] if isinstance(right, dict) else (right, right)
                seen.ports = (int(low), int(high))
            elif left.get("meta", {}).get("key") == "oifname":
                seen.wide = True
