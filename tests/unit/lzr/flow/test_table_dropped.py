"""Where frames have found no room in the receive ring, silence says nothing: who waits asks once more."""

from __future__ import annotations

import numpy as np
import pytest

from lzr.flow.config import FlowConfig
from lzr.flow.table import FlowTable
from lzr.packet.payloads import ProbeTemplate
from lzr.rows import TARGET, V4_MAPPED, Opening
from tests.playbook import EPOCH, SECOND, Ended, Got, Line, Move, NoRoom, Play, Sent

HELLO = b"HELLO"


def test_a_flow_that_was_asked_for_the_last_time_is_asked_once_more() -> None:
    play = Play(HELLO, retransmit_wait=1, timeout=5)
    play >> Line() << Sent("A", data=HELLO)
    play >> 1 << Sent("PA", data=HELLO)
    play >> 5.9
    play >> NoRoom()
    play >> 6.89  # it would have been silent at 6
    play >> 6.9 << Sent("PA", data=HELLO)
    play >> 7
    play >> Got("PA", ack=6, data=b"220 hi\r\n") << Sent("RA", seq=6, ack=9) << Ended("data", counter=2)
    play.over()


def test_one_that_is_about_to_be_asked_is_not_put_off() -> None:
    """Where frames are dropped again and again, it would never be asked."""
    play = Play(HELLO, retransmit_wait=1, timeout=5)
    play >> Line() << Sent("A", data=HELLO)
    play >> 1 << Sent("PA", data=HELLO)
    for moment in (2.0, 2.3, 2.6, 2.9):
        play >> moment
        play >> NoRoom()
    play >> 3 << Sent("PA", data=HELLO)
    play >> 3.5
    play >> NoRoom()
    play >> 4.5 << Sent("PA", data=HELLO)
    play >> 9.5 << Sent("RA") << Ended("silent", counter=3)
    play.over()


def test_a_byte_counts_how_often_it_was_asked() -> None:
    play = Play(HELLO, retransmit_wait=0.01, retransmit_number=253, timeout=30)
    play >> Line() << Sent("A", data=HELLO)
    play >> 3
    assert len(play.sent()) == 253
    play >> NoRoom()
    play >> 4 << Sent("PA", data=HELLO)
    play >> NoRoom(late=1)
    play >> 35 << Sent("RA") << Ended("silent", counter=254)
    play.over()


def test_one_whose_repetition_is_still_to_come_gets_no_packet_more_than_that() -> None:
    play = Play(HELLO, retransmit_wait=1, timeout=5)
    play >> Line() << Sent("A", data=HELLO)
    play >> 0.5
    play >> NoRoom()
    play >> 1.5 << Sent("PA", data=HELLO)
    play >> 6.5 << Sent("RA") << Ended("silent")
    play.over()


def test_a_syn_too_and_after_a_move() -> None:
    play = Play(HELLO, retransmit_wait=1, cooldown=8)
    play >> Line(syn=True) << Sent.syn()
    play >> 1 << Sent.syn()
    play >> 4
    play >> NoRoom()
    play >> Move()
    play >> 5 << Sent.syn()
    play >> 13 << Ended("no_syn_ack")
    play.over()


def test_who_has_acknowledged_repeats_the_data_itself() -> None:
    play = Play(HELLO, timeout=5)
    play >> Line() << Sent("A", data=HELLO)
    play >> 0.5
    play >> Got("A", ack=6)
    play >> 1
    play >> NoRoom()
    play >> 5.5 << Sent("RA", seq=6) << Ended("silent", expected="data")
    play.over()


def test_however_often_there_is_no_room_a_flow_ends() -> None:
    play = Play(HELLO, retransmit_wait=1, timeout=5, cooldown=5)
    play >> Line() << Sent("A", data=HELLO)
    frames, late = 0, 0
    moment = 0.0
    while play.table.in_flight and moment < 60:
        moment += 1.5
        play >> moment
        frames += len(play.sent())
        play.ended()
        late += play.table.ask_again({0}, round(moment * SECOND), EPOCH + round(moment * SECOND))
    assert moment <= 3 * (1 + 5)  # twice that from its last sign of life on, then once more as ever
    assert late
    assert frames <= moment / 1.5 + 2
    play.over()


def test_where_nothing_may_be_sent_again_the_answers_are_lost() -> None:
    play = Play(HELLO, retransmit_number=0, timeout=5)
    play >> Line() << Sent("A", data=HELLO)
    play >> 2
    play >> NoRoom(late=1)
    play >> 5 << Sent("RA") << Ended("silent")
    play.over()


def opened(count: int, shards: int, **options: float) -> FlowTable:
    """A table of flows whose SYNs have left at 0."""
    table = FlowTable(FlowConfig((ProbeTemplate((HELLO,)),), shards=shards, **options))  # type: ignore[arg-type]
    rows = np.zeros(count, TARGET)
    rows["ticket"] = np.arange(count)
    rows["peer_lo"] = V4_MAPPED | np.arange(1, count + 1, dtype=np.uint64)
    rows["own_lo"], rows["peer_port"], rows["own_port"] = V4_MAPPED | 1 << 20, 80, 40000
    rows["syn"] = Opening.OURS
    table.open(rows, 0, EPOCH)
    table.take_frames()
    return table


def test_the_other_shards_have_had_room() -> None:
    table = opened(400, shards=4)
    table.expire(2 * SECOND)
    table.take_frames()
    assert table.retransmits == 400
    table.ask_again({1, 3}, 3 * SECOND, EPOCH + 3 * SECOND)
    theirs = int(np.isin(table.store.shards(table.rows[table.rows["state"] != 0]), [1, 3]).sum())
    assert 100 < theirs < 300
    table.expire(5 * SECOND)
    assert table.retransmits == 400 + theirs


@pytest.mark.parametrize("step", [3600 * SECOND, -3600 * SECOND, -2 * EPOCH])
def test_a_clock_that_is_set_makes_nobody_wait_for_longer(step: int) -> None:
    table = opened(4, shards=1, retransmit_wait=1.0, timeout=2.0)
    table.expire(2 * SECOND)
    table.step_clock(step)
    wall = max(0, EPOCH + step)
    assert table.ask_again({0}, 3 * SECOND, wall + 3 * SECOND) == 0
    assert (table.rows["ts"][table.rows["state"] != 0] == wall).all()
    assert (table.rows["ts"][table.rows["state"] == 0] == 0).all()
    table.expire(5 * SECOND)
    assert table.retransmits == 8
    if wall:
        assert table.ask_again({0}, 30 * SECOND, wall + 30 * SECOND) == 4, "but for those that have waited"


def test_the_longest_waits_that_can_be_asked_for_are_never_over() -> None:
    table = opened(4, shards=1, retransmit_wait=1e9, retransmit_number=255)
    assert table.ask_again({0}, 3 * SECOND, EPOCH + 3 * SECOND) == 0


def test_who_is_asked_again_is_not_silent_for_a_second_time() -> None:
    """The window goes by how many have been waited for in vain, and would let as many more be begun."""
    table = opened(400, shards=1)
    table.expire(2 * SECOND)
    assert (table.fresh, table.silent) == (0, 400)
    table.ask_again({0}, 3 * SECOND, EPOCH + 3 * SECOND)
    assert table.fresh == 0
    table.expire(5 * SECOND)
    assert (table.retransmits, table.silent) == (800, 400)
    table.extract(0)  # which counts them anew
    assert table.fresh == 0
