"""Decides when a server's first bytes are enough to be identified, in a scan and in `lzr identify`.

A reply is complete at once when it is long or ends a line, unless its form says that more comes; otherwise
what follows within GROWTH is added to it. Small servers write a head a line at a time, and the first line
alone tells neither a page that is meant for TLS nor the program.
"""

from __future__ import annotations

ENOUGH = 64
"""Bytes from which a reply is complete: every matcher of lzr/protocols recognises its protocol by fewer."""

LINE = 8
"""Bytes from which a reply that ends with a newline is complete."""

GROWTH = 0.25
"""Seconds that more is waited for after a shorter reply; the default of --settle. A judgement: about a round
trip, as a server that sends a banner in two writes waits for our ACK in between (Nagle, RFC 1122 §4.2.3.4).
"""


def complete(reply: bytes | bytearray) -> bool:
    """Whether a reply, as far as it has come, is complete."""
    return len(reply) >= ENOUGH or (len(reply) >= LINE and reply[-1] == 0x0A and not goes_on(reply))


def goes_on(reply: bytes | bytearray) -> bool:
    """Whether a short reply that ends a line says itself that more comes: a head without the empty line at
    its end (RFC 9112 §2.1), a code with a hyphen in its last line (RFC 959 §4.2, RFC 5321 §4.2.1)."""
    if reply[:5] in _HEADS:
        return not reply.endswith((b"\n\r\n", b"\n\n"))
    last = reply[reply.rfind(b"\n", 0, -1) + 1 :]
    return reply[3:4] == b"-" and reply[:3].isdigit() and not (last[3:4] == b" " and last[:3] == reply[:3])


_HEADS = (b"HTTP/", b"RTSP/")
