"""The form of a fingerprint: one value per protocol, with the proof beside the claim.

A *handshake* is what we put into the first ACK (`probe`); a *matcher* says whether a reply is this
protocol. Every matcher sees every reply, whatever was sent, so a protocol needs no probe to be recognised
and a probe needs no matcher to be useful (`wait`, `newlines`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Host:
    """The peer as an HTTP authority (RFC 9110 §7.2): address, brackets around IPv6, port unless 80."""


@dataclass(frozen=True, slots=True)
class Address:
    """The peer's address alone, as text."""


@dataclass(frozen=True, slots=True)
class Random:
    """`size` bytes, fresh for each connection (TLS random, cookies)."""

    size: int


Part = bytes | Host | Address | Random

Matcher = Callable[[bytes], bool]


@dataclass(frozen=True, slots=True)
class Protocol:
    """One protocol.

    name: the handshake's name and the label it gives.
    spec: where the bytes are defined (RFC section, protocol page).
    match: bytes of the reply -> is it this protocol? Checks structure; never raises; linear time.
        None: no reply earns this label (`wait`).
    probe: bytes to send with the first ACK, or parts of which some vary by connection; empty: nothing is
        sent and the server is expected to speak first.
    starts: the reply must start with one of these for `match` to be worth calling (the dispatcher's key,
        so that cost does not grow with the number of protocols); empty: any reply.
    examples: replies that this matcher, and no stronger one, must match.
    rejects: replies that look alike and must not match.
    ports: IANA or customary ports.
    zgrab: the ZGrab2 module that scans it, if there is one.
    """

    name: str
    spec: str
    match: Matcher | None
    probe: bytes | tuple[Part, ...] = b""
    starts: tuple[bytes, ...] = ()
    examples: tuple[bytes, ...] = ()
    rejects: tuple[bytes, ...] = ()
    ports: tuple[int, ...] = ()
    zgrab: str = ""

    @property
    def parts(self) -> tuple[Part, ...]:
        """The probe as parts."""
        if isinstance(self.probe, tuple):
            return self.probe
        return (self.probe,) if self.probe else ()

    @property
    def server_first(self) -> bool:
        return not self.probe
