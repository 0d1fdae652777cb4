"""Takes out of binary replies what differs between two answers of the same service, field by field.

Each function is given a reply that its protocol's matcher took, which may still be cut or made up: whatever
is not where it should be is left as it is. Nothing raises.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from lzr.analysis.replies.masktext import MARK, greeting, text
from lzr.protocols._bytes import be16

_PRINTED = re.compile(rb"[\x20-\x7e\t\r\n]{16,}")
"""Shorter runs come about by chance."""


def blank(data: bytes, *spans: tuple[int, int]) -> bytes:
    """Zeros from each first number up to each second, where there are so many bytes."""
    made = bytearray(data)
    for start, end in spans:
        end = min(end, len(made))  # noqa: PLW2901
        if 0 <= start < end:
            made[start:end] = bytes(end - start)
    return bytes(made)


def printed(data: bytes) -> bytes:
    """Of a reply without a known structure only text long enough not to be there by chance."""
    return MARK.join(map(greeting, _PRINTED.findall(data)))


_TINYSSH = re.compile(rb"(SSH-2\.0-tinyssh_\S{1,40}) [^\r\n]{1,40}")


def ssh(data: bytes) -> bytes:
    """The line, and KEXINIT without its cookie and padding (RFC 4253 §4.2, §6, §7.1)."""
    if b"tinyssh" in data[:40]:  # a comment by chance, so that the exchange differs
        data = _TINYSSH.sub(rb"\1 " + MARK, data)
    at = data.find(b"\n") + 1
    while 0 < at < 8192 and not data.startswith(b"SSH-", data.rfind(b"\n", 0, at - 1) + 1):
        at = data.find(b"\n", at) + 1
    if at <= 0 or len(data) < at + 6 or data[at + 5] != 20:
        return data
    size = int.from_bytes(data[at : at + 4], "big")
    end = at + 4 + size - data[at + 4]
    return data[:at] + data[at + 22 : max(end, at + 22)]


def mysql(data: bytes) -> bytes:
    """The greeting without thread number and scramble (MySQL protocol, HandshakeV10)."""
    if len(data) < 6 or data[4] != 10:
        return text(re.sub(rb"Host '[^']{0,255}'", b"Host " + MARK, data[4:]))
    version = data.find(b"\0", 5)
    if version < 0:
        return data
    thread = version + 1
    second = thread + 4 + 8 + 1 + 2 + 1 + 2 + 2 + 1 + 10
    return blank(data, (thread, thread + 12), (second, second + 12))


def postgres(data: bytes) -> bytes:
    """The salt of an MD5 request; the key of a session (PostgreSQL 55.7)."""
    if data[:9] == b"R\0\0\0\x0c\0\0\0\x05":
        return blank(data, (9, 13))
    return data


def smb(data: bytes) -> bytes:
    """The negotiate response without times, challenge and salts ([MS-SMB2] 2.2.4, [MS-CIFS] 2.2.4.52.2)."""
    if data[4:8] == b"\xfeSMB":
        body = 4 + 64
        offset = int.from_bytes(data[body + 60 : body + 64], "little")
        contexts = 4 + offset if data[body + 4 : body + 6] == b"\x11\x03" and offset else len(data)
        return blank(data[:contexts], (body + 40, body + 56))
    if data[4:8] == b"\xffSMB":
        body = 4 + 33
        return blank(data, (body + 15, body + 19), (body + 23, body + 31), (body + 36, body + 44))
    return data


def vnc(data: bytes) -> bytes:
    """RFB 3.3 sends the challenge at once (RFC 6143 §7.2.2)."""
    return data[:16] if data[12:16] == b"\0\0\0\2" else data


def rdp(data: bytes) -> bytes:
    """X.224 names a connection by a number of its own (ITU-T X.224 §13.4)."""
    return blank(data, (8, 10)) if data[:1] == b"\3" else data


def dns(data: bytes) -> bytes:
    """Header and question; answers of name servers come in any order, with what is left of their life."""
    return blank(data[2:], (0, 2))[: 2 + 12 + 255] if be16(data, 8) == 0 else data[:14] + printed(data[14:])


_BSON = re.compile(
    rb"([\x09\x11\x12](?:localTime|operationTime|clusterTime|lastWriteDate|majorityWriteDate|counter|ts|t)\0).{8}|"
    rb"(\x10connectionId\0).{4}|(\x07(?:processId|electionId)\0).{12}",
    re.DOTALL,
)


def rmi(data: bytes) -> bytes:
    """The host that it sees us as, and our port (Java RMI, ProtocolAck)."""
    return data[:1]


def mongodb(data: bytes) -> bytes:
    """The document without moments and numbers of connections; the header without request ids."""
    return _BSON.sub(lambda found: found[1] or found[2] or found[3], blank(data, (4, 12)))


def bitcoin(data: bytes) -> bytes:
    """The version message without checksum, time, addresses and nonce; how high the chain is changes too."""
    payload = 24
    agent = payload + 80
    if len(data) <= agent or data[agent] >= 0xFD:
        return data[:16]
    end = agent + 1 + data[agent]
    return data[:16] + data[payload : payload + 12] + data[agent:end]


def kerberos(data: bytes) -> bytes:
    """The server's time and microseconds (RFC 4120 §5.9.1)."""
    made = re.sub(rb"(\x18\x0f)\d{14}Z", rb"\1", data)
    return re.sub(rb"\xa5.\x02.{1,4}?\xa6", b"\xa5\xa6", made, flags=re.DOTALL)[4:]


