"""The order of handshakes: the greedy choice by hand, leaning on other ports, what holds of other hosts."""

from __future__ import annotations

import tomllib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lzr.analysis import order, plantext
from lzr.analysis.order import END, IDENTIFIED, NOTHING, UNKNOWN, Costs, ServiceOutcomes
from lzr.options import byport
from tests.madeservices import HANDSHAKES, made

N, U, I = NOTHING, UNKNOWN, IDENTIFIED  # noqa: E741
COSTS = Costs(3.0, 4.0)


def services(*groups: tuple[int, int, tuple[int, ...]]) -> ServiceOutcomes:
    """Of (port, how many, outcomes)."""
    ports = np.concatenate([np.full(count, port) for port, count, _ in groups])
    outcomes = np.concatenate([np.tile(np.array(got, np.uint8), (count, 1)) for _, count, got in groups])
    return ServiceOutcomes.of(ports.astype(np.uint16), outcomes)


def of(learned: order.Learned, port: int) -> tuple[int, ...]:
    return learned.order(int(learned.of_port[port]))


def test_the_next_handshake_is_what_identifies_most_of_those_left_for_its_packets() -> None:
    found = services((80, 60, (I, I, N)), (80, 30, (I, N, N)), (80, 20, (N, I, N)), (80, 5, (N, N, I)))
    learned = order.learn(found, COSTS, prior=0.0)
    assert of(learned, 80) == (0, 1, 2)
    gains, packets = order.run(learned, found, COSTS)
    row = int(learned.of_port[80])
    assert gains[row].tolist() == [90, 20, 5]
    assert packets[row].tolist() == [90 * 3 + 25 * 4, 20 * 3 + 5 * 4, 5 * 3]
    assert found.identified == 115
    assert found.packets(COSTS) == 60 * 10 + 30 * 11 + 20 * 11 + 5 * 11
    # 1 finds 80 alone, but only 20 that 0 leaves: what is there decides, not how many kinds.
    assert order.run(order.single((1, 0, 2)), found, COSTS)[0].tolist() == [[80, 30, 5]]


def test_data_without_a_label_ends_a_service_and_counts_against_whom_it_ends() -> None:
    found = services((80, 40, (I, N)), (80, 50, (U, I)))
    assert of(order.learn(found, COSTS, prior=0.0), 80) == (1, 0)
    nothing_lost = services((80, 40, (I, N)), (80, 50, (U, N)), (80, 39, (N, I)))
    assert of(order.learn(nothing_lost, COSTS, prior=0.0), 80) == (0, 1)


def test_a_port_with_few_services_leans_on_all_ports_and_one_with_many_does_not() -> None:
    found = services((80, 100, (I, N)), (22, 1, (N, I)), (23, 100, (N, I)), (81, 200, (I, N)))
    learned = order.learn(found, COSTS, prior=10.0)
    assert of(learned, 22) == of(learned, 9) == (0, 1)
    assert of(learned, 23) == (1, 0)
    assert of(order.learn(found, COSTS, prior=0.0), 22) == (1,)
    few = order.learn(found, COSTS, prior=10.0, least=2)
    assert few.of_port[22] == 0
    assert few.of_port[23] > 0


def test_a_network_leans_on_the_same_port_elsewhere() -> None:
    found = services((80, 100, (I, N)), (23, 100, (N, I)), (80, 20, (N, I)), (23, 1, (I, N)))
    inside = np.arange(len(found)) >= 200
    learned = order.learn(found, COSTS, inside=inside)
    assert of(learned, 80) == (1, 0)  # twenty of its own
    assert of(learned, 23) == (1, 0)  # one of its own, a hundred elsewhere
    assert of(order.learn(found, COSTS), 80) == (0, 1)
    assert order.held_out(found, np.arange(len(found)) % 2 == 0, COSTS, inside=inside).identified[-1] == 21


def test_a_price_leaves_out_what_is_worth_less() -> None:
    found = services((80, 90, (I, N)), (80, 10, (N, I)), (80, 100, (N, N)), (53, 50, (N, I)))
    learned = order.learn(found, COSTS, prior=0.0)
    assert (of(learned, 80), of(learned, 53)) == ((0, 1), (1,))
    whole = order.curve(learned, found, COSTS)
    assert whole.identified[-1] == 150
    assert whole.at(np.inf) == (140, 90 * 3 + 110 * 4 + 50 * 3)
    assert whole.at(0) == (150, 90 * 3 + 110 * 4 + 50 * 3 + 10 * 3 + 100 * 4)
    assert whole.price_of(141) == pytest.approx(10 / 430)
    assert whole.price_of(151) == 0
    assert whole.price_within(1e9) == pytest.approx(10 / 430)
    assert whole.price_within(900) == np.inf
    assert of(learned.cut(np.inf), 80) == (0,)
    assert of(learned.cut(10 / 431), 80) == (0, 1)


