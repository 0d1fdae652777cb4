"""What a box takes as a lease from its controller, and what it does not."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from coordinator.fleet import leasefile
from coordinator.fleet.serving.boxside import BoxSide
from lzr.errors import UsageError
from lzr.fleet import lease
from tests import madefleet


def asked(tmp_path: Path, given: dict[str, Any], key: str = "lease = 60\n") -> Any:
    text = madefleet.PLAN.replace("[[box]]", f'{key}directory = "{tmp_path}/fleet"\n\n[[box]]', 1)

    async def whole() -> Any:
        side = BoxSide("fra1")
        await side.answer("take", {"lock": madefleet.lock(text).to_json(), "ticket": "x"})
        clock = lease.clock_of(side.report()["clock"])
        assert clock is not None
        answer = await side.answer("lease", {"generation": 1, "boot": clock.boot, "since": clock.up} | given)
        until = leasefile.until_of(madefleet.lock(text))
        assert until == clock.up + 60
        return answer

    return asyncio.run(whole())


def test_what_it_has_told_itself_is_what_it_counts_from(tmp_path: Path) -> None:
    assert asked(tmp_path, {}) is True


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"generation": 2}, "this box has generation 1"),
        ({"boot": "another"}, "no moment since this box was booted"),
        ({"since": 1e11}, "no moment since this box was booted"),
        ({"since": "1 --from 2"}, "no moment since this box was booted"),
        ({"seconds": 1e9}, "another way"),
    ],
)
def test_what_it_does_not_take(tmp_path: Path, given: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        asked(tmp_path, given)


def test_a_plan_without_one_has_none(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="the plan has no lease"):
        asked(tmp_path, {}, "")
