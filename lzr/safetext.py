"""Makes bytes that came from strangers harmless to show on a terminal.

What comes out is printable ASCII (0x20 to 0x7e) and at most one mark that says "cut". So it holds
no control character, escape sequence (7 or 8 bit) or text direction override, nothing wider than one cell and
no line break; each of those is written as `\\r`, `\\n`, `\\t` or `\\xNN`. (`lines` keeps line breaks, and
letters of any script.) Markup is *not* escaped: `[bold]` is harmless as long as nobody parses it, so callers
show the text as plain text.
"""

from __future__ import annotations

_SHOWN = tuple(chr(byte) if 0x20 <= byte < 0x7F else f"\\x{byte:02x}" for byte in range(256))
SHOWN = tuple({9: "\\t", 10: "\\n", 13: "\\r"}.get(byte, text) for byte, text in enumerate(_SHOWN))
"""How each byte is shown."""

EXCERPT = 60
"""Characters of a refused line that are shown."""


def printable(data: bytes, width: int, *, mark: str = "…") -> str:
    """One line of at most `width` cells; `mark` stands at the end where something was cut off.

    >>> printable(b"220 \\x1b[31mftp\\r\\n", 40)
    '220 \\\\x1b[31mftp\\\\r\\\\n'
    """
    if width <= 0:
        return ""
    text = "".join([SHOWN[byte] for byte in data[: width + 1]])
    if len(text) <= width and len(data) <= width:
        return text
    room = width - len(mark)
    shown: list[str] = []
    for byte in data:
        text = SHOWN[byte]
        if len(text) > room:  # an escape is shown whole or not at all
            break
        shown.append(text)
        room -= len(text)
    return "".join(shown) + mark[:width]


def plain(text: str, width: int, *, mark: str = "…") -> str:
    """The same for text: file names, labels, sentences with somebody's words in them."""
    return printable(text.encode("utf-8", "backslashreplace"), width, mark=mark)


def excerpt(text: bytes) -> str:
    """The beginning of a line as harmless ASCII, at most `EXCERPT` characters."""
    short = "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in text[:EXCERPT])
    return short if len(text) <= EXCERPT else short[: EXCERPT - 3] + "..."


def line(text: str) -> str:
    """One line of text, of any length and in any script: what is not printable, line breaks too, is escaped.

    >>> line("no file \x1b[2J\n here")
    'no file \\x1b[2J\\n here'
    """
    if text.isprintable():
        return text
    return "".join([letter if letter.isprintable() else _escaped(letter) for letter in text])


def row(text: str) -> str:
    """A line whose cells have tabs between them: those stay."""
    return "\t".join(map(line, text.split("\t")))


def lines(text: str) -> str:
    """Text of several lines, of any length: what is not printable is escaped, but for the line breaks."""
    return "".join(
        [letter if letter == "\n" or letter.isprintable() else _escaped(letter) for letter in text]
    )


def _escaped(letter: str) -> str:
    if "\udc80" <= letter <= "\udcff":  # a byte of a name that is no UTF-8 (PEP 383)
        return _SHOWN[ord(letter) & 0xFF]
    return letter.encode("unicode_escape").decode("ascii")
