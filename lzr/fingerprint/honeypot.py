"""Recognises replies that hold the banners of several protocols in a row, as some honeypots send them.

A server speaks one protocol, so a text greeting in which a later line begins another protocol's banner is not
a server's.
"""

from __future__ import annotations

import re

NAME = "honeypot-like"
"""What such a reply is called where an application would be; its label is `unknown`."""

_BANNERS = (
    rb"(SSH-\d\.\d\d?-)|([245]\d\d[ -])|(\+OK )|(\* (?:OK|BYE|PREAUTH) )|(HTTP/1\.[01] \d\d\d )"
    rb"|(RFB 00\d\.\d\d\d)|(@RSYNCD: \d)|(\xff[\xfb-\xfe])|(-(?:NOAUTH|DENIED|ERR unknown command))|(AMQP\0)"
)
_FIRST = re.compile(_BANNERS)
_LATER = re.compile(rb"\n(?:" + _BANNERS.replace(rb"[245]\d\d", rb"220") + rb")")

GREETINGS = frozenset(("ssh", "smtp", "ftp", "smtp-ftp", "pop3", "imap", "vnc", "rsync", "nntp", "redis"))
"""Labels whose replies are text that a server says by itself, line by line."""

_REACH = 2048  # bytes of a reply that are searched for a second banner


def like(data: bytes) -> bool:
    """Whether a later line opens the banner of another protocol than the first line's."""
    if data.find(b"\n", 3, -1) < 0:
        return False
    first = _FIRST.match(data)
    if first is None or first.lastindex == _HTTP:  # whatever a page says about others is only a page
        return False
    for later in _LATER.finditer(data, 4, _REACH):
        answers = first.lastindex == _POP3 and later[0] == b"\n-ERR unknown command"
        if later.lastindex != first.lastindex and not answers:
            return True
    return False


_POP3, _HTTP = 3, 5
