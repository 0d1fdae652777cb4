"""Hosts that answer on every port of a sweep, whatever they do then: checked after some ports, then left."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lzr.flow.ackfirewall import _MARKS, EACH, FEW_PORTS, AnsweredPorts, AskedHosts, _places
from lzr.rows import FRAME
from lzr.sourceports import DEFAULT_PORTS
from tests.playbook import PEER, Batch, Ended, Got, Line, Move, Play, Sent

HELLO, BANNER = b"HELLO", b"220 mail.example ESMTP\r\n"
SYN_ACK = {"flags": "SA", "seq": 0, "ack": 1}

pytestmark = pytest.mark.usefixtures("kernels")


def hosts(*numbers: int) -> NDArray[Any]:
    rows = np.zeros(len(numbers), FRAME)
    rows["peer_lo"] = numbers
    return rows


def sweep(ports: int = FEW_PORTS + 1, haf: int = 2, **more: Any) -> Play:
    play = Play(HELLO, haf=haf, **more)
    play.table.hear = lambda segments: 0
    play.table.firewall_checks.sweep(ports)
    return play


def answered(play: Play, count: int, **more: int) -> list[int]:
    """Further ports of a host have answered; the connections of the checks that leave for it."""
    checks: list[int] = []
    for _ in range(count):
        port = 1000 + play.tickets
        play >> Line(port=port, own_port=port, **more)
        checks += [sent.conn for sent in play.sent() if sent.flags == "S"]
        play.ended()
    return checks


def checked(play: Play, haf: int) -> None:
    """A host has answered on so many ports that it is checked, and it answers the checks."""
    assert answered(play, EACH - 1) == []
    checks = answered(play, 1)
    assert len(checks) == haf
    assert all(play.connections[conn].peer_port >= DEFAULT_PORTS[0] for conn in checks)
    play >> Batch(*(Got(**SYN_ACK, conn=conn) for conn in checks))


def test_every_eighth_port_and_once_however_many_there_are_in_a_batch() -> None:
    ports = AnsweredPorts(8)

    def note(*numbers: int) -> list[tuple[int, int]]:
        at, counts = ports.note(hosts(*numbers))
        return [*zip(at.tolist(), counts.tolist(), strict=True)]

    assert note(*[1] * 7) == []
    assert note(2, 1, 1) == [(1, 8)]
    assert note(*[1] * 6) == []
    assert note(*[1] * 29) == [(0, 32)]
    assert note(1, 1, 1) == []
    assert note(1) == [(0, 8)]
    assert note() == []


def test_hosts_that_share_a_counter_are_only_checked_earlier() -> None:
    places = _places(np.zeros(_MARKS + 1, np.uint64), np.arange(_MARKS + 1, dtype=np.uint64))
    _, first, sharing = np.unique(places, return_index=True, return_counts=True)
    assert places.max() < _MARKS
    one = int(first[sharing > 1][0])
    other = int(np.flatnonzero(places == places[one])[1])
    ports = AnsweredPorts(8)
    assert ports.note(hosts(*[one] * 5))[0].tolist() == []
    assert ports.note(hosts(other, other, other))[0].tolist() == [0]


@pytest.mark.parametrize("haf", [1, 5])
def test_a_host_that_never_acknowledges_anything(haf: int) -> None:
    """Checked once, and then neither handshakes nor checks; those that were begun end as they would."""
    play = sweep(haf=haf)
    checked(play, haf)
    play >> Line(port=80, own_port=80)
    play << Sent("RA") << Ended("acking_firewall", firewall=1, peer_port=80)
    play >> 7.0
    ends = play.ended()
    assert [(end["reason"], end["acked"]) for end in ends] == [("acking_firewall", 0)] * EACH
    play.sent()
    play.over()


def test_what_a_host_says_on_the_ports_that_were_asked_is_recorded() -> None:
    play = sweep()
    checked(play, 2)
    ends = []
    for event in (Got("PA", ack=6, data=BANNER, conn=0), Got("R", ack=0, conn=1), Got("FA", conn=2), 7.0):
        play >> event
        play.sent()
        ends += play.ended()
    assert [(end["reason"], end["firewall"]) for end in ends[:3]] == [("data", 0), ("rst", 0), ("fin", 0)]
    assert {end["reason"] for end in ends[3:]} == {"acking_firewall"}
    play.over()


def test_a_host_is_checked_again_where_very_many_ports_have_answered() -> None:
    """An answer to its checks was lost, or it is a host with hundreds of services: by and by that is told."""
    play = sweep(haf=3)
    lost = answered(play, EACH)
    play >> Batch(*(Got(**SYN_ACK, conn=conn) for conn in lost[1:]))
    assert answered(play, 7 * EACH - 1) == []
    again = answered(play, 1)
    assert len(again) == 3
    play >> Got(**SYN_ACK, conn=again[0])  # those of the first time do not count
    assert play.table.in_flight == 8 * EACH
    play >> Batch(*(Got(**SYN_ACK, conn=conn) for conn in again[1:]))
    play >> Line(port=80, own_port=80)
    play << Sent("RA") << Ended("acking_firewall", firewall=1)
    assert len(play.table.firewall_checks.take_found(10)) == 2


def test_a_host_with_thousands_of_services_is_checked_five_times() -> None:
    hosts_checked = AskedHosts(most=2, needed=3)
    one, two, each = hosts(1), hosts(2), np.array([EACH])
    at = [EACH * number for number in range(1, 9000) if hosts_checked.note_answered(one, each)[0]]
    assert at == [8, 64, 512, 4096, 32768]
    hosts_checked.note(two)
    assert not hosts_checked.note_answered(two, each)[0]  # it was checked for another reason
    hosts_checked.note(hosts(3))
    assert sorted(hosts_checked._ports) == [2]
    assert hosts_checked.note_answered(one, each).tolist() == [True]
    for _ in range(3):
        hosts_checked.count(one)
    assert not any(hosts_checked.note_answered(one, each)[0] for _ in range(100))


def test_a_host_whose_ports_answer_many_at_once_is_checked_as_often() -> None:
    """In a sweep of one host a batch holds hundreds of its ports, and each of them counts."""
    for batch, expected in ((EACH, 5), (100, 4), (1024, 3)):  # the first of a batch are all in one check
        answers, checked = AnsweredPorts(), AskedHosts(needed=3)
        times = 0
        for _ in range(65536 // batch):
            due, ports = answers.note(hosts(*[1] * batch))
            times += int(checked.note_answered(hosts(*[1] * len(due)), ports).sum())
        assert times == expected, batch


def test_ports_with_a_window_of_zero_count_too() -> None:
    play = sweep()
    checks = answered(play, EACH, window=0)
    assert len(checks) == 2
    assert [end["reason"] for end in play.outcomes] == ["zero_window"] * EACH
    play >> Batch(*(Got(**SYN_ACK, conn=conn) for conn in checks))
    play >> Line(port=80, own_port=80)
    play << Sent("RA") << Ended("acking_firewall", firewall=1)
    play.over()


@pytest.mark.parametrize("answer", [{"flags": "RA", "seq": 0, "ack": 1}, None])
def test_a_host_with_many_services_is_asked_on_all_of_its_ports(answer: dict[str, Any] | None) -> None:
    """Its random ports are closed or silent; it is checked once, whatever is found open later."""
    play = sweep()
    checks = answered(play, EACH)
    assert len(checks) == 2
    play >> Got(**SYN_ACK, conn=checks[0])
    if answer is not None:
        play >> Got(**answer, conn=checks[1])
    assert answered(play, 3 * EACH) == []
    assert play.table.in_flight == 4 * EACH
    play >> 7.0
    assert {end["reason"] for end in play.ended()} == {"silent"}
    play.sent()
    play.over()


def test_hosts_are_counted_apart() -> None:
    play = sweep()
    for peer in range(1, 40):
        assert answered(play, EACH - 1, peer=peer) == []
    assert len(answered(play, 1, peer=7)) == 2


@pytest.mark.parametrize(("ports", "swept"), [(FEW_PORTS, True), (1, True), (1 << 16, False)])
def test_with_few_ports_or_a_list_nobody_is_checked_for_open_ports(ports: int, swept: bool) -> None:
    play = sweep(ports)
    if not swept:
        play = Play(HELLO, haf=2)
    assert answered(play, 3 * EACH) == []


def test_without_haf_nobody_is_checked() -> None:
    assert answered(sweep(haf=0), 3 * EACH) == []
    assert answered(sweep(force_all_handshakes=True), 3 * EACH) == []


def test_checks_and_what_they_found_move_with_their_shard() -> None:
    play = sweep()
    checks = answered(play, EACH)
    play >> Got(**SYN_ACK, conn=checks[0])
    play >> Move()
    play.table.hear = lambda segments: 0
    play.table.firewall_checks.sweep(FEW_PORTS + 1)
    play >> Got(**SYN_ACK, conn=checks[1])
    play >> Line(port=80, own_port=80)
    play << Sent("RA") << Ended("acking_firewall", firewall=1)


def test_a_check_has_nothing_of_a_flow_that_was_in_its_row_before() -> None:
    """A shard moves while a host with some services is checked, in the rows of flows to one that is not."""
    play = sweep(haf=3)
    for peer in range(10, 30):
        play >> Line(peer=peer)
        flow = len(play.connections) - 1
        play.sent()
        play >> Got("A", ack=6, conn=flow)
        checks = [sent.conn for sent in play.sent() if sent.flags == "S"]
        play >> Batch(*(Got(**SYN_ACK, conn=conn) for conn in checks))
    play >> 9.0
    play.sent()
    assert [end["reason"] for end in play.ended()] == ["acking_firewall"] * 20
    assert len(answered(play, EACH, peer=2)) == 3
    play >> Move()
    play.table.hear = lambda segments: 0
    play.table.firewall_checks.sweep(FEW_PORTS + 1)
    play >> Line(peer=2, port=80, own_port=80) << Sent("A", data=HELLO)


def test_others_hear_of_a_host_when_it_is_found() -> None:
    """Once, and not only when a pair of it is left out: in a large sweep each host has its next one late."""
    play = sweep()
    for peer in (7, 9, 8):
        checks = answered(play, EACH, peer=peer)
        play >> Batch(*(Got(**SYN_ACK, conn=conn) for conn in checks))
        if peer == 9:
            found = play.table.firewall_checks.take_found(1)
            assert found.tolist() == [0, PEER + 7]
            assert play.table.firewall_checks.take_found(10).tolist() == [0, PEER + 9]
        elif peer == 8:
            assert play.table.firewall_checks.take_found(10).tolist() == [0, PEER + 8]
    play.table.firewall_checks.learn(np.array([0, PEER + 1], np.uint64))  # others know of it
    assert len(play.table.firewall_checks.take_found(10)) == 0


def test_in_a_list_nobody_is_waiting_to_hear_of_it() -> None:
    play = Play(HELLO, haf=2)
    play >> Line() << Sent("A", data=HELLO)
    play >> Got("A", ack=6)
    checks = [sent.conn for sent in play.sent()]
    play >> Batch(*(Got(**SYN_ACK, conn=conn) for conn in checks))
    assert play.table.firewall_checks._found is None
    assert len(play.table.firewall_checks.take_found(10)) == 0


def test_what_others_have_found_is_believed() -> None:
    play = sweep()
    play.table.firewall_checks.learn(np.array([0, PEER + 1, 0, PEER + 7], np.uint64))
    play >> Line(port=80, own_port=80)
    play << Sent("RA") << Ended("acking_firewall", firewall=1)
    play >> Line(peer=2, port=80, own_port=80) << Sent("A", data=HELLO)


def test_a_flow_whose_host_is_forgotten_goes_by_its_own_checks() -> None:
    """Where more hosts are checked, while it waits, than are remembered."""
    play = sweep(timeout=5, retransmit_wait=1)
    play.table.firewall_checks._hosts._most = 1
    play >> Line(peer=1) << Sent("A", data=HELLO)
    play >> 0.5
    play >> Got("A", ack=6)
    first = [sent.conn for sent in play.sent()]
    play >> Batch(*(Got(**SYN_ACK, conn=conn) for conn in first))
    play.sent()
    play >> Line(peer=2, own_port=40001) << Sent("A", data=HELLO)
    play >> Got("A", ack=6)
    assert len(play.sent()) == len(first) == 2
    play >> 5.5
    play.sent()
    assert [end["reason"] for end in play.ended()] == ["acking_firewall", "silent"]
    play.over()


def test_in_a_port_scan_that_goes_on_with_no_connection() -> None:
    play = Play(haf=2)
    play.table.hear = lambda segments: 0
    play.table.firewall_checks.sweep(FEW_PORTS + 1)
    checked(play, 2)
    assert [end["reason"] for end in play.outcomes] == ["sa_only"] * EACH
    play >> Line(port=80, own_port=80)
    play << Sent("RA") << Ended("acking_firewall", firewall=1)
    play.over()
