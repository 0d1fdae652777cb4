"""Exactly once, from input to output, whoever dies: machine and ledger are real, the processes simulated."""

from __future__ import annotations

from random import Random

import pytest

from tests.simulated import Fleet, alive


@pytest.mark.parametrize("flow", [1, 3])
@pytest.mark.parametrize("collect", [1, 3])
def test_undisturbed(flow: int, collect: int) -> None:
    fleet = Fleet(8, Random(1))
    fleet.want(flow, collect)
    fleet.read(300)
    fleet.rest()
    fleet.check_end()
    assert fleet.tried_again == 0


def disturbed(seed: int, deaths: float, changes: float) -> Fleet:
    """Inputs come, processes work and die, counts change, in any order; then everything comes to rest."""
    random = Random(seed)
    fleet = Fleet(random.choice([1, 2, 5, 8]), random)
    fleet.want(random.randrange(1, 4), random.randrange(1, 4))
    for _ in range(120):
        act = random.random()
        if act < deaths:
            fleet.kill(random.choice(alive(fleet) or list(fleet.children)))
        elif act < deaths + changes:
            fleet.want(random.randrange(1, 6), random.randrange(1, 5))
        elif act < 0.4:
            fleet.turn()
        elif act < 0.5:
            fleet.read(random.randrange(1, 12))
        else:
            fleet.step(random.choice(list(fleet.children)))
    fleet.rest()
    fleet.check_end()
    return fleet


@pytest.mark.parametrize(("deaths", "changes"), [(0.0, 0.1), (0.1, 0.0), (0.08, 0.08), (0.2, 0.02)])
def test_disturbed(deaths: float, changes: float) -> None:
    fleets = [disturbed(seed, deaths, changes) for seed in range(60)]
    assert sum(fleet.lines for fleet in fleets) > 2000
    tried_again = sum(fleet.tried_again for fleet in fleets)
    assert tried_again > 50 if deaths else tried_again == 0
    assert sum(fleet.machine.shards.moves for fleet in fleets) > 50
