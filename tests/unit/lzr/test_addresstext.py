"""Texts that name addresses become ranges of numbers, or a sentence that says what is wrong."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lzr.addresstext import entries, ranges_of
from lzr.ranges import Range
from lzr.rows import V4_MAPPED


def number(text: str) -> int:
    address = ipaddress.ip_address(text)
    return int(address) | (V4_MAPPED if address.version == 4 else 0)


def between(first: str, last: str) -> list[Range]:
    return [(number(first), number(last))]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("192.0.2.7", between("192.0.2.7", "192.0.2.7")),
        ("192.0.2.7/24", between("192.0.2.0", "192.0.2.255")),
        ("192.0.2.7/00024", between("192.0.2.0", "192.0.2.255")),
        ("192.0.2.1-9", between("192.0.2.1", "192.0.2.9")),
        ("192.0.2.1 - 192.0.2.9", between("192.0.2.1", "192.0.2.9")),
        ("::ffff:192.0.2.7", between("192.0.2.7", "192.0.2.7")),
        ("2001:db8::7/120", between("2001:db8::", "2001:db8::ff")),
        ("2001:db8::1-2001:db8::9", between("2001:db8::1", "2001:db8::9")),
        ("::/0", [(0, V4_MAPPED - 1), (V4_MAPPED + (1 << 32), (1 << 128) - 1)]),
    ],
)
def test_each_form_is_a_range_and_ipv6_says_nothing_about_ipv4(text: str, found: list[Range]) -> None:
    assert ranges_of(text) == found


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("192.0.2.0/33", "not a number from 0 to 32"),
        ("192.0.2.0/000099", "not a number from 0 to 32"),
        ("192.0.2.0/" + "9" * 5000, "not a number from 0 to 32"),
        ("192.0.2.0/", "not a number from 0 to 32"),
        ("2001:db8::/129", "not a number from 0 to 128"),
        ("192.0.2.9-192.0.2.1", "ends before it begins"),
        ("192.0.2.9-2001:db8::1", "both families"),
        ("2001:db8::1-9", "not an address"),
        ("192.0.2.1-", "not an address"),
        ("192.0.02.1", "not an address"),
        ("fe80::1%eth0", "zone"),
        ("example.com", "not an address"),
        ("", "not an address"),
    ],
)
def test_a_mistake_is_said_without_the_text(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why) as found:
        ranges_of(text)
    assert len(str(found.value)) < 80


@given(st.text(max_size=30) | st.text("0123456789.:/-%af ", max_size=30))
def test_whatever_is_written_there_are_ranges_or_a_valueerror(text: str) -> None:
    try:
        found = ranges_of(text)
    except ValueError:
        return
    assert all(0 <= first <= last < 1 << 128 for first, last in found)


def test_a_list_has_comments_and_names_with_their_lines() -> None:
    ranges, names = entries("# ours\n192.0.2.1-9 # a lab\n\nhost.example\n2001:db8::1")
    assert ranges == between("192.0.2.1", "192.0.2.9") + between("2001:db8::1", "2001:db8::1")
    assert names == {"host.example": 4}
