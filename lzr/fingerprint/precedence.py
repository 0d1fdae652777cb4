"""Which label wins when several matchers take the same reply: a short ordered list of rules over sets.

First RULES, which say what a reply is, in order: where any of a rule's `winners` was found, its `losers` are
struck out. Then the user's choice among what it may be: the first preferred name that is left. Without one
the names left are joined by "-" in catalogue order, so a 220 line that names neither mail nor files is
``smtp-ftp``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

UNKNOWN = "unknown"


class Rule(NamedTuple):
    """`winners` beat `losers`; `why` for the reader."""

    winners: frozenset[str]
    losers: frozenset[str]
    why: str


def _rule(winners: str, losers: str, why: str) -> Rule:
    return Rule(frozenset(winners.split()), frozenset(losers.split()), why)


RULES: tuple[Rule, ...] = (
    _rule("tls", "http", "a page that says it was asked in plain HTTP on a TLS port speaks TLS"),
    _rule("ipp kubernetes rtsp", "http", "protocols on top of HTTP, or in its form, name themselves in it"),
    _rule("mongodb hadoop-ipc clickhouse socks", "http", "a page that says that the port is not the web's"),
    _rule("lmtp dict vmware-authd", "ftp smtp", "a 220 line that names its protocol is that protocol's"),
    _rule("snpp", "hylafax", "HylaFAX is asked to send pages in the protocol that its line names"),
    _rule("couchbase", "memcached_binary", "couchbase's greeting is a command that memcached has not"),
    _rule("rpcbind", "rpc", "the port mapper is one program among those called by RPC"),
    _rule("s7 mms", "siemens", "both travel in the transport whose connection confirm is siemens'"),
    _rule(
        "dicom", "modbus", "an association's refusal is ten bytes; Modbus would need that very transaction"
    ),
)


def resolve(found: Sequence[str], preferred: Sequence[str] = ()) -> str:
    """One label out of the names that matched, given in catalogue order."""
    if not found:
        return UNKNOWN
    if len(found) == 1:
        return found[0]
    left = set(found)
    for winners, losers, _ in RULES:
        if not left.isdisjoint(winners):
            left -= losers - winners
    for name in preferred:
        if name in left:
            return name
    return "-".join(name for name in found if name in left)
