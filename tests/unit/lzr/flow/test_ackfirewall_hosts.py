"""Hosts that were asked: each once, the latest remembered."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lzr.flow.ackfirewall import AskedHosts
from lzr.rows import FRAME


def hosts(*numbers: int) -> NDArray[Any]:
    rows = np.zeros(len(numbers), FRAME)
    rows["peer_lo"] = numbers
    rows["peer_hi"] = 7
    return rows


def test_the_first_row_of_a_host_that_was_not_known() -> None:
    asked = AskedHosts()
    assert asked.note(hosts(1, 2, 1, 3)).tolist() == [True, True, False, True]
    assert asked.note(hosts(3, 4)).tolist() == [False, True]
    assert len(asked) == 4


def test_halves_are_not_mixed_up() -> None:
    asked, other = AskedHosts(), hosts(1)
    other["peer_hi"] = 8
    asked.note(hosts(1))
    assert asked.note(other).all()


def test_answers_are_counted_where_a_host_is_known() -> None:
    asked = AskedHosts()
    asked.note(hosts(1, 2))
    asked.count(hosts(1, 1, 9))
    assert asked.hits(hosts(1, 2, 9)).tolist() == [2, 0, 0]


def test_the_first_is_forgotten() -> None:
    asked = AskedHosts(most=2)
    asked.note(hosts(1, 2))
    asked.count(hosts(1))
    asked.note(hosts(3))
    assert asked.hits(hosts(1)).tolist() == [0]
    assert (len(asked), asked.note(hosts(2, 1)).tolist()) == (2, [False, True])


def test_what_another_table_has_found_out() -> None:
    asked = AskedHosts()
    asked.note(hosts(1))
    asked.count(hosts(1, 1))
    asked.adopt(hosts(1, 2), np.array([1, 3], np.uint8))
    assert asked.hits(hosts(1, 2)).tolist() == [2, 3]
    assert not asked.note(hosts(2)).any()


def test_who_has_answered_enough_is_a_firewall_until_it_is_forgotten() -> None:
    asked = AskedHosts(most=2, needed=2)
    assert not asked.firewalls(hosts(1, 2)).any()
    asked.note(hosts(1, 2))
    asked.count(hosts(1, 2))
    assert not asked.firewalls(hosts(1, 2)).any()
    asked.count(hosts(1))
    assert asked.firewalls(hosts(2, 1, 3, 1)).tolist() == [False, True, False, True]
    asked.note(hosts(3))  # the first is forgotten
    assert not asked.firewalls(hosts(1, 2, 3)).any()
    asked.adopt(hosts(3), np.array([2], np.uint8))
    assert asked.firewalls(hosts(1, 2, 3)).tolist() == [False, False, True]


def test_however_many_firewalls_there_are_the_latest_are_known() -> None:
    asked = AskedHosts(most=10)
    for number in range(100):
        asked.note(hosts(number))
        asked.count(hosts(number))
    assert np.flatnonzero(asked.firewalls(hosts(*range(100)))).tolist() == list(range(90, 100))
    assert np.count_nonzero(asked._marks) <= 20
