"""Fetching: what is here is always a beginning of what the box has, whoever dies and whatever is answered."""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest

from coordinator.fleet.fetching import MOST_ANEW, OF_PLAN, Fetcher
from lzr.errors import UsageError
from lzr.fleet.fetched import CHUNK
from lzr.fleet.lock import Lock
from tests import madefleet


class Died(BaseException):
    """Whoever fetched was killed."""


class Boxes:
    """What boxes would answer. results: by the name of the run. deaths: calls before the fetcher dies."""

    def __init__(self, lock: Lock) -> None:
        self.lock = lock
        draw = random.Random(1)
        self.results = {run.name: draw.randbytes(CHUNK * 2 + 1000) for run in lock.runs}
        self.length = dict.fromkeys(self.results, 0)
        self.metadata = dict.fromkeys(self.results, b"")
        self.ended: set[str] = set()
        self.away: set[str] = set()
        self.deaths = 10**9
        self.calls: list[tuple[str, str]] = []
        self.lies: dict[str, Any] = {}

    async def __call__(self, box: str, what: str, given: Mapping[str, Any]) -> Any:
        await asyncio.sleep(0)
        self.deaths -= 1
        if self.deaths < 0:
            raise Died
        if box in self.away:
            raise RuntimeError("is not connected")
        self.calls.append((box, what))
        if what in self.lies:
            return self.lies[what]
        name = f"{box}-g{given['generation']}"
        if what == "held":
            return {
                "length": self.length[name],
                "ended": name in self.ended,
                "metadata": len(self.metadata[name]),
            }
        if what == "digest":
            return {"sha256": hashlib.sha256(self.results[name][: given["length"]]).hexdigest()}
        assert what == "chunk"
        data = self.results[name] if given["file"] == "results.json" else self.metadata[name]
        return {"data": data[given["offset"] : given["offset"] + given["length"]]}


@pytest.fixture
def boxes() -> Boxes:
    return Boxes(madefleet.lock())


def turn(boxes: Boxes, folder: Path) -> Fetcher:
    with Fetcher(boxes.lock, str(folder), boxes) as fetcher:
        asyncio.run(fetcher.turn())
    return fetcher


def all_done(boxes: Boxes) -> None:
    for name, data in boxes.results.items():
        boxes.length[name] = len(data)
        boxes.metadata[name] = b'{\n  "program": "lzr"\n}\n'
        boxes.ended.add(name)


def test_as_far_as_the_box_vouches_for_it_and_then_all(boxes: Boxes, tmp_path: Path) -> None:
    for length in (0, 10, CHUNK, CHUNK + 1):
        boxes.length = dict.fromkeys(boxes.results, length)
        assert not turn(boxes, tmp_path).whole
        for name, data in boxes.results.items():
            assert (tmp_path / f"{name}.json").read_bytes() == data[:length]
    all_done(boxes)
    assert turn(boxes, tmp_path).whole
    for name, data in boxes.results.items():
        assert (tmp_path / f"{name}.json").read_bytes() == data
        assert (tmp_path / f"{name}.metadata.json").read_bytes() == boxes.metadata[name]
    assert {path.name for path in tmp_path.iterdir()} == {
        OF_PLAN, *(f"{name}{end}" for name in boxes.results for end in (".json", ".metadata.json"))
    }  # fmt: skip


