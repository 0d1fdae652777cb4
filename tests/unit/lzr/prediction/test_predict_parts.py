"""Lists of what hosts that answered are asked next, looked for part by part, are those of all at once."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from benchmarks.madeinternet import FIRST, made
from benchmarks.predicting import services_of
from lzr.prediction import networks, predict
from lzr.prediction.asked import PORTS, Addresses, Asked
from lzr.prediction.counts import Services
from lzr.prediction.predict import Model


@cache
def swept() -> Model:
    """Of a made Internet that was asked on two ports, and in part on all."""
    internet = made(15)
    sample = internet.sample(0.1, 7)
    space = Addresses(np.array([FIRST]), np.array([FIRST + internet.size - 1]))
    asked, two = Asked(), np.zeros(PORTS, np.bool_)
    two[[80, 443]] = True
    asked.add_product(Addresses.of(sample), np.ones(PORTS, np.bool_))
    asked.add_product(space, two)
    known = np.union1d(internet.of_hosts(sample), np.flatnonzero(two[internet.port]))
    return predict.learn(services_of(internet, known), asked, space)


def assert_alike(one: predict.Listed, other: predict.Listed) -> None:
    """But for the last digits of chances, and which of those at the end, equally likely, are on the list."""
    assert np.allclose(one.chance, other.chance, rtol=1e-9)
    sure = one.chance.min() + 1e-6
    pairs = [set((of.number << 16 | of.port)[of.chance > sure].tolist()) for of in (one, other)]
    assert pairs[0] == pairs[1]


def test_a_list_does_not_depend_on_how_many_hosts_are_looked_at_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = predict.candidates(swept(), 2_000)
    assert (whole.row >= 0).sum() > 100
    monkeypatch.setattr(predict, "_AT_ONCE", 37)
    parts = predict.candidates(swept(), 2_000)
    assert_alike(whole, parts)
    monkeypatch.setattr(predict, "_SPARE", -3_900)  # the best are chosen again and again
    parts = predict.candidates(swept(), 2_000)
    assert_alike(whole, parts)


@pytest.mark.parametrize("many", [0, 1, 36, 37, 38, 74])
def test_no_host_falls_between_two_parts(many: int, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Services] = []
    none = np.empty(0, np.int64)

    def some(
        model: Model, mine: Services, score: float, least: float, spared: tuple[int, int]
    ) -> predict.Listed:
        seen.append(mine)
        return predict.Listed(none, none, np.empty(0), none, none, np.empty(0))

    monkeypatch.setattr(predict, "_AT_ONCE", 37)
    monkeypatch.setattr(predict, "_of_some", some)
    number = np.sort(np.random.default_rng(1).integers(0, 20, many))
    rows = Services(number, np.arange(many), np.zeros((many, 1), np.int32), ("fingerprint",))
    predict._of_hosts(swept(), rows, 0.5, 0.5, 10, predict.NO_PORTS)
    assert np.array_equal(np.concatenate([part.port for part in seen]), rows.port)
    hosts = [set(part.number.tolist()) for part in seen]
    assert sum(map(len, hosts)) == len(set().union(*hosts))


def test_where_the_best_have_been_asked_enough_others_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many, and as likely, as if all were looked at."""
    monkeypatch.setattr(
        predict.Conditions, "floor", lambda self, services, most: 0.9 if most < 5_000 else 0.05
    )
    wide = predict.candidates(swept(), 1_000)
    monkeypatch.setattr(predict.Conditions, "floor", lambda self, services, most: 0.0)
    every = predict.candidates(swept(), 1_000)
    assert len(wide) == len(every) == 1_000
    assert wide.chance.sum() > 0.99 * every.chance.sum()


def test_who_is_left_is_told_by_some_hosts_where_there_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(2)
    number, ports = np.sort(rng.integers(0, 500, 2_000)), 6
    rows, place, drawn = np.arange(2_000), rng.integers(0, ports, 2_000), rng.random(2_000) < 0.7
    services = Services(number, place, np.zeros((2_000, 1), np.int32), ("fingerprint",))
    done = rng.random((40, ports)) < 0.5
    hosts = np.unique(number[drawn])[::7]  # every seventh, as the table of all would be thinned
    monkeypatch.setattr(networks, "_MOST_HOSTS", -(-len(np.unique(number[drawn])) // 7))
    left, share = networks._left(services, rows, place, drawn, done, ports, 3_000.0)
    for network, of in enumerate(done):
        has = np.array([np.isin(np.arange(ports), place[drawn & (number == host)]) for host in hosts])
        gone = (has & of).any(1)
        assert share[network] == pytest.approx(gone.sum() * 7 / 3_000)
        rest = (has[~gone].sum(0) + 0.5) / (has.sum(0) + 0.5) / max(1 - share[network], 0.05)
        assert left[network] == pytest.approx(np.minimum(rest, 1.0), rel=1e-5)
