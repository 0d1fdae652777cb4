"""Whether two replies differ in nothing but noise, seen where they differ.

`masking.mask` of both takes ten times as long, and nearly all pairs of a second scan are of this kind.
Each function says True only where what differs stands in a place that masks leave out. False says nothing:
the masks of the whole replies decide.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from lzr.analysis.replies import masktext, tls
from lzr.analysis.replies.masktext import MARK
from lzr.protocols._bytes import be16, be24

_DATE = re.compile(
    rb"[MTWFS][a-z]{2}, \d{1,2}[ -][A-Z][a-z]{2}[ -]\d{2,4} \d\d:\d\d:\d\d(?: (?:GMT|UTC|[+-]\d{4}))?"
)
"""The usual form of a moment (RFC 9110 §5.6.7, RFC 5322 §3.3); the pattern of `text` takes ten times as
long."""
_GAP = b"\r\n\r\n"
_CODED = re.compile(rb"\r\n(?:transfer|content)-encoding:", re.IGNORECASE)
_SERVER_HELLO, _CHANGE_CIPHER_SPEC = 2, b"\x14\x03\x03\x00\x01\x01"

Same = Callable[[bytes, bytes], bool]


def web(old: bytes, new: bytes) -> bool:
    """Two replies that begin as one of `masktext.WEB`: header fields one by one, then the body."""
    end, other_end = old.find(_GAP), new.find(_GAP)
    if end < 0 or other_end < 0:
        return False
    fields, others = old[:end].split(b"\r\n"), new[:other_end].split(b"\r\n")
    if len(fields) != len(others) or fields[0] != others[0]:
        return False
    for field, other in zip(fields, others, strict=True):
        if field != other and not _field(field, other):
            return False
    body, other_body = old[end + 4 :], new[other_end + 4 :]
    return body == other_body or (not _CODED.search(old, 0, end) and _by_line(body, other_body, _line))


def _field(old: bytes, new: bytes) -> bool:
    name, _, value = old.partition(b":")
    other_name, _, other = new.partition(b":")
    small = name.strip().lower()
    if name != other_name and small != other_name.strip().lower():
        return False
    if small in masktext.FIELDS:
        return True
    if small == b"set-cookie":
        cookie, _, rest = value.partition(b"=")
        other_cookie, _, other_rest = other.partition(b"=")
        left, right = rest.partition(b";"), other_rest.partition(b";")
        if cookie == other_cookie and left[1] == right[1]:
            # Of the same name: what masks it would change nothing of whether they are the same.
            return left[2] == right[2] or _attributes(left[2], right[2])
        return masktext.field(old) == masktext.field(new)
    return masktext.field(old, bytes) == masktext.field(new, bytes) or masktext.field(old) == masktext.field(
        new
    )


_LASTING = (b" expires=", b" max-age=")


def _attributes(old: bytes, new: bytes) -> bool:
    """Whether attributes of two cookies are the same but for how long they last."""
    parts, others = old.split(b";"), new.split(b";")
    if len(parts) == len(others) and all(
        part == other or (part[:9] == other[:9] and part[:9].lower() in _LASTING)
        for part, other in zip(parts, others, strict=True)
    ):
        return True
    return masktext.unexpired(old) == masktext.unexpired(new)


def greeting(old: bytes, new: bytes) -> bool:
    """Two replies that `masktext.greeting` masks."""
    return _by_line(old, new, _greeting_line)


def _by_line(old: bytes, new: bytes, same: Same) -> bool:
    lines, others = old.split(b"\n"), new.split(b"\n")
    if len(lines) != len(others):
        return False
    return all(line == other or same(line, other) for line, other in zip(lines, others, strict=True))


def _line(old: bytes, new: bytes) -> bool:
    left, right = _DATE.sub(MARK, old), _DATE.sub(MARK, new)
    if left == right:
        return True
    left, right = masktext.unnamed(left), masktext.unnamed(right)
    return left == right or masktext.varying(left) == masktext.varying(right)


def _greeting_line(old: bytes, new: bytes) -> bool:
    left, right = masktext.unclocked(_DATE.sub(MARK, old)), masktext.unclocked(_DATE.sub(MARK, new))
    return left == right or masktext.greeting(left) == masktext.greeting(right)


def handshake(old: bytes, new: bytes) -> bool:
    """Two flights of a TLS server whose ServerHello is whole in its first record (RFC 8446 §4.1.3, §5.1)."""
    end = 9 + be24(old, 6) if len(old) > 44 else 0
    record_end = 5 + be16(old, 3)
    if old[:11] != new[:11] or not 44 < end <= record_end <= min(len(old), len(new)):
        return False
    if old[0] != 22 or old[5] != _SERVER_HELLO or old[43] != new[43]:
        return False
    at = 44 + old[43]
    if old[at : at + 5] != new[at : at + 5]:  # suite, compression, size of the extensions
        return False
    at += 5
    while at + 4 <= end:
        size = be16(old, at + 2)
        kept = at + (6 if be16(old, at) in tls.RENEWED else 4 + size)
        if old[at:kept] != new[at:kept]:
            return False
        at += 4 + size
    if end == record_end:
        return _encrypted(old, end) and _encrypted(new, end)
    return _messages(old, new, end, record_end)


def _encrypted(data: bytes, at: int) -> bool:
    """Whether all that follows is: nothing of it is compared."""
    after = data[at:].startswith(_CHANGE_CIPHER_SPEC)
    return after and data[at + len(_CHANGE_CIPHER_SPEC) :][:1] == b"\x17"


def _messages(old: bytes, new: bytes, at: int, end: int) -> bool:
    """The messages up to the end of both replies, if that is the end of the first record of both."""
    if len(old) != end or len(new) != end:
        return False
    while at < end:
        kind, size = old[at], be24(old, at + 1)
        after = at + 4 + size
        if after > end:
            return False
        kept = after if kind in tls.KEPT else at + 4
        if old[at:kept] != new[at:kept]:
            return False
        at = after
    return True
