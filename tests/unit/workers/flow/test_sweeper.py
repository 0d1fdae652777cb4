"""How many answers a sweep expects: of whose time is not over, by what became of those asked before."""

from __future__ import annotations

import numpy as np
import pytest

from lzr.addresstext import ranges_of
from lzr.flow.config import FlowConfig
from lzr.ipc import messages
from lzr.packet import ways
from lzr.packet.payloads import ProbeTemplate
from lzr.rows import TARGET
from lzr.sweep.space import Space
from lzr.sweep.verdict import Verdict
from workers.flow.sweeper import _MAKE, Sweeper

SECOND = 10**9
STEP = SECOND // 100


@pytest.fixture
def sweeper() -> Sweeper:
    space = Space(ranges_of("198.18.0.0/15"), [(80, 80)])
    swept = messages.Swept(
        order=(1, 2),
        mine=np.zeros(1, np.uint32),
        step=1,
        ranges=space.ranges,
        ports=space.ports,
        v4=np.zeros(0, np.uint64),
        v6=np.zeros(0, np.uint64),
    )
    return Sweeper(swept, FlowConfig((ProbeTemplate((b"x",)),)), SECOND)


def stretch(number: int, count: int = 100) -> messages.Stretch:
    return messages.Stretch(number, 0, count, 0, 0, np.empty(0, np.uint8))


def test_a_stretch_is_sent_when_the_kernel_has_its_last_packet(sweeper: Sweeper) -> None:
    """Packets that are to be routed may wait for a neighbour, and are lost with the worker until then."""

    def sent(*, left: bool, made: int, gone: int) -> list[int]:
        return [
            number for each in sweeper.reports(0, left=left, made=made, gone=gone) for number in each.sent
        ]

    sweeper._begun = [stretch(1), stretch(2)]
    assert sent(left=False, made=0, gone=0) == []
    assert sent(left=True, made=7, gone=4) == []
    sweeper._begun = [stretch(3)]
    assert sent(left=True, made=9, gone=7) == [1, 2]
    assert sent(left=False, made=20, gone=8) == []
    assert sent(left=False, made=20, gone=9) == [3]
    sweeper._begun = [stretch(4)]
    assert sent(left=True, made=20, gone=20) == [4]


def test_stretches_whose_syns_were_dropped_are_asked_again_whole(sweeper: Sweeper) -> None:
    ms = SECOND // 1000
    sweeper._begun = [stretch(1)]
    sweeper.to_ask.put(stretch(2), 100, 10 * ms, 0)
    taken = sweeper.to_ask.take(1000, 3 * ms)
    assert taken is not None
    assert (taken[1], taken[2], taken[3]) == (0, 40, False)
    sweeper.ask_again(5 * ms)
    assert sweeper.reports(5 * ms, left=True) == []
    assert sweeper.to_ask.waiting == 200
    again = [sweeper.to_ask.take(1000, 20 * ms) for _ in range(3)]
    assert [one and (one[0].number, *one[1:]) for one in again] == [
        (2, 0, 100, True),
        (1, 0, 100, True),
        None,
    ]


