"""How far scores can be believed: what came of them."""

from __future__ import annotations

import numpy as np

from lzr.prediction import predict
from lzr.prediction.asked import PORTS, Addresses, Asked
from lzr.prediction.conditions import BOUNDS
from lzr.prediction.counts import Services
from lzr.prediction.heldout import calibrated, calibration, doubt

KINDS = ("fingerprint", "product")


def seed(hosts: int, *, told: bool = True) -> tuple[Services, Asked]:
    """Hosts with product 1 on 443, of which half answer on 8443, and as many with product 2, of which none
    does. told: whether they were asked on all ports."""
    rows = []
    for host in range(hosts):
        number = (host * 7919 % 65_536) << 8 | 7
        rows.append((number, 443, 1 + host % 2))
        if host % 4 == 0:
            rows.append((number, 8443, 3))
    table = np.array(sorted(rows), np.int64)
    codes = np.column_stack([np.zeros(len(table), np.int64), table[:, 2]]).astype(np.int32)
    services = predict.with_networks(Services(table[:, 0], table[:, 1], codes, KINDS))
    asked = Asked()
    ports = np.ones(PORTS, bool) if told else np.isin(np.arange(PORTS), [443])
    asked.add_product(Addresses.of(np.unique(table[:, 0])), ports)
    return services, asked


def test_a_score_that_promised_too_much_is_lowered_and_the_order_stays() -> None:
    rng = np.random.default_rng(2)
    score = rng.random(40_000)
    hit = rng.random(40_000) < score**2
    line = calibration(score, hit)
    at = np.linspace(0.05, 0.95, 19)
    assert np.abs(line(at) - at**2).max() < 0.05
    assert (np.diff(line(np.linspace(0, 1, 500))) >= 0).all()


def test_little_that_came_of_scores_moves_little() -> None:
    line = calibration(np.full(3, 0.6), np.zeros(3, bool))
    assert 0.4 < line(np.array([0.6]))[0] < 0.6
    firm = calibration(np.full(3, 0.6), np.zeros(3, bool), least=2_000)
    assert firm(np.array([0.6]))[0] > 0.59


def test_without_scores_they_are_believed_as_they_are() -> None:
    line = calibration(np.empty(0), np.empty(0, bool))
    assert line(np.array([0.0, 0.3, 1.0])).tolist() == [0.0, 0.3, 1.0]


def test_scores_beyond_what_was_seen_are_as_far_off_as_the_last() -> None:
    line = calibration(np.full(5_000, 0.5), np.arange(5_000) % 5 == 0)
    assert abs(line(np.array([0.5]))[0] - 0.2) < 0.01
    assert line(np.array([1.0]))[0] < 0.45


def test_hosts_that_were_held_out_are_told_by_the_others() -> None:
    services, asked = seed(400)
    believed = calibrated(services, asked)
    weighed, chance, hit = believed.weights, believed.score, believed.hit
    assert believed.bound in BOUNDS
    assert len(chance) == len(hit) > 100
    assert 100 < believed.judges <= 400
    sure = chance > 0.3
    assert abs(chance[sure].mean() - hit[sure].mean()) < 0.1
    assert hit[~sure].mean() < 0.1
    assert weighed.of.shape == (3 + services.codes.shape[1],)


def test_what_nobody_was_asked_for_decides_nothing() -> None:
    """Of hosts that were asked on one port only, none can say whether another answers."""
    services, asked = seed(400, told=False)
    believed = calibrated(services, asked)
    assert not believed.hit.any()
    assert not len(believed.score)
    assert not believed.judges


def test_a_seed_without_hosts_has_nobody_to_hold_out() -> None:
    services, asked = seed(400)
    believed = calibrated(services.take(np.zeros(len(services), bool)), asked)
    assert not len(believed.score)
    assert believed.weights.of[1] == 1


def test_few_hosts_tell_less_of_how_far_chances_are_off() -> None:
    assert doubt(0) == 1
    assert doubt(140) > 0.1 > doubt(580) > 0.05 > doubt(2_300)
