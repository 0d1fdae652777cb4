"""Subject and issuer of a server's certificate where it is sent in clear: up to TLS 1.2 (RFC 5246 §7.4.2).

Only what the first reply holds is there: a certificate that it does not hold whole is read as far as it goes,
since both names stand in its first part (RFC 5280 §4.1).
"""

from __future__ import annotations

import contextlib

from lzr.protocols._bytes import be16, be24

_SHORT = {
    b"\x55\x04\x03": "CN",
    b"\x55\x04\x05": "SERIALNUMBER",
    b"\x55\x04\x06": "C",
    b"\x55\x04\x07": "L",
    b"\x55\x04\x08": "ST",
    b"\x55\x04\x09": "STREET",
    b"\x55\x04\x0a": "O",
    b"\x55\x04\x0b": "OU",
    b"\x55\x04\x11": "POSTALCODE",
}
"""Attributes of names that have a short one (RFC 4514 §3, X.520)."""

_ORDER = ("SERIALNUMBER", "CN", "OU", "O", "POSTALCODE", "STREET", "L", "ST", "C")
_SPECIAL = frozenset(b',+"\\<>;')
_MOST = 16384  # bytes of handshake messages that are looked at
_ATTRIBUTES = 24  # of a name that are read
_UTF8, _BMP = 0x0C, 0x1E
"""Tags of strings (X.680 §41): in UTF-8, and of two bytes a character."""
_LONGEST = 200  # characters of an attribute


def names(data: bytes) -> tuple[bytes, bytes]:
    """(subject, issuer) of the first certificate, each as `CN=…,OU=…,O=…,L=…,ST=…,C=…`; b"" where not seen.

    The order is always that one, whichever the certificate has; a backslash stands before what is special in
    RFC 4514. In UTF-8, however the certificate writes it.
    """
    body = _certificate(_handshake(data[:_MOST]))
    at, end = _enter(body, 0)  # Certificate
    at, end = _enter(body, at)  # TBSCertificate
    if end < 0:
        return b"", b""
    if body[at : at + 1] == b"\xa0":  # version
        at = _after(body, at)
    at = _after(body, _after(body, at))  # serial number, signature
    issuer = _name(body, at)
    subject = _name(body, _after(body, _after(body, at)))  # validity lies between
    return subject, issuer


def _handshake(data: bytes) -> bytes:
    """The handshake messages that the records of this reply hold, joined (RFC 5246 §6.2.1)."""
    parts = []
    at = 0
    while data[at : at + 2] == b"\x16\x03":
        size = be16(data, at + 3)
        if size <= 0:
            break
        parts.append(data[at + 5 : at + 5 + size])
        at += 5 + size
    return b"".join(parts)


def _certificate(messages: bytes) -> bytes:
    """The first certificate of the Certificate message."""
    at = 0
    while at + 4 <= len(messages):
        size = be24(messages, at + 1)
        if messages[at] == 11:
            return messages[at + 10 : at + 10 + max(be24(messages, at + 7), 0)]
        at += 4 + size
    return b""


def _length(data: bytes, at: int) -> tuple[int, int]:
    """(beginning, end) of the contents of the element at `at`; (-1, -1) where there is none. X.690 §8.1.3"""
    if at < 0 or at + 2 > len(data):
        return -1, -1
    first = data[at + 1]
    if first < 0x80:
        return at + 2, at + 2 + first
    count = first & 0x7F
    if not 1 <= count <= 3 or at + 2 + count > len(data):
        return -1, -1
    start = at + 2 + count
    return start, start + int.from_bytes(data[at + 2 : start], "big")


def _enter(data: bytes, at: int) -> tuple[int, int]:
    return _length(data, at) if data[at : at + 1] == b"\x30" and at >= 0 else (-1, -1)


def _after(data: bytes, at: int) -> int:
    return _length(data, at)[1]


def _name(data: bytes, at: int) -> bytes:
    """An RDNSequence as text; b"" where it isn't whole."""
    at, end = _enter(data, at)
    if end < 0 or end > len(data):
        return b""
    found: dict[str, list[bytes]] = {}
    for _ in range(_ATTRIBUTES):
        if at < 0 or at >= end or data[at] != 0x31:  # SET
            break
        start, following = _length(data, at)
        start, _ = _enter(data, start)
        kind, value = _length(data, start)
        if value < 0 or value > end:
            break
        text, stop = _length(data, value)
        short = _SHORT.get(data[kind:value], "")
        if text < 0 or stop > end or following <= at:
            break
        if short:
            found.setdefault(short, []).append(_utf8(data[text:stop], data[value]))
        at = following
    return b",".join(
        b"+".join(short.encode() + b"=" + _escaped(word) for word in found[short])
        for short in _ORDER
        if short in found
    )


def _utf8(text: bytes, tag: int) -> bytes:
    """The characters of a string, as many as are kept, in UTF-8. What is not of these two kinds is read as
    Latin-1, which makers of TeletexStrings mean; so is a UTF8String that is none."""
    if tag == _BMP:
        return text.decode("utf-16-be", "replace")[:_LONGEST].encode("utf-8")
    if text.isascii():
        return text[:_LONGEST]
    if tag == _UTF8:
        with contextlib.suppress(UnicodeDecodeError):
            return text.decode("utf-8")[:_LONGEST].encode("utf-8")
    return text.decode("latin-1")[:_LONGEST].encode("utf-8")


def _escaped(text: bytes) -> bytes:
    return b"".join(b"\\" + bytes((c,)) if c in _SPECIAL else bytes((c,)) for c in text)
