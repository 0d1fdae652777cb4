"""Where a sweep is answered: every answer counted in its place, places bounded."""

from __future__ import annotations

import ipaddress
from collections import Counter

import numpy as np
import pytest

from lzr.rows import FRAME, TARGET, Rows
from lzr.sweep.hitrates import MOST, OTHERS, HitRates
from lzr.sweep.space import Space


def space(*networks: str, ports: list[tuple[int, int]]) -> Space:
    def number(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> int:
        return int(address) + (0xFFFF << 32 if address.version == 4 else 0)

    nets = [ipaddress.ip_network(text) for text in networks]
    return Space([(number(net[0]), number(net[-1])) for net in nets], ports)


def answers(swept: Space, step: int) -> Rows:
    """Every so-manieth pair."""
    frames = np.zeros(len(range(0, swept.pairs, step)), FRAME)
    swept.place(np.arange(0, swept.pairs, step, dtype=np.uint64), frames)
    rows = np.zeros(len(frames), TARGET)
    for name in ("peer_hi", "peer_lo", "peer_port"):
        rows[name] = frames[name]
    return rows


def test_by_port() -> None:
    swept = space("10.0.0.0/24", ports=[(80, 80), (443, 444)])
    rates = HitRates(swept)
    rows = answers(swept, 5)
    for part in np.array_split(rows, 7):
        rates.add(part)
    assert rates.kind == "port"
    expected = Counter(str(port) for port in rows["peer_port"].tolist())
    assert {place: answered for place, (answered, _) in rates.top(600).items()} == expected
    assert {asked for _, asked in rates.top(600).values()} == {200}
    assert list(rates.top(600)) == sorted(expected, key=lambda port: (-expected[port], int(port)))


@pytest.mark.parametrize(
    ("networks", "places"),
    [
        (
            ["10.0.0.0/30", "11.0.0.0/29", "200.1.0.0/30"],
            {"10.0.0.0/8": 4, "11.0.0.0/8": 8, "200.0.0.0/8": 4},
        ),
        (["10.1.255.254/31", "10.2.0.0/30"], {"10.1.0.0/16": 2, "10.2.0.0/16": 4}),
        (["10.1.2.0/25", "10.1.3.0/24"], {"10.1.2.0/24": 128, "10.1.3.0/24": 256}),
        (["10.1.2.4/31"], {"10.1.2.4/32": 1, "10.1.2.5/32": 1}),
        (["10.1.2.4/31", "fd00::/126"], {"10.1.2.4/32": 1, "10.1.2.5/32": 1, "IPv6": 4}),
        (["255.255.255.254/31", "0.0.0.0/30"], {"255.0.0.0/8": 2, "0.0.0.0/8": 4}),
        (["10.1.2.4/32"], {}),
        (["fd00::/126"], {}),
    ],
)
def test_by_network(networks: list[str], places: dict[str, int]) -> None:
    swept = space(*networks, ports=[(80, 80)])
    rates = HitRates(swept)
    rates.add(answers(swept, 1))
    total = sum(places.values())
    assert rates.top(total) == {place: (count, count) for place, count in places.items()}
    assert rates.kind == ("network" if places else "")


@pytest.mark.parametrize(("ports", "networks"), [([(0, 65535)], "10.0.0.0/31"), ([(80, 80)], "0.0.0.0/0")])
def test_places_are_bounded(ports: list[tuple[int, int]], networks: str) -> None:
    swept = space(networks, ports=ports)
    rates = HitRates(swept)
    rows = answers(swept, swept.pairs // 5000)
    rates.add(rows)
    top = rates.top(swept.pairs)
    assert len(top) == MOST + 1
    assert list(top)[-1] == OTHERS
    assert sum(answered for answered, _ in top.values()) == len(rows)
    assert abs(sum(asked for _, asked in top.values()) - swept.pairs) <= MOST + 1
