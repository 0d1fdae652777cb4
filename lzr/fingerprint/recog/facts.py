"""What a text tells of service, hardware and operating system, by the first fingerprint that matches it.

`Says` maps names such as `service.product`, `hw.device`, `os.cpe23` to values. In the data a value may hold
`{name}`, which is replaced by the value of that name; only groups of the pattern bring in text of the peer.
"""

from __future__ import annotations

import re

from lzr.fingerprint.recog.table import Says, Table

_HOLE = re.compile(r"\{([^\s{}]+)\}")
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyz0123456789._-~")
_LONGEST = 200
"""Characters of a value; versions and models are shorter."""

_NOTHING: Says = {}


def told(table: Table, text: bytes) -> Says:
    """What the first fingerprint of the table that fits says of this text; empty where none does."""
    matched = table.match(text)
    if matched is None:
        return _NOTHING
    number, found = matched
    says: Says = {}
    for name, value in table.rows[number].says.items():
        if isinstance(value, str):
            says[name] = value
        elif found[value]:
            says[name] = found[value][:_LONGEST].decode("latin-1").strip()
    known = dict(says)
    for name, value in known.items():
        if "{" in value and isinstance(table.rows[number].says[name], str):
            filled = _filled(value, known, cpe=name.endswith("cpe23"))
            if filled:
                says[name] = filled
            else:
                del says[name]
    return {name: value for name, value in says.items() if value}


def _filled(value: str, known: Says, *, cpe: bool) -> str:
    """`value` with every `{name}` replaced; "" where a value is missing that a CPE needs."""
    for _ in range(2):  # a value that fills a hole may have one itself
        for hole in _HOLE.findall(value):
            text = known.get(hole, "")
            if cpe:
                if not text and not hole.endswith("version"):
                    return ""
                text = cpe_part(text) or "-"
            value = value.replace("{" + hole + "}", text)
        if "{" not in value:
            break
    return value.strip()[:_LONGEST]


def cpe_part(text: str) -> str:
    """A component of a CPE 2.2 URI (NIST IR 7695 §6.1.2): small letters, `_` for blanks, percent-encoded."""
    low = text.strip().lower().replace(" ", "_")
    return "".join(
        c if c in _PLAIN else f"%{byte:02x}" for c in low for byte in c.encode("latin-1", "replace")
    )
