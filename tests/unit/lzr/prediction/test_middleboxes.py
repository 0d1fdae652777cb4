"""Chances where a sample has shown middleboxes."""

from __future__ import annotations

import numpy as np

from lzr.prediction import middleboxes, predict
from lzr.prediction.asked import PORTS, Addresses, Asked
from lzr.prediction.counts import Services
from lzr.prediction.middleboxes import Middleboxes, believed, seen
from lzr.prediction.predict import Model

KINDS = ("fingerprint", "product")
NETWORKS, EACH = 64, 16
SPACE = Addresses(np.array([0]), np.array([(NETWORKS << 8) - 1]))
FULL = 8
"""The first networks are full of middleboxes."""


def services_of(number: np.ndarray, port: np.ndarray, fingerprint: np.ndarray) -> Services:
    order = np.lexsort((port, number))
    codes = np.column_stack([fingerprint, np.full(len(number), -1)]).astype(np.int32)
    return Services(number[order], port[order], codes[order], KINDS)


def sampled(*, swept: bool = False, full: int = FULL) -> tuple[Services, Asked, Middleboxes]:
    """16 addresses of each network on all ports: in the first networks 15 answer on each, elsewhere a fifth
    on 80, and half of those on 81. swept: all addresses have been asked on 80, too."""
    rng = np.random.default_rng(3)
    every = ((np.arange(NETWORKS) << 8)[:, None] + np.arange(EACH) * 7).reshape(-1)
    asked = Asked()
    asked.add_product(Addresses.of(every), np.ones(PORTS, bool))
    box = (every >> 8 < full) & (np.arange(len(every)) % EACH > 0)
    web = every[~box & (rng.random(len(every)) < 0.2)]
    both = web[rng.random(len(web)) < 0.5]
    rows = [np.column_stack([web, np.full(len(web), 80)]), np.column_stack([both, np.full(len(both), 81)])]
    if swept:
        asked.add_product(SPACE, np.isin(np.arange(PORTS), [80]))
        rest = np.setdiff1d(np.arange(SPACE.size), every)
        rest = rest[(rest >> 8 < full) | (rng.random(len(rest)) < 0.2)]
        rows.append(np.column_stack([rest, np.full(len(rest), 80)]))
    table = np.concatenate(rows)
    fingerprint = np.where((table[:, 0] >> 8 < full) & ~np.isin(table[:, 0], every), -1, 5)
    plain = services_of(table[:, 0], table[:, 1], fingerprint)
    ports = np.arange(16, PORTS, 16)
    of, port = np.repeat(every[box], len(ports)), np.tile(ports, int(box.sum()))
    answers = services_of(of, port, np.full(len(of), -1))
    return predict.with_networks(plain), asked, seen(answers, every[box], asked)


def listed(model: Model, boxes: Middleboxes, budget: int) -> predict.Listed:
    return predict.candidates(model, budget, never=Addresses.of(boxes.number))


def test_networks_full_of_middleboxes_are_told_from_the_others() -> None:
    services, asked, boxes = sampled()
    belief = believed(boxes, services, asked, SPACE)
    assert belief is not None
    assert (belief.share[:FULL] > 0.7).all()
    assert (belief.share[FULL + 8 :] < 0.05).all()
    asked_on = belief.rate[np.arange(16, PORTS, 16)]
    assert (asked_on > 0.9).all()
    assert (np.delete(belief.rate, np.arange(16, PORTS, 16))[1:] < 0.1).all()


def test_pairs_that_a_middlebox_would_answer_are_not_listed() -> None:
    services, asked, boxes = sampled()
    full = listed(predict.learn(services, asked, SPACE, boxes=boxes), boxes, 20_000)
    assert len(full)
    assert (full.number >> 8 >= FULL).all()
    without = listed(predict.learn(services, asked, SPACE), boxes, 20_000)
    assert (without.number >> 8 < FULL).any()


def test_a_middleboxs_part_is_added_to_a_chance() -> None:
    belief = middleboxes.Belief(
        np.array([0, 256]), 8, np.array([0.1, 0.9]), np.full(PORTS, 0.5), np.array([7]), np.array([0.2])
    )
    chance = np.array([[0.3, 0.02], [0.3, 0.02]], np.float32)
    belief.of_networks(np.array([0, 256]), np.array([255, 511]), np.array([80, 81]), chance)
    assert np.allclose(chance, [[0.35, 0], [0, 0]])
    wide = np.array([[0.6]], np.float32)
    belief.of_networks(
        np.array([0]), np.array([65_535]), np.array([80]), wide
    )  # half of the addresses on average
    assert np.allclose(wide, [[0.85]])
    of = belief.of_hosts(np.array([7, 7, 9]), np.array([80, 81, 80]), np.array([0.5, 0.01, 0.4]))
    assert np.allclose(of, [0.5, 0, 0.4])


def test_hosts_that_say_what_middleboxes_say_teach_nothing_and_are_not_asked_on() -> None:
    services, asked, boxes = sampled(swept=True)
    belief = believed(boxes, services, asked, SPACE)
    assert belief is not None
    assert np.bincount(belief.plain(services).number >> 8)[:FULL].max() < 20
    found = listed(predict.learn(services, asked, SPACE, boxes=boxes), boxes, 5_000)
    own = found.row >= 0
    assert (found.port[own] == 81).any()
    assert (found.number[own] >> 8 >= FULL).all()
    assert 0.3 < found.chance[own & (found.port == 81)].mean() < 0.7


def test_without_middleboxes_in_the_sample_nothing_is_believed_of_them() -> None:
    services, asked, boxes = sampled(full=0)
    assert believed(boxes, services, asked, SPACE) is None
    nobody = seen(services, np.array([3]), asked)
    assert believed(nobody, services, asked, SPACE) is None


def test_a_seed_that_sampled_nobody_says_nothing_of_middleboxes() -> None:
    services, _, boxes = sampled()
    assert believed(boxes, services, Asked(), SPACE) is None


def test_hosts_that_were_asked_on_all_ports_are_no_middleboxes() -> None:
    services, asked, boxes = sampled()
    belief = believed(boxes, services, asked, SPACE)
    assert belief is not None
    assert not belief.own.any()


def test_a_middlebox_before_a_host_may_say_what_the_host_does() -> None:
    services, asked, boxes = sampled(swept=True)
    services.codes[:, 0] = 5
    belief = believed(boxes, services, asked, SPACE)
    assert belief is not None
    unknown = ~np.isin(belief.host, asked.products[0][0].ranked(np.arange(NETWORKS * EACH)))
    full = belief.host >> 8 < FULL
    assert belief.own[unknown & full].mean() > 0.02
    assert belief.own[unknown & ~full].mean() < 0.01
