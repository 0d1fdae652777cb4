"""The filter against ACKing firewalls, as traces.

A firewall costs at most `haf` + 4 packets, a host that serves data is never marked, and asking never
delays the flow itself.
"""

from __future__ import annotations

import pytest

from lzr.flow.config import FlowConfig
from lzr.packet.sharding import shard_of
from lzr.rows import FlowState, FlowTrigger
from lzr.secrets import Secrets
from lzr.sourceports import DEFAULT_PORTS
from tests.playbook import Batch, Edges, Ended, Got, Line, Move, Play, Sent, note_edges

HELLO, AGAIN = b"HELLO", b"EHLO you\r\n"
BANNER = b"220 mail.example ESMTP\r\n"
SYN_ACK = {"flags": "SA", "seq": 0, "ack": 1}

EDGES: Edges = {}
edge = note_edges(EDGES)

pytestmark = pytest.mark.usefixtures("kernels")


def frames(play: Play) -> int:
    return sum(connection.frames for connection in play.connections)


@edge(FlowState.FIREWALL_CHECK, FlowTrigger.SYN_ACK)
def test_a_host_that_acknowledges_everywhere() -> Play:
    """It takes the bytes, so it is asked beside the first handshake, and told when that has timed out."""
    play = Play(HELLO, AGAIN, haf=5)
    play >> Line() << Sent("A", data=HELLO)
    play >> Got("A", ack=6)
    for conn in range(1, 6):
        play << Sent.syn(conn)
        assert DEFAULT_PORTS[0] <= play.connections[conn].peer_port <= DEFAULT_PORTS[1]
    play >> Batch(*(Got(**SYN_ACK, conn=conn) for conn in range(1, 6)))
    play >> 5.0 << Sent("RA", seq=6, conn=0)
    play << Ended("acking_firewall", firewall=1, handshake=0, acked=1, peer_port=80)
    play.over()
    assert frames(play) <= 5 + 4
    return play


def test_a_host_that_answers_every_syn_and_then_nothing() -> None:
    """Silent in the first handshake: asked beside the second, told at once."""
    play = Play(HELLO, AGAIN, haf=5)
    play >> Line() << Sent("A", data=HELLO)
    play >> 1.0 << Sent("PA", data=HELLO)
    play >> 6.0 << Sent("RA", conn=0)
    for conn in range(1, 6):
        play << Sent.syn(conn)
    play << Sent.syn(6)
    play >> Batch(*(Got(**SYN_ACK, conn=conn) for conn in range(1, 7)))
    play << Ended("acking_firewall", firewall=1, handshake=1)
    play.over()
    assert frames(play) == 5 + 4


@pytest.mark.parametrize("haf", [1, 3, 20])
@pytest.mark.parametrize("syn", [False, True])
def test_a_firewall_costs_few_packets(haf: int, syn: bool) -> None:
    play = Play(HELLO, AGAIN, b"third", haf=haf)
    play >> Line(syn=syn)
    answered: set[int] = set()
    while play.table.in_flight:
        play.out.clear()
        opened = [c for c in range(len(play.connections)) if c not in answered and (syn or c)]
        answered |= set(opened)
        if opened:
            play >> Batch(*(Got(**SYN_ACK, conn=conn) for conn in opened))
        elif play.now == 0:
            play >> Got("A", ack=6, conn=0)
            play.now = 0.1
        else:
            assert play.table.next_due is not None
            play >> play.table.next_due / 1e9
    assert [ended["reason"] for ended in play.outcomes] == ["acking_firewall"]
    assert frames(play) <= haf + 4


