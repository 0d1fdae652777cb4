"""Names and versions in fields of binary replies and in fixed places of text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lzr.fingerprint import fields, products, statements
from lzr.protocols import BY_NAME
from tests.rows import every_row

ENIP = bytes.fromhex("6300 3300") + bytes(20) + bytes.fromhex("0100 0c00 2d00 0100") + bytes(16)
ENIP += bytes.fromhex("0100 0e00 3600 1410 6030 01020304") + b"\x0eSAMPLE-L61/B X\0"
AMS = bytes.fromhex("0000 3800 0000 7f0000010101 2180 7f0000010101 1027 0100 0500 18000000 00000000 4c5a5231")
AMS += bytes(4) + b"\x03\x01\x39\x05" + b"SamplePlc Ctrl".ljust(16, b"\0")
PPTP = BY_NAME["pptp"].examples[0][:92] + b"Sample".ljust(64, b"\0")
CODESYS = BY_NAME["codesys"].examples[0]

AFP = bytes.fromhex("0103 0001 00000000 00000030 00000000 0018 0020 0028 002a 8ffb") + b"\x05SAMPL" + bytes(8)
AFP += b"\x0eNetatalk3.1.12" + bytes(9)
VERSION = (
    b"\0\x48\0\6\x84\0\0\1\0\1\0\0\0\0\x07version\x04bind\0\0\x10\0\3\xc0\x0c\0\x10\0\3\0\0\0\0\0\x11\x10%b"
)

UNSUPPORTED = (
    b"SFATAL\0C0A000\0Munsupported frontend protocol 65363.19778\0Fpostmaster.c\0L2222\0RProcess\0\0"
)

ATTRIBUTES = bytes.fromhex("6f00 3600") + bytes(26) + bytes.fromhex("0200 0000 0000 b200 2600 81000000")
ATTRIBUTES += bytes.fromhex("0100 0e00 3600 1410 6030 01020304") + b"\x0eSAMPLE-L61/B X"
ES_HANDSHAKE = b"ES\0\0\0\x13" + bytes(7) + b"\1\x09\0\x5c\xc6\x63\0\0\xcb\xf6\xae\x03"
LDAP = b"0\x81\x80\2\1\1d\x7b\4\x000\x77%s"
UMAS = b"\0\0\0\0\0\x1a\0\x5a\0\xfe\x10\xff\x5a\1\1\0\0\x0e140 CPU 311 10"

SAID = [
    ("postgres", b"E\0\0\0\x60" + UNSUPPORTED, ("PostgreSQL", "")),
    ("postgres", b"E\0\0\0\x60" + UNSUPPORTED.replace(b"Fp", b"Fd:\\src\\backend\\p"), ("PostgreSQL", "")),
    ("postgres", b"E\0\0\0\x20SFATAL\0C08P01\0Mno such database\0\0", ("", "")),
    (
        "icy",
        b"ICY 200 OK\r\nicy-notice2:SHOUTcast Distributed Network Audio Server/Linux v1.9.8<BR>\r\n",
        ("SHOUTcast", "1.9.8"),
    ),
    (
        "stomp",
        b"ERROR\nmessage:Unknown STOMP action: GET\n\norg.apache.activemq.transport.stomp.X: Unknown",
        ("activemq", ""),
    ),
    (
        "finger",
        b"\r\nIntegrated port\r\nPrinter Type: Sampler T640\r\nPrint Job Status: x\r\n",
        ("Sampler T640", ""),
    ),
    ("finger", b"No one logged on.\r\n", ("", "")),
    ("openwire", b"\0\0\x01<\x01ActiveMQ\0\x0fProviderVersion\t\0\x075.15.15", ("ActiveMQ", "5.15.15")),
    ("openwire", b"\0\0\x01<\x01ActiveMQ\0\x0fProviderVersion\t\0\x0a5.15.15.11", ("ActiveMQ", "5.15.15.11")),
    ("sip", b"SIP/2.0 200 OK\r\nUser-Agent: SamplePBX/2.4\r\n\r\n", ("SamplePBX", "2.4")),
    ("sip", b"SIP/2.0 200 OK\r\nUser-Agent: a/1\r\nServer: Sampler 5.1\r\n\r\n", ("Sampler", "5.1")),
    ("mysql", b"\x4a\0\0\0\x0a5.7.8-10.3.13-MariaDB-1\0", ("MariaDB", "10.3.13")),
    ("mysql", b"\x4a\0\0\0\x0a5.5.5-10.11.3-MariaDB-1:10.11.3+deb\0", ("MariaDB", "10.11.3")),
    ("enip", ENIP, ("SAMPLE-L61/B X", "20.016")),
    ("ams", AMS, ("SamplePlc Ctrl", "3.1.1337")),
    ("pptp", PPTP, ("Sample", "")),
    ("codesys", CODESYS, ("PLC", "")),
    ("crimson", b"\x00\x09\x01\x2a\x03\x00G310\x00", ("G310", "")),
    ("slmp", BY_NAME["slmp"].examples[0], ("Q03UDECPU", "")),
    ("melsoft", BY_NAME["melsoft"].examples[0], ("Q06UDHCP", "")),
    ("qmp", BY_NAME["qmp"].examples[0], ("QEMU", "7.2.0")),
    ("minecraft", b'J\x00H{"version":{"name":"Paper 1.20.4","protocol":765}}', ("Paper", "1.20.4")),
    ("minecraft", BY_NAME["minecraft"].examples[0], ("Minecraft", "1.20.4")),
    (
        "drda",
        b"\0\x1d\xd0\2\0\1\0\x17\x14\x43\0\x13\x11\x47" + "SAMPLE/LINUXX86".encode("cp500"),
        ("SAMPLE/LINUXX86", ""),
    ),
    ("afp", AFP, ("Netatalk", "3.1.12")),
    ("afp", AFP.replace(b"Netatalk3.1.12", b"TimeCapsule1,2"), ("TimeCapsule1,2", "")),
    ("dns", VERSION % b"9.18.49-1-Debian", ("BIND", "9.18.49")),
    ("dns", VERSION % b"dnsmasq-2.80test", ("dnsmasq", "2.80test")),
    ("dns", VERSION % b"none of your zoo", ("", "")),
    ("redis", b"-DENIED Redis is running in protected mode because\r\n", ("Redis", "")),
    ("proconos", BY_NAME["proconos"].examples[0], ("ProConOS", "4.1.0100")),
    (
        "managesieve",
        b'"IMPLEMENTATION" "Sample timsieved v2.4.17"\r\n"SIEVE" "x"\r\n',
        ("Sample timsieved", "2.4.17"),
    ),
    ("managesieve", BY_NAME["managesieve"].examples[1], ("Example Pigeonhole", "")),
    (
        "managesieve",
        b'"IMPLEMENTATION" "Dovecot (Sample) Pigeonhole"\r\n',
        ("Dovecot (Sample) Pigeonhole", ""),
    ),
    ("munin", b"# munin node at box.example.com\n", ("Munin node", "")),
    (
        "apcupsd",
        b"\0\x18APC      : 001,019,0476\n\0\x20VERSION  : 3.14.14 (31 May 2016)\n",
        ("apcupsd", "3.14.14"),
    ),
    ("nrpe", b"\0\2\0\2\x7c\xcb\xd1\x92\0\0NRPE v4.1.0" + bytes(99), ("NRPE", "4.1.0")),
    (
        "jdwp",
        b"JDWP-Handshake\0\0\0\xe7\0\0\0\1\x80\0\0Debug\nJVM version 17.0.2+8 (Sample 64-Bit Server VM, x)",
        ("Sample 64-Bit Server VM", "17.0.2"),
    ),
    ("lmtp", BY_NAME["lmtp"].examples[0], ("Cyrus", "3.6.1")),
    ("acap", BY_NAME["acap"].examples[0], ("Example", "1.0")),
    ("mupdate", BY_NAME["mupdate"].examples[0], ("Cyrus Murder", "3.2.6")),
    ("imsp", BY_NAME["imsp"].examples[0], ("Cyrus IMSP", "1.8")),
    ("pop3pw", BY_NAME["pop3pw"].examples[0], ("poppassd", "1.8.5")),
    ("saft", BY_NAME["saft"].examples[0], ("sendfiled", "2.1")),
    ("amanda", BY_NAME["amanda"].examples[0], ("Amanda", "3.5.1")),
    ("rmate", BY_NAME["rmate"].examples[0], ("TextMate", "")),
    ("ganglia", b'<?xml?>\n<GANGLIA_XML VERSION="3.7.2" SOURCE="gmond">\n', ("gmond", "3.7.2")),
    ("tor-control", BY_NAME["tor-control"].examples[0], ("Tor", "0.4.7.16")),
    ("directconnect", BY_NAME["directconnect"].examples[0], ("EXAMPLE", "1.0")),
    ("gnutella", BY_NAME["gnutella"].examples[0], ("Example", "1.0")),
    ("bitcoin", BY_NAME["bitcoin"].examples[0], ("Satoshi", "25.0.0")),
    ("uptime-agent", BY_NAME["uptime-agent"].examples[0], ("up.time agent", "7.4.0")),
    ("rserve", BY_NAME["rserve"].examples[0], ("Rserve", "0103")),
    ("aerospike", BY_NAME["aerospike"].examples[0], ("Aerospike", "6.3.0.10")),
    (
        "redis",
        b"%7\r\n$6\r\nserver\r\n$6\r\nsample\r\n$7\r\nversion\r\n$5\r\n7.2.5\r\n",
        ("sample", "7.2.5"),
    ),
    (
        "fox",
        b"fox a 0 -1 fox hello\n{\nfox.version=s:1.0\napp.name=s:Station\napp.version=s:4.8.0\n};;\n",
        ("Niagara", "4.8.0"),
    ),
    (
        "memcached_binary",
        b"\x81\x10\0\7\0\0\0\0\0\0\0\x0d" + bytes(12) + b"version1.6.18",
        ("memcached", "1.6.18"),
    ),
    ("irc", b'ERROR :"Oops, HTTP request received? This is IRC!"\r\n', ("ngIRCd", "")),
    ("enip", ATTRIBUTES, ("SAMPLE-L61/B X", "20.016")),
    ("elasticsearch-transport", ES_HANDSHAKE, ("Elasticsearch", "7.6.2")),
    (
        "elasticsearch-transport",
        b"ES\0\0\0\x21" + bytes(7) + b"\x0a\1" + (7060299).to_bytes(4, "big") + bytes(20),
        ("Elasticsearch", "7.6.2"),
    ),
    ("boinc", b"<boinc_gui_rpc_reply>\n<client_version>70412</client_version>\n", ("BOINC", "7.4.12")),
    (
        "boinc",
        b"<boinc_gui_rpc_reply>\n<major_version>7</major_version>\n<minor_version>4</minor_version>\n"
        b"<release>12</release>\n",
        ("BOINC", "7.4.12"),
    ),
    ("boinc", BY_NAME["boinc"].examples[0], ("BOINC", "")),
    ("ldap", LDAP % b"\x04\x16" + b"1.2.840.113556.1.4.800", ("Microsoft Active Directory", "")),
    ("ldap", LDAP % b"\x04\x17" + b"1.2.840.113556.1.4.1851", ("Microsoft AD LDS", "")),
    (
        "ldap",
        LDAP % b"0\x1a\x04\x0dvendorVersion1\x13\x04\x11Sample-DS/1.4.3.9",
        ("Sample-DS", "1.4.3.9"),
    ),
    (
        "ldap",
        LDAP % b"0\x1a\x04\x0avendorName1\x08\x04\x06Sample0\x1a\x04\x0dvendorVersion1\x07\x04\x0510.3a",
        ("Sample", "10.3a"),
    ),
    ("lmtp", b"220 box.example.net Cyrus LMTP Murder v2.4.17 server ready\r\n", ("Cyrus", "2.4.17")),
    ("lmtp", b"220 box.example.net DBMail LMTP service ready\r\n", ("DBMail", "")),
    ("lmtp", b"220 DSPAM DLMTP 3.10.2 Authentication Required\r\n", ("DSPAM", "3.10.2")),
    (
        "pop3pw",
        b"200 CommuniGate Pro PWD Server 6.1.14 ready <1.2@box.example>\r\n",
        ("CommuniGate Pro", "6.1.14"),
    ),
    ("pop3pw", b"200 Post.Office v3.5.3 password server ready\r\n", ("Post.Office", "3.5.3")),
    ("pop3pw", b"200 MERCUR Password service for Windows NT ready\r\n", ("MERCUR", "")),
    ("mongodb", BY_NAME["mongodb"].examples[0], ("MongoDB", "")),
    (
        "git",
        b"00c9" + b"a" * 40 + b" HEAD\0multi_ack symref=HEAD:refs/heads/main agent=git/2.39.2\n",
        ("git", "2.39.2"),
    ),
    ("vnc", b"RFB 003.003\n\0\0\0\0\0\0\0\x20Visit http://www.realvnc.com", ("", "")),
    ("vnc", b"RFB 003.003\n\0\0\0\0\0\0\0\x1fRealVNC trial period has expired", ("RealVNC", "")),
    ("snpp", b"220 box SNPP server (HylaFAX (tm) Version 4.2.1) ready.\r\n", ("HylaFAX", "4.2.1")),
    ("snpp", b"220 QuickPage v3.3 SNPP server ready at Sun\r\n", ("QuickPage", "3.3")),
    (
        "gopher",
        b"3Not found\tfake\tbox\t70\r\niGophered by Gophernicus/3.1.1\t\t\r\n",
        ("Gophernicus", "3.1.1"),
    ),
    ("whois", b"%rwhois V-1.5:003fff:00 box (by Example, Inc. V-1.5.9.5)\r\n", ("rwhoisd", "1.5.9.5")),
    (
        "sap-ni",
        b"\0\0\0\x40NI_RTERR\0\x28\0\0\xff\xff\xff\xfb*ERR*\0SAProuter 40.4 on 'box'\0",
        ("SAProuter", "40.4"),
    ),
    ("modbus", UMAS, ("140 CPU 311 10", "")),
    ("login", b"\0\r\n\nLantronix EX100 Version V3.6/4(0)\n\r\n\nUsername> ", ("Lantronix EX100", "")),
    (
        "mysql",
        b"\x4a\0\0\0\xff\x6a\x04Le h\xf4te 'x' n'est pas authoris\xe9 sur ce serveur MySQL",
        ("MySQL", ""),
    ),
    ("ssh", b"SSH-2.0-3Com OS-3Com OS V3.41\r\n", ("3Com OS-3Com OS", "3.41")),
    ("ssh", b"SSH-2.0-3Com OS-5.20.105\r\n", ("3Com OS", "5.20.105")),
    ("ssh", b"SSH-2.0-babeld-a73e1397\r\n", ("babeld", "a73e1397")),
    ("ssh", b"SSH-2.0-Sampler-20231102\r\n", ("Sampler", "20231102")),
    ("sip", b"SIP/2.0 200 OK\r\nServer: FPBX-16.0.40(18.20.2)\r\n\r\n", ("FPBX", "16.0.40")),
    ("irc", b":box 002 a :Your host is box, running version InspIRCd-3\r\n", ("InspIRCd", "3")),
    ("http", b"HTTP/1.1 200 OK\r\nServer: Sampler 7.50 / Java 7.5\r\n\r\n", ("Sampler", "7.50")),
    ("smtp-ftp", b"421  Insufficient System Storage.(IMail 8.22)\r\n", ("IMail", "8.22")),
    ("ftp", b"220 box.example.net FTP server (Version 6.6/OpenBSD) ready.\r\n", ("OpenBSD ftpd", "6.6")),
    (
        "ftp",
        b"220 box FTP server (Version 6.4/OpenBSD/Linux-ftpd-0.17) ready.\r\n",
        ("Linux-ftpd", "0.17"),
    ),
    (
        "ftp",
        b"220 box FTP SERVER T9552D40 (Version 5.0 TANDEM 31AUG1999) ready.\r\n",
        ("HP NonStop FTP", "5.0"),
    ),
]

SILENT = [
    ("enip", BY_NAME["enip"].examples[1]),
    ("enip", ENIP[:60]),
    ("ams", BY_NAME["ams"].examples[0]),
    ("pptp", BY_NAME["pptp"].examples[0]),
    ("slmp", b"\xd0\0\0\xff\xff\3\0\x14\0\x51\xc0Q03UDECPU       h\2"),
    ("melsoft", b"\xd7\0\1\0"),
    ("qmp", b'{"QMP": {"version": {"qemu": {"micro": 0, "minor": 2}}}}'),
    ("minecraft", b'J\0H{"version":{"name":"a server","protocol":765}}'),
    ("drda", BY_NAME["drda"].examples[0]),
    ("drda", b"\0\x0c\xd0\2\0\1\0\6\x14\x43\x11\x47"),
    ("redis", b"+PONG\r\n"),
    ("enip", ATTRIBUTES[:58]),
    ("ldap", b"0\x0c\2\1\1a\x07\x0a\1\0\4\0\4\0"),
    ("ldap", LDAP % b"\x04\x17" + b"1.2.840.113556.1.4.2080"),
    ("vnc", b"RFB 003.008\n"),
    ("git", b"003fERR access denied or repository not exported: /x"),
    ("login", b"\1rlogind: Permission denied.\r\n"),
    ("modbus", UMAS.replace(b"140 CPU", b"150 CPU")),
    ("fox", BY_NAME["fox"].examples[0]),
    ("irc", BY_NAME["irc"].examples[0]),
]


@every_row(SAID)
def test_what_is_said(label: str, data: bytes, stated: tuple[str, str]) -> None:
    assert products.of(label, data) == stated


@pytest.mark.parametrize(("label", "data"), SILENT)
def test_where_nothing_is_said(label: str, data: bytes) -> None:
    assert products.of(label, data) == ("", "")


def test_each_reader_and_each_pattern_has_an_example() -> None:
    said = {label for label, _, _ in SAID}
    assert said >= set(fields.READERS)


@given(st.sampled_from([data for _, data, _ in SAID]), st.data())
def test_replies_that_were_cut_or_changed(data: bytes, draw: st.DataObject) -> None:
    at = draw.draw(st.integers(0, len(data)))
    changed = data[:at] + draw.draw(st.binary(max_size=4)) + data[at + draw.draw(st.integers(0, 4)) :]
    for one in (data[:at], changed):
        for label in (*fields.READERS, *statements.READS, "memcached_binary", "irc"):
            product, version = products.of(label, one)
            assert len(product) < 200
            assert product or not version
