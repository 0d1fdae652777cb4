"""What the user wants of all boxes while they scan: the rate, pauses, which are to end. A controller keeps
it.

It is a wanted state, not a message: a box that was away when it was set, or whose scan was resumed since, is
told when it is back, until it complies.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from lzr.fleet import rates
from lzr.fleet.plan import Box, is_name

ENDINGS = ("drain", "quit")
MOST_RATE = 10**9


@dataclass(frozen=True)
class Wanted:
    """rate: for all boxes, targets a second; None: as in the plan. own: boxes that have a rate of their own.
    paused: boxes that are to wait. ending: boxes that are to end, and how (of ENDINGS). resuming: boxes that
    are to go on after a pause, and are not known to.
    """

    rate: int | None = None
    own: tuple[tuple[str, int], ...] = ()
    paused: frozenset[str] = frozenset()
    ending: tuple[tuple[str, str], ...] = ()
    resuming: frozenset[str] = frozenset()

    def with_rate(self, rate: int, box: str | None) -> Wanted:
        """The same with another rate: for one box, or for all, which also ends the rates of single boxes."""
        if box is None:
            return replace(self, rate=rate, own=())
        return replace(self, own=tuple(sorted({**dict(self.own), box: rate}.items())))

    def with_line(self, line: str, boxes: Iterable[str]) -> Wanted:
        """The same where these boxes are to pause, resume, drain or quit. Who is to resume is not to end."""
        names = frozenset(boxes)
        if line == "pause":
            return replace(self, paused=self.paused | names, resuming=self.resuming - names)
        if line == "resume":
            return replace(self, paused=self.paused - names, resuming=self.resuming | names).after(names)
        return replace(
            self, ending=tuple(sorted({**dict(self.ending), **dict.fromkeys(names, line)}.items()))
        )

    def after(self, ended: Iterable[str]) -> Wanted:
        """The same when these boxes have ended as they were to: who starts them again wants them to go on."""
        gone = frozenset(ended)
        return replace(self, ending=tuple(one for one in self.ending if one[0] not in gone))

    def gone_on(self, boxes: Iterable[str]) -> Wanted:
        """The same when these boxes go on: who is paused there from now on is so by somebody else."""
        return replace(self, resuming=self.resuming.difference(boxes))

    def dealt(self, planned: int, boxes: Iterable[Box], over: Iterable[str]) -> Mapping[str, int] | None:
        """By box, how many targets it may start a second; None where the plan's own shares apply.

        planned: the plan's rate. over: boxes that have ended or are to end, and leave their share to the
        others.
        """
        gone = {*over, *(name for name, _ in self.ending)}
        if self.rate is None and not self.own and not gone:
            return None
        there = [box for box in boxes if box.name not in gone]
        asked = dict(self.own)
        own = {
            box.name: min(asked[box.name], box.rate_cap or MOST_RATE) for box in there if box.name in asked
        }
        left = [rates.RateShare(box.name, box.weight, box.rate_cap) for box in there if box.name not in own]
        rate = planned if self.rate is None else self.rate
        return {**own, **rates.distribute(max(1, rate - sum(own.values())), left)}

    def to_json(self, plan: str) -> bytes:
        """As it is kept in a file. plan: id of the plan whose boxes these are."""
        found = {
            "plan": plan,
            "rate": self.rate,
            "own": dict(self.own),
            "paused": sorted(self.paused),
            "ending": dict(self.ending),
            "resuming": sorted(self.resuming),
        }
        return json.dumps(found, indent=1).encode() + b"\n"

    @staticmethod
    def of_json(data: bytes, plan: str) -> Wanted:
        """What a file says; nothing where it is of another plan. Raises ValueError."""
        found = json.loads(data)
        if not isinstance(found, dict):
            raise ValueError("is none")
        if found.get("plan") != plan:
            return Wanted()
        rate, own = found.get("rate"), found.get("own", {})
        if rate is not None and not _is_rate(rate):
            raise ValueError("the rate is none")
        if not isinstance(own, dict) or not all(is_name(name) and _is_rate(one) for name, one in own.items()):
            raise ValueError("a box's own rate is none")
        ending = found.get("ending", {})
        paused, resuming = (_names(found.get(key, []), key) for key in ("paused", "resuming"))
        if not isinstance(ending, dict) or not all(
            is_name(name) and how in ENDINGS for name, how in ending.items()
        ):
            raise ValueError("who is to end is none")
        return Wanted(rate, tuple(sorted(own.items())), paused, tuple(sorted(ending.items())), resuming)


def lines(
    name: str,
    wanted: Wanted,
    dealt: Mapping[str, int] | None,
    status: Mapping[str, Any],
    shares: Mapping[str, int] | None = None,
) -> list[str]:
    """The commands to send to a scan so that it does what is wanted. status: its last status.

    shares: the plan's own, by box. Where nothing else is dealt, no box keeps more, as one that had the share
    of a box which goes on now; one that is slower was told so there.
    """
    ending = dict(wanted.ending).get(name)
    if ending is not None:
        return [] if status.get("draining") else [ending]
    commands: list[str] = []
    if dealt is not None and name in dealt and status.get("rate_limit") != dealt[name]:
        commands.append(f"rate {dealt[name]}")
    share = (shares or {}).get(name)
    if dealt is None and share is not None and _is_above(status.get("rate_limit"), share):
        commands.append(f"rate {share}")
    if name in wanted.paused and status.get("paused") is False:
        commands.append("pause")
    if name in wanted.resuming and status.get("paused") is True:
        commands.append("resume")
    return commands


def _is_above(told: object, share: int) -> bool:
    """Whether a scan has told of a rate, and of a higher one."""
    return isinstance(told, int | float) and not isinstance(told, bool) and told > share


def _names(value: object, key: str) -> frozenset[str]:
    """Raises ValueError."""
    if not isinstance(value, list) or not all(isinstance(one, str) and is_name(one) for one in value):
        raise ValueError(f"who is {key} is none")
    return frozenset(value)


def _is_rate(value: object) -> bool:
    return type(value) is int and 1 <= value <= MOST_RATE
