"""A sweep as an input: every pair once, under the same number each time, shared out between boxes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lzr.addresses import text
from lzr.rows import Opening, join
from lzr.sweep.reader import SweepReader, hosts
from lzr.sweep.space import Space
from lzr.targets.blocklist import ranges_of
from lzr.targets.reader import UNFOLDED

KEY = (7, 8)


def reader(networks: str = "192.0.2.0/24", ports: int = 40, **share: int) -> SweepReader:
    found = SweepReader(Space(ranges_of(networks), [(1, ports)]), KEY, **share)
    assert not found.pending
    assert not len(found.feed(b"order\n").rows)
    found.finish()
    return found


def all_of(reader: SweepReader) -> NDArray[Any]:
    parts = []
    while reader.pending:
        before = reader.coming
        batch = reader.more()
        assert 0 < len(batch.rows) <= UNFOLDED
        assert before - reader.coming == len(batch.rows) == batch.inputs
        parts.append(batch.rows)
    return join(parts)


def pairs(rows: NDArray[Any]) -> list[tuple[str, int]]:
    return [(text(int(row["peer_hi"]), int(row["peer_lo"])), int(row["peer_port"])) for row in rows]


def test_every_pair_once_numbered_in_the_order_they_come() -> None:
    rows = all_of(reader())
    assert rows["line"].tolist() == list(range(256 * 40))
    assert sorted(pairs(rows)) == sorted(
        (f"192.0.2.{host}", port) for host in range(256) for port in range(1, 41)
    )
    assert (rows["syn"] == Opening.OURS).all()
    assert pairs(rows) == pairs(all_of(reader()))
    assert pairs(rows) != sorted(pairs(rows))


def test_boxes_share_them_out() -> None:
    shares = [reader(first=box, step=3) for box in range(3)]
    assert [share.total for share in shares] == [3414, 3413, 3413]
    parts = [all_of(share) for share in shares]
    assert all(np.array_equal(part["line"], np.arange(len(part))) for part in parts)
    whole = [pair for part in parts for pair in pairs(part)]
    assert sorted(whole) == sorted(pairs(all_of(reader())))


def test_what_is_not_wanted_any_more_does_not_come() -> None:
    some = reader()
    some.more()
    some.forget()
    assert not some.pending
    assert some.coming == 0


@pytest.mark.parametrize(
    ("asked", "blocked", "left"),
    [
        ("192.0.2.0/24", "192.0.2.0/25", 128),
        ("224.0.0.0/3", "240.0.0.0/4", 0),
        ("0.0.0.0/8", "10.0.0.0/8", (1 << 24) - 1),
        ("255.255.255.0/24", "10.0.0.0/8", 255),
        ("::/120", "::8/128", 254),
        ("ff02::/120", "::8/128", 0),
    ],
)
def test_who_is_asked(asked: str, blocked: str, left: int) -> None:
    found = hosts(ranges_of(asked), ranges_of(blocked))
    assert sum(last - first + 1 for first, last in found) == left
