"""A scan that is told to end before its first turn has counted all the same what it had read."""

from __future__ import annotations

import signal
from unittest import mock

from coordinator.scan.loop import Loop


def test_a_signal_before_the_first_turn() -> None:
    loop: Loop = Loop.__new__(Loop)
    parts = loop._parts = mock.MagicMock()
    loop._signals = mock.Mock(count=1, number=signal.SIGTERM)
    loop._interrupted, loop._quitting, loop._abandoned = 0, False, False
    loop.accounts = mock.MagicMock(enough=False, interrupted=0)
    loop.accounts.outputs.unkept.return_value = ""
    loop._reports = mock.Mock(reader_gone=False)
    loop._lease = mock.Mock(**{"over.return_value": False})
    parts.checkpoint = parts.sweeping = None
    parts.reading.ended = parts.intake.backlog = parts.intake.pending = parts.intake.parked = False
    parts.accounts.open = 0
    parts.reading.end.side_effect = lambda: setattr(parts.reading, "ended", True)
    calls = mock.Mock()
    loop._upkeep = calls.upkeep
    calls.attach_mock(loop.accounts.interrupt, "interrupt")
    with mock.patch.object(loop, "_close"):
        assert loop.run().status == 128 + signal.SIGTERM
    names = [call[0] for call in calls.mock_calls]
    assert names.index("interrupt") < names.index("upkeep.update"), "what was read is counted after that"
