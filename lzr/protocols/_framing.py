"""How matchers read a reply: numbers, lengths, lines, DER, ISO transport.

Nothing here raises, whatever the bytes: a number past the end reads as what is there, a length that does
not fit is refused. A first segment can hold less than its message (the rest follows) or more (a second
message rides along), so a length is compared with `fits` or `leads`.
"""

from __future__ import annotations

from lzr.protocols._bytes import be16

FULL_SEGMENT = 500
"""A reply at least this long can be the first segment of a longer message (the least MSS in use is 536)."""


def fits(data: bytes, total: int) -> bool:
    """Whether a message of `total` bytes is what `data` holds: all of it, or a full segment of it."""
    return total == len(data) or total > len(data) >= FULL_SEGMENT


def leads(data: bytes, total: int) -> bool:
    """As `fits`, but another message may follow in the same segment."""
    return 0 < total <= len(data) or total > len(data) >= FULL_SEGMENT


def first_line(data: bytes) -> bytes:
    """The first line without its end; empty if none ends within 1,000 bytes."""
    end = data.find(b"\n", 0, 1000)
    return data[:end].rstrip(b"\r") if end > 0 else b""


def printable(text: bytes) -> bool:
    """Whether this is plain ASCII text, without control characters."""
    return text.isascii() and text.decode("ascii").isprintable()


def der_length(data: bytes, at: int) -> tuple[int, int]:
    """The definite length at `at` and where the contents begin; (-1, at) if there is none (X.690 §8.1.3)."""
    if at >= len(data):
        return -1, at
    first = data[at]
    if first < 0x80:
        return first, at + 1
    size = first & 0x7F
    if not 1 <= size <= 4 or at + 1 + size > len(data):
        return -1, at
    return int.from_bytes(data[at + 1 : at + 1 + size], "big"), at + 1 + size


def der(tag: int, *contents: bytes) -> bytes:
    """One DER element, for probes."""
    body = b"".join(contents)
    size = len(body)
    if size < 0x80:
        return bytes((tag, size)) + body
    return bytes((tag, 0x82)) + size.to_bytes(2, "big") + body


def varint(data: bytes, at: int) -> tuple[int, int]:
    """A base-128 number (protocol buffers, Minecraft) and where it ends; (-1, at) where there is none."""
    value = 0
    for i in range(5):
        if at + i >= len(data):
            break
        value |= (data[at + i] & 0x7F) << (7 * i)
        if data[at + i] < 0x80:
            return value, at + i + 1
    return -1, at


def xml_root(data: bytes) -> bytes:
    """What follows an XML declaration and white space: the root element, or what comes before it."""
    text = data[:1500].lstrip()
    if not text.startswith(b"<?xml"):
        return text
    return text.partition(b"?>")[2].lstrip()


COTP_REQUEST = bytes.fromhex("03000016 11e00000 000100c0 010ac102 0100c202 0102")
"""A connection request of ISO transport (COTP, RFC 905 §13.3) in a TPKT (RFC 1006), for a controller."""

COTP_CONFIRM = bytes.fromhex("03000016 11d00001 000100c0 010ac102 0100c202 0102")
"""How it is confirmed."""


def cotp_data(data: bytes) -> tuple[int, int]:
    """Where a COTP DT's user data begins in a TPKT and where it ends, behind a connection confirm if there is
    one; (-1, 0) if there is none.
    """
    at = 0
    if data[5:6] == b"\xd0" and be16(data, 2) == data[4] + 5:
        at = be16(data, 2)
    if data[at : at + 2] != b"\3\0" or data[at + 4 : at + 7] != b"\2\xf0\x80":
        return -1, 0
    return at + 7, at + be16(data, at + 2)
