"""Servers that their pages name, and Windows that a challenge of NTLM tells."""

from __future__ import annotations

import struct
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lzr.fingerprint import errorpages, ntlm
from lzr.fingerprint.classifier import identify
from lzr.fingerprint.enrichment import EnrichingClassifier
from tests.rows import every_row

CLASSIFIER = EnrichingClassifier()
HEAD = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/html\r\n%s\r\n<html><body>%s</body></html>\r\n"
PAGES = [
    (b"", b"<hr><address>Apache/2.4.57 (Unix) Server at box.example Port 80</address>", "Apache", "2.4.57"),
    (b"", b"<ADDRESS>\n WEBrick/1.4.2 (Ruby/2.5.1) at\n box:80</ADDRESS>", "WEBrick", "1.4.2"),
    (b"", b"<hr><center>nginx/1.18.0</center>", "nginx", "1.18.0"),
    (b"", b"<hr><center>openresty</center>", "openresty", ""),
    (b"", b"<hr><h3>Apache Tomcat/9.0.43</h3>", "Apache Tomcat", "9.0.43"),
    (b"", b"<hr/>Powered by Jetty:// 9.4.43<hr/>", "Jetty", "9.4.43"),
    (b"", b"Generated Sun by box (squid/4.10)", "squid", "4.10"),
    (b"", b"<hr><p>Varnish cache server</p>", "Varnish", ""),
    (b"Proxy-Agent: Sample-Proxy/5.6\r\n", b"", "Sample-Proxy", "5.6"),
    (b"Via: 1.1 box.example (Sampler/3.5)\r\n", b"", "Sampler", "3.5"),
    (b"X-Powered-By: Sampler/2.1\r\n", b"", "Sampler", "2.1"),
    (b"X-Powered-By: Express\r\n", b"", "Express", ""),
    (b"DAAP-Server: Sample Player/1.4\r\n", b"", "Sample Player", "1.4"),
    (b"", b'<meta name="generator" content="Some CMS 6.4.1 (https://cms.example)" />', "Some CMS", "6.4.1"),
    (b"", b"<meta name='generator' content='Some Press'>", "Some Press", ""),
    (b'WWW-Authenticate: Basic realm="DIR-615"\r\n', b"", "D-Link DIR-615", ""),
    (b'WWW-Authenticate: Basic realm="Linksys WRT-1X"\r\n', b"", "Linksys WRT-1X", ""),
    (b"", b"<title>Dell Laser Printer 1700zz</title>", "Dell Laser 1700zz", ""),
    (b"", b"<title>ZyXEL NBG-41 Web Configurator Login</title>", "ZyXEL NBG-41", ""),
    (b"Server: \r\n", b"<hr><center>nginx</center>", "nginx", ""),
    (b"icy-notice2:SHOUTcast DNAS/posix(linux) v2.4.1<BR>\r\n", b"", "SHOUTcast", "2.4.1"),
    (b'WWW-Authenticate: Basic realm="SAM614V9"\r\n', b"", "SAM614V9", ""),
    (b"", b"<title>Sampler Web Manager</title>", "Sampler", ""),
    (b"", b'{"version": {"number" : "1.1.1"}, "tagline": "You Know, for Search"}', "Elasticsearch", "1.1.1"),
    (b"", b'{"couchdb":"Welcome","version":"3.3.3"}', "CouchDB", "3.3.3"),
    (b"", b'{"etcdserver":"3.5.12","etcdcluster":"3.5.0"}', "etcd", "3.5.12"),
    (b"X-Jenkins: 2.440.1\r\n", b"", "Jenkins", "2.440.1"),
    (b"kbn-version: 7.17.3\r\n", b"", "Kibana", "7.17.3"),
    (b"X-OWA-Version: 15.1.2507.6\r\n", b"", "Microsoft Exchange", "15.1.2507.6"),
    (b"", b"<address>Apache Server at box.example Port 80</address>", "Apache", ""),
    (b"Proxy-Agent: Sample/5.6.1 (Unix)\r\n", b"", "Sample", "5.6.1"),
    (b"", b"<i>IBM WebSphere Application Server</i>", "IBM WebSphere Application Server", ""),
    (b"", b"<TITLE>eSVNC Desktop [box]</TITLE>", "eSVNC", ""),
    (b"", b'<APPLET CODE="com.tigervnc.vncviewer.VncViewer">', "TigerVNC", ""),
    (
        b'X-AV-Server-Info: av="5.0"; cn="Sample Corporation"; mn="AV-100"; mv="2.0"\r\n',
        b"",
        "Sample AV-100",
        "",
    ),
    (
        b"X-Powered-By: Servlet/3.0 JSP/2.2 (Sample Server 3.1.2 Java/Example/1.7)\r\n",
        b"",
        "Sample Server",
        "3.1.2",
    ),
    (b"X-Powered-By: Servlet 2.4; JBoss-4.2.3.GA (build: x)/JBossWeb-2.0\r\n", b"", "JBoss", "4.2.3.GA"),
    (
        b"",
        b"<root><device><manufacturer>Sampler</manufacturer><modelName>SX 1</modelName></device>",
        "Sampler SX 1",
        "",
    ),
    (
        b"",
        b"<VendorName>Sampler</VendorName><ModelName>Sampler S1</ModelName>"
        b"<FirmwareVersion>V1.02</FirmwareVersion>",
        "Sampler S1",
        "1.02",
    ),
    (b"X-Powered-By: Sampler (www.sampler.example), Python (x)\r\n", b"", "Sampler", ""),
    (b"X-Powered-By: Sampler 2.1, Java\r\n", b"", "Sampler", "2.1"),
    (b"X-Powered-By: Servlet/3.0 JSP/2.2\r\n", b"", "", ""),
    (b"Jenkins-Version: 2.426.1\r\n", b"", "Jenkins", "2.426.1"),
    (b"", b'<info product="Sampler IP222" name="x">', "Sampler IP222", ""),
    (
        b"",
        b"Powered By <a href='http://www.litespeedtech.com'>LiteSpeed Web Server</a>",
        "LiteSpeed Web Server",
        "",
    ),
    (b"", b"This site is running <a href='http://sampler.example'>Sampler</a>.", "Sampler", ""),
    (b"COMMERCE-SERVER-SOFTWARE: Sample Server 2002, Developer\r\n", b"", "Sample Server 2002", ""),
    (b"Proxy-Agent: Sampler 3.0.33\r\n", b"", "Sampler", "3.0.33"),
    (b"X-Squid-Error: ERR_INVALID_URL 0\r\n", b"", "squid", ""),
    (b"Via: HTTP/1.1 box (Sample_Gateway/7.1 [c s f ])\r\n", b"", "Sample_Gateway", "7.1"),
    (b"", b"<h2>Mikrotik HttpProxy</h2>", "MikroTik HttpProxy", ""),
    (b"", b"<i>This message was created by Sampler Proxy</i>", "Sampler", ""),
    (b"", b"<hr/>Powered by Sampler<br>", "Sampler", ""),
    (b"", b'<hr noshade size="1px">Generated by Sampler 1.2.3 (Sun)', "Sampler", "1.2.3"),
    (b"", b"<hr>\n<i>Generated by <a href='http://box.example'> sampler(1.7-x)</a>.", "sampler", "1.7"),
    (b'WWW-Authenticate: Basic realm="EvoCam"\r\n', b"", "EvoCam", ""),
    (b"", b"<title>\n  Xerox&nbsp;Phaser 6180\n</title>", "Xerox Phaser 6180", ""),
    (b"Liferay-Portal: Liferay Community Edition Portal 7.0.2 GA3\r\n", b"", "Liferay Portal", "7.0.2"),
]