def test_results_of_another_plan_are_left_as_they_are(boxes: Boxes, tmp_path: Path) -> None:
    """Runs of both have the same names: one would go on where the other's file ends."""
    all_done(boxes)
    assert turn(boxes, tmp_path).whole
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    boxes.lock = madefleet.lock(madefleet.PLAN.replace("seed = 7", "seed = 8"))
    with pytest.raises(UsageError, match=f"has the results of another plan .{madefleet.lock().id}."):
        turn(boxes, tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    (tmp_path / OF_PLAN).unlink()
    (tmp_path / OF_PLAN).symlink_to("/etc/hostname")
    with pytest.raises(UsageError, match="cannot use"):
        turn(boxes, tmp_path)


def test_killed_at_every_call_it_goes_on(boxes: Boxes, tmp_path: Path) -> None:
    all_done(boxes)
    for deaths in range(1, 40):
        boxes.deaths = deaths
        try:
            whole = turn(boxes, tmp_path).whole
        except Died:
            whole = False
        for name, data in boxes.results.items():
            path = tmp_path / f"{name}.json"
            assert data.startswith(path.read_bytes() if path.exists() else b"")
        if whole:
            break
    assert whole
    asked = [call for call in boxes.calls if call[1] == "chunk"]
    assert len(asked) < 5 * 4 * len(boxes.results), "what was here was not fetched once more"


def test_a_box_that_is_away_holds_nobody_up(boxes: Boxes, tmp_path: Path) -> None:
    all_done(boxes)
    boxes.away = {"ams1"}
    fetcher = turn(boxes, tmp_path)
    assert fetcher.states["ams1-g1"].trouble == "is not connected"
    assert fetcher.states["fra1-g1"].whole
    assert not fetcher.whole
    boxes.away = set()
    assert turn(boxes, tmp_path).whole


def test_results_that_are_not_those_that_were_fetched_are_fetched_anew(boxes: Boxes, tmp_path: Path) -> None:
    all_done(boxes)
    data = boxes.results["fra1-g1"]
    (tmp_path / "fra1-g1.json").write_bytes(data[:100] + b"x" + data[101:2000])
    fetcher = turn(boxes, tmp_path)
    assert "fetched anew" in fetcher.states["fra1-g1"].trouble
    assert turn(boxes, tmp_path).whole
    assert (tmp_path / "fra1-g1.json").read_bytes() == data
    boxes.length["fra1-g1"] = 10
    boxes.ended.remove("fra1-g1")
    assert turn(boxes, tmp_path).states["fra1-g1"].trouble == "", "the next shard of ZMap's has just begun"
    boxes.ended.add("fra1-g1")
    assert "not the same any more" in turn(boxes, tmp_path).states["fra1-g1"].trouble
    assert (tmp_path / "fra1-g1.json").read_bytes() == data, "nothing is thrown away for a box's word"


@pytest.mark.attack
def test_a_box_that_says_something_else_each_time_is_not_asked_for_ever(boxes: Boxes, tmp_path: Path) -> None:
    all_done(boxes)
    boxes.lies["digest"] = {"sha256": "0" * 64}
    with Fetcher(boxes.lock, str(tmp_path), boxes) as fetcher:
        for _ in range(9):
            asyncio.run(fetcher.turn())
        state = fetcher.states["fra1-g1"]
        assert state.given_up
        assert "no more of them" in state.trouble
        assert not fetcher.whole
        asked = [what for box, what in boxes.calls if box == "fra1"]
        assert asked.count("chunk") <= 4 * (MOST_ANEW + 2)


@pytest.mark.attack
@pytest.mark.parametrize(
    ("what", "answer"),
    [
        ("held", None),
        ("held", {"length": -1, "ended": True, "metadata": 0}),
        ("held", {"length": 1 << 60, "ended": True, "metadata": 0}),
        ("held", {"length": True, "ended": True, "metadata": 0}),
        ("held", {"length": 5, "ended": 1, "metadata": 0}),
        ("held", {"length": 5, "ended": True, "metadata": 1 << 40}),
        ("chunk", {"data": b"too few"}),
        ("chunk", {"data": "text"}),
        ("chunk", b""),
        ("digest", []),
    ],
)
def test_what_no_box_would_answer(boxes: Boxes, tmp_path: Path, what: str, answer: Any) -> None:
    all_done(boxes)
    boxes.lies = {what: answer}
    fetcher = turn(boxes, tmp_path)
    assert not fetcher.whole
    assert all(state.trouble for state in fetcher.states.values())


@pytest.mark.attack
def test_no_link_of_somebody_else_is_followed(boxes: Boxes, tmp_path: Path) -> None:
    all_done(boxes)
    other = tmp_path / "other"
    other.write_bytes(b"mine")
    folder = tmp_path / "results"
    folder.mkdir()
    (folder / "fra1-g1.json").symlink_to(other)
    assert turn(boxes, folder).states["fra1-g1"].trouble
    assert other.read_bytes() == b"mine"


def test_many_begin_to_fetch_into_one_directory(boxes: Boxes, tmp_path: Path) -> None:
    other = replace(boxes.lock, id="f" * 16)
    together = Barrier(8, timeout=30)

    def begin(number: int) -> str:
        together.wait()
        lock = other if number % 2 else boxes.lock
        try:
            Fetcher(lock, str(tmp_path / "results"), boxes).close()
        except UsageError as error:
            assert "has the results of another plan" in str(error)  # noqa: PT017
            return ""
        return lock.id

    with ThreadPoolExecutor(8) as threads:
        ids = set(threads.map(begin, range(8))) - {""}
    assert ids == {(tmp_path / "results" / OF_PLAN).read_text().strip()}
