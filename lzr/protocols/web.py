"""HTTP and what is built on its first line: RFC 9112 §4, a status line."""

from __future__ import annotations

from lzr.protocols.base import Host, Protocol


def _http(data: bytes) -> bool:
    return len(data) >= 12 and data[8:9] == b" " and data[9:12].isdigit()


PROTOCOLS: tuple[Protocol, ...] = (
    Protocol(
        name="http",
        spec="RFC 9112 §4",
        match=_http,
        probe=(b"GET / HTTP/1.1\r\nHost: ", Host(), b"\r\nAccept: */*\r\n\r\n"),
        starts=(b"HTTP/1.",),
        examples=(b"HTTP/1.1 200 OK\r\nServer: x\r\n\r\n",),
        rejects=(b"HTTP/1.1 is the best\r\n",),
        ports=(80, 8080),
        zgrab="http",
    ),
)