UPNP = [
    (b"X/2.4 UPnP/1.0 Sample-UPnP/6.00", "Sample-UPnP", "6.00"),
    (b"Linux/4.1, UPnP/1.0, Portable Sample for UPnP devices/1.6", "Portable Sample for UPnP devices", "1.6"),
    (b"Linux/2.x UPnP/1.0 DLNADOC/1.50 Some_SDK_for_devices/1.2", "Some SDK for devices", "1.2"),
    (b"Windows_7-x86-6.1, UPnP/1.0, SMS/1.90", "SMS", "1.90"),
    (b"Sampler/2.1, UPnP/1.0, Unspecified", "Sampler", "2.1"),
    (b"X/4 UPnP/1.0 ADSL2+ Sampler SX-1/V", "ADSL2+ Sampler SX-1", ""),
    (b"X/4 UPnP/1.0 Sample-IGD", "Sample-IGD", ""),
]


@pytest.mark.parametrize(("value", "product", "version"), UPNP)
def test_a_server_of_upnp_is_called_behind_the_system(value: bytes, product: str, version: str) -> None:
    found = CLASSIFIER.identify(b"HTTP/1.1 200 OK\r\nServer: %s\r\nEXT:\r\n\r\n" % value)
    assert (found.product, found.version) == (product, version)


