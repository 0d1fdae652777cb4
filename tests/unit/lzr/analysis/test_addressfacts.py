"""Ranges of addresses against a plain search."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from lzr.analysis.addressfacts import MAPPED, NOTHING, Ranges, keys

_FOUR = st.integers(0, 300).map(lambda n: MAPPED + (n * 7).to_bytes(4, "big"))
_SIX = st.integers(0, 300).map(lambda n: b"\x20\x01" + bytes(6) + (n << 40).to_bytes(8, "big"))
_ANY = st.one_of(_FOUR, _SIX, st.sampled_from([bytes(16), b"\xff" * 16, MAPPED + b"\xff" * 4]))


@given(st.lists(st.tuples(_ANY, _ANY), max_size=30), st.lists(_ANY, max_size=40))
def test_as_a_plain_search_finds(pairs: list[tuple[bytes, bytes]], asked: list[bytes]) -> None:
    """Ranges that do not overlap, within one family: as the tables are."""
    ranges: list[tuple[bytes, bytes]] = []
    for one, other in pairs:
        low, high = min(one, other), max(one, other)
        same = low.startswith(MAPPED) == high.startswith(MAPPED)
        holds_the_other = low < MAPPED < high and not low.startswith(MAPPED)
        if same and not holds_the_other and all(high < a or b < low for a, b in ranges):
            ranges.append((low, high))
    random.Random(1).shuffle(ranges)
    found = Ranges([low for low, _ in ranges], [high for _, high in ranges], range(len(ranges)))
    for address, number in zip(asked, found.find(keys(b"".join(asked))).tolist(), strict=True):
        wanted = [at for at, (low, high) in enumerate(ranges) if low <= address <= high]
        assert number == (wanted[0] if wanted else NOTHING)


@given(st.lists(st.tuples(_ANY, _ANY), max_size=12), st.lists(_ANY, max_size=40))
def test_of_ranges_within_ranges_that_which_begins_last_and_holds_the_address_counts(
    pairs: list[tuple[bytes, bytes]], asked: list[bytes]
) -> None:
    """As tables that were made of routes are: whatever lies in a wide one only is of that one."""
    ranges = [(min(pair), max(pair)) for pair in pairs]
    found = Ranges([low for low, _ in ranges], [high for _, high in ranges], range(len(ranges)))
    for address, number in zip(asked, found.find(keys(b"".join(asked))).tolist(), strict=True):
        wanted = [
            (low, [255 - byte for byte in high], at)
            for at, (low, high) in enumerate(ranges)
            if low <= address <= high
        ]
        assert number == (max(wanted)[2] if wanted else NOTHING)
