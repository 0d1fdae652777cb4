"""Networks of which a seed says nothing: one row for many, with what each of them would have."""

from __future__ import annotations

import numpy as np
import pytest

from lzr.prediction import networks as predictnetworks
from lzr.prediction import predict
from lzr.prediction.asked import PORTS, Addresses, Asked
from lzr.prediction.counts import Services
from lzr.prediction.networks import LEVELS, blocks
from lzr.prediction.predict import Model
from tests.effort import QUICK

EVERYBODY = Addresses(np.array([0]), np.array([(1 << 32) - 1]))
TEN = 10 << 24


def learnt(space: Addresses, *, hosts: int = 40, singly: bool = False) -> Model:
    """From some addresses of the first 64 /24 of 10.0.0.0/8, each second of which answers on 80 and 81."""
    number = TEN + np.arange(hosts) * 409
    asked = Asked()
    asked.add_product(Addresses.of(number), np.ones(PORTS, np.bool_))
    asked.add_product(Addresses.of(np.array([5])), np.ones(PORTS, np.bool_))  # not of the space
    if singly:
        asked.add_port(80, Addresses(np.array([TEN + 4096]), np.array([TEN + 4096 + 511])))
    answered = np.repeat(number[::2], 2)
    codes = np.zeros((len(answered), 2), np.int32)
    port = np.tile([80, 81], len(answered) // 2)
    services = predict.with_networks(Services(answered, port, codes, ("fingerprint", "product")))
    return predict.learn(services, asked, space)


def test_a_seed_of_few_hosts_makes_a_small_table_of_the_whole_internet() -> None:
    networks = learnt(EVERYBODY).networks
    assert len(networks.first) < 200
    assert networks.bits == 8
    assert (networks.first[1:] > networks.last[:-1]).all()


@pytest.mark.parametrize("singly", [False, True])
def test_a_network_of_which_nothing_is_known_has_the_chance_that_it_has_alone(
    singly: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    space = Addresses(
        np.array([TEN + 300, TEN + (1 << 20)]),
        np.array([TEN + (100_000 if QUICK else 400_000), TEN + (1 << 20) + 900]),
    )
    together = learnt(space, singly=singly)

    def each(space: Addresses, told: Addresses, levels: list[int]) -> tuple[np.ndarray, np.ndarray]:
        first = blocks(space, levels[-1])
        return first, first + (1 << levels[-1]) - 1

    monkeypatch.setattr(predictnetworks, "_rows", each)
    alone = learnt(space, singly=singly)
    assert len(together.networks.first) < len(alone.networks.first) / 4
    row = np.searchsorted(together.networks.first, alone.networks.first, "right") - 1
    assert np.allclose(together.networks.chance[row], alone.networks.chance, rtol=1e-5)
    for budget in (50, 4_000, 3_000_000):
        one, other = predict.candidates(together, budget), predict.candidates(alone, budget)
        assert len(one) == len(other)
        assert np.allclose(one.chance, other.chance, rtol=1e-5)
        assert len(np.unique(one.number << 16 | one.port)) == len(one)


def test_of_many_networks_alike_no_more_are_listed_than_are_needed() -> None:
    model = learnt(EVERYBODY)
    units = model.networks.units(EVERYBODY, 1_000, 0.0, predict.NO_PORTS)
    number, _, _, _ = predictnetworks.expand(model.networks, units, EVERYBODY, model.asked, predict.EMPTY)
    assert 1_000 <= len(number) < 20_000


def test_of_more_ports_than_the_networks_leave_room_for_the_most_frequent_are_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(predictnetworks, "MOST_CELLS", 100)
    first = np.arange(60) << LEVELS[0]
    asked = Asked()
    asked.add_product(Addresses.of(first), np.ones(PORTS, np.bool_))
    number = np.concatenate([np.repeat(first[:2], 10), first[2:30]])
    port = np.concatenate([np.tile(np.arange(10) + 20, 2), np.full(28, 25)])
    order = np.lexsort((port, number))
    codes = np.zeros((len(order), 2), np.int32)
    services = Services(number[order], port[order], codes, ("fingerprint", "product"))
    space = Addresses(np.array([0]), np.array([(60 << LEVELS[0]) - 1]))
    model = predict.learn(predict.with_networks(services), asked, space)
    assert model.networks.ports.tolist() == [25]
    assert len(predict.candidates(model, 50)) == 50


def test_what_is_spared_takes_no_place_on_the_list() -> None:
    space = Addresses(np.array([TEN]), np.array([TEN + (1 << 16) - 1]))
    listed = predict.candidates(learnt(space), 500, spared=(80, 80))
    assert len(listed) == 500
    assert (listed.port == 81).all()
