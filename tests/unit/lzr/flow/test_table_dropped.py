"""Where frames have found no room in the receive ring, silence says nothing: who waits asks once more."""

from __future__ import annotations

import numpy as np

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
    play >> Got("PA", ack=6, data=b"220 hi\r\n") << Sent("RA", seq=6, ack=9) << Ended("data", counter=1)
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


def test_the_other_shards_have_had_room() -> None:
    table = FlowTable(FlowConfig((ProbeTemplate((HELLO,)),), shards=4))
    rows = np.zeros(400, TARGET)
    rows["ticket"] = np.arange(400)
    rows["peer_lo"], rows["own_lo"] = V4_MAPPED | np.arange(1, 401, dtype=np.uint64), V4_MAPPED | 1 << 20
    rows["peer_port"], rows["own_port"], rows["syn"] = 80, 40000, Opening.OURS
    table.open(rows, 0, EPOCH)
    table.take_frames()
    table.expire(2 * SECOND)
    table.take_frames()
    assert table.retransmits == 400
    table.ask_again({1, 3}, 3 * SECOND, EPOCH + 3 * SECOND)
    theirs = int(np.isin(table.store.shards(table.rows[table.rows["state"] != 0]), [1, 3]).sum())
    assert 100 < theirs < 300
    assert table.fresh == theirs
    table.expire(5 * SECOND)
    assert table.retransmits == 400 + theirs
