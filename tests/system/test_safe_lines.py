"""Every command that the pages, the help and the man page show may be typed as it stands: it scans nobody."""

from __future__ import annotations

import ipaddress
import re

import pytest

from lzr.options import helptext, manpage
from tests import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
SAFE = [
    ipaddress.ip_network(text)
    for text in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "10.0.0.0/8", "127.0.0.0/8")
]
TEXTS = {path.name: path.read_text() for path in PAGES}
TEXTS["help"] = helptext.usage(everything=True)
TEXTS["man"] = re.sub(r"\\\(rs|\\", lambda m: "\\" if m[0] != "\\" else "", manpage.man())


def commands(text: str) -> list[str]:
    """Commands in blocks of code, with lines that go on joined."""
    found: list[str] = []
    going = fenced = False
    for line in text.splitlines():
        if line.lstrip().startswith("```"):
            fenced = not fenced
        code = line.strip() if line.startswith("  ") or fenced else ""
        if going:
            found[-1] += " " + code.rstrip("\\ ")
        elif code:
            found.append(code.rstrip("\\ "))
        going = code.endswith("\\")
    return found


def zmaps(text: str) -> list[str]:
    return [
        part.strip()
        for command in commands(text)
        for part in re.split(r"(?<!\|)\|(?!\|)", command)
        if re.match(r"(?:sudo )?zmap ", part.strip())
    ]


@pytest.mark.parametrize("name", TEXTS)
def test_no_line_scans_the_internet(name: str) -> None:
    """zmap without a prefix takes all addresses. An ellipsis stands for what nobody can type."""
    for line in zmaps(TEXTS[name]):
        prefixes = re.findall(r"(?<![\w.=/-])\d+\.\d+\.\d+\.\d+(?:/\d+)?", line)
        elided = "…" in line or "..." in line
        assert prefixes or elided, f"{name}: {line} scans the Internet"
        for prefix in prefixes:
            network = ipaddress.ip_network(prefix)
            assert any(network.subnet_of(safe) for safe in SAFE), f"{name}: {line}"  # type: ignore[arg-type]


def test_the_lines_are_seen() -> None:
    assert len(zmaps(TEXTS["README.md"])) >= 2
    assert len(zmaps(TEXTS["help"])) >= 2
    assert zmaps("  zmap -p 80 \\\n    -O json \\\n  | lzr\n") == ["zmap -p 80 -O json"]


def test_addresses_in_our_own_lines_belong_to_nobody() -> None:
    for name, text in TEXTS.items():
        for command in commands(text):
            if re.search(r"\blzr\b", command):
                for address in re.findall(r"(?<![\w.])\d+\.\d+\.\d+\.\d+(?![\w.])", command):
                    one = ipaddress.ip_address(address)
                    assert any(one in safe for safe in SAFE) or one.is_private, f"{name}: {command}"
