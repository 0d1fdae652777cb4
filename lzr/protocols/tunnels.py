"""Carriers of other traffic: proxies, tunnels, anonymity networks, web transports besides HTTP/1."""

from __future__ import annotations

import struct

from lzr.protocols._bytes import be16, be32, is_text
from lzr.protocols._framing import first_line
from lzr.protocols._protocol import Host, Protocol


def _socks(data: bytes) -> bool:
    """Version 5: the method chosen, alone. Version 4: zero, a reply code, port and address, alone. Tor
    says to those who ask in HTTP that it is none of its proxies."""
    if len(data) == 2:
        return data[0] == 5 and data[1] in {0, 1, 2, 0xFF}
    return data[:1] == b"H" or (len(data) == 8 and data[0] == 0 and 0x5A <= data[1] <= 0x5D)


def _openvpn(data: bytes) -> bool:
    """length, P_CONTROL_HARD_RESET_SERVER_V2, session, acknowledgements of our packet 0, packet 0."""
    size = be16(data, 0)
    if not 26 <= size <= len(data) - 2:
        return False
    if size == _RESET:
        return data[11] == 1 and be32(data, 12) == 0 and be32(data, 24) == 0
    if size == _RESET + 40 and _first(
        data, 11
    ):  # tls-crypt: number, time, a MAC of 32 bytes, the rest in cipher
        return True
    # tls-auth: a MAC after the session, then number and time, then the packet in clear
    mac = size - _RESET - 8
    at = 11 + mac
    return mac in _MACS and _first(data, at) and data[at + 8] == 1 and be32(data, size - 2) == 0


def _first(data: bytes, at: int) -> bool:
    """Whether this is the number of a first packet; from 2.6 on its top byte may be 0x0f."""
    return be32(data, at) in (1, 0x0F000001)


_RESET = 26
"""The packet in clear: opcode, session, one acknowledgement, the peer's session, number."""

_MACS = frozenset((16, 20, 28, 32, 48, 64))
"""Sizes of HMACs: MD5, SHA-1, SHA-224, SHA-256, SHA-384, SHA-512."""


def _icap(data: bytes) -> bool:
    return data[9:12].isdigit() and data[12:13] in {b" ", b"\r"}


def _http2(data: bytes) -> bool:
    """A SETTINGS frame on stream 0, whose settings are in range; or GOAWAY alone, as some answer what is no
    HTTP/2 (§3.4 allows it). A known frame if more follows."""
    size = be32(data, 0) >> 8
    if len(data) < 9 or data[4:9] != bytes(5) or len(data) < 9 + size or size > 600:
        return False
    if data[3] == 7:
        return _goes_away(data, size) and _follows(data[9 + size :])
    if data[3] != 4 or size % 6:
        return False
    for at in range(9, 9 + size, 6):  # settings that are not known are ignored (§6.5.2)
        name, value = be16(data, at), be32(data, at + 2)
        if (name == 2 and value > 1) or (name == 4 and value >> 31):
            return False
        if name == 5 and not 16384 <= value < 1 << 24:
            return False
    return _follows(data[9 + size :])


def _goes_away(data: bytes, size: int) -> bool:
    """The last stream is none, that of an upgrade, or the highest; a code of §7; then text (§6.8)."""
    return (
        size >= 8
        and be32(data, 9) in (0, 1, 0x7FFFFFFF)
        and be32(data, 13) <= 0x0D
        and is_text(data[17 : 9 + size])
    )


def _follows(rest: bytes) -> bool:
    """Nothing, or the beginning of a frame that may."""
    return not rest or (len(rest) >= 9 and rest[3] in _FRAMES and be32(rest, 0) >> 8 <= len(rest) - 9)


_FRAMES = frozenset((4, 6, 7, 8, 10, 12, 16))
"""What a server may send after its settings, before it read a request: SETTINGS, PING, GOAWAY, WINDOW_UPDATE,
ALTSVC (RFC 7838), ORIGIN (RFC 8336), PRIORITY_UPDATE (RFC 9218)."""


def _gopher(data: bytes) -> bool:
    """Menu lines: type and display, selector, host, port, between tabs (RFC 1436 §3.4)."""
    if data[:7] == b"Error: ":
        return b" Gophernicus/" in data
    if data[:1] == b"3" and data.endswith(b"\r\n.\r\n") and data.count(b"\r\n") == 2:
        return True  # an error, and no more than its text
    parts = first_line(data).split(b"\t")
    return len(parts) in {4, 5} and 1 <= len(parts[3]) <= 5 and parts[3].isdigit() and b" " not in parts[2]


def _tor(data: bytes) -> bool:
    if data.startswith(b"250-PROTOCOLINFO "):
        return data[17:18].isdigit() and b"\r\n250" in data
    if data[:1] == b"\0":  # asked in no text at all, it answers in the frames it once had: length, type, code
        return be16(data, 0) + 4 == len(data) and data[2:6] == b"\0\0\0\1"
    if data.startswith(b"510 "):
        return data[25:26] == b'"' and data.endswith(b'"\r\n')
    return data in {b"514 Authentication required.\r\n", b"514 Authentication Required.\r\n"}


