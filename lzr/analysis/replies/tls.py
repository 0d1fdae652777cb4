"""A TLS server's first reply: its messages in clear, its certificate, and what of it always differs.

Up to TLS 1.2 the certificate comes in clear (RFC 5246 §7.4.2); from 1.3 on all after the ServerHello is
encrypted (RFC 8446 §4), and nothing of it can be compared.
"""

from __future__ import annotations

from collections.abc import Iterator

from lzr.protocols._bytes import be16, be24

_HANDSHAKE, _ENCRYPTED = 22, 23
_SERVER_HELLO, _CERTIFICATE, _TICKET = 2, 11, 4
KEPT = frozenset((_SERVER_HELLO, _CERTIFICATE, 13, 14))
"""Messages whose contents stay the same; a key exchange is signed anew each time, a stapled status
expires."""
RENEWED = frozenset((51, 41, 35))
"""Extensions with a key of this connection's: key_share, pre_shared_key, session_ticket."""
_MOST = 65536


def is_tls(data: bytes) -> bool:
    """Whether it begins as a record of TLS or SSL 3.0 that holds a handshake message or an alert."""
    return data[:2] in (b"\x16\x03", b"\x15\x03")


def _records(data: bytes) -> Iterator[tuple[int, bytes, bool]]:
    """Type and contents of each record, and whether it is whole (RFC 8446 §5.1)."""
    at = 0
    while at + 5 <= len(data) and data[at + 1] == 3:
        size = be16(data, at + 3)
        yield data[at], data[at + 5 : at + 5 + size], at + 5 + size <= len(data)
        at += 5 + size


def messages(data: bytes) -> Iterator[tuple[int, bytes, bool]]:
    """Type and body of each handshake message in clear, over the borders of records, and whether it is
    whole."""
    joined = b"".join(part for kind, part, _ in _records(data[:_MOST]) if kind == _HANDSHAKE)
    at = 0
    while at + 4 <= len(joined):
        size = be24(joined, at + 1)
        yield joined[at], joined[at + 4 : at + 4 + size], at + 4 + size <= len(joined)
        at += 4 + size


def leaf(data: bytes) -> bytes:
    """The server's own certificate in DER, where it came in clear and whole; else b""."""
    if data[:2] != b"\x16\x03":
        return b""
    for kind, body, _ in messages(data):
        if kind == _CERTIFICATE and len(body) >= 6:
            size = be24(body, 3)
            der = body[6 : 6 + size]
            return der if len(der) == size else b""
    return b""


def masked(data: bytes) -> bytes:
    """Without randoms, session ids, keys, signatures and whatever is encrypted."""
    parts = []
    for kind, body, _ in messages(data):
        parts.append(bytes((kind,)))
        if kind == _SERVER_HELLO:
            parts.append(_hello(body))
        elif kind in KEPT:
            parts.append(body)
    for kind, part, _ in _records(data[:_MOST]):
        if kind != _HANDSHAKE:
            parts.append(bytes((kind,)) + (b"" if kind == _ENCRYPTED else part))
            if kind == _ENCRYPTED:
                break  # how many follow depends on where the reply was cut
    return b"\0".join(parts) if parts else data


def _hello(body: bytes) -> bytes:
    """Version, suite and extensions (RFC 8446 §4.1.3); the session id is ours come back, or a new one."""
    if len(body) < 35:
        return body[:2]
    at = 35 + body[34]
    kept = [body[:2], body[at : at + 3]]
    at += 5
    while at + 4 <= len(body):
        kind, size = be16(body, at), be16(body, at + 2)
        value = body[at + 4 : at + 4 + size]
        kept.append(body[at : at + 2] + (value[:2] if kind in RENEWED else value))
        at += 4 + size
    return b"".join(kept)
