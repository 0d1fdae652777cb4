"""What held-out addresses of a sample say of the chances that networks promise."""

from __future__ import annotations

import numpy as np
import pytest

from lzr.prediction import sampled as predictsampled
from lzr.prediction.asked import PORTS, Addresses, Asked
from lzr.prediction.kinds import PULLS, USUAL, Answers, Profiles
from lzr.prediction.sampled import PLAIN, Sample, Trust, trust

LEVELS = [16, 12, 8]
NETWORKS, EACH = 256, 16


def sampled(density: np.ndarray, seed: int) -> tuple[Sample, np.ndarray]:
    """A sample of 16 addresses in each network. density: (networks, 2) how often they answer on two ports."""
    rng = np.random.default_rng(seed)
    first = np.arange(NETWORKS) << 8
    every = (first[:, None] + np.arange(EACH) * 7).reshape(-1)
    asked = Asked()
    asked.add_product(Addresses.of(every), np.isin(np.arange(PORTS), [80, 443]))
    hit = rng.random((len(every), 2)) < np.repeat(density, EACH, 0)
    at, place = np.nonzero(hit)
    answers = Answers(at // EACH, place, np.arange(2))
    return Sample(asked, every[at], answers, np.array([80, 443])), first


def profiles_of(sample: Sample) -> Profiles:
    k = np.bincount(sample.answers.row * 2 + sample.answers.column, minlength=2 * NETWORKS)
    asked = np.full((NETWORKS, 2), EACH, np.float32)
    return predictsampled.kinds(sample, k.reshape(NETWORKS, 2).astype(np.float32), asked)


def test_networks_that_are_all_alike_are_drawn_towards_the_port() -> None:
    sample, first = sampled(np.full((NETWORKS, 2), 0.05), 3)
    learnt = trust(sample, first, LEVELS, PULLS[0], profiles_of(sample))
    usual = np.array([0.05, 0.05])
    made = learnt(np.array([[0.2, 0.05], [0.05, 0.02]], np.float32), usual)
    assert made[0, 0] < 0.12
    assert abs(made[0, 1] - 0.05) < 0.03
    assert learnt.of[2] > 0.1 or learnt.of[1] < 0.7


def test_networks_that_differ_keep_what_they_promise() -> None:
    rng = np.random.default_rng(5)
    dense = (rng.random(NETWORKS) < 0.2)[:, None]
    sample, first = sampled(np.where(dense, 0.4, 0.01) * np.ones(2), 4)
    learnt = trust(sample, first, LEVELS, PULLS[0], profiles_of(sample))
    made = learnt(np.array([[0.35, 0.01]], np.float32), np.array([0.09, 0.09]))
    assert made[0, 0] > 0.25
    assert made[0, 1] < 0.05


def test_without_a_sample_nothing_is_changed() -> None:
    sample, first = sampled(np.full((NETWORKS, 2), 0.05), 3)
    alone = sample._replace(asked=Asked())
    assert trust(alone, first, LEVELS, PULLS[0], profiles_of(sample)) is PLAIN
    assert predictsampled.pull(alone, first, LEVELS, None) is USUAL  # type: ignore[arg-type]
    chance = np.array([[0.3, 0.001]], np.float32)
    assert np.allclose(PLAIN(chance, np.array([0.1, 0.1])), chance)


def test_of_a_large_sample_a_part_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    sample, first = sampled(np.full((NETWORKS, 2), 0.05), 3)
    monkeypatch.setattr(predictsampled, "_MOST_CELLS", 256)
    assert trust(sample, first << 8, [24, 20, 16], PULLS[0], profiles_of(sample)) is not None


def test_of_very_many_hosts_the_kinds_of_all_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    sample, first = sampled(np.full((NETWORKS, 2), 0.05), 3)
    known = profiles_of(sample)
    each = trust(sample, first, LEVELS, PULLS[0], known)
    monkeypatch.setattr("lzr.prediction.kinds.MOST_HOSTS", 10)
    monkeypatch.setattr(predictsampled, "kinds", None)
    assert np.allclose(trust(sample, first, LEVELS, PULLS[0], known).of, each.of, atol=0.4)


def test_a_trust_never_promises_more_than_the_networks_do() -> None:
    steep = Trust(np.array([0.2, 1.5, 0.0]))
    chance = np.array([[0.3, 0.001]], np.float32)
    made = steep(chance, np.array([0.1, 0.1]))
    assert (made <= chance).all()
    assert made[0, 0] == chance[0, 0]


def test_a_trust_never_turns_the_order_of_a_port_around() -> None:
    for seed in range(4):
        sample, first = sampled(np.full((NETWORKS, 2), 0.05), seed)
        learnt = trust(sample, first, LEVELS, PULLS[0], profiles_of(sample))
        chance = np.linspace(0.001, 0.9, 50, dtype=np.float32)[:, None] * np.ones((1, 2), np.float32)
        assert (np.diff(learnt(chance, np.array([0.05, 0.01])), axis=0) > 0).all()
        assert 0 <= learnt.of[2] <= 1


def test_high_chances_are_corrected_upwards_where_held_out_addresses_answered_more() -> None:
    """A few networks are nearly full; of each a few addresses were sampled."""
    rng = np.random.default_rng(7)
    full = (rng.random(NETWORKS) < 0.15)[:, None]
    sample, first = sampled(np.where(full, 0.9, 0.005) * np.ones(2), 4)
    learnt = trust(sample, first, LEVELS, PULLS[-1], profiles_of(sample))
    assert learnt.line is not None
    usual = np.array([0.13, 0.13])
    chance = np.linspace(0.001, 0.9, 60, dtype=np.float32)[:, None] * np.ones((1, 2), np.float32)
    made = learnt(chance, usual)
    plain = learnt._replace(line=None)(chance, usual)
    assert (np.diff(made, axis=0) >= 0).all()
    assert np.allclose(made[plain < 0.15], plain[plain < 0.15])
    assert made[plain > 0.3].mean() > plain[plain > 0.3].mean() + 0.05


def test_what_is_promised_of_who_has_not_answered_on_a_swept_port_is_lowered_to_what_they_answer() -> None:
    """Who answers on 443 answers on 80, which everybody was asked on: the others have no 443."""
    rng = np.random.default_rng(9)
    first = np.arange(NETWORKS) << 8
    every = (first[:, None] + np.arange(EACH) * 7).reshape(-1)
    asked = Asked()
    asked.add_product(Addresses.of(every), np.isin(np.arange(PORTS), [80, 443]))
    web = rng.random(len(every)) < 0.3
    hit = np.column_stack([web, web & (rng.random(len(every)) < 0.7)])
    at, place = np.nonzero(hit)
    sample = Sample(asked, every[at], Answers(at // EACH, place, np.arange(2)), np.array([80, 443]))
    done = np.tile([True, False], (NETWORKS, 1))
    known = profiles_of(sample)
    promised = predictsampled.of_strangers(
        sample, first, LEVELS, PULLS[0], known, lambda told, of, at: told.astype(np.float64), done
    )
    assert promised is not None
    assert promised(np.array([0.2]))[0] < 0.05
    chance = np.linspace(0, 1, 50)
    assert (promised(chance) <= chance + 1e-9).all()
    assert (np.diff(promised(chance)) >= 0).all()
    nobody = np.zeros_like(done)
    alone = predictsampled.of_strangers(
        sample, first, LEVELS, PULLS[0], known, lambda told, of, at: told.astype(np.float64), nobody
    )
    assert alone is not None
    assert alone(np.array([0.2]))[0] > 0.1
