"""Replies are remembered while that pays, and it is found out again when they change."""

from __future__ import annotations

import numpy as np

from lzr.options.parse import parse
from lzr.rows import OUTCOME
from workers.collect.label import SAMPLE, Labeller, Repeats


def test_as_long_as_enough_come_again() -> None:
    repeats = Repeats()
    for _ in range(100):
        repeats.met(100, 70)
        assert repeats.pay


def test_no_more_where_none_does_and_then_tried_again() -> None:
    repeats = Repeats()
    repeats.met(SAMPLE - 1, SAMPLE - 1)
    assert repeats.pay
    repeats.met(1, 1)
    assert not repeats.pay
    replies = 0
    while not repeats.pay:
        repeats.met(10, 10)
        replies += 10
    assert 10 * SAMPLE < replies < 20 * SAMPLE
    repeats.met(SAMPLE, 0)
    assert repeats.pay


def test_what_is_found_is_the_same_in_either_case() -> None:
    maker = Labeller(parse(["--handshakes", "http"]), ["json"])
    told, paid = [], []
    for batch in range(40):
        unlike = 10 <= batch < 20
        replies = [
            b"200 news.example.com server INN 1.%d ready (posting ok)\r\n"
            % (batch * 200 + i if unlike else i % 10)
            for i in range(200)
        ]
        rows = np.zeros(len(replies), OUTCOME)
        rows["data_len"] = [len(reply) for reply in replies]
        names, found = maker._identify(rows, b"".join(replies))
        assert found == {(0, "nntp"): 200}
        told.append([name.version for name in names])
        paid.append(maker._repeats.pay)
        assert [f"1.{batch * 200 + i if unlike else i % 10}" for i in range(200)] == told[-1]
        assert len(maker._known) <= 4096 + 200
    assert paid[9]
    assert not paid[19]
