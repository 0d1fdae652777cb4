"""Workers are told what is written soon, and at once where somebody waits for it."""

from __future__ import annotations

from typing import Any

from coordinator.scan.accounts import Acknowledgements


class Worker:
    def __init__(self, number: int) -> None:
        self.number, self.written, self.acknowledged = number, 0, 0

    def tell_written(self) -> None:
        self.acknowledged = self.written


class Pool:
    def __init__(self) -> None:
        self.workers = [Worker(1), Worker(2)]

    def of_role(self, role: str) -> list[Worker]:
        assert role == "flow"
        return self.workers

    def acknowledged(self) -> list[int]:
        return [worker.acknowledged for worker in self.workers]


def made() -> tuple[Pool, Acknowledgements]:
    pool: Any = Pool()
    acknowledgements = Acknowledgements(pool)
    acknowledgements.note(((1, 1),), 10)
    acknowledgements.tell(100.0, urgent=False)  # the first at once
    assert pool.acknowledged() == [1, 0]
    assert acknowledgements.wait(100.0) is None
    return pool, acknowledgements


def test_little_is_told_within_a_moment() -> None:
    pool, acknowledgements = made()
    acknowledgements.note(((1, 2), (2, 1)), 10)
    acknowledgements.tell(100.1, urgent=False)
    assert pool.acknowledged() == [1, 0]
    wait = acknowledgements.wait(100.1)
    assert wait is not None
    assert 0 < wait < 0.2
    acknowledgements.tell(100.1 + wait + 0.001, urgent=False)
    assert pool.acknowledged() == [2, 1]


def test_much_is_told_at_once_and_so_is_what_is_waited_for() -> None:
    pool, acknowledgements = made()
    acknowledgements.note(((1, 2),), 1000)
    acknowledgements.tell(100.01, urgent=False)
    assert pool.acknowledged() == [2, 0]
    acknowledgements.note(((2, 1),), 1)
    acknowledgements.tell(100.02, urgent=True)
    assert pool.acknowledged() == [2, 1]


def test_who_keeps_many_messages_is_told_and_the_others_later() -> None:
    pool, acknowledgements = made()
    acknowledgements.note(((1, 9), (2, 1)), 10)
    acknowledgements.tell(100.01, urgent=False)
    assert pool.acknowledged() == [9, 0]
    assert acknowledgements.wait(100.01) is not None
