"""Which shard of a plan a pair of address and port is in, computed as the boxes themselves do.

In a list the shard follows from a hash of the pair; in a sweep from the pair's place in the order, for which
the space of the sweep is made again: the same prefixes, ports and blocklist, under the plan's seed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from coordinator.files.filereader import FileReader
from coordinator.fleet import lockfile
from coordinator.input import networklists
from coordinator.input.sweptspace import swept
from lzr.errors import UsageError
from lzr.fleet.keptrecords import NOBODYS, Hashed, Placing, anywhere
from lzr.fleet.lock import Lock
from lzr.fleet.plan import Plan
from lzr.options import parse
from lzr.rows import Rows
from lzr.sweep.share import Share
from lzr.targets.lists import ListReader


@dataclass(frozen=True)
class SweptShards:
    """Shards of a sweep. whole: all of its pairs."""

    whole: Share
    shards: int

    def __call__(self, rows: Rows) -> NDArray[np.int64]:
        """As `lzr.fleet.keptrecords.Placing`."""
        places = self.whole.places(rows)
        return np.where(places < 0, NOBODYS, places % self.shards)


def of(lock: Lock) -> Placing:
    """The `Placing` of a plan. Raises UsageError where what is swept cannot be told any more."""
    plan = lock.plan
    if plan.zmap is not None:
        return anywhere
    if plan.input is not None:
        return anywhere if _has_names(plan.input) else Hashed(plan.shards)
    if lockfile.digest_of_lists(plan) != lock.blocklist_sha256:
        raise UsageError("the plan's blocklist is not what it was, so it cannot be told what was to be swept")
    return SweptShards(whole(plan), plan.shards)


def whole(plan: Plan, lookup: networklists.Lookup = networklists.ask) -> Share:
    """All pairs of a plan that sweeps. lookup: gives the addresses of names. Raises UsageError, also where
    there is no pair.
    """
    words = [*listed(plan), "--target-ports", plan.target_ports or "", *plan.targets]
    options = parse.parse(words)
    reader = FileReader(lambda _: False, lambda _: None)
    return swept(
        options, reader, networklists.policy(options, reader, lookup), plan.seed, lookup=lookup
    ).share


def listed(plan: Plan) -> list[str]:
    """A plan's options and blocklists, as words of a command line."""
    return [*plan.options, *(word for path in plan.blocklist for word in ("--blocklist-file", path))]


def _has_names(path: str) -> bool:
    """Whether a list names hosts: their shard follows from the name, which no record has. A list that cannot
    be read here is taken to have none.
    """
    reader = ListReader()
    try:
        for chunk in lockfile.lines_of_input(path):
            if reader.feed(chunk).names or reader.named:
                return True
            reader.forget()
    except UsageError:
        return False
    return bool(reader.finish().names) or reader.named
