"""HTTP, and what announces itself on top of it: a response is known by its status line.

Whatever a page says about other protocols is only a page. Pages without a status line, as HTTP/0.9 and
Python's http.server give to a broken request, count as HTTP too.
"""

from __future__ import annotations

import re

from lzr.protocols._bytes import MARK
from lzr.protocols._protocol import Host, Protocol
from lzr.protocols._useragent import USER_AGENT
from lzr.protocols.tls import CLIENT_HELLO

IPP_HEADER = re.compile(rb"\n(?:Server: (?:CUPS|[^\r\n]{0,80}IPP/)|Content-Type: application/ipp)")

STATUS_OBJECT = re.compile(
    rb'{ "kind" : "Status" , "apiVersion" : "v1"'.replace(b" ", rb"[ \r\n\t]*").replace(b"{", rb"\{")
)
"""How the object that the API server answers with begins (API conventions, Response Status Kind)."""

RTSP_SERVER = re.compile(rb"\n[Ss]erver: [^\r\n]{0,80}\bRTSP")

PAGE_STARTS = (b"<!doctype html", b"<html", b"<head", b"<title", b"<body", b"<meta ", b"<h1>", b"<script")


STATUS_LINE = re.compile(rb"(?:HTTP|http|RTSP)/\d\.\d [1-9]\d\d[ \r\n]")
"""RFC 9112 §4: version, SP, three digits; then anything that ends them. Some have codes of their own."""

LOOSE_LINE = re.compile(
    rb"(?:HTTP|http|RTSP)/?\d(?:\.\d)? +(?:[1-9]\d\d|000)(?:[ \r\n]|$)"
    rb"|HTTP/(?:\d\.\d|\*\.\*) (?:-1|0|4\d\d) [A-Z(]"
)
"""As some write it: more blanks, no minor version, no slash, no code that means something."""

BEHIND_BLANKS = re.compile(rb"[ \r\n\0]{1,16}+HTTP/\d\.\d [1-9]\d\d[ \r\n]")
"""Some end another line first."""

NO_VERSION = re.compile(
    rb"(?:UNKNOWN|UnknownMethod|\(null\)|INV)? [2345]\d\d [A-Z][A-Za-z ]{1,40}\r\n(?:[A-Z][\w-]{1,40}: |\r\n)"
)
"""What small servers write that could not read the request's version."""


def _page(data: bytes) -> bool:
    """The beginning of an HTML document, after white space, a byte order mark or an XML declaration."""
    text = data[:512].removeprefix(MARK).lstrip().lower()
    if text.startswith((b"<?xml", b"<!--")):
        _, _, text = text.partition(b">")
        text = text.lstrip()
    return text.startswith(PAGE_STARTS) and (b">" in text or len(data) < 32)


def _http(data: bytes) -> bool:
    return STATUS_LINE.match(data) is not None or _loose(data)


def _loose(data: bytes) -> bool:
    if data[:1] in b"Hh":
        return LOOSE_LINE.match(data) is not None
    return _page(data) or NO_VERSION.match(data) is not None or BEHIND_BLANKS.match(data) is not None


_last: tuple[bytes, int] = (b"", 0)
"""The matchers of what travels in HTTP ask in a row where the head of the same reply ends."""


def _head(data: bytes) -> int:
    """Where the head ends, as far as we look."""
    global _last
    if _last[0] is not data:
        end = data.find(b"\r\n\r\n", 12, 1024)
        _last = (data, end if end > 0 else 1024)
    return _last[1]


def _ipp(data: bytes) -> bool:
    """CUPS and printers name IPP in Server or Content-Type (RFC 8010 §3.4); bodies don't count."""
    return IPP_HEADER.search(data, 12, _head(data)) is not None


def _kubernetes(data: bytes) -> bool:
    """The API server's Status object, or a JSON body under the headers that only it sets."""
    end = _head(data)
    if data[end + 4 : end + 5] != b"{" or data[9:10] not in b"24":
        return False
    if data.find(b"\nX-Kubernetes-Pf-", 12, end) > 0:
        return True
    return STATUS_OBJECT.match(data, end + 4, end + 260) is not None


