"""What a specification allows gets through dispatch and guards; and no line of a matcher is there in vain.

The examples beside the matchers are one case each. Here are the variations: every length, flag, order and
number that the specification leaves open and a key or a guard might have fixed by mistake.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from types import CodeType, FrameType
from typing import Any

import pytest

from lzr import protocols
from lzr.fingerprint.classifier import Classifier
from lzr.protocols import BY_NAME, PROTOCOLS, Host
from lzr.protocols._protocol import Part
from tests.rows import every_row

CLASSIFY = Classifier().classify
SALT = b"a1B2c3D4e5f6a1B2c3D4e5f6a1B2c3D"


def tls_hellos() -> Iterator[bytes]:
    for version in (b"\3\0", b"\3\1", b"\3\2", b"\3\3"):
        for session in (0, 16, 32):
            for suite in (b"\xc0\x2f\0", b"\0\x2f\0", b"\x13\1\0", b"\0\x05\1"):
                body = version + b"\xee" * 32 + bytes((session,)) + b"\x11" * session + suite
                yield (
                    b"\x16\3\1" + (len(body) + 4).to_bytes(2, "big") + b"\2\0\0" + bytes((len(body),)) + body
                )
    for draft in range(14, 22):  # no session id; from draft 22 on the hello looks like TLS 1.2's
        for suite in (b"\x13\1", b"\x13\3", b"\xc0\x2b"):
            body = bytes((0x7F, draft)) + b"\xee" * 32 + suite + b"\0\4\0\x2c\0\0"
            yield b"\x16\3\1\0" + bytes((len(body) + 4,)) + b"\2\0\0" + bytes((len(body),)) + body


def openvpn_resets() -> Iterator[bytes]:
    for mac in (16, 20, 28, 32, 48, 64):
        for number in (1, 0x0F000001):
            body = b"\x40SERVERID" + b"\xa5" * mac + number.to_bytes(4, "big") + b"\x65\1\2\3"
            body += b"\1\0\0\0\0CLIENTID\0\0\0\0"
            yield len(body).to_bytes(2, "big") + body
            yield len(body).to_bytes(2, "big") + body + b"\0\x16\x28"  # its next packet has begun


def winbox_messages() -> Iterator[bytes]:
    for space in (0, 0xFE, 0xFF):
        for kind, value in (
            (0x09, b"\1"),
            (0x08, bytes(4)),
            (0x21, b"\2hi"),
            (0x31, b"\1x"),
            (0x88, bytes(2)),
        ):
            body = b"M2\x10\0" + bytes((space, kind)) + value
            yield bytes((len(body) + 2, 1)) + len(body).to_bytes(2, "big") + body


def status_answers() -> Iterator[bytes]:
    def varint(value: int) -> bytes:
        return bytes((value,)) if value < 128 else bytes((value & 127 | 128, value >> 7))

    for size in (20, *range(120, 400)):  # a first byte may be 0xff
        text = b'{"version":"' + b"x" * (size - 14) + b'"}'
        body = b"\0" + varint(size) + text
        yield varint(len(body)) + body


def confirms() -> Iterator[bytes]:
    size = b"\xc0\1\x0a"
    for calling in (b"\1\0", b"\0\0", b"\x10\0\0\1", b"TSAP"):
        for called in (b"\1\2", b"SIMATIC"):
            a, b = (bytes((kind, len(t))) + t for kind, t in ((0xC1, calling), (0xC2, called)))
            for order in (size + a + b, a + b + size, b + a, a + size + b, b + size):
                yield b"\3\0\0" + bytes((11 + len(order), 6 + len(order))) + b"\xd0\0\1\0\2\0" + order


def settings() -> Iterator[bytes]:
    for name in (1, 2, 3, 4, 5, 6, 8, 9, 0x10, 0x0A0A, 0x1A2B, 0xFE03, 0xFFFF):
        value = {2: 1, 5: 16384}.get(name, 1)
        body = name.to_bytes(2, "big") + value.to_bytes(4, "big")
        yield b"\0\0\6\4\0\0\0\0\0" + body
        yield b"\0\0\x0c\4\0\0\0\0\0" + body + body + b"\0\0\4\x08\0\0\0\0\0\0\0\xff\xff"


def ber(tag: int, body: bytes, *, long: bool = False) -> bytes:
    size = bytes((len(body),)) if not long else b"\x84" + len(body).to_bytes(4, "big")
    return bytes((tag,)) + size + body


def bind_answers() -> Iterator[bytes]:
    """RFC 4511 §4.1.9, §4.2.2: result codes of a bind, lengths in either form (X.690 §8.1.3)."""
    for code in (0, 1, 2, 7, 8, 13, 32, 34, 48, 49, 50, 51, 52, 53, 80):
        for long in (False, True):
            result = bytes((0x0A, 1, code)) + b"\4\0" + ber(4, b"why", long=long)
            yield ber(0x30, b"\2\1\1" + ber(0x61, result, long=long), long=long)


def connacks() -> Iterator[bytes]:
    """MQTT 3.1.1 §3.2.2.3 and 5.0 §3.2.2.2, table 3-1."""
    yield from (bytes((0x20, 2, 0, code)) for code in range(6))
    codes = (*range(0x80, 0x8B), 0x8C, 0x90, 0x95, 0x97, 0x99, 0x9A, 0x9B, 0x9C, 0x9D, 0x9F)
    yield from (bytes((0x20, 3, 0, code, 0)) for code in codes)
    yield b"\x20\x09\0\0\6\x21\0\x14\x22\0\x0a"


def rdp_confirms() -> Iterator[bytes]:
    """MS-RDPBCGR §2.2.1.2.1, §2.2.1.2.2: flags, protocols, reasons of a refusal."""
    head = b"\3\0\0\x13\x0e\xd0\0\0\x12\x34\0"
    for flags in (0, 1, 9, 0x1F):
        yield from (head + bytes((2, flags, 8, 0, kind, 0, 0, 0)) for kind in (0, 1, 2, 8))
    yield from (head + bytes((3, 0, 8, 0, reason, 0, 0, 0)) for reason in range(1, 7))


def refusals_of_mysql() -> Iterator[bytes]:
    """ERR_Packet: before the handshake it has no state; some count their packets from 1."""
    for number in (0, 1):
        for code, said in ((1040, b"Too many connections"), (1130, b"Host 'a' is not allowed to connect")):
            for state in (b"", b"#08004", b"#HY000"):
                body = b"\xff" + code.to_bytes(2, "little") + state + said
                yield len(body).to_bytes(3, "little") + bytes((number,)) + body


def authentications() -> Iterator[bytes]:
    """PostgreSQL 16, §55.7: the kinds of Authentication messages."""
    for kind, more in (
        *((0, b""), (3, b""), (5, b"salt"), (7, b""), (9, b"")),
        (10, b"SCRAM-SHA-256\0\0"),
        (10, b"SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0"),
    ):
        yield b"R" + (8 + len(more)).to_bytes(4, "big") + kind.to_bytes(4, "big") + more


def messages_of_mongodb() -> Iterator[bytes]:
    """All lengths whose first byte another protocol begins with; `H` is HTTP's."""
    for size in range(40, 300):
        body = size.to_bytes(4, "little") + b"\7\0\0\0\1\0\0\0\xdd\7\0\0" + bytes(5)
        yield body + (size - 21).to_bytes(4, "little") + b"\x0aabsent".ljust(size - 26, b"x") + b"\0"


