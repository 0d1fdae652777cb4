"""The ledger against a dict of what is open."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from lzr.ownership.ledger import Ledger
from lzr.packet.sharding import shard_of
from lzr.rows import TARGET
from tests.effort import examples


def targets(lines: list[int]) -> Any:
    rows = np.zeros(len(lines), TARGET)
    rows["line"] = lines
    rows["peer_lo"] = np.array(lines, np.uint64) * np.uint64(3)
    return rows


class Books(RuleBasedStateMachine):
    """Inputs come in, go to shards, get their fates or come back; tickets are used again."""

    def __init__(self) -> None:
        super().__init__()
        self.ledger = Ledger(capacity=4)
        self.next_line = 0
        self.open: dict[int, int] = {}  # ticket -> line
        self.given: dict[int, int] = {}  # ticket -> shard
        self.settled = 0

    @rule(count=st.integers(0, 9))
    def admit(self, count: int) -> None:
        rows = targets(list(range(self.next_line, self.next_line + count)))
        self.next_line += count
        self.ledger.admit(rows)
        tickets = rows["ticket"].tolist()
        assert len(set(tickets)) == count
        assert not set(tickets) & set(self.open), "a ticket that is in use"
        self.open |= dict(zip(tickets, rows["line"].tolist(), strict=True))

    def idle(self) -> list[int]:
        return sorted(set(self.open) - set(self.given))

    @precondition(lambda self: self.idle())
    @rule(data=st.data())
    def give(self, data: st.DataObject) -> None:
        tickets = data.draw(st.lists(st.sampled_from(self.idle()), unique=True, min_size=1))
        rows = targets([self.open[ticket] for ticket in tickets])
        rows["ticket"], rows["own_port"] = tickets, 40000 + np.array(tickets)
        shards = shard_of(rows, 9, 4).tolist()
        dealt = self.ledger.enter_by_owner(rows, 9, np.array([2, 1, 2, 0], np.uint16))
        for owner, part in dealt:
            theirs = [s in {2: (0, 2), 1: (1,), 0: (3,)}[owner] for s in shards]
            assert part.tobytes() == rows[theirs].tobytes()
        assert sum(len(part) for _, part in dealt) == len(rows)
        self.ledger.give(rows)
        self.given |= dict(zip(tickets, shards, strict=True))

    @precondition(lambda self: self.given)
    @rule(data=st.data())
    def settle(self, data: st.DataObject) -> None:
        tickets = data.draw(st.lists(st.sampled_from(sorted(self.given)), unique=True, min_size=1))
        lines = self.ledger.settle(np.array(tickets, np.uint32))
        assert lines.tolist() == [self.open.pop(ticket) for ticket in tickets]
        for ticket in tickets:
            del self.given[ticket]
        self.settled += len(tickets)

    @precondition(lambda self: self.idle())
    @rule(data=st.data())
    def withdraw(self, data: st.DataObject) -> None:
        tickets = data.draw(st.lists(st.sampled_from(self.idle()), unique=True, min_size=1))
        lines = self.ledger.withdraw(np.array(tickets, np.uint32))
        assert lines.tolist() == [self.open.pop(ticket) for ticket in tickets]
        self.settled += len(tickets)

    @precondition(lambda self: self.idle())
    @rule(data=st.data())
    def nothing_ends_that_nobody_has(self, data: st.DataObject) -> None:
        ticket = data.draw(st.sampled_from(self.idle()))
        with pytest.raises(ValueError, match="has one already"):
            self.ledger.settle(np.array([ticket], np.uint32))

    @rule(shard=st.integers(0, 3))
    def take_back(self, shard: int) -> None:
        """The shard's worker died: what it owed comes back, as it was given, in the order of the input."""
        rows = self.ledger.take_back(shard)
        owed = sorted((self.open[ticket], ticket) for ticket, at in self.given.items() if at == shard)
        assert [(int(row["line"]), int(row["ticket"])) for row in rows] == owed
        assert (rows["own_port"] == 40000 + rows["ticket"]).all()
        for _, ticket in owed:
            del self.given[ticket]

    @invariant()
    def counts_agree(self) -> None:
        ledger = self.ledger
        assert (ledger.admitted, ledger.settled) == (self.next_line, self.settled)
        assert ledger.open == len(self.open)
        back = ledger._free[: ledger._free_count].tolist()
        assert len(set(back)) == len(back)
        unused = range(ledger._unused, len(ledger._rows))
        assert sorted([*back, *unused]) == sorted(set(range(len(ledger._rows))) - set(self.open))


