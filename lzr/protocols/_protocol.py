"""The form of a protocol: one value with its probe, its matcher, and examples that the tests try.

A *handshake* is what we put into the first ACK (`probe`); a *matcher* says whether a reply is this
protocol. Every matcher sees every reply, whatever was sent, so a protocol needs no probe to be recognised
and a probe needs no matcher to be useful (`wait`, `newlines`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from msgspec import Struct


class Host(Struct, frozen=True):
    """The peer as an HTTP authority (RFC 9110 §7.2): address, brackets around IPv6, port unless 80."""


class Address(Struct, frozen=True):
    """The peer's address alone, as text."""


class Random(Struct, frozen=True):
    """`size` bytes, fresh for each connection (TLS random, cookies); no line ends among them."""

    size: int


Part = bytes | Host | Address | Random

Matcher = Callable[[bytes], bool]


class Details(NamedTuple):
    """What fingerprints of Recog add to an identity; "" where nothing is known.

    device: its kind. hardware: maker and model. os: name and version. cpe: all CPEs, with blanks between
    them. subject: of the certificate.
    """

    device: str = ""
    hardware: str = ""
    os: str = ""
    cpe: str = ""
    subject: str = ""


NO_DETAILS = Details()


class Identity(NamedTuple):
    """What a reply is identified as: its label and, where the reply states it, what runs there ("" where
    not)."""

    label: str
    application: str = ""
    product: str = ""
    version: str = ""
    details: Details = NO_DETAILS


class Protocol(Struct, frozen=True):
    """One protocol.

    name: the handshake's name and the label it gives.
    spec: where the bytes are defined (RFC section, protocol page).
    match: bytes of the reply -> is it this protocol? Checks structure; never raises; linear time.
        None: no reply earns this label (`wait`).
    probe: bytes to send with the first ACK, or parts of which some vary by connection; empty: nothing is
        sent and the server is expected to speak first.
    starts: the reply must start with one of these for `match` to be worth calling (the dispatcher's key,
        so that cost does not grow with the number of protocols).
    at: the same for protocols whose first bytes vary (lengths, transaction numbers): the reply must hold
        one of these byte strings at that offset, as ``((2, b"\\0\\0"),)``; not looked up where the first
        20 bytes are all printable, nor where another protocol took the reply by its beginning. With neither
        `starts` nor `at`, `match` is called for every reply: a last resort, and then it must be cheap.
    solicited: whole replies too short to prove anything by themselves (a lone ``N``), which count only where
        this protocol's own probe drew them, or nothing is known of what was sent. Those that `match` refuses
        count only where the probe is known to have drawn them.
    in_http: byte strings of which one must be in an HTTP response for `match` to take it, for protocols whose
        replies may begin as HTTP's do: without one the response is http's (`webreply`). Empty: `match`
        is asked.
    last_resort: asked only about replies that no other protocol takes: for matchers that go by ordinary words
        (a login prompt, a date).
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
    at: tuple[tuple[int, bytes], ...] = ()
    solicited: tuple[bytes, ...] = ()
    in_http: tuple[bytes, ...] = ()
    last_resort: bool = False
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

    def matches(self, data: bytes) -> bool:
        """Whether this protocol, asked alone, takes the reply for its own."""
        if self.match is None or not data:
            return False
        keyed = data.startswith(self.starts) or any(data.startswith(key, offset) for offset, key in self.at)
        return (keyed or not (self.starts or self.at)) and self.match(data)