def refusals_of_enip() -> Iterator[bytes]:
    """CIP vol. 2 §2-3.5, table 2-3.2: the header comes back, nothing behind it."""
    for command in (0x04, 0x63, 0x64, 0x65, 0x6F, 0x70):
        for status in (1, 2, 3, 0x64, 0x65, 0x69):
            yield command.to_bytes(2, "little") + bytes(6) + bytes((status, 0, 0, 0)) + b"LZR" + bytes(9)


def refusals_of_iperf3() -> Iterator[bytes]:
    for own in (1, 100, 130, 301):
        for system in (0, 9, 98, 111):
            yield b"\xfe" + own.to_bytes(4, "big") + system.to_bytes(4, "big")


def goaways() -> Iterator[bytes]:
    for last in (0, 1, 0x7FFFFFFF):
        for code in range(14):
            for text in (b"", b"invalid_preface", b"Unexpected HTTP/1.x request: GET / HTTP/1.1 "):
                body = last.to_bytes(4, "big") + code.to_bytes(4, "big") + text
                yield len(body).to_bytes(3, "big") + b"\7\0\0\0\0\0" + body


def plain_refusals() -> Iterator[bytes]:
    """What TLS ports say to plain HTTP."""
    said = (
        "The plain HTTP request was sent to HTTPS port",
        "Reason: You're speaking plain HTTP to an SSL-enabled server port.<br />",
        "Client sent an HTTP request to an HTTPS server.",
        "Bad Request\r\nThis combination of host and port requires TLS.",
        "HTTP request to HTTPS port",
    )
    for version in ("1.0", "1.1"):
        for server in ("", "Server: nginx/1.25.3\r\n", "Server: openresty\r\nX-Frame-Options: DENY\r\n"):
            for text in said:
                yield f"HTTP/{version} 400 Bad Request\r\n{server}\r\n<p>{text}\n".encode()
            for reason in ("", "HTTP to HTTPS", "Unknown"):
                yield f"HTTP/{version} 497 {reason}\r\n{server}\r\n<p>Elsewhere".encode()


