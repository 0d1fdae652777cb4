"""`coordinator.endpoints.deadsockets` on a real system: as root, in namespaces, in whole scans."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from coordinator.endpoints.deadsockets import remove_dead
from tests.unit.coordinator.endpoints.test_deadsockets import dead, left_behind, place  # noqa: F401  # fixtures too

pytestmark = pytest.mark.attack


@pytest.mark.root
def test_what_belongs_to_somebody_else_stays(place: Path, dead: int) -> None:
    path = left_behind(place / f"{dead}.sock")
    os.chown(path, 65534, 65534)
    assert remove_dead(place) == []
    os.chown(path, 0, 0)
    os.chown(place, 65534, 65534)
    assert remove_dead(place) == []
    assert path.is_socket()
