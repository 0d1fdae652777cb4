"""Hosts that answer on any port, as a worker has found them: told to all, if they are of the sweep."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from coordinator.processes.supervisor import SweepFound
from coordinator.scan.childreports import Reports
from tests.unit.coordinator.scan.test_runningsweep_ackfirewalls import ADDRESSES, Told, begun, turns


def reports(found: SweepFound, sweeping: Any, refused: list[str]) -> Reports:
    supervisor = SimpleNamespace(
        reports=lambda *, others_ready: [found], refuse=lambda reason, name: refused.append(name)
    )
    parts: Any = SimpleNamespace(sweeping=sweeping, supervisor=supervisor)
    for name in ("console", "accounts", "acknowledgements", "feeder", "blocks", "alerts"):
        setattr(parts, name, None)
    return Reports(parts)


def test_all_workers_are_told_of_those_that_are_in_the_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    workers, refused = Told(monkeypatch), list[str]()
    swept = begun(monkeypatch, workers)
    first = int(swept._share.space.lo[0])
    hosts = np.array([0, first + 3, 7, first + 3, 0, first + ADDRESSES, 0, first], np.uint64)
    reports(SweepFound("flow-1.1", hosts), swept, refused).take(0.0, others_ready=False)
    assert len(swept.ackfirewalls) == 2
    turns(swept, 0.1, 0.3)
    assert [sorted(told) for told in workers.told()] == [[first, first + 3]] * 2
    assert not refused


def test_of_a_list_there_is_nothing_to_be_found() -> None:
    refused: list[str] = []
    reports(SweepFound("flow-1.1", np.zeros(2, np.uint64)), None, refused).take(0.0, others_ready=False)
    assert refused == ["flow-1.1"]
