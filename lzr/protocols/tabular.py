"""Databases whose servers answer only a login, or an error about it."""

from __future__ import annotations

from typing import Literal

from lzr.protocols._bytes import be16, be32, le16
from lzr.protocols._framing import leads, printable
from lzr.protocols._protocol import Protocol

# --- Sybase -------------------------------------------------------------------------------------------------

_SKIPPED = frozenset((0xE2, 0xE3))
"""Capabilities and changes of environment come before what tells the server."""


def _sybase(data: bytes) -> bool:
    """A packet of tabular results whose tokens have texts of single bytes: an acknowledged login, an error,
    an extended error. The order of bytes is the one that the client asked for."""
    if not leads(data, be16(data, 2)):
        return False
    if data.startswith(b"\xaa\1\x0eLogin failed", 8):  # Monitor Server leaves out length and number
        return True
    at = 8
    for _ in range(4):
        body = data[at + 3 : at + 3 + _length(data, at + 1)]
        if not body:
            return False
        if data[at] not in _SKIPPED:
            return _told(data[at], body)
        at += 3 + len(body)
    return False


def _length(data: bytes, at: int) -> int:
    """A token's length: of the two readings the one that fits."""
    small, large = sorted((max(le16(data, at), 0), max(be16(data, at), 0)))
    return large if large and at + 2 + large <= len(data) else small


def _told(token: int, body: bytes) -> bool:
    if token == 0xAD:  # status of the login, version of the protocol, the server's name behind its length
        if len(body) < 6 or body[0] not in (5, 6, 7) or body[1] not in (4, 5):
            return False
        return _name(body[6 : 6 + body[5]])
    if token in (0xAA, 0xAB):  # number, state, class, text
        return _name(body[6:].rstrip(b"\r\n"))
    # number, state, class, state of SQL, status, transaction, then the text behind its length
    at = 7 + body[6] + 3 if len(body) > 6 else 0
    return token == 0xE5 and 0 < at < len(body) and _name(body[at + 2 : at + 12])


def _name(text: bytes) -> bool:
    return len(text) > 3 and printable(text)


def _token(kind: int, body: bytes, order: Literal["little", "big"] = "little") -> bytes:
    return bytes((kind,)) + len(body).to_bytes(2, order) + body


def _packet(*tokens: bytes) -> bytes:
    body = b"".join(tokens)
    return b"\4\1" + (8 + len(body)).to_bytes(2, "big") + bytes(4) + body


_FAILED = b"\xa2\x0f\0\0\1\x0eLogin failed.\n"
_DONE = b"\xfd\2\0\2\0\0\0\0\0"

# --- H2 -----------------------------------------------------------------------------------------------------


def _h2(data: bytes) -> bool:
    """Status 0 (error), the state of SQL and a message, each behind its length in characters of two bytes."""
    state = data[8:18]
    size = be32(data, 18)
    return (
        state[::2] == bytes(5)
        and state[1::2].isalnum()
        and 0 < size < 4096
        and leads(data, 22 + 2 * size)
        and data[22:62:2].count(0) >= min(size, 20) // 2
    )


def _wide(text: str) -> bytes:
    return len(text).to_bytes(4, "big") + text.encode("utf-16-be")


_MISMATCH = 'Version mismatch, driver version is "0" but server version is "20"'

PROTOCOLS: tuple[Protocol, ...] = (
    Protocol(
        name="sybase",
        spec="TDS 5.0 Functional Specification (Sybase): packets, LOGINACK, EED; TDS 4.2: ERROR",
        match=_sybase,
        starts=(b"\4\1", b"\4\0"),
        examples=(
            _packet(_token(0xAA, _FAILED), _DONE),
            _packet(_token(0xAA, b"\0\0\x0f\xa2" + _FAILED[4:], "big"), b"\xfd\0\2\0\2\0\0\0\0"),
            _packet(b"\xaa\1\x0eLogin failed.\n\xfd"),
            _packet(_token(0xAD, b"\5\5\0\0\0\x0aSQL Server\x0c\0\0\0")),
            _packet(
                _token(0xE3, b"\4\x03512\x03512"),
                _token(0xE5, b"\xa2\x0f\0\0\1\x0e\x05ZZZZZ\0\1\0\x0e\0Login failed.\n\0\0\0\0"),
                _DONE,
            ),
        ),
        rejects=(
            _packet(_token(0xAA, b"\xa2\x0f\0\0\1\x0e\4\0L\0o\0g\0i\0n\0\0\0\0"), _DONE),
            _packet(_token(0xAD, b"\5\7\0\0\0\x0aSQL Server\x0c\0\0\0")),
            _packet(_token(0xE3, b"\4")),
            _packet(*(_token(0xE3, b"\4\x03512\x03512"),) * 4),
            _packet(_token(0xE5, b"\xa2\x0f\0\0\1\x0e")),
            _packet(_token(0xAD, b"\5\5\0\0\0")),
            _packet(_token(0xAD, b"\5")),
            _packet(_token(0xAD, b"\4\5\0\0\0\x0aSQL Server\x0c\0\0\0")),
            b"\4\1\0\x29" + _packet(_token(0xAA, _FAILED), _DONE)[4:],
        ),
        ports=(5000, 2048, 4100),
    ),
    Protocol(
        name="h2-database",
        spec="H2 database, org.h2.server.TcpServerThread: sendError; org.h2.value.Transfer",
        match=_h2,
        # A client of version 0: it is refused before any database is named.
        probe=bytes(8),
        starts=(b"\0\0\0\0\0\0\0\5\0",),
        examples=(
            bytes(4) + _wide("90047") + _wide(_MISMATCH) + b"\xff" * 4 + b"\0\1\x5f\xbf" + _wide("org.h2"),
        ),
        rejects=(
            bytes(4) + _wide("9 0 7") + _wide(_MISMATCH),
            bytes(4) + _wide("90047") + b"\0\0\0\x50short",
            bytes(4) + _wide("90047") + b"\0\0\0\4" + b"abcdefgh",
        ),
        ports=(9092, 8082),
    ),
)
