"""TLS (RFC 8446, RFC 5246) and SSL 2.0: a record is TLS whatever the certificate in it says.

The ClientHello is one that a server of TLS 1.3 only and one of TLS 1.0 both answer: both kinds of suites,
a key share (32 random bytes are a valid x25519 public key), no server name since we know only addresses. It
stays under 256 bytes of handshake, for some load balancers hang on hellos of 256 to 511.
"""

from __future__ import annotations

import struct

from lzr.protocols._bytes import be16, be24
from lzr.protocols._protocol import Part, Protocol, Random

SUITES = (
    0x1301, 0x1302, 0x1303,  # TLS 1.3
    0xC02B, 0xC02F, 0xC02C, 0xC030, 0xCCA9, 0xCCA8,  # ECDHE, authenticated encryption
    0x009E, 0x009F,  # DHE
    0xC009, 0xC013, 0xC00A, 0xC014, 0xC027,  # ECDHE, CBC
    0x0033, 0x0039, 0x0067,  # DHE, CBC
    0x009C, 0x009D, 0x002F, 0x0035, 0x003C, 0x003D,  # RSA
    0x000A, 0x0005, 0x0004,  # 3DES, RC4: all that some old devices have
    0x00FF,  # secure renegotiation is understood, RFC 5746
)  # fmt: skip

SIGNATURES = (0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601, 0x0203, 0x0201)
GROUPS = (0x001D, 0x0017, 0x0018)
VERSIONS = (0x0304, 0x0303, 0x0302, 0x0301)

_KEY_SHARE, _SIZE = 51, 32


def _u16s(*values: int) -> bytes:
    return struct.pack(f">{len(values)}H", *values)


def _extension(kind: int, body: bytes) -> bytes:
    return _u16s(kind, len(body)) + body


def _client_hello() -> tuple[Part, ...]:
    """RFC 8446 §4.1.2, in parts: the random, the session id and the key share are fresh each time."""
    extensions = b"".join(
        (
            _extension(10, _u16s(2 * len(GROUPS), *GROUPS)),  # supported_groups
            _extension(11, b"\x01\x00"),  # ec_point_formats: uncompressed
            _extension(13, _u16s(2 * len(SIGNATURES), *SIGNATURES)),  # signature_algorithms
            _extension(23, b""),  # extended_master_secret
            _extension(35, b""),  # session_ticket
            _extension(43, bytes([2 * len(VERSIONS)]) + _u16s(*VERSIONS)),  # supported_versions
            _extension(45, b"\x01\x01"),  # psk_key_exchange_modes
            _u16s(_KEY_SHARE, _SIZE + 6, _SIZE + 4, GROUPS[0], _SIZE),  # the key itself follows
        )
    )
    suites = _u16s(2 * len(SUITES), *SUITES) + b"\x01\x00"  # compression: none
    length = 2 + _SIZE + 1 + _SIZE + len(suites) + 2 + len(extensions) + _SIZE
    head = b"\x16\x03\x01" + _u16s(length + 4) + b"\x01\x00" + _u16s(length, 0x0303)
    tail = suites + _u16s(len(extensions) + _SIZE) + extensions
    return head, Random(_SIZE), bytes([_SIZE]), Random(_SIZE), tail, Random(_SIZE)


CLIENT_HELLO = _client_hello()

ALERTS = frozenset(
    (0, 10, *range(20, 23), 30, *range(40, 52), 60, 70, 71, 80, 86, 90, 100, *range(109, 117), 120, 121)
)
"""RFC 8446 §6 and its forerunners."""

PLAIN_PAGES = (  # what TLS ports say to a request without TLS
    b"plain HTTP request was sent to HTTPS port",  # nginx
    b"speaking plain HTTP to an SSL-enabled server port",  # Apache
    b"sent an HTTP request to an HTTPS server",  # Go
    b"combination of host and port requires TLS",  # Tomcat
    b"HTTP request was sent to HTTPS",
    b"an HTTP request to an HTTPS port",
    b"HTTP request to HTTPS port",  # Jetty
    b"plain HTTP request sent to HTTPS port",
    b"plain HTTP request to HTTPS port",
    b"requires HTTPS. Please",
    b"but this server only speaks HTTPS on this port",  # Cheroot
    b"web server is running in SSL mode",  # Webmin
)

PLAIN_STATUS = (b"HTTP/1.1 497", b"HTTP/1.0 497")
"""nginx's code for such a request. It is replaced by 400 unless an error_page of the site's own keeps it,
whose words may be any; it is in no registry, and nobody else is known to send it."""

PLAIN_TITLES = (b"<title>400 ", b"<title>Bad Request")
"""How such a page is headed where no status line comes before it."""