def prefixed(count: int, name: str, change: Callable[[bytes, int], bytes]) -> list[bytes]:
    return [change(BY_NAME[name].examples[-1], i) for i in range(count)]


VARIATIONS: dict[str, list[bytes]] = {
    "tls": [*tls_hellos(), *plain_refusals()],
    "openvpn": list(openvpn_resets()),
    "winbox": list(winbox_messages()),
    "minecraft": list(status_answers()),
    "siemens": list(confirms()),
    "http2": [*settings(), *goaways()],
    "ldap": list(bind_answers()),
    "mqtt": list(connacks()),
    "rdp": list(rdp_confirms()),
    "mongodb": list(messages_of_mongodb()),
    "enip": list(refusals_of_enip()),
    "iperf3": list(refusals_of_iperf3()),
    "mysql": list(refusals_of_mysql()),
    "postgres": list(authentications()),
    "amqp": [b"AMQP" + version for version in (b"\0\0\x09\1", b"\1\1\0\x09", b"\3\1\0\0", b"\0\1\0\0")],
    "rsync": [
        b"@RSYNCD: %s\n" % v for v in (b"28", b"30.0", b"31.0", b"31.0 sha512 sha256 md5", b"32.0 md5")
    ],
    "ssh": [
        before + b"SSH-" + version + b"-OpenSSH_9.6" + end
        for before in (b"", b"Authorized users only\r\n", b"#####\n# No #\n#####\n", b"\r\nHi\r\n")
        for version in (b"2.0", b"1.99", b"1.5")
        for end in (b"\n", b"\r\n", b" Debian-1\r\n", b"\r\n\0\0\1\x9c\x0a\x14")
    ],
    "monetdb": [
        (2 * len(text) + last).to_bytes(2, "little") + text
        for kind, sizes in ((b"mserver", (8, 9, 10, 11)), (b"merovingian", (8, 31)))
        for size in sizes
        for last in (0, 1)
        for text in (SALT[:size] + b":" + kind + b":9:RIPEMD160,SHA256,SHA1:BIG:SHA512:sql=6:BINARY=1:",)
    ],
    "drda": prefixed(16, "drda", lambda e, i: e[:3] + bytes((i >> 1 << 4 | 2 | i & 1,)) + e[4:]),
    "iscsi": prefixed(16, "iscsi", lambda e, i: e[:1] + bytes((i & 15 | (i & 1) << 7,)) + e[2:]),
    "diameter": prefixed(4, "diameter", lambda e, i: e[:4] + bytes((i << 5,)) + e[5:]),
    "cassandra": [
        bytes((0x80 | version, flags, 0, 1, 6, 0, 0, 0, 0x10)) + b"\0\1\0\x0bCQL_VERSION\0"
        for version in (3, 4, 5)
        for flags in (0, 8, 0x10)
    ],
    "oracle": [
        *prefixed(3, "oracle", lambda e, i: e[:5] + bytes((0, 4, 8))[i : i + 1] + e[6:]),
        b"\0\x0a\0\0\5\0\0\0\0\x0b" + b"\0\x15\0\0\6\0\0\0\0\0(ADDRESS=x)",  # redirected in two packets
    ],
    "usbip": [version + b"\0\5" + bytes(8) for version in (b"\1\0", b"\1\6", b"\1\x10", b"\1\x11")],
    "redis": [
        *(b"-DENIED " + b"a" * size + b"\r\n" for size in (10, 500, 1057, 3000)),
        b"-LOADING Redis is loading the dataset in memory\r\n",
    ],
    "smtp": [b"220 host\r\n250-" + word + b"\r\n250 HELP\r\n" for word in (b"SIZE", b"AUTH LOGIN", b"host")],
    "smtp-ftp": [
        b"421 Service not available, closing\r\n",
        b"220 ESMTMP okay\r\n",
        b"220 www.example.com ready\r\n",
        *(b"220" + end for end in (b"\r\n", b"\n", b" \r\n", b" \n")),  # RFC 5321 §4.2: no text
    ],
    "http": [
        b"HTTP/%s%s%s OK\r\n\r\n" % (v, b, c)
        for v in (b"1.1", b"2")
        for b in (b" ", b"  ")
        for c in (b"200", b"999")
    ],
    "telnet": [
        p + b"Hi\r\n" + s
        for p in (b"\xff\xfb\1", b"\xff\xfb\1\7", b"\xff\xfd\3\0\x08")
        for s in (b"", b"login: ")
    ],
    "x11": [
        bytes((0, 8)) + v + size + b"No entry"
        for v, size in ((b"\x0b\0\0\0", b"\2\0"), (b"\0\x0b\0\0", b"\0\2"))
    ],
}


