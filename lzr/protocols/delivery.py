"""Mail delivery and filtering: mail stores, filters, dictionaries, short messages."""

from __future__ import annotations

from lzr.protocols._bytes import be32
from lzr.protocols._framing import first_line, printable
from lzr.protocols._protocol import Protocol


def _lmtp(data: bytes) -> bool:
    return b"LMTP" in data and b"LMTP" in first_line(data).replace(b"/", b" ").split()


def _managesieve(data: bytes) -> bool:
    """Capability lines, each a quoted name and perhaps a quoted value (RFC 5804 §1.7)."""
    if data[:1] == b"B":  # a refusal (§1.3): one quoted sentence
        return data.endswith(b'"\r\n') and len(data) > 9 and data.count(b'"') == 2 and printable(data[4:-2])
    head = data[:1500].upper()
    if head.startswith(_SIEVES):  # other capabilities may come later
        return True
    return b'"SIEVE" "' in head or (b'"IMPLEMENTATION" "' in head and b"SIEVE" in head)


_SIEVES = (b'"IMPLEMENTATION" "DOVECOT', b'"IMPLEMENTATION" "CYRUS')
"""The first line of the commonest servers, in capitals."""


def _spamd(data: bytes) -> bool:
    version, _, rest = first_line(data)[6:].partition(b" ")
    return version.replace(b".", b"").isdigit() and rest.partition(b" ")[0].isdigit()


def _clamd(data: bytes) -> bool:
    text = data.rstrip(b"\r\n\0")
    if text == b"UNKNOWN COMMAND":
        return len(text) < len(data)
    return data.startswith(b"ClamAV ") and data[7:8].isdigit() and printable(text)


def _dict(data: bytes) -> bool:
    """220 text <capability.capability> <message-id> (RFC 2229 §3.1)."""
    if b"> <" not in data:
        return False
    line = first_line(data)
    if not line.endswith(b">"):
        return False
    head, _, message_id = line[:-1].rpartition(b" <")
    capabilities = head.rpartition(b" <")[2]
    return (
        head.endswith(b">")
        and b"@" in message_id
        and capabilities[:-1].replace(b".", b"").replace(b"_", b"").replace(b"-", b"").isalnum()
        and (b"dict" in line.lower() or b"auth" in capabilities or b"mime" in capabilities)
    )


def _smpp(data: bytes) -> bool:
    """A response PDU: length, command with its top bit set, status, sequence (SMPP 3.4 §3.2)."""
    command = be32(data, 4)
    return (
        be32(data, 0) <= len(data)
        and be32(data, 0) >= 16
        and command in _SMPP_RESPONSES
        and be32(data, 8) < 0x600
        and (command not in {0x80000000, 0x80000015} or be32(data, 0) == 16)
    )


_SMPP_RESPONSES = {0x80000000, 0x80000001, 0x80000002, 0x80000004, 0x80000006, 0x80000009, 0x80000015}
_SMPP_RESPONSE_KEYS = tuple((4, command.to_bytes(4, "big")) for command in sorted(_SMPP_RESPONSES))

PROTOCOLS: tuple[Protocol, ...] = (
    Protocol(
        name="lmtp",
        spec="RFC 2033 §4",
        match=_lmtp,
        starts=(b"220 ", b"220-", b"421 "),
        examples=(b"220 store.example.org LMTP Cyrus 3.6.1 server ready\r\n",),
        rejects=(b"220 mail.example.org ESMTP Postfix\r\n", b"220 Welcome to the FTP service\r\n"),
        ports=(24, 2003),
    ),
    Protocol(
        name="managesieve",
        spec="RFC 5804 §1.7",
        match=_managesieve,
        starts=(b'"', b'BYE "'),
        examples=(
            b'BYE "Too many connections"\r\n',
            b'"IMPLEMENTATION" "Example Pigeonhole"\r\n"SIEVE" "fileinto reject"\r\nOK "ready."\r\n',
            b'"IMPLEMENTATION" "dovecot"\r\n',
        ),
        rejects=(b'"a quoted word" "and another"\r\n', b'"IMPLEMENTATION" "of nothing"\r\n'),
        ports=(4190, 2000),
        zgrab="managesieve",
    ),
    Protocol(
        name="spamd",
        spec="Apache SpamAssassin, spamd/PROTOCOL",
        match=_spamd,
        probe=b"PING SPAMC/1.2\r\n\r\n",
        starts=(b"SPAMD/",),
        examples=(b"SPAMD/1.5 0 PONG\r\n", b"SPAMD/1.0 76 Bad header line: (GET / HTTP/1.1)\r\n"),
        rejects=(b"SPAMD/x 0 PONG\r\n", b"SPAMD/1.5 hello\r\n"),
        ports=(783,),
    ),
    Protocol(
        name="clamd",
        spec="clamd(8), COMMANDS",
        match=_clamd,
        probe=b"nVERSION\n",
        starts=(b"ClamAV ", b"UNKNOWN COMMAND"),
        examples=(b"ClamAV 1.0.3/27001/Mon Aug 14 07:37:14 2023\n", b"UNKNOWN COMMAND\n"),
        rejects=(b"ClamAV is great\n", b"UNKNOWN COMMAND: GET\r\n"),
        ports=(3310,),
    ),
    Protocol(
        name="dict",
        spec="RFC 2229 §3.1",
        match=_dict,
        starts=(b"220 ",),
        examples=(b"220 host dictd 1.13.1/rf on Linux 6.1.0 <auth.mime> <27.2214.1700000000@host>\r\n",),
        rejects=(
            b"220 host <a.mime> <1@host> and more\r\n",
            b"220 mail.example.org ESMTP <27.2214@mail>\r\n",
            b"220 host ready <id> <27.2214@host>\r\n",
        ),
        ports=(2628,),
    ),
    Protocol(
        name="smpp",
        spec="SMPP Protocol Specification v3.4 §3.2, §4.11",
        match=_smpp,
        probe=bytes.fromhex("00000010 00000015 00000000 4c5a5231"),
        at=_SMPP_RESPONSE_KEYS,
        examples=(bytes.fromhex("00000010 80000015 00000000 4c5a5231"),),
        rejects=(
            bytes.fromhex("00000011 80000015 00000000 4c5a5231 00"),
            bytes.fromhex("00000010 80000015 ffffffff 4c5a5231"),
        ),
        ports=(2775,),
    ),
)