def _rtsp(data: bytes) -> bool:
    """RTSP's own status line, or HTTP's, in which some of its servers refuse what is no RTSP: under it they
    name themselves, list their methods, or number the answer (RFC 2326 §12.17), as HTTP never does."""
    if data[:1] == b"H":
        end = _head(data)
        if data[9:10] == b"2":  # what asks in HTTP is let through to it (QuickTime's tunnel)
            return True
        if data.find(b"\nCSeq: ", 12, end) > 0 or data.find(b" TEARDOWN", 12, end) > 0:
            return True
        return data.find(b"RTSP", 12, end) > 0 and RTSP_SERVER.search(data, 12, end) is not None
    return STATUS_LINE.match(data) is not None or LOOSE_LINE.match(data) is not None


_IPP_REQUEST = (  # RFC 8010 §3.1: IPP/1.1, Get-Printer-Attributes, request 1
    b"\x01\x01\x00\x0b\x00\x00\x00\x01\x01"
    b"\x47\x00\x12attributes-charset\x00\x05utf-8"
    b"\x48\x00\x1battributes-natural-language\x00\x02en"
    b"\x45\x00\x0bprinter-uri\x00\x19ipp://localhost/ipp/print"
    b"\x03"
)

_ODD = (b"HTTP1.", b"(null) ", b"UnknownMethod ", b"INV ")

