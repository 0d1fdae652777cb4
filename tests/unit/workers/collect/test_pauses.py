"""A collector lets more gather, and keeps no flow worker from new targets by that."""

from __future__ import annotations

from workers.collect.pauses import pause
from workers.flow.worker import _LATE


def test_after_few_records_more_gather_than_after_many() -> None:
    assert pause(1, 1000, begun=False) > 2 * pause(4096, 1000, begun=False)


def test_many_records_do_not_wait_until_their_worker_has_to() -> None:
    """Half of the time, for what is written late is told late too."""
    assert pause(4096, 1000, begun=False) < _LATE / 2


def test_no_pause_where_every_record_is_dear_or_there_was_none() -> None:
    assert pause(4096, 10**9, begun=False) == 10**9
    assert pause(0, 1000, begun=False) == 1000


def test_no_pause_while_a_message_is_read_in_part() -> None:
    """Its sender waits until the rest of it is read."""
    assert pause(1, 1000, begun=True) == pause(4096, 1000, begun=True) == 1000