def _record(data: bytes) -> bool:
    if len(data) < 7 or data[2] > 4:
        return False
    length = be16(data, 3)
    if data[0] == 0x15:  # alert: level, description
        return length == 2 and data[5] in (1, 2) and data[6] in ALERTS
    if not 4 <= length <= 0x4800 or len(data) < 9:
        return False
    kind, size = data[5], be24(data, 6)
    if kind == 0:  # HelloRequest
        return size == 0 and length == 4
    if data[9:10] == b"\x7f" or data[9:11] == b"\3\4":
        return _draft(data, kind, size)
    if kind != 2 or not 38 <= size <= 0x4000 or len(data) < 11 or data[9] != 3 or data[10] > 3:
        return False
    # ServerHello: version, random, session id, suite, compression (RFC 5246 §7.4.1.3)
    if len(data) > 43 and data[43] > 32:
        return False
    after = 44 + data[43] if len(data) > 43 else 0
    return not after or len(data) <= after + 2 or data[after + 2] in (0, 1, 64)


def _draft(data: bytes, kind: int, size: int) -> bool:
    """TLS 1.3 before its 22nd draft: version 3.4 or 0x7f and the draft, random, suite, extensions, no session
    id (draft-ietf-tls-tls13-18 §4.1.3); the retry request, a message of its own (§4.1.4), has no random."""
    if kind not in (2, 6) or len(data) < 11 or not 1 <= data[10] <= 28:
        return False
    suite = 43 if kind == 2 else 11
    if len(data) < suite + 4:
        return size >= 38
    extensions = be16(data, suite + 2)
    if kind == 6 and extensions != size - 6:  # up to draft 18 it named no suite
        return be16(data, suite) == size - 4
    return data[suite] in (0x13, 0xC0, 0xCC, 0) and extensions == size + 9 - suite - 4


def _tls(data: bytes) -> bool:
    if data[:1] in (b"\x15", b"\x16"):
        return _record(data)
    if data[:1] == b"<":  # old servers give no status line to what they could not read
        title = data.find(b"<title>", 0, 300)
        if title < 0 or not data.startswith(PLAIN_TITLES, title):
            return False
    if data.startswith(PLAIN_STATUS) and data[12:13] in (b" ", b"\r"):
        return True
    return any(page in data for page in PLAIN_PAGES)


def _ssl2(data: bytes) -> bool:
    """SERVER-HELLO or ERROR of SSL 2.0, whose two-byte header has the top bit set."""
    length = be16(data, 0) & 0x7FFF
    if len(data) == 5 and length == 3:
        return data[2] == 0 and be16(data, 3) in (1, 2, 4, 6)
    if len(data) < 13 or data[2] != 4 or data[3] > 1 or data[4] not in (0, 1) or be16(data, 5) != 2:
        return False
    return length == 11 + be16(data, 7) + be16(data, 9) + be16(data, 11) and be16(data, 9) % 3 == 0


_SERVER_HELLO = bytes.fromhex(
    "160303005a020000560303" + "5e" * 32 + "20" + "a1" * 32 + "130100000e002b00020304003300060017000207c9"
)


def _draft_hello(draft: int) -> bytes:
    extensions = _extension(_KEY_SHARE, _u16s(GROUPS[0], _SIZE) + b"\x5e" * _SIZE)
    body = bytes((0x7F, draft)) + b"\xa1" * 32 + _u16s(0x1301, len(extensions)) + extensions
    return b"\x16\x03\x01" + _u16s(len(body) + 4) + b"\x02\0" + _u16s(len(body)) + body