@every_row(PAGES)
def test_a_page_without_a_server_field(field: bytes, page: bytes, product: str, version: str) -> None:
    found = CLASSIFIER.identify(HEAD % (field, page))
    assert (found.label, found.product, found.version) == ("http", product, version)
    assert identify(HEAD % (field, page)).product == ""


def test_pythons_own_page_has_no_head() -> None:
    page = (
        b'<!DOCTYPE HTML>\n<html lang="en">\n<head><title>Error response</title></head>\n<body>\n'
        b"<p>Error code: 400</p>\n<p>Error code explanation: HTTPStatus.BAD_REQUEST - no.</p>\n"
        b"</body>\n</html>\n"
    )
    assert CLASSIFIER.identify(page).product == "Python http.server"


@pytest.mark.parametrize(
    "page",
    [
        b"<p>nginx/1.18.0 is a server</p>",
        b"<address>12 Apache Road</address>",
        b"(squid)",
        b"<center>nginx</center>",
        b"<title>Samsung S21 is the best phone ever made</title>",
        b"<title>Cisco Systems</title>",
        b"<title>Welcome to our brother site</title>",
        b"<title>My DIR-615 broke again after all these years</title>",
        b"<meta name='description' content='generator Foo 1.2'>",
    ],
)
def test_what_a_page_only_writes_about(page: bytes) -> None:
    assert CLASSIFIER.identify(HEAD % (b"", page)).product == ""


def test_a_server_field_counts_more() -> None:
    reply = HEAD % (b"Server: lighttpd/1.4.1\r\n", b"<hr><center>nginx/1.18.0</center>")
    assert CLASSIFIER.identify(reply).product == "lighttpd"


@given(st.binary(max_size=300))
def test_any_bytes(data: bytes) -> None:
    for text in (data, b"HTTP/1.1 200 OK\r\nVia: " + data, b"<address>" + data):
        product, version = errorpages.stated(text)
        assert product or not version
        ntlm.system(b"NTLMSSP\0\2\0\0\0" + data)


def challenge(flags: int = 0x02000000, build: int = 17763, revision: int = 15) -> bytes:
    return (
        b"NTLMSSP\0"
        + struct.pack("<IHHII", 2, 0, 0, 56, flags)
        + bytes(24)
        + struct.pack("<BBH3xB", 10, 0, build, revision)
    )


def test_the_version_of_windows() -> None:
    assert ntlm.system(b"x" * 30 + challenge()) == "Windows 10.0.17763"
    for other in (
        challenge(flags=1),
        challenge(build=0),
        challenge(revision=9),
        challenge()[:55],
        b"NTLMSSP\0",
    ):
        assert ntlm.system(other) == ""


def test_it_is_told_with_details() -> None:
    reply = bytes.fromhex("3044 020101 613f 0a010e 0400 0438") + challenge()
    found = CLASSIFIER.identify(reply)
    assert found.label == "ldap"
    assert found.details.os == "Windows 10.0.17763"


@pytest.mark.parametrize(
    "line", [b"(null) 400 Bad Request", b" 501 Not Implemented", b"HTTP/1.1 400 Bad Request"]
)
def test_a_server_field_without_a_status_line_of_http(line: bytes) -> None:
    for found in map(identify, (line + b"\r\nServer: sample/1.30 x\r\nDate: x\r\n\r\n<html>",)):
        assert (found.label, found.product, found.version) == ("http", "sample", "1.30")
    assert identify(line + b"\r\nDate: x\r\n\r\nServer: sample/1.30").product == ""


OWN = [
    (b"503 Service Unavailable", b"No server is available to handle this request."),
    (b"400 Bad request", b"Your browser sent an invalid request."),
]


@pytest.mark.parametrize(("status", "said"), OWN)
def test_a_balancer_is_known_by_the_answers_it_makes_itself(status: bytes, said: bytes) -> None:
    page = b"<html><body><h1>%s</h1>\n%s\n</body></html>\n" % (status, said)
    head = b"HTTP/1.0 %s\r\nContent-Type: text/html\r\n\r\n" % status
    assert CLASSIFIER.identify(head + page).product == "HAProxy"
    assert CLASSIFIER.identify(head + page.replace(b"\n<", b" at all\n<")).product == ""


@pytest.mark.parametrize("greeting", [b"Welcome to socket.io.", b"Welcome to SockJS!\n"])
def test_a_library_that_greets(greeting: bytes) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n"
    assert CLASSIFIER.identify(head + greeting).product in ("socket.io", "SockJS")
    assert CLASSIFIER.identify(head + b"Hello. " + greeting).product == ""


