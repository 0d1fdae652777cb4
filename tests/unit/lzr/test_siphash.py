"""SipHash-2-4 against its authors' own vector, and as a source of numbers."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from lzr.siphash import siphash

pytestmark = pytest.mark.usefixtures("kernels")

KEY = (0x0706050403020100, 0x0F0E0D0C0B0A0908)


def test_the_authors_vector() -> None:
    """Key 00 01 .. 0f, message 00 01 .. 0f: one of the vectors that the reference implementation ships."""
    first, second = np.array([0x0706050403020100], np.uint64), np.array([0x0F0E0D0C0B0A0908], np.uint64)
    assert siphash(KEY, first, second).tolist() == [0x3F2ACC7F57C29BDB]


def test_one_second_word_for_all() -> None:
    first = np.arange(5, dtype=np.uint64)
    assert siphash(KEY, first, 7).tolist() == siphash(KEY, first, np.full(5, 7, np.uint64)).tolist()
    assert siphash(KEY, first).tolist() == siphash(KEY, first, 0).tolist()
    assert not len(siphash(KEY, first[:0]))


def test_it_depends_on_every_word() -> None:
    lines = np.arange(1000, dtype=np.uint64)
    other = KEY[0], KEY[1] ^ 1 << 63
    drawn = [
        siphash(KEY, lines),
        siphash(other, lines),
        siphash(KEY, lines, 1),
        siphash(KEY, lines + np.uint64(1), 1),
    ]
    for one, another in itertools.combinations(drawn, 2):
        assert (one != another).all()
    assert all(len(np.unique(numbers)) == 1000 for numbers in drawn)


def test_half_of_the_bits_change_with_any_bit() -> None:
    lines = np.arange(4096, dtype=np.uint64)
    for bit in (0, 17, 63):
        changed = siphash(KEY, lines) ^ siphash(KEY, lines ^ np.uint64(1 << bit))
        ones = np.unpackbits(changed.view(np.uint8)).mean()
        assert 0.49 < ones < 0.51
