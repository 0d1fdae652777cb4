"""Metrics of all boxes at one port: each family once, each sample with its box."""

from __future__ import annotations

from coordinator.fleet.watching import metrics
from tests.unit.coordinator.endpoints.test_prometheus import parsed
from tests.unit.coordinator.fleet.watching.test_picture import seen


def test_the_page_is_well_formed_and_each_box_has_its_samples() -> None:
    look = seen(silent=20)
    found = parsed(metrics.exposition(look.view, look.scans))
    for name in found:
        assert 'box="' in name or name.startswith("lzr_fleet_"), name
    for box, snapshot in look.scans.items():
        assert found[f'lzr_inputs_read_total{{box="{box}"}}'] == snapshot.read
        assert found[f'lzr_packets_total{{box="{box}",direction="out"}}'] == snapshot.tx
    assert found['lzr_fleet_box_heard{box="ams1"}'] == 0
    assert found['lzr_fleet_box_heard{box="fra1"}'] == 1
    assert found['lzr_fleet_box_state{box="ams1",state="not heard of"}'] == 1
