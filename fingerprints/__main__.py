"""Make `lzr/fingerprint/recog/data.py` and the examples of its test from a checkout of rapid7/recog.

    python -m fingerprints CHECKOUT COMMIT

What it takes: of each fingerprint whose text may stand in a first reply over TCP, the pattern, and what it
says of service, hardware and operating system. Patterns are those of Ruby; `regular` makes them plain for
Python's `re`. Beside each are written the words that a text must hold to match at all, and the length of
text up to which it takes few enough steps (`steps`).
"""

from __future__ import annotations

import base64
import gzip
import json
import re
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

from fingerprints.literals import keys
from fingerprints.regular import plain_pattern
from fingerprints.steps import limit

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "lzr/fingerprint/recog/data.py"
LICENCE = ROOT / "lzr/fingerprint/recog/LICENSE"
EXAMPLES = ROOT / "tests/unit/lzr/fingerprint/recog/examples.jsonl.gz"

FILES = {
    "ssh": ("ssh_banners",),
    "ftp": ("ftp_banners",),
    "smtp": ("smtp_banners",),
    "smtp-error": ("smtp_debug", "smtp_expn", "smtp_vrfy", "smtp_noop", "smtp_help", "smtp_ehlo"),
    "pop3": ("pop_banners",),
    "imap": ("imap_banners",),
    "nntp": ("nntp_banners",),
    "telnet": ("telnet_banners",),
    "mysql": ("mysql_banners",),
    "mysql-error": ("mysql_error",),
    "server": ("http_servers",),
    "realm": ("http_wwwauth",),
    "cookie": ("http_cookies",),
    "title": ("html_title",),
    "x-powered-by": ("http_xpoweredby",),
    "apache-module": ("apache_modules",),
    "apache-os": ("apache_os",),
    "rtsp": ("rtsp_servers",),
    "sip": ("sip_banners",),
    "sip-agent": ("sip_user_agents",),
    "ldap": ("ldap_searchresult",),
    "dns": ("dns_versionbind",),
    "pjl": ("hp_pjl_id",),
    "rsh": ("rsh_resp",),
    "x11": ("x11_banners",),
    "subject": ("x509_subjects",),
    "issuer": ("x509_issuers",),
}
"""Our name of a table, and the files that it is made of, in this order."""

LINES = frozenset(("telnet", "ldap", "ftp", "rsh"))
"""Tables whose texts may be of several lines."""

LONG_TEXTS = frozenset(("telnet", "ldap"))
LONG, SHORT = 1024, 512
"""Bytes of a text that are looked at, at most."""

LEAST_CERTAIN = 0.5
"""What is said with less than that is a guess, and left out."""

SIMPLER = (
    (r"[^ ]+\.", r"[^ .]+\."),
    ("(?:.+)*", ".*"),
    ("(.+)*", ".*"),
)
"""Parts of patterns with many ways to match the same text -> with one."""

PARTS = ("vendor", "product", "version", "device", "cpe23")
WANTED = frozenset(f"{whose}.{part}" for whose in ("service", "hw", "os") for part in PARTS) | {"apache.info"}
_HOLE = re.compile(r"\{([^\s{}]+)\}")


def fingerprint(element: ET.Element, table: str, examples: list[bytes]) -> list[Any]:
    """[pattern, limit, keys at the start, keys anywhere, {name: text or number of the group}]."""
    lines = table in LINES
    params = {p.get("name", ""): p for p in element.findall("param")}
    doubtful = {
        name.partition(".")[0]
        for name, p in params.items()
        if name.endswith(".certainty") and float(p.get("value") or 1) < LEAST_CERTAIN
    }
    wanted = {name for name in params if name in WANTED and name.partition(".")[0] not in doubtful}
    holes = {hole for name in wanted for hole in _HOLE.findall(params[name].get("value") or "")}
    while more := {h for name in holes for h in _HOLE.findall(params[name].get("value") or "")} - holes:
        holes |= more
    holes -= wanted
    groups = sorted({int(params[n].get("pos", "0")) for n in wanted | holes} - {0})
    pattern, flags = _simpler(element.get("pattern", "")), element.get("flags") or ""
    plain = plain_pattern(pattern, flags, groups, lines=lines)
    if (
        lines and "^" in pattern[:8]
    ):  # Ruby's ^ is any line's; of the text's first alone there are fewer to try
        first = plain_pattern(pattern.replace("^", r"\A", 1), flags, groups, lines=lines)
        if examples and all(re.search(first.text.encode(), text) for text in examples):
            plain = first
    says: dict[str, Any] = {}
    for name in [*params]:
        if name in wanted or name in holes:
            number = int(params[name].get("pos", "0"))
            says[name] = groups.index(number) + 1 if number else params[name].get("value", "")
    starts, holds = keys(plain, lines=lines)
    longest = LONG if table in LONG_TEXTS else SHORT
    most = limit(plain.text, max(map(len, examples), default=0), longest)
    return [plain.text, most, starts, holds, says]


def _simpler(pattern: str) -> str:
    for hard, easy in SIMPLER:
        pattern = pattern.replace(hard, easy)
    return pattern


def example(element: ET.Element, folder: Path) -> bytes:
    name = element.get("_filename")
    if name:
        return (folder / name).read_bytes()
    text = element.text or ""
    return base64.b64decode(text) if element.get("_encoding") == "base64" else text.encode()


def main(argv: list[str]) -> int:
    checkout = Path(argv[0])
    tables: dict[str, list[str]] = {}
    examples: list[dict[str, Any]] = []
    for table, files in FILES.items():
        rows = tables[table] = []
        for file in files:
            path = checkout / "xml" / f"{file}.xml"
            for element in ET.parse(path).getroot().findall("fingerprint"):
                given = [(e, example(e, path.with_suffix(""))) for e in element.findall("example")]
                row = fingerprint(element, table, [text for _, text in given])
                stated = {
                    p.get("name"): p.get("value") for p in element.findall("param") if p.get("pos") == "0"
                }
                for attributes, text in given:
                    asserted = {k: v for k, v in attributes.attrib.items() if not k.startswith("_")}
                    examples.append(
                        {
                            "table": table,
                            "row": len(rows),
                            "text": text.decode("latin-1"),
                            "says": {k: v for k, v in (stated | asserted).items() if k in WANTED},
                        }
                    )
                rows.append(json.dumps(row, separators=(",", ":")))
    commit = argv[1]
    body = [
        f'"""Fingerprints of rapid7/recog, commit {commit[:12]}: data, made by python -m fingerprints.\n\n'
        "Copyright (c) 2014-2015, Rapid7. BSD-2-Clause: the file LICENSE beside this one.\n"
        '"""\n\nfrom __future__ import annotations\n\n',
        "TABLES: dict[str, str] = {\n",
    ]
    for table, rows in tables.items():
        text = "\n".join(rows)
        assert "'''" not in text, table
        body.append(f"    {json.dumps(table)}: r'''\n{text}\n''',\n")
    body.append("}\n")
    DATA.write_text("".join(body))
    LICENCE.write_text((checkout / "COPYING").read_text())
    packed = "".join(json.dumps(e, sort_keys=True) + "\n" for e in examples).encode()
    EXAMPLES.write_bytes(gzip.compress(packed, mtime=0))
    print(
        sum(map(len, tables.values())),
        "fingerprints,",
        DATA.stat().st_size,
        "bytes;",
        len(examples),
        "examples,",
        EXAMPLES.stat().st_size,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