@pytest.mark.parametrize("skipped", [0, 3])
def test_a_large_stretch_is_made_piece_by_piece_and_each_pair_asked_once(
    sweeper: Sweeper, skipped: int
) -> None:
    """As many pieces as there are, whatever is taken at a time; pairs that are skipped get no SYN."""
    count = 3 * _MAKE + 77
    skip = np.zeros(count, bool)
    if skipped:
        skip[::skipped] = True
    swept = messages.Stretch(1, 0, count, 0, 100 * SECOND // 1000, np.packbits(skip))
    everywhere = ways.everywhere()
    everywhere.ways["source_hi"], everywhere.ways["source_lo"] = 0, 0xFFFF_C000_0201
    expected, _ = sweeper._syns.take(0, count, everywhere, skip)
    sweeper.put(swept)
    asked = [sweeper.ask(1700, everywhere, step * STEP // 3) for step in range(60)]
    assert np.array_equal(np.concatenate(asked)["peer_lo"], expected["peer_lo"])
    assert np.array_equal(np.concatenate(asked)["seq"], expected["seq"])
    assert [one.number for one in sweeper._begun] == [1]


def test_many_answers_are_reported_sooner_than_few(sweeper: Sweeper) -> None:
    for answers, least, most in ((10, 50, 70), (1000, 25, 40)):
        sweeper._tell(np.zeros(answers, TARGET), np.ones(answers, np.uint8))
        assert sweeper.reports(SECOND, left=True)
        assert not sweeper.telling(SECOND + least * SECOND // 1000)
        assert sweeper.telling(SECOND + most * SECOND // 1000)


def test_known_firewalls_get_no_syn_and_are_told_of(sweeper: Sweeper) -> None:
    everywhere = ways.everywhere()
    everywhere.ways["source_hi"], everywhere.ways["source_lo"] = 0, 0xFFFF_C000_0201
    sweeper.firewalls = lambda rows: rows["peer_lo"] % 4 == 0
    sweeper.put(stretch(1, 1000))
    asked = sweeper.ask(1000, everywhere, 0)
    [report] = sweeper.reports(0, left=True)
    assert report.sent == [1]
    assert set(report.verdicts.tolist()) == {Verdict.FIREWALL}
    assert len(asked) + len(report.rows) == 1000
    assert (asked["peer_lo"] % 4 != 0).all()
    assert (report.rows["peer_lo"] % 4 == 0).all()
    assert sweeper.awaited._slices[-1].asked == len(asked)


def test_of_pairs_whose_syns_may_have_left_it_is_not_said_that_they_got_none(sweeper: Sweeper) -> None:
    everywhere = ways.everywhere()
    everywhere.ways["source_hi"], everywhere.ways["source_lo"] = 0, 0xFFFF_C000_0201
    known = False
    sweeper.firewalls = lambda rows: np.full(len(rows), known)
    for number in (1, 2, 3):
        sweeper.put(messages.Stretch(number, 100 * number, 100, 0, 0, np.empty(0, np.uint8)))
    assert len(sweeper.ask(150, everywhere, 0)) == 150  # the second in part, the third not at all
    sweeper.ask_again(0)
    known = True
    assert not len(sweeper.ask(1000, everywhere, 0))
    [report] = sweeper.reports(0, left=True)
    assert sorted(report.sent) == [1, 2, 3]
    assert set(report.verdicts.tolist()) == {Verdict.FIREWALL}
    third, _ = sweeper._syns.take(300, 100, everywhere)
    assert sorted(report.rows["peer_lo"].tolist()) == sorted(third["peer_lo"].tolist())
    sweeper.put(messages.Stretch(4, 400, 100, 0, 0, np.empty(0, np.uint8)))
    assert not len(sweeper.ask(1000, everywhere, 0))
    assert len(sweeper.reports(0, left=True)[0].rows) == 100


@pytest.mark.parametrize("every", [1, 50])
def test_pairs_without_a_syn_do_not_count_where_so_many_syns_may_leave(sweeper: Sweeper, every: int) -> None:
    everywhere = ways.everywhere()
    everywhere.ways["source_hi"], everywhere.ways["source_lo"] = 0, 0xFFFF_C000_0201
    count, most = 3 * _MAKE, 20
    for number, sparse in enumerate((every, 1), start=1):
        skip = np.ones(count, bool)
        skip[::sparse] = False
        bits = np.packbits(skip) if skip.any() else np.empty(0, np.uint8)
        sweeper.put(messages.Stretch(number, 0, count, 0, 0, bits))
    asked, turns = list[int](), 0
    while sweeper.to_ask.waiting:
        before = sweeper.to_ask.waiting
        asked.append(len(sweeper.ask(most, everywhere, turns)))
        assert before - sweeper.to_ask.waiting <= _MAKE
        turns += 1
    assert sum(asked) == len(range(0, count, every)) + count
    assert max(asked) <= most + 1
    assert sum(asked) / most <= turns < 1.1 * sum(asked) / most + 8