@edge(FlowState.FIREWALL_CHECK, FlowTrigger.ZERO_WINDOW)
@edge(FlowState.FIREWALL_CHECK, FlowTrigger.RST)
@edge(FlowState.FIREWALL_CHECK, FlowTrigger.TIMED_OUT)
def test_a_threshold_of_two_in_four() -> Play:
    play = Play(HELLO, haf=4, haf_threshold=0.5)
    play >> Line() << Sent("A", data=HELLO)
    play >> Got("A", ack=6)
    assert len(play.sent()) == 4
    play >> Got("SA", seq=0, ack=1, window=0, conn=1)
    play >> Got("RA", seq=0, ack=1, conn=2)
    play >> Got("SA", seq=0, ack=1, conn=3)
    play >> 5.0 << Sent("RA", seq=6, conn=0) << Ended("acking_firewall", firewall=1)
    play.over()
    assert len(play.table.index) == 0
    return play


def test_below_the_threshold_it_goes_on() -> None:
    play = Play(HELLO, AGAIN, haf=4)
    play >> Line() << Sent("A", data=HELLO)
    play >> Got("A", ack=6)
    assert len(play.sent()) == 4
    play >> Batch(*(Got(**SYN_ACK, conn=conn) for conn in (1, 2, 3)))
    play >> 5.0 << Sent("RA", seq=6, conn=0) << Sent.syn(5)  # asked once, not beside each handshake
    play >> Got(**SYN_ACK) << Sent("A", data=AGAIN)
    play >> Got("A", ack=11)
    play >> 10.0 << Sent("RA", seq=11) << Ended("silent", firewall=0, handshake=1)
    play.over()


def test_the_same_answer_counts_once() -> None:
    play = Play(HELLO, haf=2)
    play >> Line() << Sent("A", data=HELLO)
    play >> Got("A", ack=6)
    assert len(play.sent()) == 2
    play >> Batch(*(Got(**SYN_ACK, conn=1) for _ in range(5)))
    play >> Got(**SYN_ACK, conn=1)
    play >> 5.0 << Sent("RA", seq=6, conn=0) << Ended("silent", firewall=0)
    play.over()


def test_wrong_answers_do_not_count() -> None:
    play = Play(HELLO, haf=1)
    play >> Line() << Sent("A", data=HELLO)
    play >> Got("A", ack=6) << Sent.syn(1)
    play >> Got("SA", seq=0, ack=2, conn=1)
    play >> Got("S", seq=0, ack=1, conn=1)
    play >> Got("A", seq=1, ack=1, conn=1)
    play >> 5.0
    assert [ended["reason"] for ended in play.ended()] == ["silent"]


@pytest.mark.parametrize("first", ["checks", "data"])
def test_a_host_that_serves_data_is_never_marked(first: str) -> None:
    """It answers SYNs on every port, and the service itself a little late."""
    play = Play(HELLO, AGAIN, haf=3)
    play >> Line() << Sent("A", data=HELLO)
    play >> Got("A", ack=6)
    assert len(play.sent()) == 3
    answers = [Got(**SYN_ACK, conn=conn) for conn in (1, 2, 3)]
    data = Got("PA", ack=6, data=BANNER, conn=0)
    if first == "checks":
        play >> Batch(*answers)
        play >> 4.9
        play >> data
    else:
        play >> Batch(data, *answers)
    play << Sent("RA", seq=6, ack=25, conn=0) << Ended("data", data=BANNER, firewall=0)
    play.over()


def test_data_and_the_last_answers_in_one_batch() -> None:
    play = Play(HELLO, haf=2)
    play >> Line() << Sent("A", data=HELLO)
    play >> Got("A", ack=6)
    assert len(play.sent()) == 2
    answers = [Got(**SYN_ACK, conn=conn) for conn in (1, 2)]
    play >> Batch(*answers, Got("PA", ack=6, data=BANNER, conn=0))
    play << Sent("RA", seq=6, ack=25, conn=0) << Ended("data", firewall=0)
    play.over()