def first(size: int) -> Callable[[bytes], bytes]:
    """For replies of which all but so many bytes are numbers, keys and times."""
    return lambda data: data[:size]


def without(*spans: tuple[int, int]) -> Callable[[bytes], bytes]:
    """What masks these spans (first byte, end) of a reply."""
    return lambda data: blank(data, *spans)


def adb(data: bytes) -> bytes:
    """A token to sign, which is random, with its sum (Android, protocol.txt)."""
    return data[:16] if data[:4] == b"AUTH" else text(data)


def dcerpc(data: bytes) -> bytes:
    """The bind ack without the number of the association group (C706 §12.6.4.4)."""
    return blank(data, (20, 24)) if data[2:3] == b"\x0c" else data


def netbios(data: bytes) -> bytes:
    """As `smb`, where it is SMB."""
    return smb(data) if data[4:8] in (b"\xfeSMB", b"\xffSMB") else data


def minecraft(data: bytes) -> bytes:
    """The name of the version only: players come and go."""
    found = re.search(rb'"version"\s*:\s*\{[^{}]{0,200}\}', data)
    return found[0] if found else printed(data)


def echo(data: bytes) -> bytes:
    """Our own bytes, in which there may be random ones."""
    return data[:4]


def fluentd(data: bytes) -> bytes:
    """The nonce and salt of HELO (Forward protocol 1.5)."""
    return re.sub(rb"(\xa5nonce|\xa4auth)\xc4(.)", rb"\1\2", printed(data), flags=re.DOTALL)


def directconnect(data: bytes) -> bytes:
    """Without the lock, which is random."""
    return re.sub(rb"\$Lock [^ |]{1,4096}", b"$Lock " + MARK, data)


def bittorrent(data: bytes) -> bytes:
    """Client, but not the random part of the peer's name (BEP 20)."""
    return data[:56]


def monetdb(data: bytes) -> bytes:
    """The challenge comes first (MAPI)."""
    at = data.find(b":")
    return data[at:] if at >= 0 else data


def varnish(data: bytes) -> bytes:
    """32 small letters to be hashed (varnish-cli(7))."""
    return re.sub(rb"\n[a-z]{32}\n", b"\n" + MARK + b"\n", data)


def ldap(data: bytes) -> bytes:
    """The root entry holds clock and update numbers ([MS-ADTS] 3.1.1.3.2)."""
    made = re.sub(rb"(highestCommittedUSN.{4,8}?)\d{1,20}", rb"\1", data, flags=re.DOTALL)
    return text(made)


def iscsi(data: bytes) -> bytes:
    """Status numbers of the session (RFC 7143 §11.13)."""
    return blank(data, (14, 16), (24, 36))
