"""Greetings of mail and file servers and of terminals, identified at once where label and program are beyond
doubt.

Mail and file servers greet with a line, and no two of them with the same. `of_line` takes those lines that
only SMTP, FTP, POP3 or IMAP can be, that nothing is answered after, and that name a program of
`greetings.programs` or none; all others go through matchers and readers, which say the same of these. In C it
goes over the line once. A terminal negotiates first (RFC 854), and is taken where the rest is text of which
the readers make nothing, or a name.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lzr.fingerprint import statements
from lzr.fingerprint.greetings import freetext
from lzr.fingerprint.greetings.lookup import greeting_lines, named, rows_of
from lzr.fingerprint.webreply import Counts, Left
from lzr.kernels import NATIVE, in_c, prepared
from lzr.protocols import _greetings as lines_of
from lzr.protocols import shells
from lzr.protocols._bytes import is_text
from lzr.protocols._catalogue import BY_NAME, PROTOCOLS
from lzr.protocols._protocol import Identity, Matcher

BEGINNINGS = (b"220 ", b"220-", b"+OK ", b"* OK")
"""The first four bytes of what is looked at."""

_LETTERS = {"smtp": "s", "ftp": "f", "pop3": "p", "imap": "i", "telnet": "t"}
"""Labels, in the order in which they are numbered in C, and their letters in `greetings.programs`."""

LABELS = tuple(_LETTERS)
"""What `of_line` says, if it says anything."""

_LONGEST = 2048  # bytes of a reply; longer ones are no greetings
_BANNERS = b"S+*HR@-A\xff"
"""How other protocols' banners begin (`honeypot`)."""


_AGREED = 200  # bytes of negotiation, at most
_SUBNEGOTIATION = b"\xff\xfa"
_NEGOTIATED = 12
"""Bytes that terminals may exchange before a word is said (RFC 855); shorter replies are not read."""

_SEGMENT = 256  # bytes; longer ones may be the first part of a message of DNS
_LEAST = 3  # bytes of a negotiation


def _foreign() -> tuple[tuple[int, bytes], ...]:
    """Bytes at an offset by which another protocol may be asked about what a terminal says.

    DNS has its length in front (RFC 7766 §8), and takes no message that is shorter than it says and than
    _SEGMENT.
    """
    asked = [p for p in PROTOCOLS if p.match is not None and not p.last_resort and p.name != "dns"]
    starts = ((0, key) for p in asked for key in p.starts if key[:1] == b"\xff")
    return (*starts, *sorted({place for p in asked for place in p.at}))


FOREIGN = _foreign()


def _table(native: Any) -> object:
    words: dict[bytes, int] = {}
    for kind, some in (
        (1, lines_of.MAIL),
        (2, lines_of.FILES),
        (4, lines_of.OTHERS),
        (8, lines_of.STOCK),
    ):
        for word in some:
            words[word] = words.get(word, 0) | kind
    return native.greeting_table(
        tuple(map(Identity, _LETTERS)),
        tuple(map(rows_of, _LETTERS.values())),
        tuple(words.items()),
        tuple((word, 1) for word in freetext.MAKERS),
        tuple((word, 1) for word in statements.DEVICES),
        statements.ELSEWHERE,
        (
            bytes(option in shells.OPTIONS for option in range(256)),
            tuple((word, 1) for word in freetext.SYSTEMS | freetext.MAKERS),
            freetext.QUOTED,
            FOREIGN,
        ),
    )


_TABLE: Any = prepared(_table, None)


def _native_of_line(data: bytes) -> Identity | None:
    found: Identity | None = NATIVE.greeting(_TABLE, data)
    return found


@in_c(_native_of_line)
def of_line(data: bytes) -> Identity | None:
    """The identity of a greeting whose label and program are beyond doubt; None of any other reply."""
    if data[:1] == b"\xff":
        return _terminal(data)
    label = _label(data)
    if not label or (label == "ftp" and statements.may_be_device(data)):
        return None
    said = greeting_lines(data)
    product, version = named(_LETTERS[label], said)
    if not version and freetext.is_numbered(said):
        return None
    if not product:
        if freetext.may_show(said):
            return None
        if label == "ftp" and (statements.may_be_elsewhere(data) or freetext.names_maker(data)):
            return None
    return Identity(label, "", product, version)


