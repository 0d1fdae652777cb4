"""What segments are worth, as traces: banners in pieces, what is lost or comes early, what is not believed.

What a peer sent is put together in its order and a gap is asked for; wrong numbers change nothing; no
peer makes a handshake cost more than the stated packets.
"""

from __future__ import annotations

from itertools import product

import pytest

from lzr.rows import FlowState, FlowTrigger
from tests.playbook import (
    MASK,
    OUR_ISN,
    PEER_ISN,
    Batch,
    Edges,
    Ended,
    Got,
    Line,
    Play,
    Sent,
    note_edges,
)
from tests.rows import every_row

HELLO, AGAIN = b"HELLO", b"EHLO you\r\n"
BANNER = b"220 mail.example ESMTP\r\n"

EDGES: Edges = {}
edge = note_edges(EDGES)

pytestmark = pytest.mark.usefixtures("kernels")


# --- banners in pieces ----------------------------------------------------------------------------------


@edge(FlowState.SETTLING, FlowTrigger.DATA)
@edge(FlowState.SETTLING, FlowTrigger.SETTLED)
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


@every_row(
    [
        (b"HTTP/1.1 400 Bad Request\r\n", b"Server: x\r\n", b"\r\n"),
        (b"RTSP/1.0 200 OK\n", b"CSeq: 1\n", b"\n"),
        (b"220-one of two\r\n", b"and more\r\n", b"220 box ready\r\n"),
    ]
)
def test_what_announces_more_is_not_settled_by_a_line(first: bytes, second: bytes, last: bytes) -> None:
    """Small servers write a line at a time: the first tells neither the program nor what the port is for."""
    play = Play(HELLO)
    play >> Line() << Sent("A", data=HELLO)
    at = 1
    for piece in (first, second):
        play >> Got("PA", seq=at, ack=6, data=piece) << Sent("A", seq=6, ack=at + len(piece))
        at += len(piece)
    play >> Got("PA", seq=at, ack=6, data=last) << Sent("RA", seq=6, ack=at + len(last))
    play << Ended("data", data=first + second + last)


def test_several_pieces_in_one_batch() -> None:
    play = Play(HELLO)
    play >> Line() << Sent("A", data=HELLO)
    pieces = [Got("PA", seq=1 + at, ack=6, data=BANNER[at : at + 4]) for at in range(0, len(BANNER), 4)]
    play >> Batch(*pieces)
    assert [frame.ack for frame in play.sent()] == [5, 9, 13, 17, 21, 25]
    play << Ended("data", data=BANNER)
    play.over()


@edge(FlowState.SETTLING, FlowTrigger.FIN)
def test_fin_settles_it() -> Play:
    play = Play(HELLO, AGAIN)
    play >> Line() << Sent("A", data=HELLO)
    play >> Got("PA", ack=6, data=b"N") << Sent("A", seq=6, ack=2)
    play >> Got("FA", seq=2, ack=6) << Sent("RA", seq=6, ack=2) << Ended("data", data=b"N")
    play.over()
    return play


@edge(FlowState.SETTLING, FlowTrigger.RST)
def test_reset_settles_it() -> Play:
    play = Play(HELLO, AGAIN)
    play >> Line() << Sent("A", data=HELLO)
    play >> Got("PA", ack=6, data=b"N") << Sent("A", seq=6, ack=2)
    play >> Got("R", seq=2)
    play.sent()
    play << Ended("data", data=b"N")
    play.over()
    return play


@pytest.mark.parametrize(
    "after",
    [
        Got("R", seq=2, ack=0, window=0, ttl=1),
        Got("RA", seq=2, ack=6, window=0, ttl=1),
        Got("FA", seq=2, ack=6, window=9, ttl=1),
        Got("A", seq=2, ack=6, window=9, ttl=1),
        Got("FPA", seq=2, ack=6, data=b"ext", window=9, ttl=1),
        Got("FPA", seq=9, ack=6, data=b"early", window=9, ttl=1),
    ],
    ids=["reset", "reset and ack", "end", "ack", "more", "beyond a gap"],
)
@pytest.mark.parametrize("together", [False, True], ids=["apart", "together"])
def test_a_record_with_data_tells_of_the_segment_that_brought_the_first(after: Got, together: bool) -> None:
    """What follows while more is waited for does not make it one that was reset, or ended."""
    play = Play(HELLO, AGAIN)
    play >> Line() << Sent("A", data=HELLO)
    first = Got("PA", seq=1, ack=6, data=b"N", window=501, ttl=61)
    if together:
        play >> Batch(first, after)
    else:
        play >> first << Sent("A", seq=6, ack=2)
        play >> 0.1
        play >> after
    play.sent()
    found = play.ended()
    if not found:
        play >> 0.5
        play.sent()
        found = play.ended()
    (ended,) = found
    assert ended["reason"] == "data"
    assert ended["data"].startswith(b"N")
    assert (ended["flags"], ended["window"], ended["ttl"]) == ("PA", 501, 61)
    assert (ended["seq"], ended["ack"]) == (PEER_ISN + 1 & MASK, OUR_ISN + 6 & MASK)
    play.over()


def test_the_piece_that_fills_a_gap_is_the_first() -> None:
    """Not the one that came before it, from beyond the gap."""
    play = Play(HELLO)
    play >> Line() << Sent("A", data=HELLO)
    play >> Got("FPA", seq=2, ack=6, data=b"OK\n", window=9, ttl=1) << Sent("A", seq=6, ack=1)
    play >> Got("A", seq=1, ack=6, data=b"N", window=501, ttl=61)
    play.sent()
    play >> Got("R", seq=5, window=0, ttl=2)
    play.sent()
    (ended,) = play.ended()
    assert (ended["flags"], ended["window"], ended["ttl"]) == ("A", 501, 61)
    assert ended["data"] == b"NOK\n"


