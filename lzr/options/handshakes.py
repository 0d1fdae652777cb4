"""Resolves the names after ``-handshakes`` and ``-priorityFingerprint``: presets, and names of other tools.

A preset is a list of handshakes in the order in which they are tried; docs/handshakes.md gives the reasons. A
name that is neither ours nor known from elsewhere ends in one sentence for the user, which goes by what the
name means before it goes by its letters.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import Struct

from lzr.errors import UsageError, nearest, printable
from lzr.options.aliases import ABSENT, ALIASES, NO_HANDSHAKE, plain
from lzr.options.table import Options
from lzr.protocols._catalogue import BY_NAME, PROTOCOLS
from lzr.protocols._protocol import Protocol
from lzr.ranges import size, union

AUTO = ("http", "tls", "sip", "dns", "smb", "oracle", "pptp", "wait")
"""http and tls find most services, the next five add most to them (docs/response-matrix.md), and `wait` sends
nothing, for servers that stay silent once they have been sent anything."""

IANA = ("wait", "tls", "http", "dns", "pptp")
EPHEMERAL = ("wait", "http", "tls", "oracle", "pptp")
"""The orders of Izhikevich, Teixeira and Durumeric, LZR: Identifying Unexpected Internet Services (USENIX
Security 2021): a greedy cover of what they found on ports that IANA assigns (51.3, 29.0, 13.6, 3.4 and 1.8 %
newly identified) and on ephemeral ports (66.3, 17.1, 15.9, 0.23 and 0.14 %)."""

PRESETS = ("auto", "iana", "ephemeral", "all")

NONE = ("none",)
"""As -handshakes: a port scan. Hosts that answer the SYN are recorded; nothing is sent to them."""

FEW_PORTS = 16
"""`lzr.flow.ackfirewall.FEW_PORTS`, which is not loaded for a command line."""

NO_PREFERENCE = ("none",)
"""As -priorityFingerprint: no label is preferred, the fixed order decides (`precedence`)."""

REASONS = {
    "udp": "is UDP, not asked here: lzr speaks TCP alone",
    "lower": "is not TCP, and lzr asks nothing else",
    "paper": "is a printer's, which prints what it is sent: never asked",
}
"""By the keys of `aliases.ABSENT`, why there is no such handshake."""

_OURS = {plain(name): name for name in BY_NAME}
_TRANSPORTS = ("tcp", "udp")


class Choice(Struct, frozen=True):
    """names: of handshakes, each once. named: those the user has named. notes: sentences for the user."""

    names: tuple[str, ...]
    named: tuple[str, ...]
    notes: tuple[str, ...]


def handshakes(names: Sequence[str]) -> Choice:
    """What names of handshakes, presets and other tools' names come to. Raises UsageError."""
    found: dict[str, bool] = {}
    notes: list[str] = []
    if [*map(plain, names)] == [*NONE]:
        return Choice(NONE, (), ("none: who answers the SYN has a record, and is asked nothing",))
    for name in names:
        if plain(name) in NONE:
            raise UsageError("none asks for no handshake: it cannot stand beside others (wait sends nothing)")
        if plain(name) in PRESETS:
            for member in preset(plain(name)):
                found.setdefault(member, False)
            continue
        ours = _known(name, "a handshake", "--list-handshakes shows them all")
        _note(notes, name, ours)
        if found.get(ours) and f"{ours} is asked once" not in notes:
            notes.append(f"{ours} is asked once")
        found[ours] = True
    if "ssl" in names:
        notes.append("ssl asks for SSL 2.0 alone; what speaks TLS is asked with tls")
    return Choice(tuple(found), tuple(name for name, named in found.items() if named), tuple(notes))


def fingerprints(names: Sequence[str]) -> Choice:
    """The same for labels to be preferred; NO_PREFERENCE is left as it is. Raises UsageError."""
    if tuple(names) == NO_PREFERENCE:
        return Choice(NO_PREFERENCE, (), ())
    found: list[str] = []
    notes: list[str] = []
    for name in names:
        if plain(name) in PRESETS:
            raise UsageError(f"{plain(name)} stands for handshakes to try, and is no label that can win")
        ours = _known(name, "a fingerprint", "see --list-handshakes")
        _note(notes, name, ours)
        found.append(ours)
    once = tuple(dict.fromkeys(found))
    return Choice(once, once, tuple(notes))


def preset(name: str) -> tuple[str, ...]:
    """The handshakes of a preset. `all` begins with `auto` and has every question once."""
    if name != "all":
        return {"auto": AUTO, "iana": IANA, "ephemeral": EPHEMERAL}[name]
    chosen: dict[object, str] = {}
    for protocol in (*(BY_NAME[member] for member in AUTO), *PROTOCOLS):
        chosen.setdefault(protocol.parts, protocol.name)
    return tuple(chosen.values())


