"""Several handshakes with one host, as traces: each on a connection of its own, from a port of its shard.

A handshake that brings nothing leads to the next and the last one's end is the flow's, whatever the
reason; with every handshake asked for, each that got data is told.
"""

from __future__ import annotations

import numpy as np
import pytest

from lzr.flow.handshakeorders import HandshakeOrders
from lzr.packet.sharding import shard_of
from lzr.rows import FlowState, FlowTrigger
from lzr.secrets import Secrets
from tests.playbook import Batch, Edges, Ended, Got, Line, Move, Play, Sent, note_edges

HELLO, AGAIN, THIRD = b"HELLO", b"EHLO you\r\n", b"\x16\x03\x01"
BANNER = b"220 mail.example ESMTP\r\n"
LONG = bytes(range(256))

EDGES: Edges = {}
edge = note_edges(EDGES)

pytestmark = pytest.mark.usefixtures("kernels")


# --- several handshakes ---------------------------------------------------------------------------------


def test_three_handshakes_each_on_a_fresh_port() -> None:
    play = Play(HELLO, AGAIN, THIRD)
    play >> Line() << Sent("A", data=HELLO, conn=0)
    play >> Got("R", ack=0) << Sent.syn(conn=1)
    play >> Got("SA", seq=0, ack=1) << Sent("A", data=AGAIN, conn=1)
    play >> Got("FA", ack=11) << Sent("RA", seq=11, ack=2, conn=1) << Sent.syn(conn=2)
    play >> Got("SA", seq=0, ack=1) << Sent("A", data=THIRD, conn=2)
    play >> Got("PA", ack=4, data=LONG) << Sent("RA", seq=4, ack=257, conn=2)
    play << Ended("data", handshake=2, data=LONG, acked=1, line=0, own_port=play.connections[2].own_port)
    play.over()
    assert len({connection.own_port for connection in play.connections}) == 3
    assert len({connection.our_isn for connection in play.connections}) == 3


def test_silence_closes_before_the_next_handshake() -> None:
    play = Play(HELLO, AGAIN, retransmit_number=0, timeout=2)
    play >> Line() << Sent("A", data=HELLO)
    play >> 2.0 << Sent("RA", conn=0) << Sent.syn(conn=1)
    play >> Got("SA", seq=0, ack=1) << Sent("A", data=AGAIN)
    play >> Got("A", ack=11)
    play >> 4.0 << Sent("RA", seq=11) << Ended("silent", handshake=1, expected="data", acked=1)
    play.over()


def test_a_follow_up_that_nobody_answers_is_not_the_last() -> None:
    play = Play(HELLO, AGAIN, THIRD, timeout=3, cooldown=100)
    play >> Line() << Sent("A", data=HELLO)
    play >> Got("R", ack=0) << Sent.syn(conn=1)
    play >> 1.0 << Sent.syn(conn=1)
    play >> 4.0 << Sent.syn(conn=2)  # the cool-down is for the first SYN of a listed target only
    play >> Got("RA", seq=0, ack=1) << Ended("rst", handshake=2, counter=0)
    play.over()


def test_what_comes_late_for_an_earlier_handshake_is_stray() -> None:
    play = Play(HELLO, AGAIN)
    play >> Line() << Sent("A", data=HELLO)
    play >> Got("R", ack=0) << Sent.syn(conn=1)
    play >> Got("PA", ack=6, data=BANNER, conn=0)
    play >> Got("SA", seq=0, ack=1) << Sent("A", data=AGAIN)
    play >> Got("PA", ack=11, data=b"250 hello there\r\n") << Sent("RA", seq=11, ack=18)
    play << Ended("data", handshake=1, data=b"250 hello there\r\n")
    play.over()
    assert play.table.ignored["stray"] == 1


def test_a_reset_and_what_follows_it_in_one_batch() -> None:
    """The flow has moved to another port when the second segment is looked at."""
    play = Play(HELLO, AGAIN)
    play >> Line() << Sent("A", data=HELLO)
    play >> Batch(Got("R", ack=0), Got("PA", ack=6, data=BANNER), Got("R", ack=0)) << Sent.syn(conn=1)
    assert play.table.ignored["out_of_turn"] == 2
    play >> Got("RA", seq=0, ack=1) << Ended("rst", handshake=1)
    play.over()


def test_a_reset_of_a_doubtful_connection_opens_it_anew_once() -> None:
    play = Play(HELLO, AGAIN)
    play >> Line(doubtful=True) << Sent("A", data=HELLO)
    play >> Got("R", ack=0) << Sent.syn(conn=1)
    play >> Got("SA", seq=0, ack=1) << Sent("A", data=HELLO)
    play >> Got("PA", ack=6, data=BANNER) << Sent("RA", seq=6, ack=1 + len(BANNER))
    play << Ended("data", handshake=0, data=BANNER)
    play >> Line(doubtful=True, peer=2) << Sent("A", data=HELLO)
    play >> Got("R", ack=0) << Sent.syn(conn=3)
    play >> Got("SA", seq=0, ack=1) << Sent("A", data=HELLO)
    play >> Got("R", ack=0) << Sent.syn(conn=4)  # it means it: the next handshake
    play >> Got("RA", seq=0, ack=1) << Ended("rst", handshake=1)
    play.over()