@pytest.mark.parametrize(
    ("reply", "product"),
    [
        (
            b'RTSP/1.0 401 Unauthorized\r\nWWW-Authenticate: Digest realm="Hikvision", nonce="1"\r\n\r\n',
            "Hikvision",
        ),
        (b'RTSP/1.0 401 Unauthorized\r\nWWW-Authenticate: Basic realm="/"\r\n\r\n', ""),
        (b'SIP/2.0 401 Unauthorized\r\nWWW-Authenticate: Digest realm="box.example"\r\n\r\n', ""),
    ],
)
def test_a_device_that_asks_for_a_password_of_streams(reply: bytes, product: str) -> None:
    assert CLASSIFIER.identify(reply).product == product


def test_four_numbers_that_begin_with_one_digit_are_a_version() -> None:
    head = b"HTTP/1.1 200 OK\r\nServer: Sampler %s\r\n\r\n"
    for number, said in ((b"2.7.10.2", ("Sampler", "2.7.10.2")), (b"12.7.10.2", ("Sampler 12.7.10.2", ""))):
        found = identify(head % number)
        assert (found.product, found.version) == said


FIELDS = [
    (b"httpd", b'WWW-Authenticate: Basic realm="Linksys WRT54G"', "Linksys WRT54G", ""),
    (
        b"Router Webserver",
        b'WWW-Authenticate: Basic realm="TP-LINK Wireless Router TL-WR841N"',
        "TP-LINK Wireless Router TL-WR841N",
        "",
    ),
    (b"httpd", b"X-A: b", "httpd", ""),
    (b"1.0.7", b'WWW-Authenticate: Basic realm="EvoCam"', "EvoCam", ""),
    (b"nginx", b'WWW-Authenticate: Basic realm="Linksys WRT54G"', "nginx", ""),
    (b"mini_httpd/1.19", b'WWW-Authenticate: Basic realm="Linksys WRT54G"', "mini_httpd", "1.19"),
    (b"Python/3.11 sampled/3.8.4", b"X-A: b", "sampled", "3.8.4"),
    (b"Python/3.11", b"X-A: b", "Python", "3.11"),
    (b"Linux/2.6 Sample-BDP/2.0", b"X-A: b", "Sample-BDP", "2.0"),
    (b"Unknown/0.0 UPnP/1.0 Sample-EmWeb/6.2", b"X-A: b", "Sample-EmWeb", "6.2"),
    (b"5.10, UPnP/1.0, Sample SDK/1.6", b"X-A: b", "Sample SDK", "1.6"),
    (b"httpd", b'WWW-Authenticate: Basic realm="AP0F1D85"', "httpd", ""),
]


@pytest.mark.parametrize(("server", "field", "product", "version"), FIELDS)
def test_a_server_field_that_names_no_program(
    server: bytes, field: bytes, product: str, version: str
) -> None:
    found = CLASSIFIER.identify(b"HTTP/1.1 401 Unauthorized\r\nServer: %s\r\n%s\r\n\r\n" % (server, field))
    assert (found.product, found.version) == (product, version)


def test_blanks_around_a_name_are_tried_one_way_only() -> None:
    """A page of descriptions that never end costs about as much full of blanks as full of letters."""

    def cost(letter: bytes) -> float:
        parts = (b"<manufacturer>" + letter * 16 + b"<") * 124
        page = b"HTTP/1.1 200 OK\r\n\r\n" + parts + b"<modelName>" + letter * 60
        times = []
        for _ in range(5):
            start = time.thread_time()
            errorpages.stated(page)
            times.append(time.thread_time() - start)
        return min(times)

    assert cost(b" ") < 15 * cost(b"a") + 2e-3


@pytest.mark.parametrize(
    "page",
    [
        b"<hr>Powered by the community.",
        b"<hr><p>Powered by love and coffee</p>",
        b"<hr>Generated by John on 2026-01-01",
        b"<hr><p>Powered by <a href='https://box.example'>our partners</a>",
    ],
)
def test_below_a_line_stands_what_authors_like_too(page: bytes) -> None:
    assert CLASSIFIER.identify(HEAD % (b"", page)).product == ""


@pytest.mark.parametrize("library", [b"OpenSSL/3.0.1", b"libc/2.3", b"TLS/1.2"])
def test_a_library_behind_a_platform_is_no_server(library: bytes) -> None:
    found = CLASSIFIER.identify(HEAD % (b"Server: Python/3.9 " + library + b"\r\n", b""))
    assert (found.product, found.version) == ("Python", "3.9")
