"""What a controller fetches of boxes of which one is slow, or gives nothing that it has promised."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import pytest

from coordinator.fleet.engine import collecting
from coordinator.fleet.engine.engine import Engine
from tests import madefleet
from tests.unit.coordinator.fleet.engine.test_controller import until


class Boxes:
    """In the place of an engine; `slow` gives no chunk."""

    def __init__(self, slow: str) -> None:
        self.slow, self.length = slow, 10

    def here(self, _: str) -> bool:
        return True

    async def call(self, box: str, what: str, given: Mapping[str, Any], _: float) -> Any:
        await asyncio.sleep(0)
        if what == "held":
            return {"length": self.length, "ended": False, "metadata": 0}
        if box == self.slow:
            await asyncio.sleep(3600)
        return {"data": b"x" * given["length"]}


def test_a_slow_box_holds_up_the_results_of_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collecting, "EVERY", 0.01)
    lock, boxes = madefleet.lock(), Boxes("fra1")

    def sizes() -> set[int]:
        return {(tmp_path / f"{name}-g1.json").stat().st_size for name in ("ams1", "nyc1")}

    async def whole() -> None:
        engine = cast(Engine, boxes)
        async with collecting.fetching(lambda: lock, engine, str(tmp_path), None, lambda *_: None):
            await until(lambda: (tmp_path / "nyc1-g1.json").exists() and sizes() == {10})
            boxes.length = 30
            await until(lambda: sizes() == {30}, 5)

    asyncio.run(whole())
    assert (tmp_path / "fra1-g1.json").stat().st_size == 0