def _terminal(data: bytes) -> Identity | None:
    """The identity of what negotiates, and says nothing behind that but text."""
    agreed = shells.negotiation(data)
    rest = data[agreed:]
    if not 0 < agreed <= _AGREED or len(data) >= _SEGMENT or b"\xff" in rest or _SUBNEGOTIATION in data:
        return None
    if not is_text(shells.spoken(rest)) or any(data.startswith(key, at) for at, key in FOREIGN):
        return None
    if len(data) <= _NEGOTIATED:
        return Identity("telnet")
    if freetext.may_name(rest):
        return None
    return Identity("telnet", "", *named("t", rest[: freetext.REACH]))


def _label(data: bytes) -> str:
    """The label, where it is beyond doubt; else ""."""
    if (
        not 5 <= len(data) <= _LONGEST
        or b"\0" in data
        or not data.startswith(BEGINNINGS)
        or not _goes_on(data)
    ):
        return ""
    if data[:1] == b"2":
        if b"> <" in data or b"LMTP" in data or data[4:15].lower() == b"vmware auth":  # other protocols'
            return ""
        return ("", "smtp", "ftp", "")[lines_of.verdict(data)]
    if data[:1] == b"+":
        return "pop3" if _is_pop3(data) else ""
    return "imap" if data[4:5] == b" " and _is_imap(data) else ""


def _goes_on(data: bytes) -> bool:
    """Whether all lines are the greeting's own: no answer, and no other banner, comes after it."""
    place = data.find(b"\n", 3)
    while 0 <= place < len(data) - 1:
        if data[3:4] != b"-":
            return False
        first = data[place + 1 : place + 2]
        if first.isdigit():
            head = data[place + 1 : place + 6]
            if head[:4] not in (b"220 ", b"220-") or (head[4:] and head[4:] in b"#245"):
                return False
        elif first in _BANNERS:
            return False
        place = data.find(b"\n", place + 1)
    return True


def _matcher(name: str) -> Matcher:
    match = BY_NAME[name].match
    assert match is not None
    return match


_is_pop3, _is_imap = _matcher("pop3"), _matcher("imap")


def _native_lines(
    rows: NDArray[Any],
    blob: bytes,
    left: Left,
    heads: tuple[tuple[int, bytes], ...],
    least: int,
    identities: list[Identity],
) -> tuple[Left, Counts]:
    found: tuple[Left, Counts] = NATIVE.greeting_batch(
        _TABLE, np.ascontiguousarray(rows), blob, left, heads, least, identities
    )
    return found


@in_c(_native_lines)
def lines(
    rows: NDArray[Any],
    blob: bytes,
    left: Left,
    heads: tuple[tuple[int, bytes], ...],
    least: int,
    identities: list[Identity],
) -> tuple[Left, Counts]:
    """Identify the greetings among the replies of OUTCOME rows that `webreply.batch` has left.

    heads, least, identities: as there. Returns what is left now, and how many were identified. Raises
    ValueError if a place is not in `blob`.
    """
    now: Left = []
    counts: Counts = {}
    lengths, handshakes = rows["data_len"].tolist(), rows["handshake"].tolist()
    for row, at in left:
        if row >= len(lengths):
            raise ValueError("there is no such row")
        length, by = lengths[row], handshakes[row]
        if at > len(blob) or length > len(blob) - at:
            raise ValueError("the rows promise more payload than there is")
        data = blob[at : at + length]
        found = None
        if by < len(heads) and not data.startswith(heads[by][1], heads[by][0]):
            short = length >= _LEAST and data[:1] == b"\xff" != heads[by][1][:1]  # no beginning of a probe
            found = of_line(data) if length >= least or short else None
        if found is None:
            now.append((row, at))
        else:
            identities[row] = found
            counts[by, found.label] = counts.get((by, found.label), 0) + 1
    return now, dict(sorted(counts.items()))
