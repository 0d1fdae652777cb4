"""Takes out of text replies what differs between two answers of the same service: dates, tokens, counters.

Web replies (HTTP and what is built like it) are taken apart into header fields and body; greetings and other
lines only lose words that look like a time, a number of an event or a random token. What is taken out is
replaced by a mark, so that what surrounds it still counts. Every pattern takes linear time.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable

MARK = b"\x00"
"""Stands for whatever was taken out; a text reply holds no zero byte of its own worth telling apart."""

_MOST = 65536  # bytes of a body that are looked at after unpacking

_MONTH = rb"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]{0,6}"
_DAY = rb"(?:mon|tue|wed|thu|fri|sat|sun)[a-z]{0,6}"
_CLOCK = rb"\d{1,2}:\d\d(?::\d\d(?:[.,]\d{1,9})?)?(?: ?[ap]m\b)?"
_ZONE = rb"(?: ?(?:[+-]\d\d:?\d\d\b|\b(?:gmt|utc|z|cet|cest|[ecmp][sd]t|msk|jst|bst|ist)\b))?"
_VARYING = re.compile(
    b"|".join(
        (
            # "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110 §5.6.7, RFC 5322 §3.3), "06-Nov-94"
            rb"(?:" + _DAY + rb",? {1,2})?\b\d{1,2}[ -]" + _MONTH + rb"[ -]\d{2,4}\b",
            # "Sun Nov  6 08:49:37 1994" (asctime), with or without a zone before the year
            rb"\b" + _DAY + rb",? " + _MONTH + rb" {1,2}\d{1,2},? " + _CLOCK + _ZONE + rb"(?: \d{4}\b)?",
            rb"\b" + _MONTH + rb" {1,2}\d{1,2},? (?:\d{4}\b,? ?)?" + _CLOCK + _ZONE + rb"(?: \d{4}\b)?",
            rb"\b" + _MONTH + rb" {1,2}\d{1,2}, \d{4}\b",
            # 2024-01-31, 2024/01/31T12:00:00.123Z (RFC 3339), 20240131120000Z (RFC 4517 §3.3.13)
            rb"\b\d{4}[-/.]\d\d[-/.]\d\d(?:[t _]" + _CLOCK + _ZONE + rb")?",
            rb"\b\d{1,2}[-/.]\d{1,2}[-/.]20\d\d\b",
            _CLOCK + _ZONE,
            # the long ones: tokens, identifiers, times in seconds or less
            rb"[a-z0-9+_=-]{12,}(?:\.[0-9a-z_-]{12,})*",
            rb"\b\d{9,}(?:\.\d+)?\b",
        )
    ),
    re.IGNORECASE,
)
_TOKEN_SIZE = 20
_LETTERS = re.compile(rb"[A-Za-z]")
_DIGITS = re.compile(rb"[0-9]")
_HEX = re.compile(rb"[0-9a-fA-F-]+\Z")
_NAMED = re.compile(
    rb'("(?:took|uptime|time|timestamp|ts|now|nonce|salt|server_time|localtime|currenttime|client_id|client_ip|'
    rb'session|session_?id|request_?id|trace_?id|token|csrf_?token|xid|id|cid|sid|expires|age|latency)"\s*:\s*)'
    rb'(?:"[^"]{0,4096}"|[-+.0-9eE]+)',
    re.IGNORECASE,
)
"""Members of a JSON object that tell of the moment, the client or the request."""

_COUNTED = re.compile(
    rb"((?:user number|user|connection|client|session|process|pid|up|uptime|load averages?:?|sent|received|"
    rb"outstanding|connections|latency [a-z/]+:|zxid:|count:|node count:) ?[:#=(]? ?)"
    rb"(?:0x)?[0-9a-f.]*\d[0-9a-f./]*",
    re.IGNORECASE,
)
_NUMBER = re.compile(rb"-?\b\d+(?:\.\d+)?\b")
_STATISTIC = re.compile(rb"(?m)^(?!.*version)((?:STAT )?[a-z_]+[ :]).*$", re.IGNORECASE)

FIELDS = frozenset(
    (
        b"date expires age etag content-length content-md5 digest retry-after warning via connection "
        b"keep-alive "
        b"x-request-id x-requestid request-id x-correlation-id correlation-id x-trace-id x-b3-traceid "
        b"traceparent "
        b"tracestate x-amzn-requestid x-amzn-trace-id x-amz-request-id x-amz-id-2 x-amz-cf-id x-amz-cf-pop "
        b"cf-ray cf-request-id cf-cache-status x-served-by x-timer x-cache x-cache-hits x-cache-lookup "
        b"x-varnish "
        b"x-runtime x-response-time x-ms-request-id x-azure-ref x-msedge-ref x-fb-debug x-fb-rev "
        b"x-github-request-id x-goog-hash x-guploader-uploadid x-request-time x-nonce x-transaction-id "
        b"x-transaction x-akamai-request-id akamai-grn x-iinfo x-cdn-request-id x-hw x-ser x-swift-savetime "
        b"x-swift-cachetime eagleid server-timing report-to nel x-proxy-id x-backend x-vcap-request-id "
        b"x-kubernetes-pf-flowschema-uid x-kubernetes-pf-prioritylevel-uid audit-id x-influxdb-build-time "
        b"x-plex-process-time x-elapsed-time x-time x-ua-time x-oss-request-id x-oss-server-time "
        b"x-cos-request-id x-nws-log-uuid x-sid cseq call-id session x-envoy-upstream-service-time "
        b"x-datadome-cid x-csrf-token x-xsrf-token x-session-id ot-tracer-spanid ot-tracer-traceid"
    ).split()
)
"""Header fields of which only the presence counts, in small letters."""

_QUOTED = re.compile(rb'((?:nonce|opaque|cnonce)=)(?:"[^"]*"|[^,; ]+)', re.IGNORECASE)
_SECRET = re.compile(rb"\b(NTLM|Negotiate) [A-Za-z0-9+/=]+")
_COOKIE = re.compile(rb"(expires|max-age)=[^;]*", re.IGNORECASE)
_TAG = re.compile(rb"(;(?:tag|branch|received|rport)=)[^;\s]*", re.IGNORECASE)
_CSP = re.compile(rb"('nonce-)[^']*'")
_APOP = re.compile(rb"<[^<>@\s]{3,200}@")
_GREETED = re.compile(rb"(ESMTP|SMTP) [a-z0-9][a-z0-9.-]{5,} - gsmtp", re.IGNORECASE)
_HIDDEN = re.compile(
    rb"""((?:csrf|xsrf|token|nonce|viewstate|eventvalidation|session|sid|state|authenticity)[\w$.:-]{0,40}"""
    rb"""["']?\s{0,4}(?:(?:type|id|class)="[^"<>]{0,40}"\s{0,4}){0,2}(?:value|content)?\s?[=:]\s?["'])[^"'<>]{0,65536}""",
    re.IGNORECASE,
)
"""Hidden inputs, meta elements and variables of scripts that hold a token, by their names."""

WEB = (b"HTTP/", b"RTSP/", b"SIP/", b"ICAP/", b"ICY ")


def web(data: bytes) -> bytes:
    """A reply made of a status line, header fields and a body (RFC 9112 §2.1)."""
    head, gap, body = data.partition(b"\r\n\r\n")
    if not gap:
        head, gap, body = data.partition(b"\n\n")
    lines = head.split(b"\r\n" if b"\r\n" in head else b"\n")
    kept = [lines[0]]
    chunked, packed = False, b""
    for line in lines[1:]:
        name, _, value = line.partition(b":")
        small = name.strip().lower()
        if small == b"transfer-encoding":
            chunked = b"chunked" in value.lower()
        elif small == b"content-encoding":
            packed = value.strip().lower()
        kept.append(field(line))
    if chunked:
        body = _unchunked(body)
    if packed in (b"gzip", b"x-gzip", b"deflate"):
        body = _unpacked(body)
    elif packed:
        body = MARK  # br, zstd: no telling what is in it
    return b"\n".join(kept) + gap + text(body)


def varying(part: bytes) -> bytes:
    """`part` without times, long numbers and tokens."""
    return _VARYING.sub(_marked, part)


def _marked(found: re.Match[bytes]) -> bytes:
    word = found[0]
    if len(word) < 12 or b" " in word or b":" in word or word[:1] in b"\"'":
        return MARK
    digits = len(_DIGITS.findall(word))
    letters = len(_LETTERS.findall(word))
    if digits == len(word):
        return MARK
    if not letters:
        return MARK  # a date, or punctuation between digits
    if _HEX.match(word) and digits >= 2:
        return MARK
    if len(word) >= _TOKEN_SIZE and digits >= 3:
        return MARK
    mixed = word != word.lower() and word != word.upper()
    if digits >= 3 and mixed:
        return MARK
    return word if letters > 2 * digits or b"-" in word else MARK


def field(line: bytes, rest: Callable[[bytes], bytes] = varying) -> bytes:
    """A header field. rest: what masks its value, after what fields of that name hold."""
    name, colon, value = line.partition(b":")
    small = name.strip().lower()
    if small in FIELDS:
        return small
    if small == b"set-cookie":
        return _cookie(value)
    if small in (b"www-authenticate", b"proxy-authenticate"):
        value = _SECRET.sub(rb"\1 " + MARK, _QUOTED.sub(rb"\1" + MARK, value))
    elif small == b"content-security-policy":
        value = _CSP.sub(rb"\1" + MARK, value)
    elif small in (b"from", b"to", b"f", b"t"):
        value = _TAG.sub(rb"\1" + MARK, value)
    return small + colon + rest(value)


def _cookie(value: bytes) -> bytes:
    """Names and attributes stay; the value and how long it lasts do not (RFC 6265 §4.1)."""
    name, _, rest = value.partition(b"=")
    _, semicolon, attributes = rest.partition(b";")
    return b"set-cookie:" + varying(name) + semicolon + unexpired(attributes)


def unexpired(attributes: bytes) -> bytes:
    """Attributes of a cookie without how long it lasts."""
    return _COOKIE.sub(rb"\1", attributes)


def _unchunked(body: bytes) -> bytes:
    """As far as it is whole (RFC 9112 §7.1); the sizes of chunks say nothing of what is in them."""
    parts = []
    at = 0
    while at < len(body):
        end = body.find(b"\n", at, at + 100)
        size_text = body[at:end].split(b";")[0].strip()
        if end < 0 or not size_text or len(size_text) > 8:
            break
        try:
            size = int(size_text, 16)
        except ValueError:
            break
        if size <= 0:
            break
        parts.append(body[end + 1 : end + 1 + size])
        at = end + 1 + size + 2
    return b"".join(parts) if parts else body


def _unpacked(body: bytes) -> bytes:
    """What gzip or zlib holds, as far as it came and at most so much of it."""
    for bits in (47, -15):  # gzip or zlib by their heads; raw deflate, as some servers send it
        try:
            return zlib.decompressobj(bits).decompress(body, _MOST)
        except zlib.error:
            continue
    return MARK


def text(data: bytes) -> bytes:
    """Lines, pages, JSON: without what names show to vary, times and tokens."""
    return varying(unnamed(data))


def unnamed(data: bytes) -> bytes:
    """Text without what names of members, inputs and cookies show to vary."""
    if b"{" in data:
        data = _NAMED.sub(rb"\1" + MARK, data)
    if b"=" in data or b":" in data:
        data = _HIDDEN.sub(rb"\1" + MARK, data)
    return data


def greeting(data: bytes) -> bytes:
    """What a server says first, in lines: mail, files, chat, terminals."""
    data = _GREETED.sub(rb"\1 " + MARK, unclocked(data))
    return text(_COUNTED.sub(rb"\1" + MARK, data))


def unclocked(data: bytes) -> bytes:
    """A greeting without process and clock in its identifier (RFC 1939 §7)."""
    return _APOP.sub(b"<" + MARK + b"@", data) if b"@" in data else data


def statistics(data: bytes) -> bytes:
    """Lines of a name and a figure: only the names stay, but for versions (memcached, Redis, ZooKeeper)."""
    return greeting(_STATISTIC.sub(rb"\1" + MARK, data))


def numbers(data: bytes) -> bytes:
    """Every number taken out, for replies that are made of figures of the moment."""
    return text(_NUMBER.sub(MARK, data))
