"""The processes of a scan, by name, and how many of each role are wanted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from msgspec import Struct

FLOW, COLLECT = "flow", "collect"
"""Roles: flow workers own shards, collectors take their results."""


class Process(Struct):
    """A flow worker or a collector. index: its place. ready: it takes orders. leaving: it was told to end."""

    role: str
    index: int
    name: str
    number: int
    ready: bool = False
    leaving: bool = False


class Processes:
    """All workers and collectors that have not ended. wanted: how many of each role there should be."""

    def __init__(self) -> None:
        self.wanted = {FLOW: 0, COLLECT: 0}
        self._all: dict[str, Process] = {}
        self._incarnations: Counter[tuple[str, int]] = Counter()
        self._number = 0

    def __iter__(self) -> Iterator[Process]:
        return iter(self._all.values())

    def get(self, name: str) -> Process | None:
        """The process of this name, None if there is none."""
        return self._all.get(name)

    def of(self, role: str) -> list[Process]:
        """The processes of this role."""
        return [process for process in self if process.role == role]

    def at(self, role: str, index: int) -> Process | None:
        """The process at this place that is to stay, or None; one that was told to end does not count."""
        for each in self._all.values():
            if each.index == index and each.role == role and not each.leaving:
                return each
        return None

    def those_wanted(self, role: str) -> list[Process]:
        """The processes at places that are to be filled, by place."""
        places: dict[int, Process] = {}
        for each in self._all.values():
            if each.role == role and not each.leaving and each.index < self.wanted[role]:
                places.setdefault(each.index, each)
        return [places[index] for index in sorted(places)]

    def is_wanted(self, process: Process) -> bool:
        """Whether this process is at a place that is to be filled."""
        return process.index < self.wanted[process.role]

    def add(self, role: str, index: int) -> Process:
        """A new process, not started yet, with a name and a number of its own."""
        self._incarnations[role, index] += 1
        self._number += 1
        name = f"{role}-{index}.{self._incarnations[role, index]}"
        process = self._all[name] = Process(role, index, name, self._number)
        return process

    def remove(self, name: str) -> None:
        """Forget a process that has ended."""
        del self._all[name]
