"""How conditions are weighed."""

from __future__ import annotations

import numpy as np

from lzr.prediction.weighing import logit, weights


def test_without_held_out_candidates_the_best_score_decides() -> None:
    empty = weights(np.empty((0, 4)), np.empty(0, bool))
    score = np.array([0.2, 0.7])
    evidence = np.column_stack([logit(score), np.full(2, 3.0), np.full(2, -2.0), np.zeros(2)])
    assert np.allclose(empty(evidence), score)


def test_what_tells_of_misses_is_weighed() -> None:
    """The best score says the same of all; a second feature knows better."""
    rng = np.random.default_rng(1)
    knows = rng.normal(0, 1.5, 4_000)
    hit = rng.random(4_000) < 1 / (1 + np.exp(-(knows - 0.5)))
    evidence = np.column_stack([np.full(4_000, logit(np.array([0.6]))[0]), np.zeros(4_000), knows])
    chance = weights(evidence, hit)(evidence)
    for low in np.arange(0, 1, 0.2):
        mine = (chance >= low) & (chance < low + 0.2)
        assert abs(chance[mine].mean() - hit[mine].mean()) < 0.05


def test_few_candidates_move_little() -> None:
    evidence = np.column_stack([np.full(3, 0.0), np.zeros(3), np.full(3, 2.0)])
    chance = weights(evidence, np.zeros(3, bool))(evidence)
    assert (chance > 0.2).all()


def test_what_never_and_always_happens_has_log_odds() -> None:
    assert np.isfinite(logit(np.array([0.0, 1.0]))).all()