def test_the_doubt_is_about_the_first_connection_only() -> None:
    play = Play(HELLO, AGAIN, retransmit_number=0, timeout=1)
    play >> Line(doubtful=True) << Sent("A", data=HELLO)
    play >> 1.0 << Sent("RA", conn=0) << Sent.syn(conn=1)
    play >> Got("RA", seq=0, ack=1) << Ended("rst", handshake=1)
    play >> Line(doubtful=True, peer=2) << Sent("A", data=HELLO)
    play >> Got("R", ack=0) << Sent.syn(conn=3)
    play >> Got("SA", seq=0, ack=1) << Sent("A", data=HELLO)
    play >> Got("R", ack=0) << Sent.syn(conn=4)
    play >> 2.0 << Ended("no_syn_ack", handshake=1, expected="sa")
    play.over()


def test_doubts_move_along() -> None:
    play = Play(HELLO, retransmit_number=0, cooldown=2)
    play >> Line(doubtful=True) << Sent("A", data=HELLO)
    play >> Line(peer=2) << Sent("A", data=HELLO)
    play >> Move()
    play >> Got("R", ack=0, conn=1) << Ended("rst")
    play >> Got("R", ack=0, conn=0) << Sent.syn(conn=2)
    play >> Move()
    play >> 2.0 << Ended("rst", expected="")
    play.over()


def test_a_doubtful_connection_that_cannot_be_opened_anew_was_reset() -> None:
    play = Play(HELLO, retransmit_number=0, cooldown=2)
    play >> Line(doubtful=True) << Sent("A", data=HELLO)
    play >> Got("R", ack=0) << Sent.syn(conn=1)
    play >> 2.0 << Ended("rst", flags="R", expected="")
    play >> Line(doubtful=True, peer=2) << Sent("A", data=HELLO)
    play >> Got("R", ack=0) << Sent.syn(conn=3)
    play >> Got("RA", seq=0, ack=1) << Ended("rst", expected="")
    play >> Line(peer=3) << Sent("A", data=HELLO)
    play >> Got("R", ack=0) << Ended("rst", expected="")
    play.over()


def test_source_ports_stay_in_the_range_and_in_the_shard() -> None:
    play = Play(HELLO, AGAIN, THIRD, shards=4, ports=(50000, 50200), secrets=Secrets.derive(7))
    for peer in range(40):
        play >> Line(peer=peer) << Sent("A", data=HELLO)
    before = shard_by_ticket(play)
    assert set(before.values()) == {0, 1, 2, 3}
    play >> Batch(*(Got("R", ack=0, conn=peer) for peer in range(40)))
    assert [frame.flags for frame in play.sent()] == ["S"] * 40
    assert shard_by_ticket(play) == before
    assert all(50000 <= connection.own_port <= 50200 for connection in play.connections[40:])


def shard_by_ticket(play: Play) -> dict[int, int]:
    rows = play.table.rows[play.table.rows["state"] != FlowState.FREE]
    shards = shard_of(rows, play.config.secrets.shard, play.config.shards)
    return dict(zip(rows["ticket"].tolist(), shards.tolist(), strict=True))


def test_no_port_left_ends_the_flow_and_not_the_scan() -> None:
    play = Play(HELLO, AGAIN, ports=(40000, 40001))
    play >> Line(own_port=40000) << Sent("A", data=HELLO)
    play >> Line(own_port=40001) << Sent("A", data=HELLO)
    play >> Got("R", ack=0, conn=0) << Ended("no_syn_ack", ticket=0, handshake=1, expected="sa")
    play >> Got("R", ack=0, conn=1) << Sent.syn(conn=2)  # the other's port is free now
    play >> Got("RA", seq=0, ack=1) << Ended("rst", ticket=1, handshake=1)
    play.over()


@edge(FlowState.DELAYED, FlowTrigger.DELAY_OVER)
def test_probe_delay() -> Play:
    play = Play(HELLO, AGAIN, probe_delay=5)
    play >> Line() << Sent("A", data=HELLO)
    play >> Got("R", ack=0)
    play >> 4.99
    play >> 5.0 << Sent.syn(conn=1)
    play >> Got("SA", seq=0, ack=1) << Sent("A", data=AGAIN)
    play >> Got("R", ack=0) << Ended("rst", handshake=1)
    play.over()
    return play


def test_nothing_reaches_a_flow_that_is_delayed() -> None:
    play = Play(HELLO, AGAIN, probe_delay=5)
    play >> Line() << Sent("A", data=HELLO)
    play >> Got("R", ack=0)
    play >> Got("R", ack=0)
    play >> 5.0 << Sent.syn(conn=1)
    assert play.table.ignored["stray"] == 1


# --- every handshake asked for --------------------------------------------------------------------------


