"""Our addresses and ports are spread by hash: one host sees one address, each attempt has another port."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from coordinator.input.intake import Intake
from lzr import addresses
from lzr.ownaddresses import Sources
from lzr.ownership.ledger import Ledger
from lzr.secrets import Secrets
from lzr.targets.lists import ListReader

V4 = [addresses.parse("10.99.0.2"), addresses.parse("10.99.0.3"), addresses.parse("10.99.0.4")]
V6 = [addresses.parse("fd99::2")]


def listed(text: bytes) -> Any:
    made = Intake(ListReader(), Ledger())
    made.feed(text)
    made.finish()
    return made.take(1 << 20)


def test_a_host_sees_one_of_our_addresses_whatever_the_port() -> None:
    rows = listed(b"".join(b"10.0.%d.1:%d\n" % (at // 4, 80 + at % 4) for at in range(400)))
    sources = Sources(V4, [], (40000, 50000), Secrets.derive(1))
    assert sources.choose(rows).all()
    chosen = rows["own_lo"].reshape(-1, 4)
    assert (chosen == chosen[:, :1]).all()
    counts = np.unique(rows["own_lo"], return_counts=True)[1]
    assert len(counts) == 3
    assert counts.min() > 80
    assert ((rows["own_port"] >= 40000) & (rows["own_port"] <= 50000)).all()
    assert len(np.unique(rows["own_port"])) > 350


def test_families_do_not_mix() -> None:
    rows = listed(b"10.0.0.1:80\n[fd04::1]:80\n10.0.0.2:80\n")
    assert Sources(V4, V6, (40000, 40000), Secrets.derive(1)).choose(rows).tolist() == [
        True,
        True,
        True,
    ]
    assert addresses.text(int(rows["own_hi"][1]), int(rows["own_lo"][1])) == "fd99::2"
    assert {int(lo) for lo in rows["own_lo"][[0, 2]]} <= {lo for _, lo in V4}
    assert (rows["own_port"] == 40000).all()
    rows = listed(b"10.0.0.1:80\n[fd04::1]:80\n")
    assert Sources(V4, [], (40000, 40000), Secrets.derive(1)).choose(rows).tolist() == [True, False]
    assert Sources([], V6, (40000, 40000), Secrets.derive(1)).choose(listed(b"10.0.0.1:80\n")).tolist() == [
        False
    ]


@pytest.mark.parametrize("ports", [(40000, 40000), (40000, 40001), (1, 65535), (65535, 65535)])
def test_ports_stay_in_their_range(ports: tuple[int, int]) -> None:
    rows = listed(b"".join(b"10.0.0.%d:80\n" % at for at in range(1, 200)))
    for attempt in range(3):
        Sources(V4, [], ports, Secrets.derive(2)).choose(rows, attempt)
        assert ((rows["own_port"] >= ports[0]) & (rows["own_port"] <= ports[1])).all()


def test_another_attempt_is_another_port_from_the_same_address() -> None:
    rows = listed(b"".join(b"10.0.0.%d:80\n" % at for at in range(1, 100)))
    sources = Sources(V4, [], (40000, 60000), Secrets.derive(2))
    sources.choose(rows)
    first = rows.copy()
    sources.choose(rows, 1)
    assert (rows["own_lo"] == first["own_lo"]).all()
    assert (rows["own_port"] != first["own_port"]).sum() > 90