PROTOCOLS: tuple[Protocol, ...] = (
    Protocol(
        name="tls",
        spec="RFC 8446 §4.1.3, §5.1; RFC 5246 §7.2",
        match=_tls,
        probe=CLIENT_HELLO,
        starts=(
            b"\x16\x03",
            b"\x15\x03",
            b"HTTP/1.1 400",
            b"HTTP/1.0 400",
            *PLAIN_STATUS,
            b"HTTP/1.0 200 Document follows",
            b"<html>",
            b"<!DOCTYPE HTML PUBLIC",
        ),
        in_http=(b"HTTPS", b"SSL", b"TLS", *PLAIN_STATUS),
        examples=(
            _SERVER_HELLO,
            bytes.fromhex("15030100020228"),
            bytes.fromhex("15030300020246"),
            b"HTTP/1.1 400 Bad Request\r\nServer: x\r\n\r\nThe plain HTTP request was sent to HTTPS port",
            b"HTTP/1.1 497 \r\nServer: x\r\n\r\nThe plain HTTP request was sent to HTTPS port",
            b"HTTP/1.1 497 \r\nServer: nginx\r\n\r\n<h1>Please come in by another door</h1>",
            b"HTTP/1.0 497 Sample\r\n\r\n",
            b"HTTP/1.1 400 Bad Request\r\nServer: Tengine\r\n\r\n<html>\r\n<head><title>400 The plain "
            b"HTTP request was sent to HTTPS port</title></head>\r\n<body>",
            b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/html\r\n\r\n<html>\r\n<head>"
            b"<title>Bad Request</title></head>\r\n<body><p>HTTP request to HTTPS port</p></body></html>",
            b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n",
            b"HTTP/1.1 400 \r\n\r\nBad Request\r\nThis combination of host and port requires TLS.\r\n",
            b"HTTP/1.1 400 Bad Request\r\n\r\nYou're speaking plain HTTP to an SSL-enabled server port.",
            b"HTTP/1.1 400 Bad Request\r\nContent-Length: 88\r\n\r\nThe client sent a plain HTTP request, "
            b"but this server only speaks HTTPS on this port.",
            b"HTTP/1.0 200 Document follows\r\nServer: MiniServ\r\n\r\n<h1>Error</h1>This web server is "
            b"running in SSL mode. Try https://example.com:10000/",
            b"<html>\r\n<head><title>400 The plain HTTP request was sent to HTTPS port</title></head>\r\n",
            b'<!DOCTYPE HTML PUBLIC "-//IETF//DTD HTML 2.0//EN">\n<html><head>\n'
            b"<title>400 Bad Request</title>\n</head><body>Reason: You're speaking plain HTTP to an "
            b"SSL-enabled server port.<br />",
            _draft_hello(0x12),
            _draft_hello(0x1C),
            _draft_hello(0x12).replace(b"\x7f\x12", b"\3\4").replace(b"\x13\1", b"\xc0\x2b"),  # draft 14
            bytes.fromhex("1603010012 0600000e 7f15 1301 0008 002c0004 00020102"),  # draft 21, retry
            bytes.fromhex("1603010010 0600000c 7f12 0008 002c0004 00020102"),  # draft 18
            bytes.fromhex("1603010052 0200004e 7f12"),  # as far as a small segment goes
            bytes.fromhex("160301000400000000"),  # HelloRequest
        ),
        rejects=(
            bytes.fromhex("1603010003 0200000000"),
            bytes.fromhex("16030100cc010000c80303") + b"\x11" * 60,  # a client's hello
            bytes.fromhex("160301"),
            bytes.fromhex("1603030010") + b"\x80" * 16,
            bytes.fromhex("150303ffff0228"),
            bytes.fromhex("15030300020999"),
            _draft_hello(0x12).replace(b"\x13\x01", b"\x13\x01\0", 1),
            bytes.fromhex("1603010052 0200004e 7f7f") + bytes(76),
            bytes.fromhex("1603010052 0100004e 7f12"),
            _SERVER_HELLO[:43] + b"\x21" + _SERVER_HELLO[44:],
            b"<html><head><title>Notes</title></head>The plain HTTP request was sent to HTTPS port",
            b"<html><head><title>400 Bad Request</title></head><body>nginx</body>",
            b"HTTP/1.1 400 Bad Request\r\nServer: nginx\r\n\r\n<title>400 Bad Request</title> HTTP/1.1 497",
            b"HTTP/1.1 4970 OK\r\n\r\n",
            b"HTTP/1.1 400 Bad Request\r\n\r\nrewritten in HTTPS, SSL and TLS",
            b"HTTP/1.1 200 OK\r\n\r\nnginx says: The plain HTTP request was sent to HTTPS port",
        ),
        ports=(443, 465, 636, 853, 989, 990, 992, 993, 995, 8443),
        zgrab="tls",
    ),
    Protocol(
        name="ssl",
        spec="The SSL 0.2 Protocol (Netscape, 1995), §5",
        match=_ssl2,
        probe=(
            b"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10"
            b"\x01\x00\x80\x02\x00\x80\x03\x00\x80\x04\x00\x80\x05\x00\x80\x06\x00\x40\x07\x00\xc0",
            Random(16),
        ),
        starts=tuple(bytes([high]) for high in range(0x80, 0x90)),
        examples=(
            bytes.fromhex("8026040001000200080003001000") + b"c" * 7 + b"\x01\x00\x80" + b"i" * 16,
            bytes.fromhex("8003000001"),
        ),
        rejects=(bytes.fromhex("8026040001030000080003001000") + b"c" * 26, b"\x80" * 40, b"\x80\x03\x00"),
        ports=(443,),
        zgrab="tls",
    ),
)