def test_the_ledger_is_a_dict_of_what_is_open() -> None:
    run_state_machine_as_test(
        Books, settings=settings(max_examples=examples(25), stateful_step_count=30, deadline=None)
    )


def test_it_is_as_large_as_what_is_in_flight() -> None:
    ledger = Ledger(capacity=100)
    for start in range(0, 100_000, 50):
        rows = targets(list(range(start, start + 50)))
        ledger.admit(rows)
        ledger.enter_by_owner(rows, 1, np.ones(1, np.uint16))
        ledger.give(rows)
        ledger.settle(rows["ticket"])
    assert len(ledger._rows) == 100
    assert (ledger.open, ledger.settled) == (0, 100_000)


def test_settled_twice_is_a_mistake_of_ours() -> None:
    ledger = Ledger()
    rows = targets([7])
    ledger.admit(rows)
    ledger.give(rows)
    ledger.settle(rows["ticket"])
    with pytest.raises(ValueError, match="has one already"):
        ledger.settle(rows["ticket"])


@pytest.mark.attack
def test_who_settles_what_it_does_not_hold_is_known() -> None:
    ledger = Ledger(capacity=4)
    rows = targets(list(range(10)))
    ledger.admit(rows)
    for shard, (_, part) in enumerate(ledger.enter_by_owner(rows, 7, np.arange(2, dtype=np.uint16))):
        ledger.give(part, holder=5 + shard)
    tickets = rows["ticket"]
    shards = shard_of(rows, 7, 2)
    mine, others = tickets[shards == 0], tickets[shards == 1]
    both = np.concatenate((mine, others))
    right = [(5, len(mine)), (6, len(others))]
    assert not ledger.not_theirs(both, right)
    assert ledger.not_theirs(both, [(5, len(mine) + 1), (6, len(others) - 1)]) == {5}, "another's"
    assert ledger.not_theirs(np.concatenate((mine, mine[:1])), [(5, len(mine)), (5, 1)]) == {5}, "twice"
    assert ledger.not_theirs(np.array([1 << 31], np.uint32), [(6, 1)]) == {6}, "of no input"
    assert ledger.not_theirs(both, [(8, len(both))]) == {8}, "of nobody"
    ledger.moved(0, holder=6)
    assert ledger.not_theirs(both, right) == {5}
    assert not ledger.not_theirs(both, [(6, len(both))])
    assert ledger.holds(6, 0, mine)
    assert not ledger.holds(6, 0, mine[:0]), "none of them"
    assert not ledger.holds(6, 0, mine[1:]), "too few"
    assert ledger.holds(6, 9, mine[:0]), "of a shard without any"
    assert not ledger.holds(6, 0, both), "of another shard"
    assert not ledger.holds(5, 0, mine), "of another"
    assert not ledger.holds(6, 0, np.concatenate((mine, mine[:1]))), "twice"
    assert not ledger.holds(6, 0, np.array([1 << 31], np.uint32)), "of no input"
    ledger.settle(mine)
    assert not ledger.holds(6, 0, mine), "settled already"
    assert ledger.holds(6, 0, mine[:0])
    assert ledger.not_theirs(mine, [(6, len(mine))]) == {6}, "settled already"
