"""Exactly once, from input to output, whoever dies: machine and ledger are real, the processes simulated."""

from __future__ import annotations

from random import Random

import pytest

from tests.simulated import Pool, alive


@pytest.mark.parametrize("flow", [1, 3])
@pytest.mark.parametrize("collect", [1, 3])
def test_undisturbed(flow: int, collect: int) -> None:
    pool = Pool(8, Random(1))
    pool.want(flow, collect)
    pool.read(300)
    pool.rest()
    pool.check_end()
    assert pool.tried_again == 0


def disturbed(seed: int, deaths: float, changes: float) -> Pool:
    """Inputs come, processes work and die, counts change, in any order; then everything comes to rest."""
    random = Random(seed)
    pool = Pool(random.choice([1, 2, 5, 8]), random)
    pool.want(random.randrange(1, 4), random.randrange(1, 4))
    for _ in range(120):
        act = random.random()
        if act < deaths:
            pool.kill(random.choice(alive(pool) or list(pool.children)))
        elif act < deaths + changes:
            pool.want(random.randrange(1, 6), random.randrange(1, 5))
        elif act < 0.4:
            pool.turn()
        elif act < 0.5:
            pool.read(random.randrange(1, 12))
        else:
            pool.step(random.choice(list(pool.children)))
    pool.rest()
    pool.check_end()
    return pool


@pytest.mark.parametrize(("deaths", "changes"), [(0.0, 0.1), (0.1, 0.0), (0.08, 0.08), (0.2, 0.02)])
def test_disturbed(deaths: float, changes: float) -> None:
    pools = [disturbed(seed, deaths, changes) for seed in range(60)]
    assert sum(pool.lines for pool in pools) > 2000
    tried_again = sum(pool.tried_again for pool in pools)
    assert tried_again > 50 if deaths else tried_again == 0
    assert sum(pool.machine.shards.moves for pool in pools) > 50
