"""Tabular Data Stream, the protocol of SQL Server and of Sybase (SAP ASE)."""

from __future__ import annotations

import struct
from typing import Literal

from lzr.protocols._bytes import be16, le16
from lzr.protocols._framing import leads, printable
from lzr.protocols._protocol import Protocol

# --- SQL Server: MS-TDS §2.2.3 ----------------------------------------------------------------------------


def _mssql(data: bytes) -> bool:
    size = be16(data, 2)
    if len(data) < 9 or not 9 <= size <= 4096 or data[7] > 1 or len(data) > size:
        return False
    if data[8] in (
        0xAA,
        0xAB,
    ):  # ERROR, INFO: number, state, class, a text of 16-bit characters
        return 0 <= 2 * le16(data, 17) <= le16(data, 9) - 8
    # PRELOGIN option tokens: type, offset, length; the first is VERSION, whose data follow the list
    return data[8] == 0 and 6 <= be16(data, 9) <= 80 and be16(data, 11) == 6


_PRELOGIN_OPTIONS = (  # VERSION, ENCRYPTION, INSTOPT, THREADID, MARS: token, offset, length
    b"\x00\x00\x1a\x00\x06\x01\x00\x20\x00\x01\x02\x00\x21\x00\x01\x03\x00\x22\x00\x04\x04\x00\x26\x00\x01\xff"
    b"\x11\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
)

_PRELOGIN = b"\x12\x01" + struct.pack(">H", 8 + len(_PRELOGIN_OPTIONS)) + b"\0\0\0\0" + _PRELOGIN_OPTIONS

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
            return _valid_token(data[at], body)
        at += 3 + len(body)
    return False


def _length(data: bytes, at: int) -> int:
    """A token's length: of the two readings the one that fits."""
    small, large = sorted((max(le16(data, at), 0), max(be16(data, at), 0)))
    return large if large and at + 2 + large <= len(data) else small


def _valid_token(token: int, body: bytes) -> bool:
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


PROTOCOLS: tuple[Protocol, ...] = (
    Protocol(
        name="mssql",
        spec="MS-TDS §2.2.3.1, §2.2.6.5",
        match=_mssql,
        probe=_PRELOGIN,
        starts=(b"\x04\x01",),
        examples=(
            b"\x04\x01\0\x25\0\0\1\0\xaa\x1a\0\x18\x48\0\0\1\x0e\5\0L\0o\0g\0i\0n\0" + bytes(8),
            b"\x04\x01\0\x20\0\0\x01\0\0\0\x10\0\x06\x01\0\x16\0\x01\x02\0\x17\0\x01\xff\x10\0\x07\xd0\0\0\x02\0",
        ),
        rejects=(b"\x04\x01\x04\x01\x04\x01\x04\x01\x04\x01\x04", b"\x04\x01\x00\x08\0\0\0\0", _PRELOGIN),
        ports=(1433,),
        zgrab="mssql",
    ),
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
)