def test_force_all_handshakes_records_each_that_got_data() -> None:
    play = Play(HELLO, AGAIN, THIRD, force_all_handshakes=True)
    play >> Line() << Sent("A", data=HELLO)
    play >> Got("PA", ack=6, data=BANNER) << Sent("RA", seq=6, ack=25, conn=0) << Sent.syn(conn=1)
    play >> Got("SA", seq=0, ack=1) << Sent("A", data=AGAIN)
    play >> Got("R", ack=0) << Sent.syn(conn=2)
    play >> Got("SA", seq=0, ack=1) << Sent("A", data=THIRD)
    play >> Got("PA", ack=4, data=LONG) << Sent("RA", seq=4, ack=257)
    play << Ended("data", data=BANNER, handshake=0, final=0)  # they leave together
    play << Ended("data", data=LONG, handshake=2, final=1)
    play.over()


def test_force_all_handshakes_when_the_last_gets_nothing() -> None:
    play = Play(HELLO, AGAIN, force_all_handshakes=True)
    play >> Line() << Sent("A", data=HELLO)
    play >> Got("PA", ack=6, data=BANNER) << Sent("RA", seq=6, ack=25, conn=0) << Sent.syn(conn=1)
    play >> Got("RA", seq=0, ack=1) << Ended("data", final=0, record=1) << Ended("rst", final=1, record=0)
    play.over()


def test_force_all_handshakes_when_none_gets_anything() -> None:
    play = Play(HELLO, AGAIN, force_all_handshakes=True)
    play >> Line() << Sent("A", data=HELLO)
    play >> Got("R", ack=0) << Sent.syn(conn=1)
    play >> Got("SA", seq=0, ack=1) << Sent("A", data=AGAIN)
    play >> Got("FA", ack=1) << Sent("RA", ack=2) << Ended("fin", final=1, record=1)
    play.over()


def test_force_all_handshakes_with_pieces_in_each() -> None:
    play = Play(HELLO, AGAIN, force_all_handshakes=True, settle=0.25)
    play >> Line() << Sent("A", data=HELLO)
    play >> Got("PA", ack=6, data=b"1") << Sent("A", seq=6, ack=2)
    play >> 0.25 << Sent("RA", seq=6, ack=2, conn=0) << Sent.syn(conn=1)
    play >> Got("SA", seq=0, ack=1) << Sent("A", data=AGAIN)
    play >> Got("PA", ack=11, data=b"2") << Sent("A", seq=11, ack=2)
    play >> 0.5 << Sent("RA", seq=11, ack=2) << Ended("data", data=b"1", final=0, handshake=0)
    play << Ended("data", data=b"2", final=1, handshake=1)
    play.over()


# --- orders of their own for ports ----------------------------------------------------------------------


def by_port(port: int = 25) -> HandshakeOrders:
    """AGAIN, then HELLO, on one port; HELLO, AGAIN on all others; THIRD nowhere else than on port 1."""
    of_port = np.zeros(1 << 16, np.uint8)
    of_port[port], of_port[1] = 1, 2
    return HandshakeOrders(((0, 1), (1, 0), (2,)), of_port)


def test_a_port_with_an_order_of_its_own() -> None:
    play = Play(HELLO, AGAIN, THIRD, handshake_orders=by_port())
    play >> Line(port=25) << Sent("A", data=AGAIN, conn=0)
    play >> Got("R", ack=0) << Sent.syn(conn=1)
    play >> Got("SA", seq=0, ack=1) << Sent("A", data=HELLO, conn=1)
    play >> Got("R", ack=6) << Ended("rst", handshake=0)  # the last of its order
    play >> Line(port=26) << Sent("A", data=HELLO)
    play >> Got("PA", ack=6, data=LONG) << Sent("RA", seq=6, ack=257)
    play << Ended("data", handshake=0, data=LONG)
    play >> Line(port=1, window=0) << Sent("RA") << Ended("zero_window", handshake=2)
    play.over()


def test_a_listed_port_with_an_order_of_its_own_waits_for_its_first_syn_as_the_others() -> None:
    play = Play(HELLO, AGAIN, THIRD, handshake_orders=by_port(), timeout=3, cooldown=8)
    play >> Line(port=25, syn=1) << Sent.syn()
    play >> 1.0 << Sent.syn()
    play >> 8.5
    play >> 9.0 << Ended("no_syn_ack", handshake=1, expected="sa")
    play.over()


def test_an_order_of_its_own_with_every_handshake_asked_for() -> None:
    play = Play(HELLO, AGAIN, THIRD, handshake_orders=by_port(), force_all_handshakes=True)
    play >> Line(port=25) << Sent("A", data=AGAIN)
    play >> Got("PA", ack=11, data=LONG) << Sent("RA", seq=11, ack=257, conn=0) << Sent.syn(conn=1)
    play >> Got("SA", seq=0, ack=1) << Sent("A", data=HELLO)
    play >> Got("PA", ack=6, data=LONG) << Sent("RA", seq=6, ack=257, conn=1)
    play << Ended("data", data=LONG, handshake=1, final=0)
    play << Ended("data", data=LONG, handshake=0, final=1)
    play.over()
