"""Protocols that greet as mail, files or news do, and then say their own name.

They are asked last: the matchers of SMTP, FTP, IMAP and NNTP leave alone what names another.
"""

from __future__ import annotations

import re
from functools import partial

from lzr.protocols._bytes import is_text
from lzr.protocols._framing import first_line
from lzr.protocols._protocol import Matcher, Protocol

_REPLY = (b"220 ", b"220-", b"421 ")


def _says(pattern: bytes) -> Matcher:
    """Whether the first line of a reply says that word, in capitals or small letters, and not in a name."""
    return partial(
        _said, re.compile(rb"[^\r\n]{3,120}?(?<![\w.])(?:" + pattern + rb")(?![\w.-])", re.IGNORECASE)
    )


def _said(pattern: re.Pattern[bytes], data: bytes) -> bool:
    return pattern.match(data) is not None and is_text(data[:200])


def _saft(data: bytes) -> bool:
    line = first_line(data).lower()
    return b" saft server" in line or b"(sendfiled " in line


def _hylafax(data: bytes) -> bool:
    return b"(hylafax (tm) version " in first_line(data).lower()


def _imsp(data: bytes) -> bool:
    return b" IMSP " in first_line(data) + b" "


def _mupdate(data: bytes) -> bool:
    """The greeting may say first how to authenticate (RFC 3656 §4.1)."""
    return b"\n* OK MUPDATE " in b"\n" + data[:1000]


def _poppassd(data: bytes) -> bool:
    line = first_line(data).lower()
    return any(name in line for name in _CHANGERS)


_CHANGERS = (
    b"poppassd",
    b"popassd",
    b"courierpassd",
    b"password server",
    b"password service",
    b"pwd server",
    b"pop3pw",
)


_announced = partial(Protocol, last_resort=True, starts=_REPLY)
"""One that is asked when the protocols which greet in the same way have not taken the reply."""

PROTOCOLS: tuple[Protocol, ...] = (
    _announced(
        name="snpp",
        spec="RFC 1861 §4.1",
        match=_says(b"SNPP"),
        examples=(
            b"220 SNPP Gateway Ready\r\n",
            b"220-pager.example.com snpp (V3) ready\r\n",
            b"421 SNPP busy\r\n",
        ),
        rejects=(b"220 snpp.example.com ESMTP\r\n", b"220 example.com ready\r\n250 no SNPP here\r\n"),
        ports=(444,),
    ),
    _announced(
        name="svdrp",
        spec="Video Disk Recorder, PROTOCOLS: SVDRP",
        match=_says(b"SVDRP"),
        examples=(b"220 box SVDRP VideoDiskRecorder 2.6.0; Sat Nov 28 20:00:00 2026; UTF-8\r\n",),
        rejects=(b"220 svdrp.example.com FTP\r\n", b"220 recorder ready\r\n"),
        ports=(6419, 2001),
    ),
    _announced(
        name="saft",
        spec="SAFT protocol (sendfile), Server messages",
        match=_saft,
        examples=(b"220 host.example.com SAFT server (sendfiled 2.1) ready.\r\n",),
        rejects=(b"220 saft.example.com ready\r\n",),
        ports=(487,),
    ),
    _announced(
        name="amanda",
        spec="Amanda, index server protocol: the greeting",
        match=_says(b"AMANDA (?:index|backup|tape)?"),
        examples=(b"220 host AMANDA index server (3.5.1) ready.\r\n",),
        rejects=(b"220 amanda.example.com ready\r\n",),
        ports=(10082, 10083),
    ),
    _announced(
        name="hylafax",
        spec="HylaFAX, hfaxd(8): the client-server protocol",
        match=_hylafax,
        starts=(*_REPLY, b"130 "),
        examples=(b"220 fax.example.com server (HylaFAX (tm) Version 6.0.7) ready.\r\n",),
        rejects=(b"220 hylafax.example.com ready\r\n",),
        ports=(4559,),
    ),
    _announced(
        name="rmate",
        spec="TextMate, rmate: the greeting",
        match=_says(b"RMATE"),
        examples=(b"220 mac.local RMATE TextMate (OS X 10.9)\n",),
        rejects=(b"220 mate ready\r\n",),
        ports=(52698,),
    ),
    _announced(
        name="imsp",
        spec="IMSP (draft-myers-imap-imsp): the greeting",
        match=_imsp,
        starts=(b"* OK ",),
        examples=(b"* OK Cyrus IMSP version 1.8 ready\r\n",),
        rejects=(b"* OK Cyrus IMAP ready\r\n* OK IMSP too\r\n",),
        ports=(406,),
    ),
    _announced(
        name="mupdate",
        spec="RFC 3656 §4.1",
        match=_mupdate,
        starts=(b"* OK MUPDATE ", b"* AUTH ", b"* STARTTLS", b"* PARTIAL-UPDATE"),
        examples=(
            b'* OK MUPDATE "mail.example.com" "Cyrus Murder" "3.2.6" "(master)"\r\n',
            b'* AUTH "PLAIN"\r\n* STARTTLS\r\n* OK MUPDATE "mail.example.com" "Cyrus Murder" "3.2.6" "x"\r\n',
        ),
        rejects=(b'* AUTH "PLAIN"\r\n* STARTTLS\r\n* OK IMAP ready\r\n',),
        ports=(3905,),
    ),
    Protocol(
        name="acap",
        spec="RFC 2244 §6.2.1",
        match=lambda data: b'(IMPLEMENTATION "' in data[:400],
        starts=(b"* ACAP (",),
        examples=(b'* ACAP (IMPLEMENTATION "Example 1.0") (SASL "CRAM-MD5")\r\n',),
        rejects=(b"* ACAP (who?)\r\n",),
        ports=(674,),
    ),
    _announced(
        name="pop3pw",
        spec="poppassd: change of passwords for POP users, the greeting",
        match=_poppassd,
        starts=(b"200 ", b"220 "),
        examples=(
            b"200 poppassd v1.8.5 hello, who are you?\r\n",
            b"200 mail.example.com popassd v1.6 hello, who are you?\r\n",
            b"200 Example POP3 Password Server 6.1.22.0 ready\r\n",
            b"220 pop3pw ready\r\n",
            b"200 courierpassd v1.1.2 hello, who are you?\r\n",
        ),
        rejects=(b"200 hello, who are you?\r\n", b"200 hello\r\npoppassd\r\n"),
        ports=(106,),
    ),
)
