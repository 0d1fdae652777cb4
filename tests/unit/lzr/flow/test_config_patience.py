"""How long an answer is awaited from a peer that has acknowledged the probe, as traces.

With one retransmit or none, the time-out and nothing else. With more, as many repeats of the answer as
of the probe are awaited: soon, from a peer that measured the round trip in an undisturbed handshake; later,
from one that had to repeat its SYN-ACK, or may have had to.
"""

from __future__ import annotations

import pytest

from lzr.flow.config import RTO, RTO_UNMEASURED, FlowConfig
from tests.playbook import Ended, Got, Line, Move, Play, Sent

HELLO, AGAIN = b"HELLO", b"EHLO you\r\n"
SYN_ACK = Got("SA", seq=0, ack=1)
SOON, LATE = 5 + 7.0, 5 + 21.0
"""With three repeats, RTOs of 1 s and 3 s, and a time-out of 5 s."""

pytestmark = pytest.mark.usefixtures("kernels")


@pytest.mark.parametrize(
    ("number", "timeout", "soon", "late"),
    [
        (0, 5, 5, 5),
        (1, 5, 5, 5),
        (2, 5, 5 + 3, 5 + 9),
        (3, 5, SOON, LATE),
        (4, 5, 5 + 15, 5 + 45),
        (255, 5, 5 + 15, 5 + 45),  # as long as anybody waits
        (3, 60, 60 + 7, 60 + 21),
        (3, 2, 2 + 7, 2 + 14),  # who waits 2 s for data waits no 3 s for its repeat
        (3, 0.25, 2, 2),
    ],
)
def test_the_time_that_as_many_repeats_take(number: int, timeout: float, soon: float, late: float) -> None:
    config = FlowConfig((), retransmit_number=number, timeout=timeout)
    assert (config.patience(RTO), config.patience(RTO_UNMEASURED)) == (soon, late)


def acked_and_silent(play: Play, since: float, patience: float) -> None:
    play >> Got("A", ack=6)
    play >> since + patience - 0.01
    play >> since + patience << Sent("RA", seq=6) << Ended("silent", expected="data", acked=1)
    play.over()


def test_who_answered_our_first_syn_at_once_repeats_soon() -> None:
    play = Play(HELLO, retransmit_number=3)
    play >> Line(syn=True) << Sent.syn()
    play >> 0.89
    play >> SYN_ACK << Sent("A", data=HELLO)
    acked_and_silent(play, 0.89, SOON)


def test_who_answered_our_first_syn_late_may_have_answered_before() -> None:
    play = Play(HELLO, retransmit_number=3, retransmit_wait=2)
    play >> Line(syn=True) << Sent.syn()
    play >> 1.0
    play >> SYN_ACK << Sent("A", data=HELLO)
    acked_and_silent(play, 1.0, LATE)


def test_who_was_asked_twice_may_have_answered_twice() -> None:
    play = Play(HELLO, retransmit_number=3, retransmit_wait=0.3)
    play >> Line(syn=True) << Sent.syn()
    play >> 0.3 << Sent.syn()
    play >> SYN_ACK << Sent("A", data=HELLO)
    acked_and_silent(play, 0.3, LATE)


def test_who_had_no_ack_at_once_has_repeated_its_syn_ack() -> None:
    play = Play(HELLO, retransmit_number=3)
    play >> Line(syn=True) << Sent.syn()
    play >> SYN_ACK << Sent("A", data=HELLO)
    play >> 1.0 << Sent("PA", data=HELLO)
    acked_and_silent(play, 1.0, LATE)


def test_who_repeats_its_syn_ack_measures_nothing() -> None:
    play = Play(HELLO, retransmit_number=3)
    play >> Line(syn=True) << Sent.syn()
    play >> SYN_ACK << Sent("A", data=HELLO)
    play >> 0.9
    play >> SYN_ACK << Sent("A", data=HELLO)
    acked_and_silent(play, 0.9, LATE)


def test_of_zmaps_connections_nobody_knows_how_long_they_were_half_open() -> None:
    play = Play(HELLO, retransmit_number=3)
    play >> Line() << Sent("A", data=HELLO)
    acked_and_silent(play, 0, LATE)


def test_a_follow_up_is_a_connection_of_our_own() -> None:
    play = Play(AGAIN, HELLO, retransmit_number=3)
    play >> Line() << Sent("A", data=AGAIN)
    play >> 0.5
    play >> Got("R", ack=0) << Sent.syn(conn=1)
    play >> 0.6
    play >> SYN_ACK << Sent("A", data=HELLO)
    acked_and_silent(play, 0.6, SOON)


@pytest.mark.parametrize(("answered", "patience"), [(0.1, SOON), (0.95, LATE)])
def test_what_is_known_of_a_peer_moves_along(answered: float, patience: float) -> None:
    play = Play(HELLO, retransmit_number=3)
    play >> Line(syn=True) << Sent.syn()
    play >> Move()
    play >> answered
    play >> SYN_ACK << Sent("A", data=HELLO)
    play >> Move()
    play >> Got("A", ack=6)
    play >> Move()
    play >> answered + patience - 0.01
    play >> answered + patience << Sent("RA", seq=6) << Ended("silent")
    play.over()
