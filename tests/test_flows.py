"""The life of a flow, as traces. `EDGES` holds one for every edge of the transition table."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lzr.sharding import shard_of
from lzr.transitions import TRANSITIONS, Action, Cue, State
from tests.playbook import Batch, Edges, Ended, Got, Line, Move, Play, Sent, note_edges
from tests.wire import kernels_of

HELLO, AGAIN, THIRD = b"HELLO", b"EHLO you\r\n", b"\x16\x03\x01"
BANNER = b"220 mail.example ESMTP\r\n"
LONG = bytes(range(256))

EDGES: Edges = {}
edge = note_edges(EDGES)


@pytest.fixture(autouse=True, scope="module", params=["native", "python"])
def kernels(request: pytest.FixtureRequest) -> Iterator[None]:
    """All of it with the kernels in C and in Python."""
    with kernels_of(request.param):
        yield


# --- from ZMap's line to the end, one handshake -------------------------------------------------------


@edge(State.DATA_SENT, Cue.DATA)
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


@edge(State.DATA_SENT, Cue.ACK)
@edge(State.ACKED, Cue.TIMED_OUT)
def test_a_bare_ack_then_silence() -> Play:
    play = Play(HELLO, timeout=5)
    play >> Line() << Sent("A", data=HELLO)
    play >> 0.5
    play >> Got("A", ack=6)
    play >> 5.49  # no retransmit: the bytes are there
    play >> 5.5 << Sent("RA", seq=6) << Ended("silent", expected="data", acked=1, counter=0, flags="A")
    play.over()
    return play


@edge(State.ACKED, Cue.DATA)
def test_an_ack_first_and_data_later() -> Play:
    play = Play(HELLO)
    play >> Line() << Sent("A", data=HELLO)
    play >> Got("A", ack=6)
    play >> 4.9
    play >> Got("PA", ack=6, data=BANNER) << Sent("RA", seq=6, ack=25)
    play << Ended("data", data=BANNER, acked=1, expected="data")
    play.over()
    return play


@edge(State.DATA_SENT, Cue.RETRANSMIT_DUE)
@edge(State.DATA_SENT, Cue.TIMED_OUT)
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


@edge(State.DATA_SENT, Cue.RST)
def test_reset() -> Play:
    play = Play(HELLO)
    play >> Line() << Sent("A", data=HELLO)
    play >> Got("R", ack=0) << Ended("rst", flags="R", expected="", acked=0)
    play.over()
    return play


@edge(State.ACKED, Cue.RST)
def test_reset_after_the_ack() -> Play:
    play = Play(HELLO)
    play >> Line() << Sent("A", data=HELLO)
    play >> Got("A", ack=6)
    play >> Got("RA", ack=6) << Ended("rst", flags="RA", acked=1, expected="")
    play.over()
    return play


@edge(State.DATA_SENT, Cue.FIN)
def test_fin() -> Play:
    play = Play(HELLO)
    play >> Line() << Sent("A", data=HELLO)
    play >> Got("FA", ack=1) << Sent("RA", seq=1, ack=2) << Ended("fin", flags="FA", expected="", acked=0)
    play.over()
    return play


@edge(State.ACKED, Cue.FIN)
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


@edge(State.SYN_SENT, Cue.SYN_ACK)
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


@edge(State.SYN_SENT, Cue.RETRANSMIT_DUE)
@edge(State.SYN_SENT, Cue.TIMED_OUT)
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


@edge(State.SYN_SENT, Cue.RST)
def test_a_closed_port() -> Play:
    play = Play(HELLO, AGAIN)
    play >> Line(syn=True) << Sent.syn()
    play >> Got("RA", seq=0, ack=1) << Ended("rst", flags="RA", expected="", acked=0)
    play.over()
    return play


@edge(State.SYN_SENT, Cue.ZERO_WINDOW)
def test_zero_window_in_answer_to_our_syn() -> Play:
    play = Play(HELLO, AGAIN)
    play >> Line(syn=True) << Sent.syn()
    play >> Got("SA", seq=0, ack=1, window=0) << Sent("RA") << Ended("zero_window", window=0, flags="SA")
    play.over()
    return play


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
    play = Play(HELLO, AGAIN, THIRD, shards=4, ports=(50000, 50200), hash_seed=7)
    for peer in range(40):
        play >> Line(peer=peer) << Sent("A", data=HELLO)
    before = shard_by_ticket(play)
    assert set(before.values()) == {0, 1, 2, 3}
    play >> Batch(*(Got("R", ack=0, conn=peer) for peer in range(40)))
    assert [frame.flags for frame in play.sent()] == ["S"] * 40
    assert shard_by_ticket(play) == before
    assert all(50000 <= connection.own_port <= 50200 for connection in play.connections[40:])


def shard_by_ticket(play: Play) -> dict[int, int]:
    rows = play.table.rows[play.table.rows["state"] != State.FREE]
    shards = shard_of(rows, play.plan.hash_seed, play.plan.shards)
    return dict(zip(rows["ticket"].tolist(), shards.tolist(), strict=True))


def test_no_port_left_ends_the_flow_and_not_the_scan() -> None:
    play = Play(HELLO, AGAIN, ports=(40000, 40001))
    play >> Line(own_port=40000) << Sent("A", data=HELLO)
    play >> Line(own_port=40001) << Sent("A", data=HELLO)
    play >> Got("R", ack=0, conn=0) << Ended("no_syn_ack", ticket=0, handshake=1, expected="sa")
    play >> Got("R", ack=0, conn=1) << Sent.syn(conn=2)  # the other's port is free now
    play >> Got("RA", seq=0, ack=1) << Ended("rst", ticket=1, handshake=1)
    play.over()


@edge(State.DELAYED, Cue.DELAY_OVER)
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


# --- banners in pieces ----------------------------------------------------------------------------------


@edge(State.SETTLING, Cue.DATA)
@edge(State.SETTLING, Cue.SETTLED)
def test_a_dripping_banner() -> Play:
    play = Play(HELLO, settle=0.25)
    play >> Line() << Sent("A", data=HELLO)
    for at, byte in enumerate(b"SSH-2.0"):
        play >> at * 0.2
        play >> Got("PA", seq=1 + at, ack=6, data=bytes([byte])) << Sent("A", seq=6, ack=2 + at)
    play >> 1.44
    play >> 1.45 << Sent("RA", seq=6, ack=8) << Ended("data", data=b"SSH-2.0", acked=1, counter=0)
    play.over()
    return play


def test_a_line_end_settles_it() -> None:
    play = Play(HELLO)
    play >> Line() << Sent("A", data=HELLO)
    play >> Got("PA", ack=6, data=b"SSH-2.0-x\r") << Sent("A", seq=6, ack=11)
    play >> Got("PA", seq=11, ack=6, data=b"\n") << Sent("RA", seq=6, ack=12)
    play << Ended("data", data=b"SSH-2.0-x\r\n")
    play.over()


def test_several_pieces_in_one_batch() -> None:
    play = Play(HELLO)
    play >> Line() << Sent("A", data=HELLO)
    pieces = [Got("PA", seq=1 + at, ack=6, data=BANNER[at : at + 4]) for at in range(0, len(BANNER), 4)]
    play >> Batch(*pieces)
    assert [frame.ack for frame in play.sent()] == [5, 9, 13, 17, 21, 25]
    play << Ended("data", data=BANNER)
    play.over()


@edge(State.SETTLING, Cue.FIN)
def test_fin_settles_it() -> Play:
    play = Play(HELLO, AGAIN)
    play >> Line() << Sent("A", data=HELLO)
    play >> Got("PA", ack=6, data=b"N") << Sent("A", seq=6, ack=2)
    play >> Got("FA", seq=2, ack=6) << Sent("RA", seq=6, ack=2) << Ended("data", data=b"N")
    play.over()
    return play


@edge(State.SETTLING, Cue.RST)
def test_reset_settles_it() -> Play:
    play = Play(HELLO, AGAIN)
    play >> Line() << Sent("A", data=HELLO)
    play >> Got("PA", ack=6, data=b"N") << Sent("A", seq=6, ack=2)
    play >> Got("R", seq=2)
    play.sent()
    play << Ended("data", data=b"N")
    play.over()
    return play


def test_repeated_and_overlapping_pieces() -> None:
    play = Play(HELLO)
    play >> Line() << Sent("A", data=HELLO)
    play >> Got("PA", seq=1, ack=6, data=b"22") << Sent("A", seq=6, ack=3)
    play >> Got("PA", seq=1, ack=6, data=b"22")
    play >> Got("PA", seq=2, ack=6, data=b"20 m") << Sent("A", seq=6, ack=6)
    play >> Got("PA", seq=1, ack=6, data=b"XXXXXail") << Sent("A", seq=6, ack=9)
    play >> 0.25 << Sent("RA", seq=6, ack=9) << Ended("data", data=b"220 mail")
    play.over()


@edge(State.DATA_SENT, Cue.SYN_ACK_AGAIN)
def test_a_repeated_syn_ack_says_that_the_probe_was_lost() -> Play:
    play = Play(HELLO, retransmit_number=0, cooldown=9, timeout=9)
    play >> Line(syn=True) << Sent.syn()
    play >> Got("SA", seq=0, ack=1) << Sent("A", data=HELLO)
    for when in (1.0, 2.0, 3.0):
        play >> when >> Got("SA", seq=0, ack=1) << Sent("A", data=HELLO)
    play >> 4.0 >> Got("SA", seq=0, ack=1)  # no more than so often
    play >> Got("SA", seq=1, ack=1) >> Got("SA", seq=0, ack=2)  # not the one it was
    play >> Got("PA", ack=6, data=BANNER) << Sent("RA", seq=6, ack=1 + len(BANNER))
    play << Ended("data", data=BANNER, counter=0)
    play.over()
    return play


@edge(State.DATA_SENT, Cue.EARLY_DATA)
def test_the_second_piece_first() -> Play:
    play = Play(HELLO)
    play >> Line() << Sent("A", data=HELLO)
    play >> Got("PA", seq=5, ack=6, data=BANNER[4:]) << Sent("A", seq=6, ack=1)
    play >> Got("PA", seq=1, ack=6, data=BANNER[:4]) << Sent("RA", seq=6, ack=25)
    play << Ended("data", data=BANNER)
    play.over()
    return play


@edge(State.ACKED, Cue.EARLY_DATA)
def test_pieces_backwards() -> Play:
    play = Play(HELLO)
    play >> Line() << Sent("A", data=HELLO)
    play >> Got("A", ack=6)
    play >> Got("PA", seq=5, ack=6, data=b"il") << Sent("A", seq=6, ack=1)
    play >> Got("PA", seq=3, ack=6, data=b"ma") << Sent("A", seq=6, ack=1)
    play >> Got("PA", seq=1, ack=6, data=b"e-") << Sent("A", seq=6, ack=7)
    play >> 0.25 << Sent("RA", seq=6, ack=7) << Ended("data", data=b"e-mail")
    play.over()
    return play


@edge(State.SETTLING, Cue.EARLY_DATA)
def test_a_gap_that_is_never_filled() -> Play:
    play = Play(HELLO)
    play >> Line() << Sent("A", data=HELLO)
    play >> Got("PA", seq=1, ack=6, data=b"22") << Sent("A", seq=6, ack=3)
    play >> Got("PA", seq=5, ack=6, data=b"mail") << Sent("A", seq=6, ack=3)
    play >> 0.25 << Sent("RA", seq=6, ack=3) << Ended("data", data=b"22")
    play.over()
    return play


def test_only_early_data_is_no_data() -> None:
    play = Play(HELLO, AGAIN, retransmit_number=0, timeout=1)
    play >> Line() << Sent("A", data=HELLO)
    play >> Got("PA", seq=9, ack=6, data=b"mail") << Sent("A", seq=6, ack=1)
    play >> 1.0
    assert [frame.flags for frame in play.sent()] == ["RA", "S"]
    play >> Got("SA", seq=0, ack=1) << Sent("A", data=AGAIN)
    play >> Got("PA", seq=1, ack=11, data=b"12345678") << Sent("A", seq=11, ack=9)
    play >> 1.25 << Sent("RA", seq=11, ack=9) << Ended("data", data=b"12345678", handshake=1)
    play.over()


def test_a_drip_without_end_is_cut() -> None:
    play = Play(HELLO)
    play >> Line() << Sent("A", data=HELLO)
    for at in range(63):
        if play.table.in_flight:
            play >> Got("PA", seq=1 + at, ack=6, data=b".")
            play.sent()
            ended = play.ended()
    assert play.table.in_flight == 0
    assert ended[0]["data"] == b"." * 32
    assert play.connections[0].frames <= 1 + 32 + 1


@pytest.mark.parametrize("number", [0, 1, 3])
def test_the_most_that_one_handshake_may_cost(number: int) -> None:
    """2 (1 + retransmits) + 33 packets, 37 by default, and no peer can make it more."""
    play = Play(HELLO, retransmit_number=number)
    play >> Line(syn=True) << Sent.syn()
    for again in range(1, number + 1):
        play >> float(again) << Sent.syn()
    play >> Got("SA", seq=0, ack=1) << Sent("A", data=HELLO)
    for at in range(100):  # all of it beyond a gap that is never filled
        play >> Got("PA", seq=2 + at, ack=6, data=b"x")
        assert play.sent() == ([Sent("A", seq=6, conn=0)] if at < 32 else [])
    for again in range(1, number + 1):
        play >> float(number + again) << Sent("PA", data=HELLO)
    play >> number * 2 + 5.0 << Sent("RA") << Ended("silent")
    play.over()
    assert play.connections[0].frames == 2 * (1 + number) + 33


def test_no_settling_when_it_is_off() -> None:
    play = Play(HELLO, settle=0)
    play >> Line() << Sent("A", data=HELLO)
    play >> Got("PA", ack=6, data=b"N") << Sent("A", seq=6, ack=2)
    play >> 0.0 << Sent("RA", seq=6, ack=2) << Ended("data", data=b"N")
    play.over()


# --- segments that are not believed ---------------------------------------------------------------------

NOT_NEWS = [
    Got("PA", seq=1, ack=7, data=BANNER),  # acknowledges what was never sent
    Got("PA", seq=1, ack=0, data=BANNER),  # acknowledges what came before our SYN
    Got("PA", seq=70000, ack=6, data=BANNER),  # beyond the window
    Got("PA", seq=-100, ack=6, data=BANNER),  # all of it before what we have
    Got("P", seq=1, ack=6, data=BANNER),  # without ACK
    Got("SPA", seq=1, ack=6, data=BANNER),
    Got("A", seq=2, ack=6),  # beyond a gap
    Got("A", seq=0, ack=6),  # a keep-alive
    Got("A", seq=1, ack=1),  # acknowledges nothing new
    Got("FA", seq=2, ack=6),
    Got("FA", seq=1, ack=9),
    Got("R", seq=2, ack=0),  # RFC 5961: the number must be exact
    Got("R", seq=0, ack=0),
    Got("RA", seq=1, ack=99),
    Got("S", seq=0, ack=0),
    Got("SA", seq=0, ack=1),
    Got("", seq=1, ack=1),
]


@pytest.mark.parametrize("segment", NOT_NEWS, ids=repr)
@pytest.mark.parametrize(("our_isn", "peer_isn"), [(1000, 5000), (2**32 - 1, 2**32 - 1), (2**32 - 4, 2**31)])
def test_wrong_numbers_change_nothing(segment: Got, our_isn: int, peer_isn: int) -> None:
    play = Play(HELLO)
    play >> Line(our_isn=our_isn, peer_isn=peer_isn) << Sent("A", data=HELLO)
    before = play.table.rows.copy()
    play >> segment
    assert (play.table.rows == before).all()
    assert play.table.ignored == {"stray": 0, "out_of_turn": 1}
    play >> Got("PA", ack=6, data=BANNER) << Sent("RA", seq=6, ack=25) << Ended("data", data=BANNER)
    play.over()


@pytest.mark.parametrize(
    "segment",
    [
        Got("SA", seq=0, ack=2),
        Got("SA", seq=0, ack=0),
        Got("S", seq=0, ack=1),
        Got("SRA", seq=0, ack=2),
        Got("R", seq=0, ack=0),  # a RST in answer to a SYN acknowledges it (RFC 9293 §3.10.7.3)
        Got("RA", seq=0, ack=2),
        Got("PA", seq=1, ack=1, data=BANNER),  # data before any SYN-ACK
        Got("A", seq=1, ack=1),
        Got("FA", seq=1, ack=1),
    ],
    ids=repr,
)
def test_only_a_right_syn_ack_opens(segment: Got) -> None:
    play = Play(HELLO)
    play >> Line(syn=True) << Sent.syn()
    play >> segment
    assert play.table.ignored["out_of_turn"] == 1
    play >> Got("SA", seq=0, ack=1) << Sent("A", data=HELLO)
    play >> Got("R", ack=0) << Ended("rst")
    play.over()


@pytest.mark.parametrize("isn", [0, 1, 2**31 - 1, 2**31, *range(2**32 - 30, 2**32)])
def test_numbers_wrap(isn: int) -> None:
    for peer_isn in (isn, ~isn & 0xFFFFFFFF):
        play = Play(HELLO)
        play >> Line(our_isn=isn, peer_isn=peer_isn) << Sent("A", data=HELLO)
        play >> Got("A", ack=6)
        play >> Got("PA", seq=9, ack=6, data=BANNER[8:20]) << Sent("A", seq=6, ack=1)
        play >> Got("PA", seq=1, ack=6, data=BANNER[:8]) << Sent("A", seq=6, ack=21)
        play >> Got("PA", seq=15, ack=6, data=BANNER[14:]) << Sent("RA", seq=6, ack=25)
        play << Ended("data", data=BANNER, acked=1)
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

ALL = [(state, cue) for state in State for cue in Cue if TRANSITIONS[state, cue] != Action.IGNORE]


@pytest.mark.parametrize(("state", "cue"), ALL, ids=lambda value: value.name)
def test_every_edge_has_a_trace(state: State, cue: Cue) -> None:
    from tests import test_firewalls

    traces = EDGES.get((state, cue), []) + test_firewalls.EDGES.get((state, cue), [])
    assert traces, "no trace takes this edge"
    for trace in traces:
        assert (state, cue) in trace().table.edges
