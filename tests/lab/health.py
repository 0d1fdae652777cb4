"""Whether an answer is a service's, or only says that the program behind the port has failed.

A daemon that cannot do its work often says so in its own protocol ("500 OOPS: …" of an FTP server), and the
protocol is rightly recognised; to take that for a working daemon would hide that it is not one.
"""

from __future__ import annotations

import re

# NOERROR, NXDOMAIN or REFUSED; a server that cannot answer says SERVFAIL.
_RCODES = b"[" + re.escape(bytes(high << 4 | code for high in range(16) for code in (0, 3, 5))) + b"]"

_WORKING = {
    "ftp": rb"220[ -]",
    "smtp": rb"220[ -]",
    "lmtp": rb"220[ -]",
    "pop3": rb"\+OK",
    "imap": rb"\* OK",
    "nntp": rb"20[01] ",
    "ssh": rb"SSH-2\.0-",
    "http": rb"HTTP/1\.[01] (?:[23]\d\d|40[04])",
    "redis": rb"\+PONG",
    "memcached_ascii": rb"VERSION ",
    "mysql": rb"(?s)...\x00\x0a",  # a greeting of protocol 10; \xff would be an error
    "tls": rb"(?s)\x16\x03.{3}\x02",  # a ServerHello; \x15 would be an alert
    "dns": rb"(?s).{4}[\x80-\xff]" + _RCODES,
    "postgres": rb"[NS]",
    "telnet": rb"\xff[\xfb-\xfe]|\r\nHello, this is FRRouting",
    "rsync": rb"@RSYNCD: \d",
    "managesieve": rb'"IMPLEMENTATION"',
}
"""Label -> how the answer of a working daemon begins, when it is asked in its own words."""

_GREETS = frozenset(("ftp", "smtp", "lmtp", "pop3", "imap", "nntp", "ssh", "mysql", "telnet", "managesieve"))
"""Those that speak first, so that what they say does not depend on what they are asked."""

_FAILURE = re.compile(
    rb"OOPS|Internal Server Error|Traceback \(most recent call last\)|error while loading shared libraries"
    rb"|cannot locate user|not allowed to connect|No such file or directory|command not found"
    rb"|Permission denied|Address already in use|Segmentation fault"
)
"""What no working daemon says first, whatever it is asked."""


def failure(label: str, data: bytes, *, own: bool) -> str:
    """How an answer tells of a failure of the daemon's own, in words; empty where it does not.

    label: the daemon's, not the answer's. data: may be empty. own: it was asked in its own protocol.
    """
    if not data:
        return ""
    if _FAILURE.search(data[:1000]):
        return f"a failure of its own: {data[:120].decode('latin-1')!a}"
    working = _WORKING.get(label)
    if working and (own or label in _GREETS) and not re.match(working, data):
        return f"not what a working {label} server says: {data[:120].decode('latin-1')!a}"
    return ""