def test_answers_after_the_end_are_nobodys() -> None:
    play = Play(HELLO, haf=2)
    play >> Line() << Sent("A", data=HELLO)
    play >> Got("A", ack=6)
    assert len(play.sent()) == 2
    play >> Got("R", ack=0, conn=0) << Ended("rst")
    play >> Line(peer=9) << Sent("A", data=HELLO, conn=3)  # in the row of the first flow
    play >> Batch(*(Got(**SYN_ACK, conn=conn) for conn in (1, 2)))
    assert not play.table.firewall_checks._hits.any()
    play >> Got("R", ack=0, conn=3) << Ended("rst", firewall=0)
    play.over()


def test_the_end_of_the_flow_does_not_wait_for_the_checks() -> None:
    play = Play(HELLO, haf=3, timeout=5)
    play >> Line() << Sent("A", data=HELLO)
    play >> 3.0
    assert [frame.flags for frame in play.sent()] == ["PA"]
    play >> Got("A", ack=6)
    assert len(play.sent()) == 3
    play >> Got("PA", ack=6, data=BANNER, conn=0) << Sent("RA", seq=6, ack=25, conn=0) << Ended("data")
    play.over()
    play >> 8.0
    assert len(play.table.index) == 0


def test_every_handshake_turns_it_off() -> None:
    play = Play(HELLO, AGAIN, haf=3, force_all_handshakes=True)
    play >> Line() << Sent("A", data=HELLO)
    play >> Got("A", ack=6)
    play >> 5.0 << Sent("RA", seq=6, conn=0) << Sent.syn(1)


def test_with_a_delay_before_the_follow_up() -> None:
    play = Play(HELLO, AGAIN, haf=2, probe_delay=3)
    play >> Line() << Sent("A", data=HELLO)
    play >> Got("R", ack=0) << Sent.syn(1) << Sent.syn(2)
    play >> 1.0
    play >> Batch(*(Got(**SYN_ACK, conn=conn) for conn in (1, 2))) << Ended("acking_firewall", handshake=1)
    play.over()
    play >> 10.0


def test_a_delayed_follow_up_survives_the_growth_of_the_table() -> None:
    """Asking for firewalls may need more rows than there are."""
    play = Play(HELLO, AGAIN, haf=50, probe_delay=3)
    play >> Line() << Sent("A", data=HELLO)
    play >> Got("R", ack=0)
    assert len(play.sent()) == 50
    play >> 3.0 << Sent.syn(51)
    play >> Got(**SYN_ACK) << Sent("A", data=AGAIN)
    play >> Got("R", ack=0) << Ended("rst", handshake=1)
    play.over()


@pytest.mark.parametrize(
    ("haf", "threshold", "needed"),
    [(5, 1.0, 5), (5, 0.5, 3), (10, 0.1, 1), (3, 0.34, 2), (1, 0, 1), (10, 0.7, 7)],
)
def test_how_many_answers_it_takes(haf: int, threshold: float, needed: int) -> None:
    assert FlowConfig((), haf=haf, haf_threshold=threshold).hits_needed == needed


def test_checks_belong_to_the_shard_of_their_flow() -> None:
    """Or their answers would go to a process that does not know them."""
    play = Play(HELLO, AGAIN, haf=10, shards=8, secrets=Secrets.derive(3))
    play >> Line() << Sent("A", data=HELLO)
    play >> Got("A", ack=6)
    assert len(play.sent()) == 10
    rows = play.table.rows[play.table.rows["state"] != FlowState.FREE]
    assert len(set(shard_of(rows, play.config.secrets.shard, 8).tolist())) == 1


def test_checks_move_with_their_flow() -> None:
    play = Play(HELLO, haf=2)
    play >> Line(peer=7) << Sent("A", data=HELLO)
    play >> Line() << Sent("A", data=HELLO)
    play >> Got("R", ack=0, conn=0) << Ended("rst")
    play >> Got("A", ack=6)
    assert len(play.sent()) == 2
    play >> Move()
    play >> Batch(*(Got(**SYN_ACK, conn=conn) for conn in (2, 3)))
    play >> Move()
    play >> 5.0 << Sent("RA", seq=6, conn=1) << Ended("acking_firewall", firewall=1)
    play.over()