def test_repeated_and_overlapping_pieces() -> None:
    play = Play(HELLO)
    play >> Line() << Sent("A", data=HELLO)
    play >> Got("PA", seq=1, ack=6, data=b"22") << Sent("A", seq=6, ack=3)
    play >> Got("PA", seq=1, ack=6, data=b"22")
    play >> Got("PA", seq=2, ack=6, data=b"20 m") << Sent("A", seq=6, ack=6)
    play >> Got("PA", seq=1, ack=6, data=b"XXXXXail") << Sent("A", seq=6, ack=9)
    play >> 0.25 << Sent("RA", seq=6, ack=9) << Ended("data", data=b"220 mail")
    play.over()


@edge(FlowState.DATA_SENT, FlowTrigger.SYN_ACK_AGAIN)
def test_a_repeated_syn_ack_says_that_the_probe_was_lost() -> Play:
    play = Play(HELLO, retransmit_number=2, cooldown=9, timeout=9)
    play >> Line(syn=True) << Sent.syn()
    play >> Got("SA", seq=0, ack=1) << Sent("A", data=HELLO)
    for when in (0.9, 1.8):
        play >> when >> Got("SA", seq=0, ack=1) << Sent("A", data=HELLO)
    play >> 2.7 >> Got("SA", seq=0, ack=1)  # these were the two retransmits
    play >> Got("SA", seq=1, ack=1) >> Got("SA", seq=0, ack=2)  # not the one it was
    play >> 10.0
    play >> Got("PA", ack=6, data=BANNER) << Sent("RA", seq=6, ack=1 + len(BANNER))
    play << Ended("data", data=BANNER, counter=2)
    play.over()
    return play


@pytest.mark.attack
@pytest.mark.parametrize("number", [0, 1, 2, 4])
def test_who_repeats_its_syn_ack_gets_no_more_than_was_asked_for(number: int) -> None:
    """Every 0.6 s, between our own retransmits, until long after the last."""
    play = Play(HELLO, retransmit_number=number, timeout=5)
    play >> Line(syn=True) << Sent.syn()
    play >> Got("SA", seq=0, ack=1) << Sent("A", data=HELLO)
    for turn in range(1, 8):
        play >> 0.6 * turn >> Got("SA", seq=0, ack=1)
        if turn <= number:
            play << Sent("A", data=HELLO)
    play >> 0.6 * number + 4.9
    play >> 0.6 * number + 5.0 << Sent("RA") << Ended("silent", expected="ack")
    play.over()


@pytest.mark.attack
def test_repeats_and_retransmits_share_what_was_asked_for() -> None:
    play = Play(HELLO, retransmit_number=2, timeout=5)
    play >> Line(syn=True) << Sent.syn()
    play >> Got("SA", seq=0, ack=1) << Sent("A", data=HELLO)
    play >> 1.0 << Sent("PA", data=HELLO)
    play >> 1.5 >> Got("SA", seq=0, ack=1) << Sent("A", data=HELLO)
    play >> 2.1 >> Got("SA", seq=0, ack=1)
    play >> 6.5 << Sent("RA") << Ended("silent", expected="ack")
    play.over()


@pytest.mark.parametrize("flags", ["A", "FA"])
def test_an_ack_beyond_a_gap_says_that_the_answer_was_lost(flags: str) -> None:
    """The bytes are there, so nothing is sent again; and no FIN ends what has yet to come."""
    play = Play(HELLO)
    play >> Line() << Sent("A", data=HELLO)
    play >> Got(flags, seq=1 + len(BANNER), ack=6)
    play >> Got(flags, seq=1 + len(BANNER), ack=6)
    play >> 4.0
    play >> Got("FPA", ack=6, data=BANNER) << Sent("RA", seq=6, ack=1 + len(BANNER))
    play << Ended("data", data=BANNER, acked=1, counter=0)
    play.over()


@edge(FlowState.DATA_SENT, FlowTrigger.EARLY_DATA)
def test_the_second_piece_first() -> Play:
    play = Play(HELLO)
    play >> Line() << Sent("A", data=HELLO)
    play >> Got("PA", seq=5, ack=6, data=BANNER[4:]) << Sent("A", seq=6, ack=1)
    play >> Got("PA", seq=1, ack=6, data=BANNER[:4]) << Sent("RA", seq=6, ack=25)
    play << Ended("data", data=BANNER)
    play.over()
    return play


@edge(FlowState.ACKED, FlowTrigger.EARLY_DATA)
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


@edge(FlowState.SETTLING, FlowTrigger.EARLY_DATA)
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
    Got("A", seq=65536, ack=6),  # beyond the window
    Got("A", seq=2, ack=1),  # beyond a gap, and acknowledges nothing new
    Got("A", seq=0, ack=6),  # a keep-alive
    Got("A", seq=1, ack=1),  # acknowledges nothing new
    Got("FA", seq=65536, ack=6),
    Got("FA", seq=2, ack=1),
    Got("FA", seq=1, ack=9),
    Got("R", seq=2, ack=0),  # RFC 5961: the number must be exact
    Got("R", seq=0, ack=0),
    Got("RA", seq=1, ack=99),
    Got("S", seq=0, ack=0),
    Got("SA", seq=0, ack=1),
    Got("", seq=1, ack=1),
]


@every_row(product(NOT_NEWS, [(1000, 5000), (2**32 - 1, 2**32 - 1), (2**32 - 4, 2**31)]))
def test_wrong_numbers_change_nothing(segment: Got, isns: tuple[int, int]) -> None:
    our_isn, peer_isn = isns
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


@every_row([0, 1, 2**31 - 1, 2**31, *range(2**32 - 30, 2**32)])
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