def choose(options: Options) -> tuple[Options, tuple[str, ...]]:
    """`options` with the names of the handshakes that are tried, and sentences for the user.

    If a reply matches several labels, one that the user has named wins, else the fixed order decides; presets
    and files of orders do not count as named. Raises UsageError.
    """
    asked, preferred = handshakes(options.handshakes), fingerprints(options.priority_fingerprint)
    presets = [plain(name) for name in options.handshakes if plain(name) in PRESETS]
    labels = preferred.names
    notes = [f"{name} is {shown(preset(name))}" for name in dict.fromkeys(presets)]
    if presets and not labels:
        labels = asked.named or NO_PREFERENCE
    if options.handshakes_by_port and not labels:
        labels = (asked.named if "handshakes" in options.given else ()) or NO_PREFERENCE
    if "all" in presets:
        if options.allow_printers:
            raise UsageError(
                "--handshakes all with --allow-printers would have printers print a page for each of "
                f"{len(asked.names)} handshakes; name the handshakes"
            )
        packets = most_packets(len(asked.names), options.retransmit_number)
        wait = options.timeout + options.retransmit_number * options.retransmit_wait
        minutes = len(asked.names) * wait / 60
        notes.append(
            f"a host that never sends data is sent {packets} packets at most, "
            f"over up to {minutes:.0f} min; auto asks the {len(AUTO)} that name most"
        )
    notes += [*asked.notes, *preferred.notes]
    if asked.names == NONE and options.only_data_record:
        raise UsageError(
            "-handshakes none asks nothing that -onlyDataRecord could be about; leave one of them out"
        )
    if asked.names == NONE and options.haf and _ports(options) <= FEW_PORTS:
        raise UsageError(
            "-handshakes none asks nothing that -haf could be about, except in a sweep of more than "
            f"{FEW_PORTS} ports; leave one of them out"
        )
    options = options.replace(handshakes=asked.names, priority_fingerprint=labels)
    return options, tuple(dict.fromkeys(notes))


def _ports(options: Options) -> int:
    """How many ports are swept, of printers too; 0 where none are."""
    return size(union(options.target_ports))


def tried(names: Sequence[str]) -> tuple[str, ...]:
    """The handshakes, of those `choose` gives, for which something is sent."""
    return () if tuple(names) == NONE else tuple(names)


def shown(names: Sequence[str]) -> str:
    """Names for a line of text; of many, the first few."""
    if len(names) <= 12:
        return ", ".join(names)
    return f"{', '.join(names[:8])} and {len(names) - 8} more"


def most_packets(handshakes: int, retransmits: int) -> int:
    """Packets to a host that never sends data: SYN and probe of each handshake with their repetitions, and an
    RST.
    """
    return handshakes * (2 * (1 + retransmits) + 1)


def _note(notes: list[str], name: str, ours: str) -> None:
    if name != ours and (sentence := f"{printable(name)} is {ours} here") not in notes:
        notes.append(sentence)


def _known(name: str, what: str, where: str) -> str:
    """Our name for `name`. Raises UsageError."""
    asked = plain(name)
    for candidate in _readings(asked):
        ours = _OURS.get(candidate) or ALIASES.get(candidate)
        if ours:
            return ours
    raise UsageError(why_not(name, what, where))


def _readings(asked: str) -> Iterable[str]:
    """The name itself, and the name without the transport: ``http/tcp``, ``tcp/http`` and nmap's
    ``ssl/imap``.
    """
    yield asked
    head, _, tail = asked.partition("/")
    if tail == "tcp" or head == "tcp":
        yield head if tail == "tcp" else tail
    elif head in ("ssl", "tls") and tail:
        yield "tls"


def why_not(name: str, what: str, where: str) -> str:
    """The sentence about a name that is none of ours."""
    asked = plain(name)
    shown = printable(name)
    head, _, tail = asked.partition("/")
    service = head if tail in _TRANSPORTS else tail if head in _TRANSPORTS else asked
    if "udp" in (head, tail) or service.endswith("-udp"):
        service = service.removesuffix("-udp")
        ours = _OURS.get(service) or ALIASES.get(service)
        return f"{shown} {REASONS['udp']}" + (f"; {ours} asks over TCP" if ours else "")
    if service in ABSENT:
        return f"{shown} {REASONS[ABSENT[service]]}"
    if service in NO_HANDSHAKE:
        return f"{shown} has no handshake and no label here; auto asks what names most services ({where})"
    if service.isascii() and service.isdigit():
        return _port(service, what)
    guess = nearest(asked, (*_OURS, *PRESETS, *ALIASES))
    if not guess:
        return f"{shown} is not {what} ({where})"
    meant = _OURS.get(guess) or (guess if guess in PRESETS else f"{guess} ({ALIASES[guess]} here)")
    return f"{shown} is not {what}; did you mean {meant}? ({where})"


def _port(text: str, what: str) -> str:
    usual = [protocol.name for protocol in _on(int(text[:9]))]
    there = f"; usual on port {text[:9]}: {', '.join(usual[:3])}" if usual else ""
    return f"{printable(text)} is a port, and not {what}{there}"


def _on(port: int) -> list[Protocol]:
    return [protocol for protocol in PROTOCOLS if port in protocol.ports]
