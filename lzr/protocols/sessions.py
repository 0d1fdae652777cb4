"""Protocols that multiplex a connection: BEEP, JBoss Remoting, the X font service, transactions,
measurements.
"""

from __future__ import annotations

from lzr.protocols._bytes import be16, be32, le16
from lzr.protocols._framing import first_line, printable
from lzr.protocols._protocol import Protocol


def _beep(data: bytes) -> bool:
    """The greeting, or an error, on channel 0: number, whether more follows, offset, size."""
    line = first_line(data)
    words = line.split(b" ")
    if len(words) != 6 or words[3] not in (b".", b"*") or not all(words[i].isdigit() for i in (1, 2, 4, 5)):
        return False
    size = int(words[5][:10])
    whole = len(line) + 2 + size
    zero = words[1] == words[2] == words[4] == b"0"
    return zero and (len(data) <= whole or data.startswith(b"END\r\n", whole))


def _remoting(data: bytes) -> bool:
    """A greeting: its length, type 0, then fields with a byte each for key and length; one is a name."""
    size = be32(data, 0)
    if size + 4 != len(data) or not 5 <= size <= 512:
        return False
    at, named = 5, False
    while at + 2 <= len(data):
        key, text = data[at], data[at + 2 : at + 2 + data[at + 1]]
        if key > 7 or len(text) != data[at + 1]:
            return False
        named = named or (key in (0, 1, 2) and len(text) > 2 and printable(text))
        at += 2 + data[at + 1]
    return named and at == len(data)


def _xfs(data: bytes) -> bool:
    """The reply to a connection's opening: status, version 2, what else to ask, the vendor's name."""
    read = le16 if data[2:3] == b"\2" else be16
    status = read(data, 0)
    if status:
        return status in (2, 3) and len(data) == 12 and data[4:] == bytes(8)
    at = 12 + 4 * (max(read(data, 8), 0) + max(read(data, 10), 0))
    size = read(data, at + 6)
    return 0 < size <= 256 and len(data) >= at + 12 + size and printable(data[at + 12 : at + 12 + size])


def _tip(data: bytes) -> bool:
    """Which version it has of those that we have; or, where it did not understand, the first bytes of a
    buffer, as Windows' service sends them."""
    if data[2:] == b"\x0a\0x\1":
        return True
    words = first_line(data).split()
    return len(words) == 2 and words[1].isdigit() and len(data) < 32 if data[:10] == b"IDENTIFIED" else False


def _frame(kind: bytes, body: bytes) -> bytes:
    return kind + b" 0 0 . 0 %d\r\n" % len(body) + body + b"END\r\n"


def _greeting(*fields: bytes) -> bytes:
    body = b"\0" + b"".join(fields)
    return len(body).to_bytes(4, "big") + body


_BEEP = b"Content-Type: application/beep+xml\r\n\r\n"
_VENDOR = bytes.fromhex("06000000 4000 0c00 70170000") + b"X Consortium" + bytes(8)

PROTOCOLS: tuple[Protocol, ...] = (
    Protocol(
        name="beep",
        spec="RFC 3080 §2.2.1, §2.3.1.1",
        match=_beep,
        starts=(b"RPY 0 0 ", b"ERR 0 0 "),
        examples=(
            _frame(b"RPY", _BEEP + b"<greeting />\r\n"),
            _frame(b"ERR", _BEEP + b"<error code='421'>service not available</error>\r\n"),
            _frame(b"RPY", _BEEP + b"<greeting />\r\n") + b"SEQ 0 0 4096\r\n",
        ),
        rejects=(
            b"RPY 0 0 is not a frame\r\n",
            b"RPY 0 0 . 0 52\r\n" + _BEEP + b"<greeting />\r\nEND of story, and more of it follows here\r\n",
            b"RPY 0 0 . 7 9\r\n\r\n",
        ),
        ports=(602, 10288),
    ),
    Protocol(
        name="jboss-remoting",
        spec="JBoss Remoting 3 wire protocol: greeting",
        match=_remoting,
        starts=(b"\0\0\0", b"\0\0\1"),
        examples=(
            _greeting(b"\0\x0cexample-host"),
            _greeting(b"\0\1\0", b"\3\4\0\0\0\3", b"\1\6GSSAPI", b"\2\x0cexample-host"),
        ),
        rejects=(
            _greeting(b"\0\x0dexample-host"),
            _greeting(b"\0\x0cexample\0host"),
            _greeting(b"\x09\x0cexample-host"),
            _greeting(b"\0\x0cexample-host") + b"\0",
            _greeting(b"\0\x0cexample-host", b"\0"),
        ),
        ports=(4447, 4446, 9999),
    ),
    Protocol(
        name="xfs",
        spec="The X Font Service Protocol (X11R6), Open Connection",
        match=_xfs,
        probe=b"l\0\2\0\0\0\0\0",
        starts=tuple(bytes((status, 0, 2, 0)) for status in (0, 2, 3))
        + tuple(bytes((0, status, 0, 2)) for status in (0, 2, 3)),
        examples=(
            b"\0\0\2\0\0\0" + b"\0\0" + bytes(4) + _VENDOR,
            b"\0\0\2\0\0\0" + b"\1\0" + b"\4\0\0\0" + b"\0\x0dexample1:7100\0" + _VENDOR,
            b"\3\0\2\0" + bytes(8),
            bytes.fromhex("0000 0002 0000 00 00 0000 0000 00000006 0040 000c 00001770") + b"X Consortium",
        ),
        rejects=(
            b"\0\0\2\0\0\0" + b"\0\0" + bytes(4) + _VENDOR[:20],
            b"\0\0\2\0\0\0" + b"\0\0" + bytes(32),
            b"\3\0\2\0" + bytes(7) + b"\1",
        ),
        ports=(7100,),
    ),
    Protocol(
        name="msdtc",
        spec="RFC 2371 §13 (IDENTIFY), which Microsoft's coordinator of transactions speaks",
        match=_tip,
        # Which version of the protocol it has.
        probe=b"IDENTIFY 3 3 - -\r\n",
        starts=(b"IDENTIFIED ",),
        at=((2, b"\x0a\0x\1"),),
        examples=(b"IDENTIFIED 3\r\n", b"\xe8\xdd\x0a\0x\1"),
        rejects=(b"IDENTIFIED as a problem\r\n", b"IDENTIFIED 3", b"\xe8\xdd\x0a\0x\1\0"),
        ports=(3372,),
    ),
    Protocol(
        name="iperf3",
        spec="iperf3, iperf_api.h: a cookie of 37 bytes, then PARAM_EXCHANGE",
        match=lambda data: data == b"\x09",
        # A client's cookie. The server waits for the test's parameters and gives up when we are gone.
        probe=b"lzr-lzr-lzr-lzr-lzr-lzr-lzr-lzr-lzr-\0",
        starts=(b"\x09",),
        solicited=(b"\x09",),
        examples=(b"\x09",),
        rejects=(b"\x09\x09", b"\x0a"),
        ports=(5201,),
    ),
)
