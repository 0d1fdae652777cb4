"""Pairs of a sweep as text and as six-byte records: the readers of both make the same pairs of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lzr.rows import FRAME, V4_MAPPED
from lzr.sweep.listing import lines, records
from lzr.targets.dryrun import FastDryrunReader
from lzr.targets.lists import ListReader

V4 = st.integers(0x01000000, 0xDFFFFFFF).map(lambda number: (0, V4_MAPPED | number))
V6 = st.tuples(st.integers(0x2000 << 48, 0x3FFF << 48), st.integers(0, 2**64 - 1))
PAIRS = st.tuples(V4, st.integers(1, 65535))


def rows_of(pairs: list[tuple[tuple[int, int], int]]) -> np.ndarray:
    rows = np.zeros(len(pairs), FRAME)
    for row, ((hi, lo), port) in zip(rows, pairs, strict=True):
        row["peer_hi"], row["peer_lo"], row["peer_port"] = hi, lo, port
    return rows


def read(rows: np.ndarray) -> list[tuple[tuple[int, int], int]]:
    return [((hi, lo), port) for hi, lo, port in rows[["peer_hi", "peer_lo", "peer_port"]].tolist()]


def test_a_line_for_each_in_their_order() -> None:
    pairs = [((0, V4_MAPPED | 0xC0000201), 80), ((0, V4_MAPPED | 0xFFFFFFFF), 65535), ((0, V4_MAPPED), 0)]
    assert lines(rows_of(pairs)) == b"192.0.2.1:80\n255.255.255.255:65535\n0.0.0.0:0\n"
    both = [pairs[0], ((0x20010DB8 << 32, 1), 443), ((0, 1), 7)]
    assert lines(rows_of(both)) == b"192.0.2.1:80\n[2001:db8::1]:443\n[::1]:7\n"
    assert lines(rows_of([])) == records(rows_of([])) == b""


@given(st.lists(PAIRS | st.tuples(V6, st.integers(1, 65535)), min_size=1, max_size=20, unique=True))
def test_a_list_reads_them_back(pairs: list[tuple[tuple[int, int], int]]) -> None:
    assert read(ListReader().feed(lines(rows_of(pairs))).rows) == pairs


@given(st.lists(PAIRS, min_size=1, max_size=20, unique=True))
def test_six_bytes_read_them_back(pairs: list[tuple[tuple[int, int], int]]) -> None:
    assert read(FastDryrunReader().feed(records(rows_of(pairs))).rows) == pairs


def test_six_bytes_hold_no_ipv6() -> None:
    with pytest.raises(ValueError, match="IPv6"):
        records(rows_of([((0x20010DB8 << 32, 1), 443)]))
