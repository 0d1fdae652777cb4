"""Small readers of untrusted bytes: nothing raises, everything is linear.

An integer past the end reads as -1, which no length, type or version equals.
"""

from __future__ import annotations

TEXT = bytes([*range(0x20, 0x7F), 9, 10, 12, 13])
"""Printable ASCII and white space."""

MARK = b"\xef\xbb\xbf"
"""UTF-8's byte order mark, which .NET's writers put in front of whatever text they send first, greetings and
status lines too; the protocol begins behind it."""

BINARY = bytes([*range(9), 11, *range(14, 27), *range(28, 32), 127])
"""Control characters that no text holds (white space and ESC, which starts terminal colours, are allowed)."""


def be16(data: bytes, at: int) -> int:
    field = data[at : at + 2]
    return int.from_bytes(field, "big") if len(field) == 2 else -1


def be24(data: bytes, at: int) -> int:
    field = data[at : at + 3]
    return int.from_bytes(field, "big") if len(field) == 3 else -1


def be32(data: bytes, at: int) -> int:
    field = data[at : at + 4]
    return int.from_bytes(field, "big") if len(field) == 4 else -1


def le16(data: bytes, at: int) -> int:
    field = data[at : at + 2]
    return int.from_bytes(field, "little") if len(field) == 2 else -1


def le24(data: bytes, at: int) -> int:
    field = data[at : at + 3]
    return int.from_bytes(field, "little") if len(field) == 3 else -1


def le32(data: bytes, at: int) -> int:
    field = data[at : at + 4]
    return int.from_bytes(field, "little") if len(field) == 4 else -1


def head_end(data: bytes, reach: int) -> tuple[int, int]:
    """Where the head of a response ends and where its body begins; (-1, -1) where it goes on beyond `reach`.

    Lines end with CR LF, of some servers with LF alone, which the first line shows (RFC 9112 §2.2).
    """
    line = data.find(b"\n", 0, reach)
    if line >= 0 and data[line - 1 : line] != b"\r":
        end = data.find(b"\n\n", 0, reach)
        if end >= 0:
            return end, end + 2
    end = data.find(b"\r\n\r\n", 0, reach)
    return (end, end + 4) if end >= 0 else (-1, -1)


def is_ascii_text(data: bytes) -> bool:
    """Nothing but printable ASCII and white space."""
    return not data.translate(None, TEXT)


def is_text(data: bytes) -> bool:
    """No control characters but white space and ESC; any encoding of letters."""
    return len(data.translate(None, BINARY)) == len(data)


def line(data: bytes, limit: int = 512) -> bytes:
    """The first line without its end."""
    return data[:limit].split(b"\n", 1)[0].rstrip(b"\r")
