"""Programs that greetings name: by whole words, with the version behind them, and not what others say."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lzr.fingerprint.classifier import identify
from lzr.fingerprint.greetings.lookup import greeting_lines, named
from tests.rows import every_row

NAMED = [
    (b"220 ProFTPD Server (Debian) [192.0.2.1]\r\n", "ProFTPD", ""),
    (b"220 ProFTPD 1.3.8 Server (box) [192.0.2.1]\r\n", "ProFTPD", "1.3.8"),
    (b"220-Cerberus FTP Server - Home Edition\r\n220 Welcome\r\n", "Cerberus FTP Server", ""),
    (b"220-\r\n220-Please log in\r\n220 ioFTPD [www.example.com] ready\r\n", "ioFTPD", ""),
    (b"220-GuildFTPd FTP Server (c) 1999\r\n220-Version 0.9.2\r\n220 hello\r\n", "GuildFTPd", "0.9.2"),
    (b"220 box FTP server (LiteServe) Ready!\r\n", "LiteServe", ""),
    (b"220 box FTP server (SampleServe) Ready!\r\n", "SampleServe", ""),
    (b"220 sampleftpd ready at your service\r\n", "sampleftpd", ""),
    (b"220 x \r\n220 WFTPD 3.3 service ready for new user\r\n", "WFTPD", "3.3"),
    (b"220 box Dell Laser Printer 3100zz FTP Server 1.2 ready.\r\n", "Dell Laser 3100zz", ""),
    (b"220 x FTP service (sampleftpd 2.1) ready\r\n", "sampleftpd", "2.1"),
    (b"220 WS_FTP Server 8.5 ready\r\n", "WS_FTP Server", "8.5"),
    (b"220 QNX FTP server ready\r\n", "QNX", ""),
    (b"220 qnx FTP server ready\r\n", "", ""),  # a host of that name
    (b"220 OKI-C5650 Ver A1.35 FTP server.\r\n", "OKI-C5650", "A1.35"),
    (b"220 OKI-box FTP server.\r\n", "OKI-box", ""),
    (b"220 TOKI-1 is here, FTP server\r\n", "", ""),
    (b"220 APC Smart-UPS FTP server ready.\r\n", "APC Smart-UPS", ""),
    (b"220 P-660HW-T1 v3 FTP version 1.0 ready at Sat Jan 01 02:12:11 2000\r\n", "P-660HW-T1", ""),
    (b"220 SEIKO EPSON FTP Server ready\r\n", "Epson", ""),
    (b"220 ADC iNOS FTP server ready.\r\n", "ADC iNOS", ""),
    (b"220 mx1.example.com XMail Esmtp QQ Mail Server.\r\n", "QQ Mail", ""),
    (b"220 mx1.example.com [XMail 1.27 ESMTP Server] service ready\r\n", "XMail", "1.27"),
    (b"\r\n\r\nAPC UPS Network Management Card\r\n\r\nUser Name : ", "APC UPS Network Management Card", ""),
    (
        b"\r\nAmerican Power Conversion      Network Management Card AOS      v3.7.4\r\nUser Name : ",
        "APC",
        "3.7.4",
    ),
    (b"\r\nComtrend Gigabit 802.11n Router\r\nLogin: ", "Comtrend Gigabit", ""),
    (b"\r\nF660 \r\n\r\nLogin: ", "ZTE F660", ""),
    (b"SSH-2.0--\n", "", ""),
    (b"SSH-2.0-ZTE_SSH.2.0\r\n", "ZTE_SSH", "2.0"),
    (b"220 WinGate Engine FTP Gateway ready on 192.0.2.1\r\n", "WinGate", ""),
    (b"220 mx.example.com ESMTP Citadel server ready.\r\n", "Citadel", ""),
    (b"220 mx.example.com ESMTP qpsmtpd 0.96 ready; send us your mail\r\n", "qpsmtpd", "0.96"),
    (b"220 ESMTP on WinWebMail [3.9.0.7] ready.\r\n", "WinWebMail", "3.9.0.7"),
    (b"220 mx.example.com ESMTP Postfix\r\n", "Postfix", ""),
    (b"+OK CommuniGate Pro POP3 Server ready <1.2.3@example.com>\r\n", "CommuniGate Pro", ""),
    (b"+OK avast! POP3 proxy ready.\r\n", "avast!", ""),
    (b"* OK dbmail imap (protocol version 4r1) server 2.2.17 ready to run\r\n", "DBMail", "2.2.17"),
    (b"* OK [CAPABILITY IMAP4rev1] perdition ready on example.com\r\n", "Perdition", ""),
    (b"200 news.example.com - colobus 2.1 ready - (posting ok).\r\n", "Colobus", "2.1"),
    (
        b"200 NNTP-Service 6.0.1 Version: 6.0.3790.1 Posting Allowed\r\n",
        "Microsoft NNTP Service",
        "6.0.3790.1",
    ),
    (b":irc.example.com NOTICE * :BitlBee-IRCd initialized, please go on\r\n", "BitlBee", ""),
    (b"\xff\xfb\x01\r\nWelcome to the WhatRoute TELNET Server.\r\n", "WhatRoute", ""),
    (b"\xff\xfb\x01\r\n>>> System box - OpenVMS Alpha V8.4 <<<\r\nUsername: ", "OpenVMS", ""),
]

NOT_NAMED = [
    b"220 mailgate ESMTP ready\r\n",
    b"220 box FTP server (Authorized Users Only) ready.\r\n",
    b"220 box FTP server (localhost) ready.\r\n",
    b"220 Welcome to Acme Corporation FTP Server\r\n",
    b"220 titan FTP server ready.\r\n",
    b"220 mercury.example.com ESMTP\r\n",
    b"220 xfilezilla servers ready for ftp\r\n",
    b"220 Use the FileZilla client for this FTP server\r\n",
    b"refused in.ftpd from box\r\n",
    b"220 sampleftpd.example.com FTP server ready\r\n",
    b"220 box FTP server ready\r\n214 like ProFTPD\r\n",
]


@every_row(NAMED)
def test_what_greetings_name(reply: bytes, product: str, version: str) -> None:
    found = identify(reply)
    assert (found.product, found.version) == (product, version)


@pytest.mark.parametrize("reply", NOT_NAMED)
def test_what_they_do_not_name(reply: bytes) -> None:
    found = identify(reply)
    assert (found.product, found.version) == ("", "")


def test_a_greeting_ends_where_the_answers_begin() -> None:
    assert greeting_lines(b"220 a\r\n500 b\r\n") == b"220 a\r"
    assert greeting_lines(b"220-a\r\n more\r\n220 b\r\n500 c\r\n") == b"220-a\r\n more\r\n220 b\r"
    assert greeting_lines(b"220-a\r\n220-b\r\n") == b"220-a\r\n220-b\r\n"
    assert greeting_lines(b"220 a\r\n220 b\r\n500 c\r\n") == b"220 a\r\n220 b\r"
    assert len(greeting_lines(b"x" * 4000)) == 512


@given(st.sampled_from("fspinct"), st.binary(max_size=600))
def test_any_bytes(letter: str, data: bytes) -> None:
    product, version = named(letter, greeting_lines(data))
    assert product or not version
