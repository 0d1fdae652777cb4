"""How long the coordinator waits, and for what: real descriptors, and parts that say what they want."""

from __future__ import annotations

import os
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from coordinator.scan import waiting
from coordinator.scan.waiting import Waiting

LONG = 60.0
"""Seconds that no test waits: something else ends each wait."""


class Pipe:
    def __init__(self) -> None:
        self.end, self._other = os.pipe()

    def ring(self) -> None:
        os.write(self._other, b"x")

    def fileno(self) -> int:
        return self.end

    def close(self) -> None:
        os.close(self.end)
        os.close(self._other)


class Scene:
    """A scan in which nothing is to be done: no input, no reports, nobody who asks."""

    def __init__(self) -> None:
        self.pipes = {
            name: Pipe() for name in ("forkserver", "printed", "routing", "input", "reports", "console")
        }
        pipes = self.pipes
        self.reading = SimpleNamespace(
            pending=False, rest=lambda now: 0.0, filenos=lambda: [pipes["input"].end]
        )
        self.feeder = SimpleNamespace(has_room=True, waiting=False)
        self.intake = SimpleNamespace(parked=(), awaited=(), pending=(), backlog=())
        self.parts: Any = SimpleNamespace(
            pool=SimpleNamespace(
                forkserver=pipes["forkserver"],
                printed=SimpleNamespace(descriptor=pipes["printed"].end),
                wakeup=pipes["reports"].end,
            ),
            routes=SimpleNamespace(routing=pipes["routing"]),
            intake=self.intake,
            state=SimpleNamespace(paused=False),
            feeder=self.feeder,
            reading=self.reading,
            supervisor=SimpleNamespace(unread=False, machine=SimpleNamespace(moving=False)),
            sweeping=None,
            pacer=SimpleNamespace(rate=None, wait=lambda now: 0.0),
            acknowledgements=SimpleNamespace(wait=lambda now: None),
        )
        self.waiting = Waiting(self.parts, [pipes["console"].end])

    def wait(self, *, worked: bool = False, upkeep: float = LONG) -> bool:
        return self.waiting.wait(LONG, 0.0, worked=worked, upkeep=upkeep)


@pytest.fixture
def scene() -> Iterator[Scene]:
    made = Scene()
    yield made
    for pipe in made.pipes.values():
        pipe.close()


@pytest.mark.parametrize(
    ("who", "told", "touched"),
    [("console", True, True), ("routing", True, False), ("reports", False, False), ("input", False, False)],
)
def test_who_has_something_is_told_apart(scene: Scene, who: str, told: bool, touched: bool) -> None:
    scene.pipes[who].ring()
    assert scene.wait() is touched
    assert scene.waiting.others_ready is told


def test_the_input_does_not_wake_who_has_no_room_for_it(scene: Scene) -> None:
    scene.feeder.has_room = False
    scene.pipes["input"].ring()
    scene.pipes["routing"].ring()  # else it would wait
    assert not scene.wait()
    assert scene.waiting.others_ready
    assert scene.pipes["input"].end not in max(scene.waiting._polls)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, waiting._IDLE),
        ({"pending": (1,)}, 0.0),
        ({"backlog": (1,)}, waiting._STRIDE),
    ],
)
def test_how_long_until_there_is_something_to_do(
    scene: Scene, change: dict[str, Any], expected: float
) -> None:
    vars(scene.intake).update(change)
    assert scene.waiting._soonest(0.0, True, 0.0) == expected


def test_the_first_of_all_parts_counts(scene: Scene) -> None:
    assert scene.waiting._soonest(0.0, True, 0.01) == 0.01  # then the input is read
    scene.parts.acknowledgements.wait = lambda now: 0.007
    assert scene.waiting._soonest(0.0, True, 0.01) == 0.007
    scene.feeder.waiting = True
    assert scene.waiting._soonest(0.0, True, 0.01) == waiting._STUCK
    scene.parts.state.paused = True
    scene.intake.backlog = (1,)
    scene.feeder.waiting = False
    assert scene.waiting._soonest(0.0, False, 0.0) == 0.007, "paused, so its backlog does not count"


def test_work_that_goes_on_is_not_waited_for(scene: Scene) -> None:
    assert not scene.wait(worked=True)  # returns at once: more of the input may be there
