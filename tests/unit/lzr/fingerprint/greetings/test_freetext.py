"""Greetings in free words: what names a program or a device, and what only looks like it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lzr.fingerprint.classifier import identify
from lzr.fingerprint.greetings import freetext
from lzr.protocols import PROTOCOLS
from tests.rows import every_row

NAMED = [
    (b"220 Idle FTP Server 1.83.2 (localhost) [192.0.2.1]\r\n", "Idle FTP Server", "1.83.2"),
    (b"220 box FTP server (ABC/Net 5.1) ready.\r\n", "ABC/Net", "5.1"),
    (
        b"220 EthernetBoard SampleLAN 8450e Ver 01.63 FTP server.\r\n",
        "EthernetBoard SampleLAN 8450e",
        "01.63",
    ),
    (b"220 KX12 FTP server (XY FTPD version 1.00) ready.\r\n", "XY FTPD", "1.00"),
    (
        b"220 example.com FTP server (Version:  Some OS Server 10.3 - +GSSAPI) ready.\r\n",
        "Some OS Server",
        "10.3",
    ),
    (b"220 box FTP server (GNU samplers 2.4) ready.\r\n", "GNU samplers", "2.4"),
    (b"220-Be nice\r\n220 Example-ftpd/2.4.1 ready\r\n", "Example-ftpd", "2.4.1"),
    (b"220 mx.example.com SMTP Relaymaster 4.15 (Release) ready\r\n", "Relaymaster", "4.15"),
    (
        b"220 mx.example.com (Post-It Version 3.073, Thu, 30 Nov 2017 17:24:59 +0800) ESMTP\r\n",
        "Post-It",
        "3.073",
    ),
    (b"220 mx.example.com running Sample Mail Server 3.0.2\r\n", "Sample Mail Server", "3.0.2"),
    (
        b"220 mx.example.com V5.7-1, SampleVMS V8.4 ready at Wed, 20 May 2015 01:22:32 +0100\r\n",
        "SampleVMS",
        "8.4",
    ),
    (b"220 Sampler E-mail Firewall v3.9.12 Build 0324 ready\r\n", "Sampler E-mail Firewall", "3.9.12"),
    (b"+OK SampleDog (Version 5.7.5.0) ready\r\n", "SampleDog", "5.7.5.0"),
    (b"* OK mx.example.com CallBox IMAP4rev1 v43.03.1 server ready.\r\n", "CallBox", "43.03.1"),
    (b"200 News Sampler 2.4.1 ready, posting allowed\r\n", "News Sampler", "2.4.1"),
    (
        b"200 NNTP Service 6.0.1 Version: 6.0.3790.1 Posting Allowed\r\n",
        "Microsoft NNTP Service",
        "6.0.3790.1",
    ),
    (b"220 CyberPower Systems FTP Server Ready.\r\n", "CyberPower Systems", ""),
    (b"220 Welcome to TP-LINK FTP server\r\n", "TP-LINK", ""),
    (b"220 Canon MF-410 FTP server ready\r\n", "Canon MF-410", ""),
    (b"\xff\xfb\x01\r\nDebian GNU/Linux 12\r\nbox login: ", "Debian GNU/Linux", "12"),
    (b"Ubuntu 22.04.1 LTS\r\nbox login: ", "Ubuntu", "22.04.1"),
    (
        b"Red Hat Enterprise Linux ES release 3 (Taroon)\nKernel 2.4.21 on an x86_64\nlogin: ",
        "Red Hat Enterprise Linux ES",
        "3",
    ),
    (b"\r\nMikroTik v6.42.3 (stable)\r\nLogin: ", "MikroTik RouterOS", "6.42.3"),
    (b"Grandstream GXW-4999  V1.5A Command Shell\r\nPassword:", "Grandstream GXW-4999", "1.5A"),
    (b"HP JetDirect\r\nPassword is not set\r\n>", "HP JetDirect", ""),
    (b"Model name       : XPort 5110\r\n\r\nPlease keyin your username:", "XPort 5110", ""),
    (b"Sampler/RT v2.90.00 Telnet server\n\nlogin:", "Sampler/RT", "2.90.00"),
]

NOT_NAMED = [
    b"220 example.com FTP server (Version 6.00LS) ready.\r\n",
    b"220 BOX12 FTP server (Version 4.1 Sat Sep 7 14:31:53 CDT 2002) ready.\r\n",
    b"220 192.0.2.1 FTP server ready\r\n",
    b"220 Welcome to FTP.example.com, please log in\r\n",
    b"220 Welcome to Cisco FTP server\r\n",
    b"220 Welcome to Brother Bear's FTP server\r\n",
    b"220 Gateway 192.0.2.1 FTP ready\r\n",
    b"220 mx.example.com ESMTP Server Version 6.0.3790.3959 ready at Mon, 1 Jan 2024 00:00:00 +0100\r\n",
    b"220 mx.example.com ESMTP for WinNT/2000, Version 1.61\r\n",
    b"220 mx.example.com ESMTP Ready\r\n",
    b"220 Samsung mail gateway ESMTP\r\n",
    b"+OK POP3 server ready <1234.5678@example.com>\r\n",
    b"* OK IMAP4rev1 Service Ready 1.2\r\n",
    b"Kernel 2.6.32 on an x86_64\r\nlogin: ",
    b"\r\nUser Access Verification\r\n\r\nUsername: ",
    b"\xff\xfd\x18\xff\xfd\x20\xff\xfd\x23\xff\xfd\x27",
    b"Welcome to Dell Corporation's network\r\nlogin: ",
]


@every_row(NAMED)
def test_what_greetings_name(reply: bytes, product: str, version: str) -> None:
    found = identify(reply)
    assert (found.product, found.version) == (product, version)


@pytest.mark.parametrize("reply", NOT_NAMED)
def test_what_they_do_not_name(reply: bytes) -> None:
    found = identify(reply)
    assert found.label != "unknown"
    assert (found.product, found.version) == ("", "")


@given(
    st.one_of(
        st.binary(max_size=600),
        st.lists(st.sampled_from(NAMED)).map(lambda some: b"".join(r for r, _, _ in some)),
    )
)
def test_any_bytes(data: bytes) -> None:
    for reader in (freetext.greeting, freetext.terminal, freetext.device):
        product, version = reader(data)
        assert product or not version
        assert len(product) + len(version) < 300


SENT = [b"".join(part for part in p.parts if isinstance(part, bytes)) for p in PROTOCOLS if p.probe]
AGENT = b"GET / HTTP/1.1\r\nHost: 192.0.2.1\r\nUser-Agent: Mozilla/5.0 (Windows NT 10.0) Sampler/7.1\r\n\r\n"


@every_row([*SENT, AGENT])
def test_what_was_sent_and_comes_back_is_no_product(sent: bytes) -> None:
    quoted = sent.replace(b"\r\n", b"\r\n500 ")
    for reply in (
        b"220 box FTP server ready.\r\n500 '%s': command not understood\r\n" % quoted,
        b"220-box FTP server\r\n220 ready.\r\n500 '%s': command not understood\r\n" % quoted,
        b"220 mx.example.com ESMTP\r\n500 '%s': unknown\r\n" % quoted,
        b"+OK POP3 ready\r\n-ERR %s\r\n" % sent,
        b"* OK IMAP4rev1 ready\r\n%s BAD\r\n" % sent,
        b"\xff\xfb\x01\xff\xfb\x03box login: %s\r\nPassword: " % sent,
    ):
        assert identify(reply).product == "", reply


def test_a_standards_number_is_no_version() -> None:
    said = (
        b"Welcome to the SIGMA Spectrum Diagnostic Terminal\r\n\r\nWireless Module (802.11a/b/g/n)\r\nlogin: "
    )
    assert freetext.terminal(said)[1] == ""