def test_checks_whose_flow_has_ended_move_too() -> None:
    play = Play(HELLO, haf=2)
    play >> Line() << Sent("A", data=HELLO)
    play >> Got("A", ack=6)
    assert len(play.sent()) == 2
    play >> Got("R", seq=1, conn=0) << Ended("rst")
    play >> Move()
    play >> Batch(*(Got(**SYN_ACK, conn=conn) for conn in (1, 2)))
    play >> 9.0
    play.over()


def silent_flow(play: Play, port: int, conn: int) -> None:
    """Another port of the same host takes our bytes and says nothing."""
    play >> Line(port=port, own_port=40000 + port) << Sent("A", data=HELLO, conn=conn)
    play >> Got("A", ack=6, conn=conn)


def test_a_firewall_is_asked_once_for_all_its_ports() -> None:
    play = Play(HELLO, haf=2)
    silent_flow(play, 80, 0)
    assert len(play.sent()) == 2
    silent_flow(play, 81, 3)  # before the verdict
    play >> Batch(*(Got(**SYN_ACK, conn=conn) for conn in (1, 2)))
    silent_flow(play, 82, 4)  # behind it
    play >> 5.0
    assert [ended["peer_port"] for ended in play.ended() if ended["firewall"]] == [80, 81, 82]
    assert len(play.sent()) == 3  # a RST each
    silent_flow(play, 83, 5)
    play >> Got("PA", ack=6, data=BANNER, conn=5)
    assert [(ended["reason"], ended["firewall"]) for ended in play.ended()] == [("data", 0)]
    play.sent()
    play.over()


def test_ports_of_one_host_that_come_together_ask_once() -> None:
    play = Play(HELLO, haf=3)
    for at, port in enumerate((80, 81, 82)):
        play >> Line(port=port, own_port=40000 + port) << Sent("A", data=HELLO, conn=at)
    play >> Batch(*(Got("A", ack=6, conn=conn) for conn in range(3)))
    assert len(play.sent()) == 3
    play >> 5.0
    assert [ended["reason"] for ended in play.ended()] == ["silent"] * 3


def test_who_refuses_one_port_of_a_firewall_is_not_called_one() -> None:
    play = Play(HELLO, haf=1)
    silent_flow(play, 80, 0)
    play << Sent.syn(1)
    play >> Got(**SYN_ACK, conn=1)
    play >> Line(port=81, own_port=40081) << Sent("A", data=HELLO, conn=2)
    play >> Got("R", ack=0, conn=2) << Ended("rst", firewall=0)
    play >> 5.0 << Sent("RA", seq=6, conn=0) << Ended("acking_firewall", firewall=1)
    play.over()


def test_what_is_known_of_a_host_moves_with_its_flows() -> None:
    play = Play(HELLO, haf=2)
    silent_flow(play, 80, 0)
    assert len(play.sent()) == 2
    silent_flow(play, 81, 3)
    play >> Got(**SYN_ACK, conn=1)
    play >> Move()
    play >> Got(**SYN_ACK, conn=2)
    play >> 5.0
    assert [ended["firewall"] for ended in play.ended()] == [1, 1]
    play.sent()
    play.over()


@pytest.mark.parametrize("swept", [True, False])
def test_in_a_sweep_a_known_firewall_is_asked_nothing_more(swept: bool) -> None:
    """Its SYN-ACK is recorded and its connection closed; who is asked port by port is asked each."""
    play = Play(HELLO, haf=1)
    if swept:
        play.table.hear = lambda segments: 0
    silent_flow(play, 80, 0)
    play << Sent.syn(1)
    play >> Got(**SYN_ACK, conn=1)
    play >> Line(port=81, own_port=40081)
    if swept:
        play << Sent("RA", conn=2) << Ended("acking_firewall", firewall=1, peer_port=81)
    else:
        play << Sent("A", data=HELLO, conn=2)
    assert play.table.in_flight == (1 if swept else 2)