@every_row(VARIATIONS)
def test_what_the_specification_allows_gets_through(name: str) -> None:
    assert {reply: CLASSIFY(reply) for reply in VARIATIONS[name] if CLASSIFY(reply) != name} == {}


def sent(parts: tuple[Part, ...]) -> bytes:
    return b"".join(
        p if isinstance(p, bytes) else b"192.0.2.7" if isinstance(p, Host) else bytes(32) for p in parts
    )


@pytest.mark.parametrize("name", ["http", "tls", "smtp", "rtsp", "sip", "newlines50", "websocket", "irc"])
def test_a_modbus_server_gives_itself_away_to_any_probe(name: str) -> None:
    """It copies transaction, protocol and unit of what it took for a header, and refuses the function."""
    asked = sent(BY_NAME[name].parts)
    for code in range(1, 12):
        refused = asked[:4] + b"\0\3" + asked[6:7] + bytes((asked[7] | 0x80, code))
        assert CLASSIFY(refused, BY_NAME[name]) == "modbus"


def test_a_lone_ok_is_redis_only_where_redis_was_asked() -> None:
    assert CLASSIFY(b"+OK\r\n", BY_NAME["http"]) == "unknown"
    assert CLASSIFY(b"+OK\r\n", BY_NAME["newlines"]) == "unknown"
    assert CLASSIFY(b"+OK\r\n", BY_NAME["redis"]) == "redis"


def lines_of(code: CodeType) -> set[int]:
    return {line for _, _, line in code.co_lines() if line} - {code.co_firstlineno}


def test_no_line_of_a_matcher_is_there_in_vain() -> None:
    """Examples, rejects and variations reach every line: a branch that nothing reaches is a mistake or a
    missing example. (`python -m benchmarks.branches` asks the same of each condition.)"""
    root = protocols.__path__[0]
    met: dict[CodeType, set[int]] = {}

    def watch(frame: FrameType, event: str, arg: Any) -> Any:
        if not frame.f_code.co_filename.startswith(root):
            return None
        lines = met.setdefault(frame.f_code, set())

        def step(frame: FrameType, event: str, arg: Any) -> Any:
            lines.add(frame.f_lineno)
            return step

        return step

    replies = [(p.match, e) for p in PROTOCOLS if p.match for e in (*p.examples, *p.rejects)]
    matchers = {p.name: p.match for p in PROTOCOLS if p.match}
    for name, some in VARIATIONS.items():
        replies += [(matchers[part], reply) for part in name.split("-") if part in matchers for reply in some]
    before = sys.gettrace()
    sys.settrace(watch)
    try:
        for match, reply in replies:
            match(reply)
    finally:
        sys.settrace(before)
    missed = {
        f"{code.co_filename.rpartition('/')[2]}:{code.co_name}": sorted(lines_of(code) - lines)
        for code, lines in met.items()
        if lines_of(code) - lines
    }
    assert len(met) > 150
    assert missed == {}
