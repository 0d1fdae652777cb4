"""Phrases by which greetings and pages name themselves, and what only looks like one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lzr.fingerprint.enrichment import EnrichingClassifier
from lzr.fingerprint.greetings import phrases

CLASSIFIER = EnrichingClassifier()
NEGOTIATED = b"\xff\xfb\x01\xff\xfb\x03"

TERMINALS = [
    (b"\r\nModel name       : easySample K2\r\nFirmware : 5\r\nlogin: ", "easySample K2", ""),
    (b"\r\nProduct      : iSMP616\r\nHw Revision  : 2\r\nPassword: ", "iSMP616", ""),
    (b"\r\nWelcome to the SX2 command line processor\r\nUsername: ", "SX2", ""),
    (b"Welcome to SampleTool Command Interface\r\nlogin: ", "SampleTool", ""),
    (b"\x1b[2J\x1b[3;4HSX-12 Local Management\x1b[5;1HPassword: ", "SX-12", ""),
    (b"Sampler Telnet Server 3.10.2\r\nLogin: ", "Sampler Telnet Server", "3.10.2"),
    (b"S. Ampler Wireless SAXg ADSL Gateway\r\nLogin: ", "S. Ampler Wireless SAXg ADSL", ""),
    (b"\r\nDGS-3100 login: ", "D-Link DGS-3100", ""),
    (b"Copyright (c) 1998-2004 by Sampler Networks Inc.\r\nlogin: ", "Sampler Networks", ""),
    (b"\x1b[1;1HSigma\x07Net\r\n\x1b[0mPIX passwd: ", "Cisco PIX", ""),
]
GREETINGS = [
    (b"220 SX11 FTP Server ready\r\n", "SX11"),
    (b"220 Welcome to CoolSampler Server.\r\n", "CoolSampler"),
    (b"220 mailSampler SMTP proxy\r\n", "mailSampler"),
    (b"220 mx.example.com SampleShield SMTP ready\r\n", "SampleShield"),
    (b"+OK SamplePOPs! server ready\r\n", "SamplePOPs"),
]
NOT_NAMED = [
    NEGOTIATED + b"Welcome to our server\r\nlogin: ",
    NEGOTIATED + b"Welcome to box.example.com\r\nlogin: ",
    NEGOTIATED + b"Sorry telnet connections not permitted\r\n",
    NEGOTIATED + b"Another telnet session is in progress\r\n",
    NEGOTIATED + b"Telnet access disabled. Enable in switch CLI\r\n",
    NEGOTIATED + b"Using telnet exposes your password.\r\nUsername: ",
    NEGOTIATED + b"Welcome to Network Camera telnet daemon\r\nPassword: ",
    NEGOTIATED + b"srv12 login: ",
    NEGOTIATED + b"(c) Copyright 2000 First Bank. All rights reserved.\r\nlogin: ",
    b"220 BOX12 FTP server (Version 4.1) ready.\r\n",
    b"220 WEB01 FTP server ready.\r\n",
    b"220 mx.example.com ESMTP MailServer ready\r\n",
    b"* OK [CAPABILITY IMAP4rev1 STARTTLS] IMAP4rev1 server ready\r\n",
]
PAGES = [
    ("SX430 Web Configuration Pages", "", "SX430", ""),
    ("Sampler Web Manager", "", "Sampler", ""),
    ("Sampler 5.1 : Web Administration", "", "Sampler", "5.1"),
    ("OpenSampler Management Console", "", "OpenSampler", ""),
    ("Welcome to the Web Configuration", "", "", ""),
    ("Broadband NAT Router Web-Console", "", "", ""),
    ("ADSL2+ Router Web Interface", "", "", ""),
    ("Login", "", "", ""),
    ("", "Sampler MGCP Phone", "Sampler MGCP Phone", ""),
    ("", "SAM614V9", "SAM614V9", ""),
    ("", "Sampler C54XYZ2+", "Sampler C54XYZ2+", ""),
    ("", "Internet Camera", "", ""),
    ("", "Restricted Area", "", ""),
    ("", "SRV2012", "", ""),
    ("", "Members of example.com", "", ""),
    ("", "Please enter your password", "", ""),
]


@pytest.mark.parametrize(("said", "product", "version"), TERMINALS)
def test_terminals(said: bytes, product: str, version: str) -> None:
    found = CLASSIFIER.identify(NEGOTIATED + said)
    assert (found.label, found.product, found.version) == ("telnet", product, version)


@pytest.mark.parametrize(("said", "product"), GREETINGS)
def test_greetings(said: bytes, product: str) -> None:
    assert CLASSIFIER.identify(said).product.rstrip("!") == product


@pytest.mark.parametrize("said", NOT_NAMED)
def test_what_is_no_name(said: bytes) -> None:
    found = CLASSIFIER.identify(said)
    assert found.label != "unknown"
    assert (found.product, found.version) == ("", "")


@pytest.mark.parametrize(("title", "realm", "product", "version"), PAGES)
def test_pages(title: str, realm: str, product: str, version: str) -> None:
    assert phrases.managed(title or realm, asks=bool(realm)) == (product, version)
    field = f'WWW-Authenticate: Basic realm="{realm}"\r\n' if realm else ""
    page = f"HTTP/1.1 200 OK\r\n{field}\r\n<html><title>{title}</title></html>"
    found = CLASSIFIER.identify(page.encode())
    assert (found.label, found.product, found.version) == ("http", product, version)


@given(
    st.sampled_from(("telnet", "ftp", "smtp", "pop3", "imap", "nntp", "http")),
    st.one_of(
        st.binary(max_size=1500),
        st.lists(st.sampled_from([said for said, *_ in (*TERMINALS, *GREETINGS)])).map(b"".join),
    ),
)
def test_any_bytes(label: str, data: bytes) -> None:
    product, version = phrases.stated(label, data)
    assert product or not version
    assert len(product) + len(version) < 300
    assert phrases.managed(data.decode("latin-1"), asks=True)[0].strip() is not None
