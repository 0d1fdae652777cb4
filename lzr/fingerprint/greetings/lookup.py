"""Looks up which program the words of a greeting name, in the table of `programs`; and which lines of a reply
are its greeting.
"""

from __future__ import annotations

import re

from lzr.fingerprint.greetings.programs import TABLE

Stated = tuple[str, str]
NOTHING: Stated = ("", "")

_Named = tuple[bytes, str]
_BREAKING = bytes(b for b in range(256) if b > 127 or not (chr(b).isalnum() or b in b"-."))
_SPLIT = bytes.maketrans(_BREAKING, b" " * len(_BREAKING))
"""Hosts and names like pure-ftpd stay whole."""
_WORD = re.compile(rb"[a-z0-9]")

_REACH = 512  # bytes of a greeting that are read
_BEHIND = 60  # bytes behind a name in which its version stands
_VERSION = re.compile(rb"(?:^\s?\[|^|[\s/(_-])[vVX]?(\d{1,4}(?:\.\w{1,12}){1,5})")
_QUAD = re.compile(rb"\d{1,3}(?:\.\d{1,3}){3}(?:\.|\Z)")
_BEFORE_ADDRESS = re.compile(
    rb"(?<![A-Za-z])(?:at|on|from|for|address|ip|ready)[ \[(:]{1,3}\Z", re.IGNORECASE
)
"""What stands in front of four numbers that are an address and no version."""


def _first_word(needle: bytes) -> bytes:
    return needle.translate(_SPLIT).split()[0]


def _read(table: str) -> dict[str, dict[bytes, list[_Named]]]:
    """By protocol's letter and by first word: the needles, the longest first, and their names."""
    found: dict[str, dict[bytes, list[_Named]]] = {}
    for line in table.split("\n"):
        if not line:
            continue
        letters, words, name = line.split(" ", 2)
        needle = words.replace("_", " ").encode("ascii")
        for letter in letters:
            found.setdefault(letter, {}).setdefault(_first_word(needle), []).append((needle, name))
    for by_word in found.values():
        for row in by_word.values():
            row.sort(key=lambda entry: -len(entry[0]))
    return found


_BY_WORD = _read(TABLE)


def greeting_lines(data: bytes) -> bytes:
    """The lines that a server greets with, without what it answers afterwards, which may quote its caller.

    Lines with a hyphen behind their code are followed by one with a blank there (RFC 959 §4.2).
    """
    end = data.find(b"\n", 0, _REACH)
    if data[3:4] == b"-" and data[:3].isdigit():
        last = data.find(b"\n" + data[:3] + b" ", 0, _REACH)
        end = data.find(b"\n", last + 1, _REACH) if last >= 0 else -1
    while (
        end >= 0
        and data[:3].isdigit()
        and data.startswith(data[:3], end + 1)
        and data[end + 4 : end + 5] in (b" ", b"-")
    ):
        end = data.find(b"\n", end + 1, _REACH)  # some say their code and a blank on each line
    return data[: end if end >= 0 else _REACH]


def named(letter: str, text: bytes) -> Stated:
    """The first program that a text names, and the version behind it."""
    low = text.lower().replace(b"_", b" ")
    if low[3:4] == b"-":
        low = low.replace(low[:4], low[:3] + b" ")
    by_word = _BY_WORD[letter]
    words = low.translate(_SPLIT).split()
    if by_word.keys().isdisjoint(words):
        if b"." not in low:
            return NOTHING
        words = [word.strip(b".") for word in words]
        if by_word.keys().isdisjoint(words):
            return NOTHING
    for word in dict.fromkeys(words):  # once each, whatever a stranger repeats
        for needle, name in by_word.get(word, ()):
            place = low.find(needle)
            after = place + len(needle)
            if place < 0 or (_WORD.match(needle, len(needle) - 1) and _WORD.match(low, after)):
                continue
            if not (needle.endswith(_ANYBODY) and text[place : place + 1].islower()):
                return name, _version(text[after : after + _BEHIND])
    return NOTHING


def rows_of(letter: str) -> tuple[tuple[bytes, bytes, str, bool], ...]:
    """The names of a protocol as the kernels take them: first word, needle, name, and whether the needle may
    be anybody's; in the order in which they are asked."""
    rows = ((word, *row) for word, some in _BY_WORD[letter].items() for row in some)
    return tuple((word, needle, name, needle.endswith(_ANYBODY)) for word, needle, name in rows)


_ANYBODY = b" ftp server"
"""What stands behind a host's name, too, where a program is not spelled with a capital."""


def _version(text: bytes) -> str:
    found = _VERSION.search(text)
    if found is None:
        return ""
    if _QUAD.match(found[1]) and _BEFORE_ADDRESS.search(text, 0, found.start(1)):
        return ""
    return found[1].decode("latin-1")
