"""What is listed to be asked next, on a small made Internet of which every service is known."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from benchmarks.madeinternet import FIRST, Internet, made
from benchmarks.predicting import in_port_order, loop, services_of
from lzr.prediction import predict
from lzr.prediction.asked import EMPTY, PORTS, Addresses, Asked
from lzr.prediction.conditions import Conditions
from lzr.prediction.counts import ConditionCounts, Services, reason_of
from lzr.prediction.predict import Model
from tests.effort import QUICK

KINDS = ("fingerprint", "product")


@cache
def small() -> Internet:
    return made(17)


def seeded(internet: Internet, share: float = 0.01) -> tuple[Model, np.ndarray]:
    """A model of a random share of all addresses, asked on all ports."""
    sample = internet.sample(share, 7)
    asked = Asked()
    asked.add_product(Addresses.of(sample), np.ones(PORTS, bool))
    space = Addresses(np.array([FIRST]), np.array([FIRST + internet.size - 1]))
    return predict.learn(services_of(internet, internet.of_hosts(sample)), asked, space), sample


def made_of(rows: list[tuple[int, int, int]]) -> Services:
    """Services of (number, port, product)."""
    table = np.array(sorted(rows), np.int64).reshape(-1, 3)
    codes = np.column_stack([np.zeros(len(table), np.int64), table[:, 2]]).astype(np.int32)
    return predict.with_networks(Services(table[:, 0], table[:, 1], codes, KINDS))


def test_a_seed_finds_more_than_whole_ports_do_and_promises_no_more_than_it_keeps() -> None:
    internet = small()
    model, sample = seeded(internet)
    listed = predict.candidates(model, 40_000)
    found = internet.find(listed.number, listed.port) >= 0
    assert found.sum() > in_port_order(internet, sample, 40_000) * len(internet.address)
    assert listed.chance.sum() < 2 * found.sum()
    assert (np.diff(listed.chance) <= 0).all()


def test_nothing_is_asked_twice_nor_outside_the_space_nor_of_whom_never_to_ask() -> None:
    internet = small()
    model, sample = seeded(internet)
    model.space = Addresses(np.array([FIRST]), np.array([FIRST + 9_999]))
    never = Addresses(np.array([FIRST + 100]), np.array([FIRST + 199]))
    listed = predict.candidates(model, 30_000, never=never)
    assert len(listed) == 30_000
    assert len(np.unique(listed.number << 16 | listed.port)) == 30_000
    assert not np.isin(listed.number, sample).any()
    assert ((listed.number >= FIRST) & (listed.number < FIRST + 10_000)).all()
    assert not never.contains(listed.number).any()


@pytest.mark.parametrize("follow", [True, False])
def test_rounds_find_more_than_whole_ports_do_and_what_they_promise(follow: bool) -> None:
    internet = small()
    promised, kept, tried = loop(internet, 40_000, 120_000, follow=follow, share=0.01, say=False)
    sample = internet.sample(0.01, 7)
    whole = in_port_order(internet, sample, 120_000) * len(internet.address)
    assert kept.sum() > (1.6 if follow else 1.05) * whole
    assert abs(promised.sum() - kept.sum()) / tried.sum() < 0.05


def test_a_port_is_predicted_from_the_product_that_goes_with_it() -> None:
    rows = []
    for host in range(200):  # product 1 has 8443, product 2 has not
        number = (host * 7919 % 4096) << 8 | 7
        rows.append((number, 443, 1 + host % 2))
        if host % 2 == 0:
            rows.append((number, 8443, 3))
    fresh = [(1 << 24 | 9, 443, 1), (1 << 24 | 10, 443, 2)]
    asked = Asked()
    asked.add_product(Addresses.of(np.array([row[0] for row in rows])), np.ones(PORTS, bool))
    asked.add_pairs(np.array([row[0] for row in fresh]), np.array([443, 443]), 0)
    space = Addresses(np.array([0]), np.array([1 << 25]))
    model = predict.learn(made_of(rows + fresh), asked, space)
    listed = predict.candidates(model, 5)
    own = listed.row >= 0
    best = listed.number[own][0], listed.port[own][0], listed.chance[own][0]
    assert best[:2] == (1 << 24 | 9, 8443)
    assert best[2] > 0.7
    row = listed.row[own][0]
    kinds = model.services.kinds
    assert kinds[model.conditions.kind[row]] == "product"
    assert (model.conditions.hits[row], model.conditions.asked[row]) == (100, 100)


def test_misses_count() -> None:
    """A fifth of those with 80 answer on 81: who is told of the others, too, says a fifth."""
    rows = [((host * 53) << 8, 80, 1) for host in range(100)]
    rows += [((host * 53) << 8, 81, 1) for host in range(0, 100, 5)]
    fresh = (9_000 << 8, 80, 1)
    everybody = np.array([row[0] for row in rows])
    asked = Asked()
    asked.add_pairs(everybody, np.full(len(everybody), 80), 0)
    asked.add_pairs(everybody, np.full(len(everybody), 81), 0)
    asked.add_pairs(np.array([fresh[0]]), np.array([80]), 0)
    model = predict.learn(made_of([*rows, fresh]), asked, Addresses(np.array([0]), np.array([1 << 25])))
    listed = predict.candidates(model, 1)
    assert (listed.number[0], listed.port[0]) == (fresh[0], 81)
    assert 0.05 < listed.chance[0] < 0.3


def test_hosts_with_many_ports_and_firewalls_teach_nothing() -> None:
    rows = [(5, port, 1) for port in range(1, 100)] + [(6, 80, 1), (7, 80, 1), (7, 81, 1)]
    services, odd = predict.plain_hosts(made_of(rows), np.array([7]))
    assert odd == 2
    assert np.unique(services.number).tolist() == [6]


def test_of_a_host_that_a_loop_found_only_the_first_answer_decides_and_only_if_asked_for() -> None:
    services = made_of([(1, 22, 1), (1, 80, 1), (2, 22, 1), (2, 80, 1), (2, 443, 1)])
    when = np.array([0, 3, 4, 2, 2])
    assert predict.deciding(services, when, follow=False).tolist() == [True, False, False, False, False]
    assert predict.deciding(services, when, follow=True).tolist() == [True, False, False, True, False]


def test_what_whole_ports_would_find_is_said() -> None:
    internet = small()
    model, sample = seeded(internet, 0.02)
    told = predict.compare(model, predict.candidates(model, 40_000))
    truth = in_port_order(internet, sample, 40_000) * len(internet.address)
    assert told.seed_cost == len(sample) * PORTS
    assert told.whole == pytest.approx(truth, rel=0.5)
    assert told.whole_and_seed > told.whole
    assert told.expected > told.whole


def test_an_empty_seed_gives_nothing() -> None:
    model = predict.learn(made_of([]), Asked(), Addresses(np.array([0]), np.array([9])))
    assert not len(predict.candidates(model, 10))
    assert predict.compare(model, predict.candidates(model, 10)).whole == 0


def test_without_a_word_on_who_was_asked_strangers_are_left_alone() -> None:
    rows = [(host << 8, port, 1) for host in range(30) for port in (80, 443)]
    asked = Asked()
    asked.assumed = Addresses.of(np.array([row[0] for row in rows])), np.isin(np.arange(PORTS), [80, 443])
    model = predict.learn(made_of(rows), asked, Addresses(np.array([0]), np.array([1 << 20])))
    listed = predict.candidates(model, 100)
    assert (listed.row >= 0).all()
    assert EMPTY.size == 0


def test_a_small_budget_gets_the_best_of_a_large_one() -> None:
    """Candidates below a floor are not looked at; the list is no other for it."""
    internet = small()
    sample = internet.sample(0.3, 5)
    ports = np.isin(np.arange(PORTS), [22, 80, 443])
    asked = Asked()
    asked.add_product(Addresses.of(sample[::2]), np.ones(PORTS, bool))
    asked.add_product(Addresses.of(sample[1::2]), ports)
    rows = internet.of_hosts(sample)
    of_all = np.isin(internet.address[rows], sample[::2]) | ports[internet.port[rows]]
    model = predict.learn(
        services_of(internet, rows[of_all]), asked, Addresses(np.array([FIRST]), np.array([FIRST + 1]))
    )
    model.space = Addresses(np.array([FIRST]), np.array([FIRST + internet.size - 1]))
    few, many = predict.candidates(model, 500), predict.candidates(model, 20_000)
    assert np.allclose(few.chance, many.chance[:500])
    assert model.conditions.floor(model.services, 1_500) > 0


def test_of_three_lines_that_hosts_have_only_the_one_tells_that_was_the_reason_to_ask() -> None:
    """Hosts with a rare line were asked on 2083 for its sake, and answered; all with a frequent line are not
    likelier for it."""
    kinds = ("fingerprint", "product", "line", "line")
    rows, asked = [], Asked()
    for host in range(300):
        rows.append((host << 8, 80, 0, 1, 5 if host < 30 else -1, 6))
    table = np.array(rows, np.int64)
    hit = np.array([[host << 8, 2083, 0, 2, -1, -1] for host in range(30)])
    table = np.concatenate([table, hit])
    table = table[np.lexsort((table[:, 1], table[:, 0]))]
    services = predict.with_networks(Services(table[:, 0], table[:, 1], table[:, 2:].astype(np.int32), kinds))
    asked.add_pairs(table[table[:, 1] == 80, 0], np.full(300, 80), 0)
    rare = np.arange(30) << 8
    asked.add_pairs(rare, np.full(30, 2083), reason_of(np.full(30, 2), np.full(30, 80)), round_=1)
    conditions = Conditions(ConditionCounts(services, asked))
    to = conditions.port == 2083
    assert conditions.kind[to].tolist() == [2]
    assert (conditions.given[to].tolist(), conditions.code[to].tolist()) == ([80], [5])
    assert (conditions.hits[to].tolist(), conditions.asked[to].tolist()) == ([30], [30])
    plainly = Asked()
    plainly.add_pairs(table[table[:, 1] == 80, 0], np.full(300, 80), 0)
    plainly.add_pairs(rare, np.full(30, 2083), 0, round_=1)  # for no answer's sake: this tells of all
    conditions = Conditions(ConditionCounts(services, plainly))
    assert len(np.unique(conditions.kind[conditions.port == 2083])) > 1


def test_hosts_of_which_a_few_ports_are_known_answer_on_others_as_often_as_is_promised() -> None:
    """Judged by hosts that were asked on all ports, as if they had been asked on these only."""
    internet = made(17 if QUICK else 18, seed=2)
    sample = internet.sample(1 / 64, 7)
    asked = Asked()
    asked.add_product(Addresses.of(sample), np.ones(PORTS, bool))
    half = Addresses(np.array([FIRST]), np.array([FIRST + internet.size // 2 - 1]))
    ports = np.isin(np.arange(PORTS), [22, 80, 443, 7547, 8080])
    asked.add_product(half, ports)
    swept = np.flatnonzero(ports[internet.port] & half.contains(internet.address))
    rows = np.union1d(internet.of_hosts(sample), swept)
    space = Addresses(np.array([FIRST]), np.array([FIRST + internet.size - 1]))
    model = predict.learn(services_of(internet, rows), asked, space)
    assert len(model.views) == 1
    sampled = np.unique(internet.address[internet.of_hosts(sample)])
    assert 0 < model.judges == model.views[0].hosts < len(sampled)
    seen_so = off(internet, model)
    model.views = []
    assert seen_so < 0.025
    assert seen_so < 0.7 * off(internet, model)


def off(internet: Internet, model: Model) -> float:
    """How far promises to hosts that answered were off, over tenths of chances, by their candidates."""
    listed = predict.candidates(model, 2 * internet.size)
    listed = listed.take(listed.row >= 0)
    kept = internet.find(listed.number, listed.port) >= 0
    tenth = np.minimum((listed.chance * 10).astype(int), 9)
    return float(np.abs(np.bincount(tenth, listed.chance - kept)).sum() / len(listed))
