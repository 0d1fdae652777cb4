"""plan.lock.json: a plan as ``lzr fleet check`` has settled it, and which box scans which shard since then.

What was settled (the plan, the version, the hashes) never changes, and its hash is the *plan id*. Which box
scans what may be changed by ``lzr fleet assign``: each change makes the next *generation*, and what it
assigns is a *run* of its own, so that two boxes that ever had the same shard can be told apart in everything
they write.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from lzr.errors import UsageError, printable
from lzr.fleet import distribution
from lzr.fleet import plan as plans
from lzr.fleet.plan import Plan
from lzr.options.kinds import amounts

FORMAT = 1
MOST_BYTES = 16 << 20
MOST_DEALT = 1 << 22
"""Most shards of all runs together, those given up included."""
_HEX = frozenset("0123456789abcdef")


class LockError(UsageError):
    """A file or message is no lock, or not one of this plan."""


@dataclass(frozen=True)
class Run:
    """What one box does of a plan from one generation on: one scan of all these shards.

    source: the addresses that it scans from. reason: why the shards were assigned again, "" for the first
    run.
    """

    box: str
    generation: int
    shards: tuple[int, ...]
    source: tuple[str, ...]
    reason: str = ""

    @property
    def name(self) -> str:
        """Its name in files and messages: ``fra1-g1``."""
        return f"{self.box}-g{self.generation}"


@dataclass(frozen=True)
class Lock:
    """plan_sha256: of the bytes of plan.toml. input_sha256, input_lines: of the input file, if there is one.
    blocklist_sha256: of the blocklists (`blocklist_hash`). runs: those that hold and those given up, oldest
    first. owner: the box of each shard."""

    plan: Plan
    version: str
    plan_sha256: str
    input_sha256: str | None
    input_lines: int | None
    blocklist_sha256: str
    id: str
    generation: int
    runs: tuple[Run, ...]
    owner: tuple[str, ...]

    def run_of(self, shard: int) -> Run:
        """The run that this shard belongs to now. Raises UsageError."""
        if not 0 <= shard < self.plan.shards:
            raise UsageError(f"there is no shard {shard}: the plan has 0 to {self.plan.shards - 1}")
        return self.runs[self._holders[shard]]

    @cached_property
    def _holders(self) -> list[int]:
        """By shard, the last run that it was assigned to; -1 where there is none."""
        found = [-1] * self.plan.shards
        for at, run in enumerate(self.runs):
            for shard in run.shards:
                found[shard] = at
        return found

    def is_current(self, run: Run) -> bool:
        """Whether a run still has shards: all or none, as they are given up together."""
        return self.run_of(run.shards[0]) == run

    def gains(self) -> str:
        """Which box got which shards with this generation, as text."""
        new = [run for run in self.runs if run.generation == self.generation]
        return ", ".join(f"{run.box} has {distribution.ranges(run.shards)}" for run in new)

    @property
    def current(self) -> tuple[Run, ...]:
        """The runs that have shards."""
        return tuple(run for run in self.runs if self.is_current(run))

    def runs_of(self, box: str) -> tuple[Run, ...]:
        """The runs of this box that have shards, oldest first."""
        return tuple(run for run in self.current if run.box == box)

    def run_named(self, box: str, generation: int) -> Run | None:
        """The run of this box and generation, given up or not."""
        return next((run for run in self.runs if (run.box, run.generation) == (box, generation)), None)

    def assigned(self, source: str, to: Sequence[str], reason: str) -> Lock:
        """The lock of the next generation, in which `to` have all shards of the box `source`.

        Raises UsageError.
        """
        lost = [shard for run in self.runs_of(source) for shard in run.shards]
        self.plan.box(source)
        boxes = [self.plan.box(name) for name in to]
        if source in to:
            raise UsageError(f"{printable(source)} cannot take over from itself")
        for name in to:
            if to.count(name) > 1:  # each would be given the same shards
                raise UsageError(f"{printable(name)} is named twice")
        if not lost:
            raise UsageError(f"{printable(source)} has no shard to give up")
        if len(lost) < len(boxes):
            raise UsageError(f"{printable(source)} has {len(lost)} shards, too few for {len(boxes)} boxes")
        owner = distribution.moved(self.owner, lost, [(box.name, box.weight) for box in boxes])
        generation = self.generation + 1
        runs = tuple(
            Run(
                box.name,
                generation,
                tuple(n for n in sorted(lost) if owner[n] == box.name),
                box.source,
                reason,
            )
            for box in boxes
        )
        return replace(self, generation=generation, runs=(*self.runs, *runs), owner=owner)

    def as_dict(self) -> dict[str, Any]:
        """The lock in types that JSON has."""
        return {
            "format": FORMAT,
            **_settled(self),
            "id": self.id,
            "generation": self.generation,
            "runs": [
                {
                    "box": run.box,
                    "generation": run.generation,
                    "shards": distribution.ranges(run.shards),
                    "source": list(run.source),
                    **({"reason": run.reason} if run.reason else {}),
                }
                for run in self.runs
            ],
        }

    def to_json(self) -> bytes:
        """The bytes of plan.lock.json."""
        return (json.dumps(self.as_dict(), indent=2, ensure_ascii=False) + "\n").encode()

    @staticmethod
    def of_json(data: bytes, where: str = "the lock") -> Lock:
        """The lock that these bytes hold, all of it checked. Raises LockError."""
        if len(data) > MOST_BYTES:
            raise LockError(f"{where}: a lock has at most {MOST_BYTES} bytes")
        try:
            table = json.loads(data)
        except (ValueError, RecursionError):
            raise LockError(f"{where}: is no lock of a plan") from None
        return _checked(table, where)


def settled(
    plan: Plan,
    version: str,
    plan_sha256: str,
    input_sha256: str | None,
    input_lines: int | None,
    blocklist_sha256: str,
) -> Lock:
    """The lock of a plan that nobody has begun: generation 1, shards dealt by weight."""
    owner = distribution.distribute(plan.shards, [(box.name, box.weight) for box in plan.boxes])
    runs = tuple(
        Run(box.name, 1, tuple(n for n, name in enumerate(owner) if name == box.name), box.source)
        for box in plan.boxes
    )
    lock = Lock(plan, version, plan_sha256, input_sha256, input_lines, blocklist_sha256, "", 1, runs, owner)
    return replace(lock, id=_id(lock))


def blocklist_hash(digests: Sequence[str]) -> str:
    """One hash for several blocklists: of their hashes in order, one a line. digests: sha256 in hex."""
    return hashlib.sha256("".join(f"{digest}\n" for digest in digests).encode()).hexdigest()


def _settled(lock: Lock) -> dict[str, Any]:
    return {
        "version": lock.version,
        "plan": plans.as_table(lock.plan),
        "plan_sha256": lock.plan_sha256,
        "input_sha256": lock.input_sha256,
        "input_lines": lock.input_lines,
        "blocklist_sha256": lock.blocklist_sha256,
    }


def _id(lock: Lock) -> str:
    plain = json.dumps(_settled(lock), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(plain.encode()).hexdigest()[:16]


_KEYS = frozenset(
    (
        *("format", "version", "plan", "plan_sha256", "input_sha256", "input_lines", "blocklist_sha256"),
        *("id", "generation", "runs"),
    )
)


def _checked(table: object, where: str) -> Lock:
    def need(good: bool, what: str) -> None:
        if not good:
            raise LockError(f"{where}: {what}")

    if not isinstance(table, dict):
        raise LockError(f"{where}: is no lock of a plan")
    need(table.get("format") == FORMAT, f"is none of format {FORMAT}: made by another version of lzr")
    need(table.keys() == _KEYS, "has not the keys of a lock")
    version, lines, generation = table["version"], table["input_lines"], table["generation"]
    need(isinstance(version, str) and len(version) <= 100 and version.isprintable(), "version is none")
    for key in ("plan_sha256", "blocklist_sha256"):
        need(_is_sum(table[key]), f"{key} is no sum")
    need(table["input_sha256"] is None or _is_sum(table["input_sha256"]), "input_sha256 is no sum")
    need(lines is None or (type(lines) is int and 0 <= lines < 1 << 63), "input_lines is no number")
    need(type(generation) is int and 1 <= generation < 1 << 31, "generation is no number")
    need(isinstance(table["plan"], dict), "plan is none")
    plan = plans.of_table(table["plan"], where)
    runs = _runs(table["runs"], plan, generation, where)
    owner = [""] * plan.shards
    for run in runs:
        for shard in run.shards:
            owner[shard] = run.box
    need("" not in owner, "a shard belongs to no box")
    lock = Lock(
        plan,
        version,
        table["plan_sha256"],
        table["input_sha256"],
        lines,
        table["blocklist_sha256"],
        "",
        generation,
        runs,
        tuple(owner),
    )
    need(table["id"] == _id(lock), "its id is not that of what it holds: it was changed by hand")
    for run in runs:
        need(len({lock.run_of(shard) == run for shard in run.shards}) == 1, "a run is torn")
    return replace(lock, id=_id(lock))


def _runs(value: object, plan: Plan, generation: int, where: str) -> tuple[Run, ...]:
    """Raises LockError."""
    if not isinstance(value, list) or not 0 < len(value) <= 100_000:
        raise LockError(f"{where}: runs are none")
    found, dealt = [], 0
    for one in value:
        found.append(_run(one, plan, where))
        dealt += len(found[-1].shards)
        if dealt > MOST_DEALT:
            raise LockError(f"{where}: more than {MOST_DEALT} shards were dealt")
    runs = tuple(found)
    generations = [run.generation for run in runs]
    if generations != sorted(generations) or generations[0] != 1 or generations[-1] != generation:
        raise LockError(f"{where}: the generations of its runs do not follow one another")
    seen: set[tuple[int, int]] = set()
    for run in runs:
        pairs = {(run.generation, shard) for shard in run.shards}
        if pairs & seen:
            raise LockError(f"{where}: two runs of generation {run.generation} have the same shard")
        seen |= pairs
    if len({(run.box, run.generation) for run in runs}) != len(runs):
        raise LockError(f"{where}: a box has two runs of one generation")
    return runs


def _run(value: object, plan: Plan, where: str) -> Run:
    if not isinstance(value, Mapping) or not {"box", "generation", "shards", "source"} <= value.keys():
        raise LockError(f"{where}: a run is none")
    box, generation, source = value["box"], value["generation"], value["source"]
    reason, shards = value.get("reason", ""), value["shards"]
    if not isinstance(box, str) or box not in {one.name for one in plan.boxes}:
        raise LockError(f"{where}: a run is of a box that the plan does not have")
    if type(generation) is not int or not 1 <= generation < 1 << 31:
        raise LockError(f"{where}: the generation of a run of {box} is no number")
    if not isinstance(source, list) or tuple(source) != plan.box(box).source:
        raise LockError(f"{where}: a run of {box} has another source than the plan gives it")
    if not isinstance(reason, str) or len(reason) > 1000 or not (reason.isprintable() or not reason):
        raise LockError(f"{where}: the reason of a run of {box} is no text")
    try:
        numbers = of_ranges(shards)
    except ValueError:
        numbers = ()
    if not numbers or numbers[-1] >= plan.shards:
        raise LockError(f"{where}: a run of {box} has shards that the plan does not have")
    return Run(box, generation, numbers, tuple(source), reason)


def of_ranges(text: object) -> tuple[int, ...]:
    """The shards that ``3,7-9`` names, in order. Raises ValueError."""
    if not isinstance(text, str):
        raise ValueError("must be a text")
    return amounts.shards(text)


def _is_sum(value: object) -> bool:
    return isinstance(value, str) and len(value) == 64 and _HEX.issuperset(value)
