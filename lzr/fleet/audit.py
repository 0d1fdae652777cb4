"""Audits a fleet's scan from its runs' metadata: whether every input of the plan has its fate exactly once.

`lzr fleet ledger` shows it.

Each run states what became of the inputs it has read. Of a list every box reads all lines; inputs of other
shards, and lines that are no target (which every box refuses alike), are not counted as its own. The inputs
left over all runs that hold shards now have to be the whole input. A run that was given up (``lzr fleet
assign``) counts no input, because the box that has its shards now scans all of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lzr.analysis.metadata import NoMetadata, check, ran_to_its_end, section
from lzr.errors import printable
from lzr.fleet.lock import Lock, Run, of_ranges

ELSEWHERE = "for another shard"
COMMON = ("unparsable", "not a SYN-ACK", "unsuccessful", "repeat")
"""Fates that an input gets before it is assigned to a shard, so that they are the same on every box."""


@dataclass(frozen=True)
class RunCounts:
    """What a run states: inputs it has read, how many are its own, how many are in no shard, and the records
    it has written (None where that is not known). blocked: of its own, those that lists of networks keep out.
    """

    run: Run
    read: int = 0
    own: int = 0
    common: int = 0
    records: int | None = None
    blocked: int = 0


@dataclass
class Audit:
    """inputs: of the whole plan. runs: those that count, in the lock's order. common: inputs that every box
    refuses. faults: sentences; without any, `agrees`. records: by box, those of all its runs, where each of
    them has stated it.
    """

    inputs: int = 0
    runs: list[RunCounts] = field(default_factory=list)
    common: int = 0
    faults: list[str] = field(default_factory=list)
    records: dict[str, int] = field(default_factory=dict)

    @property
    def agrees(self) -> bool:
        return not self.faults

    def compare(self, found: Mapping[str, int]) -> None:
        """Check that there are as many records of each box as its runs have written. found: by box."""
        for box, records in self.records.items():
            if found.get(box, 0) < records:
                missing = many(records - found.get(box, 0), "record")
                self.faults.append(f"{box} has written {many(records, 'record')}: {missing} not among these")

    @property
    def warning(self) -> str:
        """A sentence where lists of networks have kept out everybody; else empty."""
        own = sum(one.own for one in self.runs)
        if not own or own != sum(one.blocked for one in self.runs):
            return ""
        return f"nothing was scanned: blocklist or allowlist keep out all of {many(own, 'target')}"

    def sentence(self) -> str:
        """Both sides of the account in one sentence."""
        parts = [f"{one.own:,} of {one.run.name}" for one in self.runs]
        if self.common:
            parts.append(f"{self.common:,} that are no target")
        total = sum(one.own for one in self.runs) + self.common
        said = "each has its fate once" if self.agrees else "that is not each once"
        return f"inputs: {self.inputs:,}; {' + '.join(parts) or 'nothing is known'} = {total:,}: {said}"


def of(lock: Lock, metadata: Sequence[tuple[str, Any]], boxes: Sequence[str | None] = ()) -> Audit:
    """The audit of the metadata of any runs, in any order, also repeated.

    metadata: (name, content). boxes: of each, from which box it comes, where that is known (it tells of no
    other's run), else None; empty: of none is it known.
    """
    audit = Audit()
    found: dict[Run, RunCounts] = {}
    for (name, table), box in zip(metadata, boxes or [None] * len(metadata), strict=True):
        try:
            one = _of_run(lock, table, name, audit, box)
        except NoMetadata as error:
            audit.faults.append(f"{name} {error}")
            continue
        if found.setdefault(one.run, one) != one:
            audit.faults.append(f"{name}: {one.run.name} is told twice, and not in the same way")
    for one_box in lock.plan.boxes:
        runs = [run for run in lock.runs if run.box == one_box.name]
        counts = [found[run].records if run in found else None for run in runs]
        if counts and None not in counts:
            audit.records[one_box.name] = sum(count or 0 for count in counts)
    current = lock.current
    audit.runs = [found[run] for run in current if run in found]
    for run in current:
        if run not in found:
            audit.faults.append(f"nothing is known of {run.name} ({many(len(run.shards), 'shard')})")
    _compare(lock, audit)
    return audit


def _compare(lock: Lock, audit: Audit) -> None:
    """Compare what all runs state together."""
    runs = audit.runs
    total = sum(one.own for one in runs)
    if lock.plan.input is None:
        audit.inputs = total
        return
    audit.inputs = max((one.read for one in runs), default=0)
    audit.common = max((one.common for one in runs), default=0)
    for one in runs:
        if one.read != audit.inputs:
            audit.faults.append(f"{one.run.name} has read {one.read:,} inputs, not {audit.inputs:,}")
        if one.common != audit.common:
            audit.faults.append(
                f"{one.run.name} calls {one.common:,} inputs no target, another run {audit.common:,}"
            )
    if len(runs) == len(lock.current) and total + audit.common != audit.inputs:
        missing = audit.inputs - total - audit.common
        what = "have no fate" if missing > 0 else "have more than one fate"
        audit.faults.append(f"{abs(missing):,} of {audit.inputs:,} inputs {what}")


def _of_run(lock: Lock, table: Any, name: str, audit: Audit, box: str | None) -> RunCounts:
    """Take what one file states; faults go into the audit. box: whose it is; None: anybody's. Raises
    NoMetadata.
    """
    metadata = check(table)
    options, inputs = section(metadata, "options"), section(metadata, "inputs")
    plan_id, generation = options.get("plan_id"), options.get("generation")
    if plan_id != lock.id:
        shown = printable(plan_id) if isinstance(plan_id, str) and plan_id else "none"
        raise NoMetadata(f"is of another plan (its plan id is {shown}, not {lock.id})")
    shards = _shards(options.get("shard"))
    run = next((one for one in lock.runs if (one.generation, one.shards) == (generation, shards)), None)
    if run is None or options.get("shards") != lock.plan.shards:
        raise NoMetadata("is of a run that the plan does not have")
    if box not in (None, run.box):
        raise NoMetadata(f"is of {run.name}, and not of {box}")
    fates = {
        fate: count for fate, count in section(inputs, "fates").items() if type(count) is int and count >= 0
    }
    read = inputs.get("read")
    if type(read) is not int or read < 0:
        raise NoMetadata("does not say what became of its inputs")
    if lock.is_current(run):
        audit.faults += [f"{run.name}: {fault}" for fault in _faults(lock, metadata, fates)]
    common = sum(fates.get(fate, 0) for fate in COMMON) if lock.plan.input is not None else 0
    own = read - fates.get(ELSEWHERE, 0) - common
    return RunCounts(run, read, own, common, _records(metadata), fates.get("blocklisted", 0))


def _records(metadata: Mapping[str, Any]) -> int | None:
    """How many records a run has written; None where a filter kept some back, or that is not said."""
    count = section(metadata, "counters").get("TotalResponses")
    filtered = section(metadata, "options").get("output_filter")
    return count if type(count) is int and count >= 0 and not filtered else None


def _faults(lock: Lock, metadata: Mapping[str, Any], fates: Mapping[str, int]) -> list[str]:
    """Why a run has not handled all its inputs completely."""
    found = []
    ending = section(metadata, "ending")
    how = ending.get("how")
    if not ran_to_its_end(metadata):
        found.append(f"it ended as {printable(how)}" if isinstance(how, str) else "it has not ended")
    elif ending.get("unfinished"):
        found.append("it was told to end before it had asked for all")
    if section(metadata, "inputs").get("agree") is not True:
        found.append("its own ledger does not agree")
    if metadata.get("results_lost"):
        found.append("it lost results")
    if given_up := fates.get("interrupted"):
        found.append(f"{many(given_up, 'input')} were given up")
    digest = section(metadata, "input").get("sha256")
    if lock.input_sha256 is not None and digest != lock.input_sha256:
        found.append("it has read another input than the plan's")
    return found


def _shards(value: Any) -> tuple[int, ...]:
    """The shards that --shard of the metadata names, a number or a text; none where it names none."""
    try:
        return of_ranges(str(value) if type(value) is int else value)
    except ValueError:
        return ()


def many(count: int, what: str) -> str:
    """``1 input``, ``2,000 inputs``."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"
