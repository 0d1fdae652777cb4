"""Delay queues against a plain list of what is due when."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from lzr.flow.timers import DelayQueue
from tests.effort import examples


def push(queue: DelayQueue, now: int, slots: list[int], generation: int = 0) -> None:
    queue.push(now, np.array(slots, np.int32), np.full(len(slots), generation, np.uint32))


def popped(queue: DelayQueue, now: int) -> list[tuple[int, int]]:
    due = queue.pop(now)
    if due is None:
        return []
    return list(zip(due[0].tolist(), due[1].tolist(), strict=True))


@settings(max_examples=examples(300), deadline=None)
@given(
    st.integers(0, 50),
    st.lists(st.tuples(st.integers(0, 20), st.lists(st.integers(0, 100), max_size=4)), max_size=30),
)
def test_each_comes_once_in_order_and_not_too_soon(delay: int, steps: list[tuple[int, list[int]]]) -> None:
    queue, oracle, now = DelayQueue(delay), [], 0
    for number, (passed, slots) in enumerate(steps):
        now += passed
        due = [entry for entry in oracle if entry[0] <= now]
        oracle = [entry for entry in oracle if entry[0] > now]
        assert queue.next_due == min([due_at for due_at, _, _ in due + oracle], default=None)
        assert popped(queue, now) == [(slot, generation) for _, slot, generation in due]
        push(queue, now, slots, number)
        oracle += [(now + delay, slot, number) for slot in slots]
        assert len(queue) == len(oracle)
    assert popped(queue, now + delay) == [(slot, generation) for _, slot, generation in oracle]
    assert queue.next_due is None


def test_pushing_nothing_arms_nothing() -> None:
    queue = DelayQueue(10)
    push(queue, 0, [])
    assert queue.next_due is None
    assert queue.pop(100) is None


def test_a_queue_keeps_its_own_copy() -> None:
    queue, slots, generations = DelayQueue(1), np.array([1, 2], np.int32), np.array([7, 8], np.uint32)
    queue.push(0, slots, generations)
    slots += 1
    generations += np.uint32(1)
    assert popped(queue, 1) == [(1, 7), (2, 8)]


def test_some_move_to_another_queue() -> None:
    here, there = DelayQueue(10), DelayQueue(10)
    for now in (0, 1, 2):
        push(here, now, [now * 10, now * 10 + 1], now)
    push(there, 1, [99])
    taken = here.extract(lambda slots, _: slots % 2 == 1)
    assert [(due, slots.tolist()) for due, slots, _ in taken] == [(10, [1]), (11, [11]), (12, [21])]
    there.merge(iter(taken))
    assert there.next_due == 10
    assert popped(there, 10) == [(1, 0)]
    assert sorted(popped(there, 11)) == [(11, 1), (99, 0)]
    assert popped(there, 12) == [(21, 2)]


@settings(max_examples=examples(200), deadline=None)
@given(st.integers(1, 50), st.lists(st.integers(0, 20), min_size=1, max_size=30), st.data())
def test_time_that_did_not_count(delay: int, steps: list[int], data: st.DataObject) -> None:
    """What was armed before has as long as it had then, what was armed since has all its time."""
    queue, armed, now = DelayQueue(delay), [], 0
    for number, passed in enumerate(steps):
        now += passed
        push(queue, now, [number])
        armed.append(now)
    by = data.draw(st.integers(0, now))
    queue.postpone(by, now)
    since = now - by
    expected = [now + delay - max(0, since - when) for when in armed]
    assert [due for due, _, _ in queue.entries()] == expected
    push(queue, now, [99])
    dues = [due for due, _, _ in queue.entries()]
    assert dues == sorted(dues), "a queue stays in order"