_SETTINGS = bytes.fromhex("000012 04 00 00000000 0003 00000064 0004 00010000 0006 00004000")


def _with_mac(size: int) -> bytes:
    """A reset under tls-auth."""
    body = b"\x40SERVERID" + b"\xa5" * size + b"\0\0\0\1\x65\0\0\0\1\0\0\0\0LZRLZRLZ\0\0\0\0"
    return len(body).to_bytes(2, "big") + body


def _pptp(data: bytes) -> bool:
    """RFC 2637 §1.4, §2.2: control message with the magic cookie; the request itself is type 1."""
    return len(data) >= 16 and be16(data, 0) >= 16 and be16(data, 2) == 1 and 2 <= be16(data, 8) <= 15


_PPTP_REQUEST = struct.pack(">HHIHHHHIIHH", 156, 1, 0x1A2B3C4D, 1, 0, 0x0100, 0, 3, 3, 0, 0) + bytes(128)

_PPTP_REPLY = struct.pack(">HHIHHHBBIIHH", 156, 1, 0x1A2B3C4D, 2, 0, 0x0100, 1, 0, 0, 0, 1, 1) + bytes(128)


PROTOCOLS: tuple[Protocol, ...] = (
    Protocol(
        name="socks",
        spec="RFC 1928 §3; SOCKS 4 protocol note (Y.-D. Lee)",
        match=_socks,
        probe=b"\5\2\0\2",
        starts=(
            *(b"\5\0", b"\5\1", b"\5\2", b"\5\xff", b"\0\x5a", b"\0\x5b", b"\0\x5c", b"\0\x5d"),
            b"HTTP/1.0 501 Tor is not an HTTP Proxy\r\n",
        ),
        examples=(
            *(b"\5\0", b"\5\2", b"\5\xff", b"\0\x5b" + bytes(6), b"\0\x5a\x04\x38\xc0\0\2\1"),
            b"HTTP/1.0 501 Tor is not an HTTP Proxy\r\nContent-Type: text/html\r\n\r\n<html>",
        ),
        rejects=(
            b"HTTP/1.0 501 Tor is a proxy\r\n",
            b"\5\0\0",
            b"\5\3",
            b"\0\x5b" + bytes(7),
            b"\0\x5e" + bytes(6),
        ),
        ports=(1080,),
    ),
    Protocol(
        name="socks5",
        spec="RFC 1928 §3; the answer's label is socks",
        match=None,
        probe=b"\5\1\0",
        ports=(1080,),
        zgrab="socks5",
    ),
    Protocol(
        name="socks4",
        spec="SOCKS 4 protocol note (Y.-D. Lee); the answer's label is socks",
        match=None,
        # A connection to nowhere, so that the proxy has nobody to contact.
        probe=b"\4\1\0\0\0\0\0\0\0",
        ports=(1080,),
    ),
    Protocol(
        name="openvpn",
        spec="OpenVPN wire protocol (openvpn-wire-protocol draft) §3, TCP framing",
        match=_openvpn,
        probe=b"\0\x0e\x38LZRLZRLZ\0\0\0\0\0",
        at=((2, b"\x40"),),
        examples=(
            b"\0\x1a\x40SERVERID\1\0\0\0\0LZRLZRLZ\0\0\0\0",
            *(_with_mac(size) for size in sorted(_MACS)),
            b"\0\x42\x40SERVERID\x0f\0\0\1\x65\0\0\0" + b"\xa5" * 32 + b"\x5a" * 17,
        ),
        rejects=(
            _with_mac(24),
            _with_mac(20)[:-1] + b"\1",
            _with_mac(32).replace(b"\0\0\0\1\x65", b"\0\0\0\2\x65"),
            b"\0\x1a\x40SERVERID\2\0\0\0\0LZRLZRLZ\0\0\0\0",
            b"\0\x1b\x40SERVERID\1\0\0\0\0LZRLZRLZ\0\0\0\0",
        ),
        ports=(1194, 443),
    ),
    Protocol(
        name="icap",
        spec="RFC 3507 §4.3.3, §4.10",
        match=_icap,
        probe=(b"OPTIONS icap://", Host(), b"/ ICAP/1.0\r\nHost: ", Host(), b"\r\n\r\n"),
        starts=(b"ICAP/1.0 ",),
        examples=(b"ICAP/1.0 404 Service not found\r\nServer: C-ICAP/0.5.10\r\nConnection: close\r\n\r\n",),
        rejects=(b"ICAP/1.0 is old\r\n",),
        ports=(1344,),
    ),
    Protocol(
        name="http2",
        spec="RFC 9113 §3.4, §6.5",
        match=_http2,
        probe=b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0",
        at=((3, b"\4\0\0\0\0\0"), (3, b"\7\0\0\0\0\0")),
        examples=(
            _SETTINGS,
            bytes.fromhex("000000 04 00 00000000"),
            _SETTINGS + bytes.fromhex("000000 04 01 00000000"),
            bytes.fromhex("000006 04 00 00000000 fe03 00000001"),  # gRPC's own
            bytes.fromhex("000008 07 00 00000000 00000000 00000001"),
            bytes.fromhex("000008 07 00 00000000 7fffffff 00000000"),
            b"\0\0\x17\7\0\0\0\0\0\0\0\0\0\0\0\0\1invalid_preface",
            bytes.fromhex("000008 07 00 00000000 00000001 00000001") * 2,
            bytes.fromhex("00000c 04 00 00000000 1a2a 00000007 0005 00004000"),
            _SETTINGS + bytes.fromhex("000004 08 00 00000000 003f0001"),
        ),
        rejects=(
            bytes(9),
            bytes.fromhex("000006 04 00 00000000 0002 00000007"),
            bytes.fromhex("000006 04 00 00000000 0004 80000000"),
            bytes.fromhex("000006 04 00 00000000 0005 00000001"),
            bytes.fromhex("000008 07 00 00000000 00000000 0000000e"),
            bytes.fromhex("000008 07 00 00000000 00000020 00000001"),
            bytes.fromhex("000004 07 00 00000000 00000000"),
            bytes.fromhex("00000a 07 00 00000000 00000000 00000001 0102"),
            bytes.fromhex("000009 07 00 00000000 00000000 00000001"),
            bytes.fromhex("000008 07 00 00000000 00000000 00000001 01"),
            bytes.fromhex("000008 06 00 00000000 00000000 00000001"),
            _SETTINGS + b"hello",
            _SETTINGS + b"hello and welcome",
        ),
    ),
    Protocol(
        name="websocket",
        spec="RFC 6455 §4.1; the answer is HTTP and labelled so",
        match=None,
        probe=(
            b"GET / HTTP/1.1\r\nHost: ",
            Host(),
            b"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: bHpyIHdhcyBoZXJlIDEuMA==\r\n\r\n",
        ),
    ),
    Protocol(
        name="gopher",
        last_resort=True,
        spec="RFC 1436 §3.4",
        match=_gopher,
        probe=b"/\r\n",
        starts=(*(bytes((kind,)) for kind in b"0123456789+TgIihsd"), b"Error: "),
        examples=(
            b"3 --6 Bad Request. \r\n.\r\n",
            b"3 --6 Bad Request. \r\n.\r\n",
            b"Error: File or directory not found!\n_____\nGophered by Gophernicus/3.1 on Linux\n",
            b"iWelcome\tfake\t(NULL)\t0\r\n",
            b"3'/lzr' does not exist\t\terror.host\t1\r\n.\r\n",
            b"1Files\t/files\tgopher.example.org\t70\r\n",
        ),
        rejects=(
            b"1\t2\t3\r\n",
            b"id\tname\ta host\t70\r\n",
            b"i\t\t\tport\r\n",
            b"1Docs\t/\ta host\t70\r\n",
        ),
        ports=(70,),
    ),
    Protocol(
        name="tor-control",
        spec="Tor control protocol (control-spec) §3.21 PROTOCOLINFO",
        match=_tor,
        probe=b"PROTOCOLINFO 1\r\n",
        starts=(b"250-PROTOCOLINFO ", b"514 Authentication ", b"510 Unrecognized command "),
        at=((6, b"The v0 control protocol is not supported by Tor "),),
        examples=(
            b'250-PROTOCOLINFO 1\r\n250-AUTH METHODS=NULL\r\n250-VERSION Tor="0.4.7.16"\r\n250 OK\r\n',
            b"514 Authentication required.\r\n",
            b'510 Unrecognized command "GET"\r\n',
            b"\0\x38\0\0\0\1The v0 control protocol is not supported by Tor 0.1.2\0",
        ),
        rejects=(
            b"510 Unrecognized command GET\r\n",
            b"250-PROTOCOLINFO follows\r\n",
            b"514 Authentication failed\r\n",
        ),
        ports=(9051,),
    ),
    Protocol(
        name="i2p-sam",
        spec="I2P documentation, SAM V3: HELLO",
        match=lambda data: first_line(data)[19:].split(b" ", 1)[0] in {b"OK", b"NOVERSION", b"I2P_ERROR"},
        probe=b"HELLO VERSION\n",
        starts=(b"HELLO REPLY RESULT=",),
        examples=(b"HELLO REPLY RESULT=OK VERSION=3.3\n",),
        rejects=(b"HELLO REPLY RESULT=MAYBE\n", b"HELLO REPLY RESULT=OK"),
        ports=(7656,),
    ),
    Protocol(
        name="pptp",
        spec="RFC 2637 §2.2",
        match=_pptp,
        probe=_PPTP_REQUEST,
        at=((4, b"\x1a\x2b\x3c\x4d"),),
        examples=(_PPTP_REPLY, _PPTP_REPLY[:100]),
        rejects=(_PPTP_REQUEST, b"\0\x9c\0\x01\x1a\x2b\x3c\x4d"),
        ports=(1723,),
        zgrab="pptp",
    ),
)
