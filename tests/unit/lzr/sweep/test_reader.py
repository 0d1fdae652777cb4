"""A sweep as an input: a text without a target; who is asked, and who is nobody."""

from __future__ import annotations

import pytest

from lzr.addresstext import ranges_of
from lzr.sweep.reader import SweepReader, hosts


def test_its_text_holds_no_target() -> None:
    reader = SweepReader()
    assert not reader.feed(b"order\n").inputs
    assert not reader.finish().inputs
    assert not reader.pending
    assert not reader.coming


@pytest.mark.parametrize(
    ("asked", "blocked", "left"),
    [
        ("192.0.2.0/24", "192.0.2.0/25", 128),
        ("224.0.0.0/3", "240.0.0.0/4", 0),
        ("0.0.0.0/8", "10.0.0.0/8", (1 << 24) - 1),
        ("255.255.255.0/24", "10.0.0.0/8", 255),
        ("::/120", "::8/128", 254),
        ("ff02::/120", "::8/128", 0),
        ("2001:db8::5efe:192.0.2.0/120", "192.0.2.0/25", 128),  # ISATAP
        ("2001:db8::200:5efe:c000:1ff-2001:db8::200:5efe:c000:203", "192.0.2.0/24", 1),
        ("2001:0:c000:207:8000::/120", "192.0.2.7", 0),  # Teredo: the server, then the client
        ("2001:0:c000:208:8000:0:3fff:fd00/120", "192.0.2.7", 255),
        ("2001:0:c000:208::/80", "192.0.2.7", (1 << 48) - (1 << 16) - 1),  # an ISATAP one, too
    ],
)
def test_who_is_asked(asked: str, blocked: str, left: int) -> None:
    found = hosts(ranges_of(asked), ranges_of(blocked))
    assert sum(last - first + 1 for first, last in found) == left
