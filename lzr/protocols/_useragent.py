"""Sets the User-Agent of the probes that have one: requests of HTTP, RTSP, SIP and ICAP.

RFC 9110 §10.1.5; RTSP (RFC 2326 §12.41), SIP (RFC 3261 §20.41) and ICAP (RFC 3507 §4.3.2) have the field too.
Unless told otherwise, the probes of the reference keep its browser's name and the others say nothing.
"""

from __future__ import annotations

import re

from msgspec.structs import replace

from lzr.protocols._protocol import Part, Protocol

USER_AGENT = b"Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"

_FIELD = b"\r\nUser-Agent: "
_REQUEST = re.compile(rb"[A-Z]+ \S* (?:HTTP/1\.[01]|RTSP/1\.0|SIP/2\.0|ICAP/1\.0)\r\n")
"""A request line, where the peer's name is left out."""


def carries(protocol: Protocol) -> bool:
    """Whether the probe is a request that can have the field."""
    return _REQUEST.match(b"".join(part for part in protocol.parts if isinstance(part, bytes))) is not None


def introduced(protocol: Protocol, agent: str) -> Protocol:
    """`protocol` with a probe that says `agent` (Latin-1, no control characters), if the probe can say it."""
    if not carries(protocol):
        return protocol
    field = _FIELD + agent.encode("latin-1")
    parts: list[Part] = []
    said = False
    for part in protocol.parts:
        if isinstance(part, bytes) and not said:
            head, end, body = part.partition(b"\r\n\r\n")
            said = bool(end) or _FIELD + USER_AGENT in head
            if _FIELD + USER_AGENT in head:
                parts.append(head.replace(_FIELD + USER_AGENT, field) + end + body)
            else:
                parts.append(head + field + end + body if end else part)
        else:
            parts.append(part)
    return replace(protocol, probe=tuple(parts))
