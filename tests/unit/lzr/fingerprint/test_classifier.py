"""What a reply says beyond its label: application, product, version; and nothing where it says nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lzr import identify
from lzr.fingerprint import applications, products
from lzr.fingerprint.classifier import Classifier
from lzr.protocols import BY_NAME
from tests.rows import every_row

OK = b"HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n"


@pytest.mark.parametrize(
    ("reply", "application"),
    [
        (OK + b"X-elastic-product: Elasticsearch\r\n\r\n{}", "elasticsearch"),
        (OK + b'\r\n{\n "name" : "n1",\n "tagline" : "You Know, for Search"\n}', "elasticsearch"),
        (OK + b"Server: CouchDB/3.3.2 (Erlang OTP/24)\r\n\r\n", "couchdb"),
        (OK + b'\r\n{"couchdb":"Welcome","version":"3.3.2"}', "couchdb"),
        (OK + b"X-Influxdb-Version: 1.8.10\r\n\r\n", "influxdb"),
        (OK + b"X-Jenkins: 2.440\r\n\r\n", "jenkins"),
        (OK + b"Docker-Experimental: false\r\n\r\n", "docker"),
        (OK + b'\r\n{"message":"page not found"}\n', "docker"),
        (OK + b"\r\nOllama is running", "ollama"),
        (OK + b"\r\nOk.\n", "clickhouse"),
        (OK + b"Server: MinIO\r\n\r\n", "minio"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://192.0.2.1/graph\r\n\r\n", "prometheus"),
        (b"HTTP/1.1 301 Moved Permanently\r\nLocation: /ui/vault/\r\n\r\n", "vault"),
        (OK + b"Set-Cookie: grafana_session=1; Path=/\r\n\r\n", "grafana"),
        (OK + b"\r\n<html><head><title> Grafana </title>", "grafana"),
        (
            b'HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Digest realm="HuaweiHomeGateway"\r\n\r\n',
            "tr-069",
        ),
        (b"HTTP/1.1 401 Unauthorized\r\nServer: Microsoft-HTTPAPI/2.0\r\n\r\n", "http.sys"),
        (OK + b"Server: nginx\r\n\r\n<title>Welcome</title>", ""),
        (
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
            "websocket",
        ),
        (OK + b"Upgrade: h2c\r\n\r\n", ""),
        (OK + b"Location: /\r\nServer: MinIO\r\nX-Jenkins: 2.440\r\n\r\n", "jenkins"),
        (b"SSH-2.0-OpenSSH_9.6 minio\r\n", ""),
    ],
)
def test_an_application_gives_itself_away(reply: bytes, application: str) -> None:
    assert identify(reply).application == application


@every_row(
    [
        (b"SSH-2.0-OpenSSH_9.6p1 Ubuntu-3\r\n", "OpenSSH", "9.6p1"),
        (b"SSH-2.0-OpenSSH_for_Windows_9.5\r\n", "OpenSSH_for_Windows", "9.5"),
        (b"SSH-2.0-dropbear_2024.85\r\n", "dropbear", "2024.85"),
        (b"SSH-2.0-7.3 FlowSsh: Server\r\n", "FlowSsh", "7.3"),
        (b"SSH-2.0-Router\r\n", "Router", ""),
        (OK + b"Server: nginx/1.27.3\r\n\r\n", "nginx", "1.27.3"),
        (OK + b"server: Apache/2.4.62 (Unix) OpenSSL/3.4\r\n\r\n", "Apache", "2.4.62"),
        (OK + b"Server: cloud\r\n\r\n", "cloud", ""),
        (OK + b"\r\nServer: nginx/1.0\r\n", "", ""),
        (b"220 mx.example.net ESMTP Postfix\r\n", "Postfix", ""),
        (b"220 mx.example.net ESMTP Exim 4.98 Thu, 01 Jan 1970 00:00:00 +0000\r\n", "Exim", "4.98"),
        (b"220 (vsFTPd 3.0.5)\r\n", "vsFTPd", "3.0.5"),
        (b"220 ProFTPD Server (x) [::ffff:192.0.2.1]\r\n", "ProFTPD", ""),
        (b"* OK Dovecot ready.\r\n", "Dovecot", ""),
        (b"+OK host.example Cyrus POP3 v3.8.1 server ready\r\n", "Cyrus IMAP", "3.8.1"),
        (BY_NAME["mysql"].examples[0], "MySQL", "8.4.0"),
        (BY_NAME["mysql"].examples[1], "MySQL", ""),
        (BY_NAME["mssql"].examples[-1], "Microsoft SQL Server", "16.0.2000"),
        (b"\r\nHello, this is FRRouting (version 8.4.4).\r\n", "FRRouting", "8.4.4"),
        (b"VERSION 1.6.31\r\n", "memcached", "1.6.31"),
        (b"STAT pid 1\r\nSTAT version 1.6.30\r\n", "memcached", "1.6.30"),
        (b"RTSP/1.0 200 OK\r\nServer: GStreamer RTSP server\r\n\r\n", "GStreamer RTSP server", ""),
        (b"220 Xlight FTP Server 3.9 ready...\r\n", "Xlight FTP Server", "3.9"),
        (b"220 3Com 3CDaemon FTP Server Version 2.0\r\n", "3CDaemon", "2.0"),
        (b"220 host FTP server (SunOS 5.8) ready.\r\n", "SunOS ftpd", "5.8"),
        (b"220 RICOH Aficio MP C3003 FTP server (12.34) ready.\r\n", "RICOH Aficio MP C3003", "12.34"),
        (b"220 AXIS 206 Network Camera 4.40 (Feb 2 2006) ready.\r\n", "AXIS 206 Network Camera", "4.40"),
        (b"220 FRITZ!Box7490(UI) FTP server ready.\r\n", "FRITZ!Box7490", ""),
        (b"220 JD FTP Server Ready\r\n", "HP JetDirect", ""),
        (b"220 Nucleus FTP Server (Version 1.7) ready.\r\n", "Nucleus FTP Server", "1.7"),
        (b"220 NASFTPD Turbo station 1.3.5a Server (ProFTPD) [192.0.2.1]\r\n", "ProFTPD", "1.3.5a"),
        (
            b"220 PRN1 TOSHIBA e-STUDIO500S FTP Server NC2.NPS.N211 ready.\r\n",
            "TOSHIBA e-STUDIO500S",
            "NC2.NPS.N211",
        ),
        (b"220 TiMOS-C-9.0.R8 cpm/hops ALCATEL SR 7750\r\n", "TiMOS", "9.0.R8"),
        (b"220 host FTP server (Version 6.4/OpenBSD/Linux-ftpd-0.17) ready.\r\n", "Linux-ftpd", "0.17"),
        (b"220 Axis of the world ready, friends and all\r\n", "", ""),
        (b"220 Welcome to ASUS RT-AC68U FTP service.\r\n", "ASUS RT-AC68U", ""),
        (b"OK MPD 0.23.5\n", "Music Player Daemon", "0.23.5"),
        (b"ClamAV 1.0.3/27001/Mon Aug 14 07:37:14 2023\n", "ClamAV", "1.0.3"),
        (b'INFO {"server_id":"NA","version":"2.10.7","max_payload":1048576}\r\n', "NATS", "2.10.7"),
        (b"CONNECTED\nserver:RabbitMQ/3.10.8\nversion:1.2\n\n\0", "RabbitMQ", "3.10.8"),
        (b"220 box SVDRP VideoDiskRecorder 2.6.0; Sat Nov 28 20:00:00 2026; UTF-8\r\n", "VDR", "2.6.0"),
        (
            b":irc.example.net 002 * :Your host is irc.example.net, running version InspIRCd-3.12.0\r\n",
            "InspIRCd",
            "3.12.0",
        ),
        (BY_NAME["memcached_binary"].examples[0], "memcached", "1.6.31"),
        (
            b"\x12\x34\0\0\0\x21\0\x2b\x0e\1\1\0\0\3\0\x08Example \1\6PLC-42\2\5v1.02",
            "Example PLC-42",
            "v1.02",
        ),
        (b"\x12\x34\0\0\0\3\0\xab\1", "", ""),
        (
            bytes.fromhex("00000032 8011 0001 4c5a5231 0001 00000002")
            + b"\0\7product\0\x08RabbitMQ\0\7version\0\x063.11.2",
            "RabbitMQ",
            "3.11.2",
        ),
        (b"no such thing", "", ""),
    ]
)
def test_a_product_is_what_the_banner_states(reply: bytes, product: str, version: str) -> None:
    found = identify(reply)
    assert (found.product, found.version) == (product, version)


def test_a_broker_names_itself_in_its_properties() -> None:
    start = b"\x01\0\0\0\0\x01\xff\0\x0a\0\x0a\0\x09\0\0\x01\xdb"
    start += b"\x07productS\0\0\0\x04Frog\x07versionS\0\0\0\x032.1"
    assert (identify(start).product, identify(start).version) == ("Frog", "2.1")


@given(
    st.sampled_from(sorted(BY_NAME)),
    st.binary(max_size=200),
    st.sampled_from([b"", OK, b"SSH-2.0-", b"220 "]),
)
def test_readers_never_raise(label: str, data: bytes, head: bytes) -> None:
    assert isinstance(applications.of(label, head + data), str)
    product, version = products.of(label, head + data)
    assert isinstance(product + version, str)


def test_the_table_has_three_words_a_line() -> None:
    lines = [line.split(" ") for line in applications.TABLE.strip().split("\n")]
    assert all(len(words) == 3 and all(words) for words in lines)
    assert len({(where, needle) for where, needle, _ in lines}) == len(lines)
    assert all(needle == needle.lower() for _, needle, _ in lines)


def test_a_choice_of_the_user_comes_first() -> None:
    bare = b"220 ready\r\n"
    assert Classifier().classify(bare) == "smtp-ftp"
    assert Classifier(("ftp", "smtp")).classify(bare) == "ftp"
    assert Classifier(("http", "smtp")).classify(bare) == "smtp"
