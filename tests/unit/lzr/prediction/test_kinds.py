"""Kinds of hosts, and what networks hold of them."""

from __future__ import annotations

import numpy as np

from lzr.prediction.kinds import (
    PULLS,
    USUAL,
    Answers,
    best_pull,
    columns,
    drawn,
    estimated,
    profiles,
    tree,
)

LEVELS = [16, 12, 8]


def test_answers_that_are_alike_are_told_apart_and_rare_ones_are_not() -> None:
    place = np.array([0] * 8 + [1] * 3)
    said = np.array([5, 5, 5, 7, 7, 7, 9, 11, 5, 5, 5])
    column, port_of = columns(place, said)
    assert port_of.tolist() == [0, 0, 0, 1]
    assert len(set(column[:3])) == len(set(column[3:6])) == 1
    assert column[6] == column[7] not in (column[0], column[3])
    assert (port_of[column] == place).all()


def two_kinds(hosts: int = 200) -> np.ndarray:
    """Hosts of which half answer on 0 and 1, and half on 2 and 3."""
    has = np.zeros((hosts, 4), bool)
    has[::2, :2] = has[1::2, 2:] = True
    return has


def test_hosts_that_answer_on_different_ports_are_of_different_kinds() -> None:
    found = profiles(two_kinds(), np.ones(4, bool), np.full(4, 0.05))
    strong = found.kinds[found.share > 0.3] > 0.5
    assert sorted(map(tuple, strong.tolist())) == [(False, False, True, True), (True, True, False, False)]
    assert np.isclose(found.share.sum(), 1)


def test_kinds_answer_where_nobody_of_them_was_asked_as_all_hosts_do() -> None:
    asked_on = np.array([True, True, True, True, False])
    has = np.column_stack([two_kinds(), np.zeros(200, bool)])
    found = profiles(has, asked_on, np.array([0.05, 0.05, 0.05, 0.05, 0.02]))
    assert np.allclose(found.kinds[:, 4], 0.02 * 2 / 0.2)
    assert (found.hosts[:, 4] == 0).all()


def test_one_port_of_a_network_tells_of_the_others() -> None:
    """Of 64 networks one was asked on port 0, and a third answered; another, and nobody did."""
    first = np.arange(64) << 8
    known = profiles(two_kinds(), np.ones(4, bool), np.full(4, 0.05))
    asked = np.full((64, 4), 4.0, np.float32)
    asked[3, 0] = asked[9, 0] = 256
    some = np.arange(0, 64, 4)
    rows = np.concatenate([np.full(85, 3), some, some, some, some])
    ports = np.concatenate([np.zeros(85, int), np.repeat(np.arange(4), 16)])
    chance = estimated(Answers(rows, ports, np.arange(4)), asked, first, LEVELS, known, PULLS[0])
    assert chance.shape == (64, 4)
    assert 0.05 < chance[3, 1] < 0.4
    assert chance[3, 1] > 5 * chance[9, 1]
    assert chance[3, 1] > chance[3, 2]


def test_a_network_that_was_asked_through_says_no_more_of_its_neighbours_than_one_network_can() -> None:
    first = np.arange(64) << 8
    of = tree(first, LEVELS)
    counts, exposure = np.zeros((64, 1)), np.full((64, 1), 4.0)
    counts[0], exposure[0] = 128.0, 256.0
    counts[16:32:4] = 1.0
    expected = drawn(counts, exposure, np.full((1, 1), 0.02), of, [10.0, 10.0, 10.0])
    assert expected[1, 0] < 0.25  # as many addresses without an answer as with one were asked beside it
    assert expected[1, 0] > expected[40, 0]


def test_what_a_network_has_said_is_no_reason_to_expect_it_of_itself() -> None:
    first = np.arange(16) << 8
    of = tree(first, LEVELS)
    counts, exposure = np.zeros((16, 1)), np.full((16, 1), 4.0)
    without = drawn(counts, exposure, np.full((1, 1), 0.02), of, [10.0] * 3)
    counts[5] = 4.0
    with_it = drawn(counts, exposure, np.full((1, 1), 0.02), of, [10.0] * 3)
    assert with_it[6, 0] > 3 * without[6, 0]
    assert with_it[5, 0] < with_it[6, 0] / 2


def test_chances_are_kept_where_networks_are_as_the_model_says() -> None:
    """Of 400 networks of different density, a few addresses were asked of each: what is promised is kept."""
    rng = np.random.default_rng(4)
    first = np.arange(400) << 8
    density = rng.gamma(0.4, 0.05 / 0.4, 400).clip(0, 0.9)
    kinds = rng.integers(0, 2, 400)
    rows, ports = [], []
    for row in range(400):
        for _ in range(rng.binomial(8, density[row])):
            rows += [row, row]
            ports += [2 * kinds[row], 2 * kinds[row] + 1]
    asked = np.full((400, 4), 8.0, np.float32)
    known = profiles(two_kinds(), np.ones(4, bool), np.full(4, 0.05))
    chance = estimated(
        Answers(np.array(rows), np.array(ports), np.arange(4)), asked, first, LEVELS, known, PULLS[0]
    )
    truth = np.where(np.arange(4)[None, :] // 2 == kinds[:, None], density[:, None], 0)
    best = np.argsort(-chance, axis=None)[:100]
    promised, kept = chance.reshape(-1)[best].mean(), truth.reshape(-1)[best].mean()
    assert kept > 4 * truth.mean()
    assert abs(promised - kept) < 0.05


def test_without_hosts_there_is_one_kind() -> None:
    known = profiles(np.zeros((0, 3), bool), np.zeros(3, bool), np.array([0.1, 0.05, 0.01]))
    asked = np.full((2, 3), 100.0, np.float32)
    answers = Answers(np.array([0] * 10), np.array([0] * 10), np.arange(3))
    chance = estimated(answers, asked, np.array([0, 256]), LEVELS, known)
    assert chance[0, 0] > chance[1, 0] > 0


def test_the_pull_is_that_which_tells_the_other_half_best() -> None:
    first = np.arange(64) << 8
    known = profiles(two_kinds(), np.ones(4, bool), np.full(4, 0.05))
    asked = np.full((64, 4), 40.0, np.float32)
    everywhere = Answers(np.repeat(np.arange(64), 2), np.tile([0, 2], 64), np.arange(4))
    even = best_pull(((everywhere, asked), (everywhere, asked)), first, LEVELS, known)
    one = Answers(np.repeat(np.arange(0, 64, 8), 16), np.tile([0, 1], 64), np.arange(4))
    uneven = best_pull(((one, asked), (one, asked)), first, LEVELS, known)
    assert even.narrow > uneven.narrow
    assert uneven.narrow <= USUAL.narrow
