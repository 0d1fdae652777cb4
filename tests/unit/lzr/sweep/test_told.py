"""Nothing counts as told that lies in a ring, or went with a worker."""

from __future__ import annotations

from lzr.sweep.told import Told


def test_what_is_told_is_told_of_the_shards_that_a_worker_has() -> None:
    told = Told(3)
    assert told.all == 0.0
    for shard, worker in enumerate(("flow-0.1", "flow-1.1", "flow-0.1")):
        told.open(shard, worker)
    told.note("flow-0.1", 5.0)
    assert (told.all, told.of([0, 2]), told.of([0, 1])) == (0.0, 5.0, 0.0)
    told.note("flow-1.1", 4.0)
    assert told.all == 4.0
    told.note("flow-1.1", 3.0)  # a moment that it has been told of before
    assert told.all == 4.0
    assert told.of([]) is None


def test_while_a_shard_changes_hands_nothing_more_is_known_of_it() -> None:
    told = Told(2)
    told.open(0, "flow-0.1")
    told.open(1, "flow-1.1")
    for worker in ("flow-0.1", "flow-1.1"):
        told.note(worker, 5.0)
    told.close(0)
    for worker in ("flow-0.1", "flow-1.1"):
        told.note(worker, 6.0)
    assert (told.of([0]), told.of([1])) == (5.0, 6.0)
    told.open(0, "flow-1.1")
    assert told.of([0]) == 5.0  # the next one has it, and has not looked
    told.note("flow-1.1", 0.0)  # as it says itself
    assert told.all == 5.0
    told.note("flow-1.1", 7.0)
    assert told.all == 7.0
