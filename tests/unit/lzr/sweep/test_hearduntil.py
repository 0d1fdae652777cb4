"""No answer counts as heard that lies in a ring, or went with a worker."""

from __future__ import annotations

from lzr.sweep.hearduntil import HeardUntil


def test_what_is_told_is_told_of_the_shards_that_a_worker_has() -> None:
    heard = HeardUntil(3)
    assert heard.all == 0.0
    for shard, worker in enumerate(("flow-0.1", "flow-1.1", "flow-0.1")):
        heard.open(shard, worker)
    heard.note("flow-0.1", 5.0)
    assert (heard.all, heard.of([0, 2]), heard.of([0, 1])) == (0.0, 5.0, 0.0)
    heard.note("flow-1.1", 4.0)
    assert heard.all == 4.0
    heard.note("flow-1.1", 3.0)  # a moment that it has been told of before
    assert heard.all == 4.0
    assert heard.of([]) is None


def test_while_a_shard_changes_hands_nothing_more_is_known_of_it() -> None:
    heard = HeardUntil(2)
    heard.open(0, "flow-0.1")
    heard.open(1, "flow-1.1")
    for worker in ("flow-0.1", "flow-1.1"):
        heard.note(worker, 5.0)
    heard.close(0)
    for worker in ("flow-0.1", "flow-1.1"):
        heard.note(worker, 6.0)
    assert (heard.of([0]), heard.of([1])) == (5.0, 6.0)
    heard.open(0, "flow-1.1")
    assert heard.of([0]) == 5.0  # the next one has it, and has not looked
    heard.note("flow-1.1", 0.0)  # as it says itself
    assert heard.all == 5.0
    heard.note("flow-1.1", 7.0)
    assert heard.all == 7.0
