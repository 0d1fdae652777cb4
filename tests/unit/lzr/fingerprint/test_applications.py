"""Every row of the application table: a reply that it names, and look-alikes that it must not."""

from __future__ import annotations

import pytest

from lzr import identify
from lzr.fingerprint import applications
from lzr.fingerprint.applicationtable import TABLE

ROWS = [tuple(line.split(" ")) for line in TABLE.strip().split("\n")]
OK = b"HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n"
DATE = b"\x06\x03\x55\x04\x03\x0c\x40"


def reply(where: str, text: bytes) -> bytes:
    """A reply that holds `text` in that place."""
    if where == "header":
        return OK + text.title() + b": 1\r\n\r\n"
    if where in ("server", "upgrade"):
        return OK + where.encode() + b": " + text + b"\r\n\r\n"
    if where == "cookie":
        return OK + b"Set-Cookie: " + text + b"; Path=/\r\n\r\n"
    if where == "location":
        return b"HTTP/1.1 302 Found\r\nLocation: http://192.0.2.1" + text + b"\r\n\r\n"
    if where == "realm":
        return b'HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm="' + text + b"\r\n\r\n"
    if where == "title":
        return OK + b"\r\n<html><head><title>" + text + b"</title>"
    if where == "certificate":
        return b"\x16\3\3" + DATE + text
    return OK + b"\r\n" + (b"{" + text if where == "json" else text)


def needle(text: str, where: str) -> bytes:
    plain = text.rstrip("*").removesuffix("$")
    if where == "json":
        return (plain if '"' in plain else plain.replace("_", " ")).encode()
    return (plain if where in ("header", "cookie", "location") else plain.replace("_", " ")).encode()


def read(data: bytes) -> str:
    return applications.read(data)[0]


def lookalikes(where: str, text: str) -> list[bytes]:
    """What only begins, or ends, like the needle."""
    word = needle(text, where)
    changed = word[:-1] + (b"#" if word[-1:] != b"#" else b"!")
    if where in ("json", "certificate"):  # which are found anywhere, so their words are whole by themselves
        return [changed]
    behind = (b"/x" if where == "location" else b"x") + word
    longer = [word + b"ish", word + b"erver/1.0"] if word[-1:].isalnum() and not text.endswith("*") else []
    return [changed, behind, *longer]


WHERE = sorted({where for where, _, _ in ROWS})


@pytest.mark.parametrize("where", WHERE)
def test_a_row_names_what_it_stands_for(where: str) -> None:
    rows = [(text, name) for place, text, name in ROWS if place == where]
    assert [text for text, name in rows if read(reply(where, needle(text, where))) != name] == []
    if where != "certificate":  # some end their lines with LF alone
        bare = [
            (text, reply(where, needle(text, where)).replace(b"\r\n", b"\n"), name) for text, name in rows
        ]
        assert [text for text, data, name in bare if read(data) != name] == []


def test_a_body_is_no_head_where_lines_end_with_lf_alone() -> None:
    page = b"HTTP/1.0 200 OK\nContent-Type: text/html\n\n<html><title>x</title>\nServer: Zabbix/1.2\r\n\r\n"
    assert applications.read(page) == ("", b"")


@pytest.mark.parametrize("where", WHERE)
def test_no_row_names_what_only_looks_like_it(where: str) -> None:
    rows = [(text, name) for place, text, name in ROWS if place == where]
    wrong = [
        (text, like)
        for text, name in rows
        for like in lookalikes(where, text)
        if read(reply(where, like)) == name
    ]
    assert wrong == []


LOOKALIKES = [
    (OK + b"Server: WebServer\r\n\r\n", "goahead"),
    (OK + b"Server: WebSEAL/9.0\r\n\r\n", "goahead"),
    (OK + b"Server: WebSockify Python/3\r\n\r\n", "goahead"),
    (OK + b"Server: Webstack\r\n\r\n", "goahead"),
    (OK + b"Server: Monitor/2\r\n\r\n", "monit"),
    (b"HTTP/1.1 302 Found\r\nLocation: /web/index.html\r\n\r\n", "plex"),
    (b"HTTP/1.1 302 Found\r\nLocation: /graphql\r\n\r\n", "prometheus"),
    (b"HTTP/1.1 302 Found\r\nLocation: /label/1\r\n\r\n", "jupyter"),
    (b"HTTP/1.1 302 Found\r\nLocation: /start.html\r\n\r\n", "idrac"),
    (b'HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm="Security Camera"\r\n\r\n', "elasticsearch"),
    (OK + b"\r\n<title>Vaultwarden Web Vault</title>", "vault"),
    (OK + b"\r\n<title>Consultants Ltd</title>", "consul"),
    (OK + b"\r\n<title>Unified communication</title>", "unifi"),
    (OK + b"\r\n<title>Minecraft shop</title>", "minecraft-map"),
    (OK + b"\r\nOk. This is a long answer\n", "clickhouse"),
    (OK + b"\r\n404 page not found, sorry\n", "go-http"),
    (OK + b"Set-Cookie: testing_group=7\r\n\r\n", "webmin"),
]


@pytest.mark.parametrize(("data", "name"), LOOKALIKES, ids=lambda v: v if isinstance(v, str) else "")
def test_a_lookalike_is_something_else(data: bytes, name: str) -> None:
    assert identify(data).application != name


def test_the_longest_needle_wins() -> None:
    assert read(OK + b"Server: Cisco-IOS\r\n\r\n") == "cisco-ios"
    assert read(OK + b"Server: Cisco AWARE 2.0\r\n\r\n") == "cisco"


def relay(
    issuer: bytes = b"www.abcdefghij23.com", subject: bytes = b"www.k4l5mnopqr.net", more: bytes = b"0"
) -> bytes:
    """A record of TLS 1.2 with a certificate of those names."""

    def named(text: bytes) -> bytes:
        attribute = b"\x06\x03\x55\x04\x03\x0c" + bytes((len(text),)) + text
        sized = b"0" + bytes((len(attribute),)) + attribute
        inner = b"1" + bytes((len(sized),)) + sized
        return b"0" + bytes((len(inner),)) + inner

    dates = b"0\x1e\x17\x0d261101000000Z\x17\x0d271101000000Z"
    body = b"\x02\0\0\x26\3\3" + b"r" * 32 + b"\0\xc0\x2f\0" + b"c" * 40
    record = body + named(issuer) + dates + named(subject) + more + b"\x82" * 80
    return b"\x16\3\3" + len(record).to_bytes(2, "big") + record


def test_a_tor_relay_shows_by_its_names() -> None:
    found = identify(relay())
    assert (found.label, found.application) == ("tls", "tor")
    assert identify(relay(issuer=b"www.example.com", subject=b"www.example.net")).application == ""
    for other in (
        relay(issuer=b"www.abcdefghij23.net"),
        relay(subject=b"www.k4l5mnopqr.com"),
        relay(subject=b"www.k4l5mnopqr89.net"),
        relay(subject=b"mail.k4l5mnopqr.net"),
        relay(more=b"1"),
    ):
        assert identify(other).application == ""
