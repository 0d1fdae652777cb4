"""What peers can make us hold: of one answer so much as was asked for, of all together what a worker may."""

from __future__ import annotations

import pytest

from lzr.flow.reassembly import Reassembly
from tests.playbook import Ended, Got, Line, Move, Play, Sent

pytestmark = [pytest.mark.usefixtures("kernels"), pytest.mark.attack]

HELLO, BEGUN = b"HELLO", b"220 "
PIECE = b"x" * 1400


def test_a_long_answer_is_cut_and_marked() -> None:
    play = Play(HELLO, max_data=1024)
    for size, kept, cut in ((1023, 1023, 0), (1024, 1024, 0), (1025, 1024, 1), (9000, 1024, 1)):
        play >> Line() << Sent("A", data=HELLO)
        play >> Got("PA", ack=6, data=b"y" * size) << Sent("RA", seq=6, ack=1 + size)
        play << Ended("data", data=b"y" * kept, cut=cut)
    play.over()


def test_pieces_that_are_long_together_are_cut() -> None:
    """All but the first come too early, so that the first completes what is longer than is kept."""
    play = Play(HELLO, max_data=4096)
    play >> Line() << Sent("A", data=HELLO)
    for at in (1, 2, 3):
        play >> Got("PA", seq=1 + at * len(PIECE), ack=6, data=PIECE[:1360]) << Sent("A", seq=6, ack=1)
    play >> Got("PA", ack=6, data=PIECE[:40]) << Sent("A", seq=6, ack=41)
    play >> Got("PA", seq=41, ack=6, data=PIECE[:1360]) << Sent("RA", seq=6, ack=1 + 1400 + 1360)
    play << Ended("data", data=b"x" * 2760, cut=0)
    play >> Line() << Sent("A", data=HELLO)
    for at in (1, 2):
        play >> Got("PA", seq=1 + at * len(PIECE), ack=6, data=PIECE) << Sent("A", seq=6, ack=1)
    play >> Got("PA", ack=6, data=PIECE) << Sent("RA", seq=6, ack=1 + 3 * 1400)
    play << Ended("data", data=b"x" * 4096, cut=1)
    play.over()


def test_early_pieces_of_one_flow_are_bounded() -> None:
    pieces = Reassembly(4096)
    for at in range(100):
        pieces.keep_early(1, at * 1000, b"x" * 1000)
    assert 4000 <= pieces.cost <= 4096 + 4 * 200
    pieces.append(1, 0, b"")
    pieces.forget([1])
    assert pieces.cost == 0


def test_what_is_held_is_counted_wherever_it_goes() -> None:
    play = Play(HELLO)
    play >> Line() << Sent("A", data=HELLO)
    play >> Got("PA", seq=50, ack=6, data=b"late") << Sent("A", seq=6, ack=1)
    play >> Got("PA", ack=6, data=BEGUN) << Sent("A", seq=6, ack=5)
    cost = play.table.reassembly.cost
    assert cost == len(BEGUN) + len(b"late") + 2 * 200
    play >> Move()
    assert play.table.reassembly.cost == cost
    play >> 0.25 << Sent("RA", seq=6, ack=5) << Ended("data", data=BEGUN, cut=0)
    assert play.table.reassembly.cost == 0


def test_the_largest_go_first() -> None:
    """Hosts that begin a banner and send more behind a gap: what all hold stays within the budget."""
    play = Play(HELLO, most_held=60_000)
    ended: list[dict[str, object]] = []
    pieces: dict[int, int] = {}
    for host in range(40):
        play >> Line(peer=host)
        play.sent()
        play >> Got("PA", ack=6, data=BEGUN)
        for at in range(host % 8):
            play.sent()
            play >> Got("PA", seq=1405 + at * 1400, ack=6, data=PIECE)
            ended += play.ended()
            assert play.table.reassembly.cost <= 60_000
        pieces[host] = host % 8
        play.sent()
    assert 4 < len(ended) < 30
    assert all(one["data"] == BEGUN and one["cut"] for one in ended)
    assert min(pieces[int(str(one["ticket"]))] for one in ended) >= 3, "those that hold little stay"
    play >> 1.0
    whole = play.ended()
    play.sent()
    assert all(one["data"] == BEGUN and not one["cut"] for one in whole)
    assert len(ended) + len(whole) == 40
    assert play.table.reassembly.cost == 0
    play.over()


def test_what_only_came_too_early_is_let_go_of() -> None:
    """There is nothing to end such a flow with; its peer sends it again."""
    play = Play(HELLO, most_held=20_000)
    for host in range(20):
        play >> Line(peer=host)
        play >> Got("PA", seq=1401, ack=6, data=PIECE) if play.sent() else play
        play.sent()
        assert play.table.reassembly.cost <= 20_000
    play >> Got("PA", ack=6, data=PIECE, conn=0) << Sent("RA", seq=6, ack=1401, conn=0)
    (end,) = play.ended()
    assert (end["data"], end["cut"]) == (PIECE, 0)


def test_answers_that_wait_for_other_handshakes_are_shortened() -> None:
    play = Play(HELLO, HELLO, force_all_handshakes=True, most_held=20_000)
    for host in range(20):
        play >> Line(peer=host)
        play.sent()
        play >> Got("PA", ack=6, data=PIECE + PIECE)
        play.sent()
        assert play.table.output.held_bytes <= 20_000
    play >> 30.0
    play.sent()
    ends = [one for one in play.ended() if one["reason"] == "data"]
    assert len(ends) == 20
    assert {len(bytes(one["data"])) for one in ends} == {512, 2800}
    assert all(one["cut"] == (len(bytes(one["data"])) == 512) for one in ends)
    assert play.table.output.held_bytes == 0
    play.over()
