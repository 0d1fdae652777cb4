r"""Text that survives hostile bytes: JSON strings, CSV cells, times.

Whatever a peer sent, what is written is one line of printable ASCII, and the bytes can be had back:

* JSON: every byte is the character of the same number, escaped where it is not printable ASCII;
  ``record["data"].encode("latin-1")`` gives the bytes.
* CSV: every byte that is not printable ASCII, and the backslash, is ``\n``, ``\r``, ``\t``, ``\\`` or
  ``\xHH``. A semicolon and a first character that a spreadsheet may take for the start of a formula
  (``= + - @ |`` or blank) are ``\xHH`` too, so that no cell is ever a formula.
  ``cell.encode().decode("unicode_escape").encode("latin-1")`` gives the bytes.
"""

from __future__ import annotations

import re
from codecs import unicode_escape_encode
from functools import lru_cache
from json.encoder import encode_basestring_ascii

_HALF = re.compile("[\ud800-\udfff]")
_FORMULA = frozenset("=+-@| ")


def json_string(text: str) -> str:
    """`text` as a JSON string in ASCII (RFC 8259 §7); half of a surrogate pair becomes U+FFFD."""
    if not text.isascii():
        text = _HALF.sub("\ufffd", text)
    return encode_basestring_ascii(text)


def csv_cell(text: str) -> str:
    """`text`, or bytes read as Latin-1, as a CSV cell (RFC 4180 §2), reversible and never a formula."""
    # Not by the codec's name: its module may be out of reach where the collector runs, as an ordinary user.
    cell = unicode_escape_encode(text)[0].decode("ascii").replace(";", "\\x3b")
    if cell and cell[0] in _FORMULA:
        cell = f"\\x{ord(cell[0]):02x}{cell[1:]}"
    if '"' in cell or "," in cell:
        return '"' + cell.replace('"', '""') + '"'
    return cell


@lru_cache(maxsize=256)
def _second(seconds: int) -> str:
    """RFC 3339 to the second; dates of the proleptic Gregorian calendar, counted in eras of 400 years."""
    days, rest = divmod(seconds, 86400)
    era, day = divmod(days + 719468, 146097)  # from 1 March of year 0, so that the leap day ends its year
    year = (day - day // 1460 + day // 36524 - day // 146096) // 365
    day -= 365 * year + year // 4 - year // 100
    month = (5 * day + 2) // 153
    day -= (153 * month + 2) // 5
    year += era * 400 + (month >= 10)
    month = month + 3 if month < 10 else month - 9
    return f"{year:04}-{month:02}-{day + 1:02}T{rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}"


def time_text(ns: int) -> str:
    """Nanoseconds since the epoch as RFC 3339 in UTC, nine digits of a second."""
    seconds, fraction = divmod(ns, 1_000_000_000)
    return f"{_second(seconds)}.{fraction:09}Z"
