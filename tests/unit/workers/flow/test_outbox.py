"""Results are kept until they are known to be written, and all that is kept goes to a new collector."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lzr.ipc import messages, packing
from lzr.ipc.schema import Buffer
from lzr.rows import OUTCOME
from workers.flow.outbox import Outbox, pieces


def filled(count: int) -> Outbox:
    """Messages of one row each, put there at 10, 20, …"""
    box = Outbox(7)
    for number in range(1, count + 1):
        box.put(np.zeros(1, OUTCOME), b"", 10 * number)
    return box


def numbers(sent: list[list[Buffer]]) -> list[int]:
    found = []
    for message in sent:
        outcomes, _, _ = packing.unpack([bytes(part) for part in message])
        assert isinstance(outcomes, messages.Outcomes)
        assert outcomes.incarnation == 7
        found.append(outcomes.seq)
    return found


def test_numbered_and_pushed_in_order_as_far_as_they_are_taken() -> None:
    box, sent = filled(3), list[list[Buffer]]()

    def send(message: list[Buffer]) -> bool:
        if len(sent) == 2:
            return False
        sent.append(message)
        return True

    box.push(send)
    assert numbers(sent) == [1, 2]
    assert box.pending
    box.push(lambda message: not sent.append(message))
    assert numbers(sent) == [1, 2, 3]
    assert not box.pending
    box.push(lambda message: not sent.append(message))
    assert len(sent) == 3


def test_nothing_makes_no_message() -> None:
    box = Outbox(7)
    box.put(np.zeros(0, OUTCOME), b"", 10)
    assert (len(box), box.sequence, box.pending) == (0, 0, False)


def test_what_is_acknowledged_is_kept_no_longer() -> None:
    box = filled(3)
    before = box.octets
    assert before > 0
    assert box.age(100) == 90
    assert not box.is_written(1)
    box.acknowledge(2)
    assert (len(box), box.age(100)) == (1, 70)
    assert box.octets * 3 == before
    assert box.is_written(2)
    assert not box.is_written(3)
    box.acknowledge(1)  # late news
    assert len(box) == 1
    box.acknowledge(3)
    assert (len(box), box.octets, box.age(100)) == (0, 0, 0)
    assert box.is_written(3)


def test_a_new_collector_gets_all_that_is_not_acknowledged_and_nothing_else() -> None:
    box, sent = filled(4), list[list[Buffer]]()
    box.push(lambda message: True)
    box.acknowledge(1)
    box.put(np.zeros(1, OUTCOME), b"", 50)
    box.resend()
    box.push(lambda message: not sent.append(message))
    assert numbers(sent) == [2, 3, 4, 5]


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 4)), max_size=40), st.integers(1, 60))
def test_large_results_go_in_pieces_and_a_targets_stay_together(
    targets: list[tuple[int, int]], most: int
) -> None:
    """targets: bytes of each of its records, and how many records it has."""
    rows = np.zeros(sum(count for _, count in targets), OUTCOME)
    rows["data_len"] = [size for size, count in targets for _ in range(count)]
    rows["ticket"] = [at for at, (_, count) in enumerate(targets) for _ in range(count)]
    found = list(pieces(rows, most, most_rows=10))
    at = octets = 0
    for first, end, start, stop in found:
        assert (first, start) == (at, octets)
        at, octets = end, stop
        part = rows[first:end]
        assert stop - start == part["data_len"].sum()
        small = stop - start <= most and len(part) <= 10
        assert small or len(set(part["ticket"].tolist())) == 1
        assert end == len(rows) or rows["ticket"][end] != rows["ticket"][end - 1]
    assert (at, octets) == (len(rows), rows["data_len"].sum())


def test_many_bytes_are_many_messages() -> None:
    box, sent = Outbox(7), list[list[Buffer]]()
    rows = np.zeros(20, OUTCOME)
    rows["ticket"], rows["data_len"] = np.arange(20), 1 << 20
    box.put(rows, bytes(20 << 20), 1)
    box.push(lambda message: not sent.append(message))  # type: ignore[func-returns-value]
    assert numbers(sent) == [1, 2, 3, 4, 5]
    assert len(box) == 5
