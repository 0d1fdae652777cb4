"""The fields of a result record: one table, from which every output and its documentation are made.

The first twenty-one are the reference's, in its order, with its names and types; the others are ours.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Field(NamedTuple):
    """One field.

    kind: "string", "int" or "bool".
    optional: left out of a JSON record when empty or false.
    default: written unless --output-fields says otherwise.
    enriched: there is something in it with --enrich only, and it is written by default only then.
    """

    name: str
    kind: str
    text: str
    derived: str
    optional: bool = False
    default: bool = True
    enriched: bool = False


FIELDS = (
    Field("saddr", "string", "address of the scanned host", "source address of the last packet from it"),
    Field("daddr", "string", "our address", "destination address of that packet"),
    Field("sport", "int", "port of the scanned host", "source port of that packet"),
    Field("dport", "int", "our port", "destination port of that packet"),
    Field(
        "seqnum", "int", "TCP sequence number, unsigned", "that packet; of the SYN-ACK if nothing followed it"
    ),
    Field("acknum", "int", "TCP acknowledgement number, unsigned", "likewise"),
    Field("window", "int", "TCP window, as sent, not scaled", "likewise"),
    Field("ttl", "int", "time to live, or IPv6 hop limit", "likewise; 0 if ZMap did not say"),
    Field("Counter", "int", "retransmissions so far", "our count for this handshake"),
    Field("ACK", "bool", "flag of the last packet", "TCP header"),
    Field("ACKed", "bool", "the host ever acknowledged data of ours", "acknowledgement numbers seen"),
    Field("SYN", "bool", "flag of the last packet", "TCP header"),
    Field("RST", "bool", "flag of the last packet", "TCP header"),
    Field("FIN", "bool", "flag of the last packet", "TCP header"),
    Field("PUSH", "bool", "flag of the last packet", "TCP header"),
    Field(
        "HandshakeNum",
        "int",
        "which handshake this is about",
        "index into -handshakes, from 0 (beyond: --handshakes-by-port)",
    ),
    Field(
        "fingerprint",
        "string",
        "protocol found",
        "all matchers on the data; unknown if none fits or none came",
    ),
    Field("Timestamp", "string", "when the last packet came", "kernel clock; RFC 3339, UTC, nanoseconds"),
    Field(
        "expectedRToLZR",
        "string",
        "what was awaited at the end: sa, ack or data",
        "state of the flow; absent after zero window, RST or FIN",
        optional=True,
    ),
    Field(
        "data",
        "string",
        "the first bytes the host sent",
        "each byte is the character of the same number (Latin-1)",
        optional=True,
    ),
    Field(
        "ackingFirewall",
        "bool",
        "the host answers on any port (HyperACKtive)",
        "random ports probed by -haf",
        optional=True,
    ),
    Field("application", "string", "what runs on top, where the reply names it", "HTTP reply", optional=True),
    Field("product", "string", "server software, where the banner states it", "banner", optional=True),
    Field("version", "string", "its version, where the banner states it", "banner", optional=True),
    Field(
        "truncated",
        "bool",
        "more data came than was kept",
        "--max-size; the worker's memory for replies of several segments",
        optional=True,
    ),
    Field("handshake", "string", "name of the handshake HandshakeNum counts", "-handshakes", True, False),
    Field("reason", "string", "how the flow ended", "state of the flow", True, False),
    Field(
        "sa_only",
        "bool",
        "it answered with a SYN-ACK, and nothing more was asked",
        "-handshakes none",
        True,
        False,
    ),
    Field("device", "string", "kind of device", "reply; --enrich", True, False, True),
    Field("hardware", "string", "its maker and model", "reply; --enrich", True, False, True),
    Field("os", "string", "operating system, and its version", "reply; --enrich", True, False, True),
    Field(
        "cpe",
        "string",
        "CPE 2.2 names of service, hardware and system, with blanks between them",
        "reply; --enrich",
        True,
        False,
        True,
    ),
    Field(
        "subject",
        "string",
        "whom the certificate names, where it comes in clear",
        "TLS up to 1.2; --enrich",
        True,
        False,
        True,
    ),
)

TYPES: dict[str, type] = {
    field.name: {"string": str, "int": int, "bool": bool}[field.kind] for field in FIELDS
}
NUMBERS = {field.name: number for number, field in enumerate(FIELDS)}
DEFAULT = tuple(field.name for field in FIELDS if field.default)
ENRICHED = tuple(field.name for field in FIELDS if field.enriched)


def written(names: tuple[str, ...] | None, *, enrich: bool) -> tuple[str, ...] | None:
    """The fields that were asked for; if none were, None for the default ones, with `enrich` also those it
    fills.
    """
    return DEFAULT + ENRICHED if enrich and names is None else names


def choose(names: Iterable[str] | None) -> tuple[str, ...]:
    """The fields to write, in order; all default ones for None. Raises ValueError with a sentence."""
    if names is None:
        return DEFAULT
    chosen = tuple(names)
    if chosen == ("*",):
        return tuple(NUMBERS)
    for name in chosen:
        if name not in NUMBERS:
            raise ValueError(f"no output field is called {name!r}; --list-output-fields shows them")
    if not chosen or len(set(chosen)) != len(chosen):
        raise ValueError("--output-fields wants at least one field, and each only once")
    return chosen


def listing() -> str:
    """The text of --list-output-fields."""
    wide = max(len(field.name) for field in FIELDS)
    lines = []
    for field in FIELDS:
        note = (
            " (with --enrich)"
            if field.enriched
            else ""
            if field.default
            else " (not written unless asked for)"
        )
        lines.append(f"{field.name:<{wide}}  {field.kind:<6}  {field.text}{note}\n")
    return "".join(lines)


def table() -> str:
    """The table of docs/output.md, in Markdown."""
    lines = ["| field | type | meaning | taken from | in JSON |", "|---|---|---|---|---|"]
    for field in FIELDS:
        when = "always" if not field.optional else "when not empty" if field.default else "when asked for"
        when = "with `--enrich`, when not empty" if field.enriched else when
        lines.append(f"| `{field.name}` | {field.kind} | {field.text} | {field.derived} | {when} |")
    return "\n".join(lines) + "\n"