PROTOCOLS: tuple[Protocol, ...] = (
    Protocol(
        name="http",
        spec="RFC 9112 §4",
        match=_http,
        probe=(
            b"GET / HTTP/1.1\r\nHost: ",
            Host(),
            b"\r\nUser-Agent: " + USER_AGENT + b"\r\nAccept: */*\r\nConnection: close\r\n\r\n",
        ),
        starts=(b"HTTP/", b"http/", b"<", MARK, b"\r\n", b"\n", b" ", b"UNKNOWN ", *_ODD),
        examples=(
            b"HTTP/1.1 200 OK\r\nServer: nginx\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.0 302\r\nLocation: https://192.0.2.1/\r\n\r\n",
            b"http/1.1 404 Not Found\r\n\r\n",
            b"HTTP/1.1 999 Request denied\r\nServer: x\r\n\r\n",
            b"HTTP/1.0  200 OK\r\nContent-Type: text/html\r\n\r\n",
            b"HTTP/1.1 200",
            b"HTTP/1.1 000 \r\nServer: x\r\n\r\n",
            b" 501 Not Implemented\r\nConnection: close\r\n\r\n",
            b"(null) 400 Bad Request\r\nServer: mini_httpd/1.19\r\n\r\n",
            b"UnknownMethod 403 Forbidden\r\nConnection: keep-alive\r\n\r\n",
            b"HTTP1.1 405 Method Not Allowed\r\n",
            b"HTTP/1.0 -1 Internal Server Error\r\n\r\n",
            b"HTTP/*.* 400 Bad Request\r\nContent-Type:text/plain\r\n\r\n",
            b"UNKNOWN 400 Bad Request\r\nServer: mini_httpd/1.30\r\n\r\n",
            b"<?xml version='1.0'?>\n<!DOCTYPE html>\n<html>",
            b"<!DOCTYPE HTML>\n<html><head><title>Error response</title></head>",
            b"\r\n<html>\r\n<head><title>400 Bad Request</title></head>",
            b"\r\nHTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\n",
            b"\r\n\r\n\0HTTP/1.0 500 Internal Server Error\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n220 ESMTP Postfix SSH-2.0-x IPP/2.0 CUPS",
        ),
        rejects=(
            b"HTTP/1.1 is spoken elsewhere\r\n",
            b"GET / HTTP/1.1\r\nHost: 192.0.2.1\r\n\r\n",
            b"<?xml version='1.0'?><stream:stream xmlns='jabber:client'>",
            b"<policy-file-request/>",
            b"HTTP",
            b"\r\nlogin: ",
            b"\r\nHTTP/1.1 is spoken elsewhere\r\n",
            b"\r\n" * 9 + b"HTTP/1.1 200 OK\r\n\r\n",
            b"HTTP/1.1 2000 OK\r\n",
            b"HTTP/1.1 099 OK\r\n",
            b"(null) pointer\r\n",
            b"HTTP1 is old\r\n",
            b"HTTP/1.1 0 apples\r\n",
            b" 501 apples\r\nand pears\r\n",
            b" 501 Not Implemented yet, and no header follows",
            b"UNKNOWN COMMAND\n",
        ),
        ports=(80, 81, 591, 3000, 5000, 7547, 8000, 8008, 8080, 8081, 8888, 9000),
        zgrab="http",
    ),
    Protocol(
        name="ipp",
        spec="RFC 8010 §3.4, RFC 8011 §4.2.5",
        match=_ipp,
        probe=(
            b"POST /ipp/print HTTP/1.1\r\nHost: ",
            Host(),
            b"\r\nUser-Agent: " + USER_AGENT + b"\r\nContent-Type: application/ipp\r\nContent-Length: "
            b"%d\r\nConnection: close\r\n\r\n" % len(_IPP_REQUEST) + _IPP_REQUEST,
        ),
        starts=(b"HTTP/1.",),
        in_http=(b"Server: CUPS", b"IPP/", b"application/ipp"),
        examples=(
            b"HTTP/1.1 200 OK\r\nServer: CUPS/2.3 IPP/2.1\r\nContent-Type: text/html\r\n\r\n<html>",
            b"HTTP/1.1 200 OK\r\nContent-Type: application/ipp\r\n\r\n\x02\x00\x00\x00\x00\x00\x00\x01",
        ),
        rejects=(b"HTTP/1.1 200 OK\r\nServer: x\r\n\r\nServer: CUPS/2.3 IPP/2.1 application/ipp",),
        ports=(631,),
        zgrab="ipp",
    ),
    Protocol(
        name="kubernetes",
        spec="Kubernetes API conventions, Response Status Kind",
        match=_kubernetes,
        probe=CLIENT_HELLO,
        starts=(b"HTTP/1.",),
        in_http=(b"X-Kubernetes-Pf-", b'"kind"'),
        examples=(
            b"HTTP/1.1 403 Forbidden\r\nX-Kubernetes-Pf-Flowschema-Uid: 1\r\n\r\n{}",
            b"HTTP/1.1 403 Forbidden\r\nContent-Type: application/json\r\n\r\n"
            b'{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","code":403}',
            b"HTTP/1.1 401 Unauthorized\r\nContent-Type: application/json\r\n\r\n"
            b'{\n  "kind": "Status",\n  "apiVersion": "v1",\n  "metadata": {}\n}',
        ),
        rejects=(b'HTTP/1.1 200 OK\r\n\r\n<p>{"kind":"Status","apiVersion":"v1"}',),
        ports=(6443, 8443, 10250),
        zgrab="http",
    ),
    Protocol(
        name="rtsp",
        spec="RFC 2326 §7.1, RFC 7826 §8.1",
        match=_rtsp,
        probe=(b"OPTIONS rtsp://", Host(), b"/ RTSP/1.0\r\nCSeq: 1\r\n\r\n"),
        starts=(
            *(b"RTSP/1.", b"RTSP/2.", b"HTTP/1.0 4", b"HTTP/1.0 5", b"HTTP/1.1 4", b"HTTP/1.1 5"),
            *(b"HTTP/1.%d 200 OK\r\nContent-Type: application/x-rtsp-tunnelled" % minor for minor in (0, 1)),
        ),
        in_http=(b"CSeq: ", b"TEARDOWN", b"RTSP", b"x-rtsp-"),
        examples=(
            b"RTSP/1.0 200 OK\r\nCSeq: 1\r\nPublic: OPTIONS, DESCRIBE, SETUP, PLAY\r\n\r\n",
            b"RTSP/1.0 401 Unauthorized\r\nCSeq: 1\r\n\r\n",
            b"HTTP/1.1 503 Service Unavailable\r\nServer: GStreamer RTSP server\r\n\r\n",
            b"HTTP/1.0 400 Bad Request\r\nCSeq: 0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Type: application/x-rtsp-tunnelled\r\nServer: Sampler 1.0\r\n\r\n",
            b"HTTP/1.0 501 Not Implemented\r\nAllow: DESCRIBE, PLAY, SETUP, TEARDOWN\r\n\r\n",
        ),
        rejects=(
            b"RTSP/1.0\r\n",
            b"OPTIONS / RTSP/1.0\r\n\r\n",
            b"HTTP/1.1 503 OK\r\nServer: x\r\n\r\nServer: GStreamer RTSP server\r\n",
            b"HTTP/1.1 503 OK\r\nServer: Artsp/1.0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n\r\nContent-Type: application/x-rtsp-tunnelled\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\nRTSP",
        ),
        ports=(554, 8554),
        zgrab="",
    ),
)
