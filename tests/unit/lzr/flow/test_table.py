"""The life of one connection, as traces, and of several beside one another.

Every edge of the transition table is taken by a trace, here or in a module of `ALL_EDGES`.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lzr.flow.machine import TRANSITIONS, FlowAction
from lzr.rows import FlowState, FlowTrigger
from tests.playbook import Batch, Edges, Ended, Got, Line, Move, Play, Sent, note_edges
from tests.rows import every_row
from tests.unit.lzr.flow import test_ackfirewall, test_table_handshakes, test_table_segments
from tests.wire import BODIES, kernels_of

HELLO, AGAIN = b"HELLO", b"EHLO you\r\n"
BANNER = b"220 mail.example ESMTP\r\n"

EDGES: Edges = {}
edge = note_edges(EDGES)
ALL_EDGES = (EDGES, test_table_handshakes.EDGES, test_table_segments.EDGES, test_ackfirewall.EDGES)


@pytest.fixture(autouse=True, scope="module", params=BODIES)
def kernels(request: pytest.FixtureRequest) -> Iterator[None]:
    """All of it with the kernels in C and in Python."""
    with kernels_of(request.param):
        yield


# --- from ZMap's line to the end, one handshake -------------------------------------------------------


@edge(FlowState.DATA_SENT, FlowTrigger.DATA)
def test_data() -> Play:
    play = Play(HELLO)
    play >> Line() << Sent("A", data=HELLO)
    play >> 0.2
    play >> Got("PA", ack=6, data=BANNER, ttl=57, window=501)
    play << Sent("RA", seq=6, ack=1 + len(BANNER))
    play << Ended(
        "data",
        data=BANNER,
        line=0,
        seq=5001,
        ack=1006,
        ttl=57,
        window=501,
        flags="PA",
        counter=0,
        acked=1,
        handshake=0,
        expected="data",
        firewall=0,
        peer_port=80,
        own_port=40000,
        ts=1_700_000_000_200_000_000,
    )
    play.over()
    return play


@edge(FlowState.DATA_SENT, FlowTrigger.ACK)
@edge(FlowState.ACKED, FlowTrigger.TIMED_OUT)
def test_a_bare_ack_then_silence() -> Play:
    play = Play(HELLO, timeout=5)
    play >> Line() << Sent("A", data=HELLO)
    play >> 0.5
    play >> Got("A", ack=6)
    play >> 5.49  # no retransmit: the bytes are there
    play >> 5.5 << Sent("RA", seq=6) << Ended("silent", expected="data", acked=1, counter=0, flags="A")
    play.over()
    return play


@edge(FlowState.ACKED, FlowTrigger.DATA)
def test_an_ack_first_and_data_later() -> Play:
    play = Play(HELLO)
    play >> Line() << Sent("A", data=HELLO)
    play >> Got("A", ack=6)
    play >> 4.9
    play >> Got("PA", ack=6, data=BANNER) << Sent("RA", seq=6, ack=25)
    play << Ended("data", data=BANNER, acked=1, expected="data")
    play.over()
    return play


@edge(FlowState.DATA_SENT, FlowTrigger.RETRANSMIT_DUE)
@edge(FlowState.DATA_SENT, FlowTrigger.TIMED_OUT)
def test_silence_is_asked_once_more_with_push() -> Play:
    play = Play(HELLO, retransmit_wait=1, timeout=5)
    play >> Line() << Sent("A", data=HELLO)
    play >> 0.99
    play >> 1.0 << Sent("PA", data=HELLO)
    play >> 5.99
    play >> 6.0 << Sent("RA") << Ended("silent", expected="ack", acked=0, counter=1, flags="SA", window=64000)
    play.over()
    return play


def test_as_many_retransmits_as_asked_for() -> None:
    play = Play(HELLO, retransmit_number=3, retransmit_wait=0.5, timeout=2)
    play >> Line() << Sent("A", data=HELLO)
    for number in (1, 2, 3):
        play >> number * 0.5 << Sent("PA", data=HELLO)
    play >> 3.49
    play >> 3.5 << Sent("RA") << Ended("silent", counter=3)
    play.over()


def test_no_retransmit_where_none_is_wanted() -> None:
    play = Play(HELLO, retransmit_number=0, timeout=2)
    play >> Line() << Sent("A", data=HELLO)
    play >> 2.0 << Sent("RA") << Ended("silent", counter=0, expected="ack")
    play.over()


def test_the_retransmit_is_answered() -> None:
    play = Play(HELLO)
    play >> Line() << Sent("A", data=HELLO)
    play >> 1.0 << Sent("PA", data=HELLO)
    play >> Got("PA", ack=6, data=BANNER) << Sent("RA", seq=6, ack=25) << Ended("data", counter=1)
    play.over()


@edge(FlowState.DATA_SENT, FlowTrigger.RST)
def test_reset() -> Play:
    play = Play(HELLO)
    play >> Line() << Sent("A", data=HELLO)
    play >> Got("R", ack=0) << Ended("rst", flags="R", expected="", acked=0)
    play.over()
    return play


@edge(FlowState.ACKED, FlowTrigger.RST)
def test_reset_after_the_ack() -> Play:
    play = Play(HELLO)
    play >> Line() << Sent("A", data=HELLO)
    play >> Got("A", ack=6)
    play >> Got("RA", ack=6) << Ended("rst", flags="RA", acked=1, expected="")
    play.over()
    return play


@edge(FlowState.DATA_SENT, FlowTrigger.FIN)
def test_fin() -> Play:
    play = Play(HELLO)
    play >> Line() << Sent("A", data=HELLO)
    play >> Got("FA", ack=1) << Sent("RA", seq=1, ack=2) << Ended("fin", flags="FA", expected="", acked=0)
    play.over()
    return play


@edge(FlowState.ACKED, FlowTrigger.FIN)
def test_fin_after_the_ack() -> Play:
    play = Play(HELLO)
    play >> Line() << Sent("A", data=HELLO)
    play >> Got("A", ack=6)
    play >> Got("FA", ack=6) << Sent("RA", seq=6, ack=2) << Ended("fin", acked=1)
    play.over()
    return play


def test_data_with_fin_is_data_and_not_waited_on() -> None:
    play = Play(HELLO)
    play >> Line() << Sent("A", data=HELLO)
    play >> Got("FPA", ack=6, data=b"no") << Sent("RA", seq=6, ack=3) << Ended("data", data=b"no")
    play.over()


def test_zero_window_from_zmap() -> None:
    play = Play(HELLO, AGAIN)
    play >> Line(window=0) << Sent("RA") << Ended("zero_window", window=0, flags="SA", expected="")
    play.over()


def test_a_handshake_that_sends_nothing() -> None:
    play = Play(b"", timeout=5)
    play >> Line() << Sent("A")
    play >> Got("A", ack=1)  # acknowledges nothing of ours: no news
    play >> 1.0 << Sent("A")  # there is nothing to push
    play >> 6.0 << Sent("RA") << Ended("silent", expected="data", acked=0, counter=1)
    play.over()


def test_push_data_only() -> None:
    play = Play(HELLO, push_data_only=True)
    play >> Line() << Sent("A")
    play >> 1.0 << Sent("PA", data=HELLO)
    play >> Got("PA", ack=6, data=BANNER) << Sent("RA", seq=6, ack=25) << Ended("data", counter=1)
    play.over()


def test_push_data_only_pushes_even_without_retransmits() -> None:
    play = Play(HELLO, push_data_only=True, retransmit_number=0)
    play >> Line() << Sent("A")
    play >> 1.0 << Sent("PA", data=HELLO)
    play >> 6.0 << Sent("RA") << Ended("silent", expected="ack")
    play.over()


def test_push_data_only_and_a_banner_before_any_push() -> None:
    play = Play(HELLO, push_data_only=True)
    play >> Line() << Sent("A")
    play >> Got("PA", data=BANNER) << Sent("RA", seq=1, ack=25) << Ended("data", acked=0, expected="data")
    play.over()


def test_a_partial_acknowledgement_counts() -> None:
    play = Play(HELLO)
    play >> Line() << Sent("A", data=HELLO)
    play >> Got("A", ack=3)
    play >> 5.0 << Sent("RA", seq=6) << Ended("silent", acked=1, expected="data")
    play.over()


# --- a connection of our own ----------------------------------------------------------------------------


@edge(FlowState.SYN_SENT, FlowTrigger.SYN_ACK)
def test_a_listed_target() -> Play:
    play = Play(HELLO)
    play >> Line(syn=True) << Sent.syn()
    play >> 0.3
    play >> Got("SA", seq=0, ack=1) << Sent("A", data=HELLO)
    play >> 1.29
    play >> Got("PA", ack=6, data=BANNER) << Sent("RA", seq=6, ack=25)
    play << Ended("data", data=BANNER, counter=0, handshake=0)
    play.over()
    return play


@edge(FlowState.SYN_SENT, FlowTrigger.RETRANSMIT_DUE)
@edge(FlowState.SYN_SENT, FlowTrigger.TIMED_OUT)
def test_nobody_there() -> Play:
    play = Play(HELLO, AGAIN, cooldown=8, timeout=5)
    play >> Line(syn=True) << Sent.syn()
    play >> 1.0 << Sent.syn()
    play >> 8.99  # the cool-down counts from the last SYN
    play >> 9.0 << Ended("no_syn_ack", expected="sa", flags="", counter=1, ts=1_700_000_000_000_000_000)
    play.over()
    return play


def test_the_second_syn_is_answered_and_the_count_starts_anew() -> None:
    play = Play(HELLO)
    play >> Line(syn=True) << Sent.syn()
    play >> 1.0 << Sent.syn()
    play >> Got("SA", seq=0, ack=1) << Sent("A", data=HELLO)
    play >> 2.0 << Sent("PA", data=HELLO)
    play >> 7.0 << Sent("RA") << Ended("silent", counter=1)
    play.over()


@edge(FlowState.SYN_SENT, FlowTrigger.RST)
def test_a_closed_port() -> Play:
    play = Play(HELLO, AGAIN)
    play >> Line(syn=True) << Sent.syn()
    play >> Got("RA", seq=0, ack=1) << Ended("rst", flags="RA", expected="", acked=0)
    play.over()
    return play


@edge(FlowState.SYN_SENT, FlowTrigger.ZERO_WINDOW)
def test_zero_window_in_answer_to_our_syn() -> Play:
    play = Play(HELLO, AGAIN)
    play >> Line(syn=True) << Sent.syn()
    play >> Got("SA", seq=0, ack=1, window=0) << Sent("RA") << Ended("zero_window", window=0, flags="SA")
    play.over()
    return play


@pytest.mark.parametrize("window", [0, 64000])
def test_a_port_scan_ends_with_the_syn_ack(window: int) -> None:
    ended = Ended("sa_only", window=window, flags="SA", expected="", acked=0)
    play = Play()
    play >> Line(window=window) << Sent("RA", seq=1) << ended
    play >> Line(syn=True) << Sent.syn()
    play >> Batch(Got("SA", seq=0, ack=1, window=window), Got("SA", seq=0, ack=1, window=window))
    play << Sent("RA", seq=1, ack=1) << ended
    play >> Line(syn=True) << Sent.syn()
    play >> Got("RA", seq=0, ack=1) << Ended("rst", flags="RA")
    play.over()


def test_duplicate_syn_acks_are_no_news() -> None:
    play = Play(HELLO)
    syn_ack = Got("SA", seq=0, ack=1)
    play >> Line(syn=True) << Sent.syn()
    play >> Batch(syn_ack, syn_ack, syn_ack) << Sent("A", data=HELLO)
    play >> syn_ack
    play >> Got("A", ack=6)
    play >> syn_ack
    play >> Got("PA", ack=6, data=BANNER) << Sent("RA", seq=6, ack=25) << Ended("data")
    play >> syn_ack
    play.over()
    assert play.table.ignored == {"stray": 1, "out_of_turn": 4}


def test_a_second_syn_ack_of_another_isn_is_not_believed() -> None:
    play = Play(HELLO)
    play >> Line(syn=True) << Sent.syn()
    play >> Got("SA", seq=0, ack=1) << Sent("A", data=HELLO)
    play >> Got("SA", seq=77777, ack=1)
    play >> Got("PA", ack=6, data=BANNER) << Sent("RA", seq=6, ack=25) << Ended("data")
    play.over()


# --- several flows --------------------------------------------------------------------------------------


def test_flows_to_one_service_do_not_disturb_each_other() -> None:
    play = Play(HELLO, AGAIN)
    play >> Line(own_port=40000) << Sent("A", data=HELLO, conn=0)
    play >> Line(own_port=40001) << Sent("A", data=HELLO, conn=1)
    play >> Line(own_port=40000, port=81) << Sent("A", data=HELLO, conn=2)
    play >> Batch(Got("A", ack=6, conn=0), Got("R", ack=0, conn=1), Got("PA", ack=6, data=BANNER, conn=2))
    assert [(frame.flags, frame.conn) for frame in play.sent()] == [("RA", 2), ("S", 3)]
    play << Ended("data", ticket=2)
    (
        play
        >> Got("PA", ack=6, data=BANNER, conn=0)
        << Sent("RA", seq=6, ack=25, conn=0)
        << Ended("data", ticket=0)
    )
    play >> Got("RA", seq=0, ack=1, conn=3) << Ended("rst", ticket=1, handshake=1)
    play.over()


def test_the_same_connection_twice_is_a_duplicate() -> None:
    play = Play(HELLO)
    play >> Line() << Sent("A", data=HELLO)
    play >> Line() << Ended("duplicate", ticket=1, line=1, record=0, final=1)
    play >> Got("PA", ack=6, data=BANNER) << Sent("RA", seq=6, ack=25) << Ended("data", ticket=0)
    play >> Line() << Sent("A", data=HELLO)  # it has ended: now it is a new one
    play >> Got("R", ack=0) << Ended("rst", ticket=2)
    play.over()


def test_a_stranger_is_counted() -> None:
    play = Play(HELLO)
    play >> Line(peer=1) << Sent("A", data=HELLO)
    play.connections[0].peer = 2
    play >> Got("PA", ack=6, data=BANNER)
    assert play.table.ignored == {"stray": 1, "out_of_turn": 0}


def test_a_row_is_used_again_only_when_its_timers_mean_nothing() -> None:
    play = Play(HELLO, retransmit_wait=1, timeout=5)
    play >> Line() << Sent("A", data=HELLO)
    play >> 0.9
    play >> Got("R", ack=0) << Ended("rst")
    play >> Line() << Sent("A", data=HELLO)  # takes the same row
    play >> 1.8  # the timers of the first flow come due
    play >> 1.9 << Sent("PA", data=HELLO)
    play >> 6.9 << Sent("RA") << Ended("silent", ticket=1)
    play.over()


def test_a_batch_may_outgrow_the_table() -> None:
    play = Play(HELLO, AGAIN)
    for peer in range(100):
        play >> Line(peer=peer) << Sent("A", data=HELLO, conn=peer)
    play >> Batch(*(Got("R", ack=0, conn=peer) for peer in range(100)))
    assert len(play.sent()) == 100
    play >> Batch(*(Got("RA", seq=0, ack=1, conn=100 + peer) for peer in range(100)))
    assert len(play.ended()) == 100
    play.over()


# --- to another process and on --------------------------------------------------------------------------


def test_a_flow_moves_in_every_state() -> None:
    play = Play(HELLO, AGAIN, probe_delay=1)
    play >> Line(syn=True) << Sent.syn()
    play >> Move()
    play >> Got("SA", seq=0, ack=1) << Sent("A", data=HELLO)
    play >> Move()
    play >> Got("A", ack=6)
    play >> Move()
    play >> 4.9
    play >> Move()
    play >> 5.0 << Sent("RA", seq=6)
    play >> Move()
    play >> 6.0 << Sent.syn(conn=1)
    play >> Got("SA", seq=0, ack=1) << Sent("A", data=AGAIN)
    play >> Got("PA", seq=4, ack=11, data=b"mail") << Sent("A", seq=11, ack=1)
    play >> Move()
    play >> Got("PA", seq=1, ack=11, data=b"22") << Sent("A", seq=11, ack=3)
    play >> Move()
    play >> Got("PA", seq=3, ack=11, data=b"-") << Sent("A", seq=11, ack=8)
    play >> Move()
    play >> 6.25 << Sent("RA", seq=11, ack=8) << Ended("data", data=b"22-mail", handshake=1)
    play.over()


def test_timers_keep_their_time_on_the_way() -> None:
    play = Play(HELLO)
    play >> Line(peer=1) << Sent("A", data=HELLO)
    play >> 0.5
    play >> Line(peer=2) << Sent("A", data=HELLO)
    play >> 0.7
    play >> Move()
    play >> 0.8
    play >> Line(peer=3) << Sent("A", data=HELLO)
    play >> 0.99
    play >> Move()
    for conn, due in enumerate((1.0, 1.5, 1.8)):
        play >> due << Sent("PA", data=HELLO, conn=conn)
    for ticket, due in enumerate((6.0, 6.5, 6.8)):
        play >> due << Sent("RA", conn=ticket) << Ended("silent", ticket=ticket)
    play.over()


# --- the table and the traces ---------------------------------------------------------------------------

ALL = [
    (state, trigger)
    for state in FlowState
    for trigger in FlowTrigger
    if TRANSITIONS[state, trigger] != FlowAction.IGNORE
]


@every_row(ALL)
def test_every_edge_has_a_trace(state: FlowState, trigger: FlowTrigger) -> None:
    traces = [trace for edges in ALL_EDGES for trace in edges.get((state, trigger), [])]
    assert traces, "no trace takes this edge"
    for trace in traces:
        assert (state, trigger) in trace().table.edges