def test_where_nothing_is_identified_one_handshake_is_asked() -> None:
    found = services((7, 5, (U, N)), (8, 5, (N, N)), (80, 5, (I, N)))
    learned = order.learn(found, COSTS, prior=0.0)
    assert len(of(learned, 7)) == len(of(learned, 8)) == 1


def test_most_orders_are_kept_by_how_many_services_share_them() -> None:
    found = services((1, 50, (I, N, N)), (2, 9, (N, I, N)), (3, 8, (N, N, I)), (4, 9, (N, I, N)))
    learned = order.learn(found, COSTS, prior=0.0)
    orders, of_port = order.merged(learned, found, 2)
    assert orders == [(0,), (1,)] == [learned.order(0), of(learned, 2)]
    assert of_port[[1, 2, 3, 4]].tolist() == [0, 1, 0, 1]
    orders, of_port = order.merged(learned, found, 255)
    assert [orders[of_port[port]] for port in (1, 2, 3, 4)] == [(0,), (1,), (2,), (1,)]


@given(
    st.lists(
        st.tuples(st.integers(1, 4), st.tuples(*[st.sampled_from((N, U, I))] * 4)), min_size=1, max_size=30
    ),
    st.floats(0, 20),
)
def test_what_holds_of_any_services(some: list[tuple[int, tuple[int, ...]]], prior: float) -> None:
    found = services(*[(port, 1, got) for port, got in some])
    learned = order.learn(found, COSTS, prior=prior)
    for row in range(len(learned.orders)):
        one = learned.order(row)
        assert len(set(one)) == len(one) > 0
        assert learned.orders[row, len(one) :].tolist() == [END] * (learned.orders.shape[1] - len(one))
    assert (np.diff(learned.worth, axis=1) <= 0).all()
    gains, packets = order.run(learned, found, COSTS)
    identified = spent = 0.0
    for port, got in some:  # the same, one service at a time
        for handshake in of(learned, port):
            spent += COSTS.answered if got[handshake] else COSTS.silent
            if got[handshake]:
                identified += got[handshake] == I
                break
    assert (gains.sum(), packets.sum()) == (identified, spent)
    whole = order.curve(learned, found, COSTS)
    assert (whole.identified[-1], whole.packets[-1]) == (identified, spent)
    for price in (0.0, 0.1, 0.3, np.inf):
        cut = order.run(learned.cut(price), found, COSTS)
        assert (cut[0].sum(), cut[1].sum()) == whole.at(price)


@pytest.mark.parametrize(("count", "seed"), [(3_000, 1), (20_000, 2)])
def test_hosts_that_were_not_learned_from_are_identified_for_fewer_packets(count: int, seed: int) -> None:
    """99 % of what all handshakes identify, for 60 % of their packets: here it is under a third."""
    hosts, ports, _, outcomes = made(count, seed)
    found, half = ServiceOutcomes.of(ports, outcomes), order.halves(hosts)
    assert 0.45 < half.mean() < 0.55
    seen, rest = found.take(half), found.take(~half)
    learned = order.learn(seen, COSTS, least=2)
    quarters = order.halves(hosts[half] * np.uint64(3))
    judged = order.held_out(seen, quarters, COSTS, least=2)  # the price comes from that half alone, too
    price = judged.price_of(0.995 * seen.identified)
    gains, packets = order.run(learned.cut(price), rest, COSTS)
    assert gains.sum() >= 0.99 * rest.identified
    assert packets.sum() <= 0.3 * rest.packets(COSTS)
    # And better than one order for all ports, that asks all until data comes.
    one = order.run(order.single(tuple(range(len(HANDSHAKES)))), rest, COSTS)
    assert gains.sum() > one[0].sum()
    assert packets.sum() < 0.8 * one[1].sum()


def test_the_file_is_what_the_scan_reads() -> None:
    _, ports, _, outcomes = made(5_000)
    found = ServiceOutcomes.of(ports, outcomes)
    orders, of_port = order.merged(order.learn(found, COSTS, least=2), found, 255)
    named = [tuple(HANDSHAKES[at] for at in one) for one in orders]
    point = plantext.Point("x", 1.0, 1.0)
    figures = plantext.PlanFigures(1, 1, 1, 1, 1.0, HANDSHAKES, point, (), (), ())
    text = plantext.toml(named, of_port, [0] * len(named), figures)
    assert tomllib.loads(text)["default"] == list(named[0])
    read = byport.read(["f"], lambda _: text.encode())
    by_port = byport.port_orders(read.default, read)
    for port in (*range(0, 65536, 97), 80, 443, 53):
        assert by_port.named(int(by_port.of_port[port])) == named[int(of_port[port])]
