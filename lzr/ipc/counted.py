"""What a batch of results may add to the figures: under names that a scan has, and not ever more of them.

Counts come from processes that read what strangers send. Names without end would fill the memory of whoever
adds them up, and every screen and file on which they are shown.
"""

from __future__ import annotations

from collections.abc import Iterable

from lzr.ipc.messages import Counts
from lzr.ipc.schema import SchemaError
from lzr.records.summary import COUNTERS
from lzr.rows import Reason

MOST_LABELS = 4096
"""Fingerprints, those that join several names too; in a scan of everything there are a few hundred."""
_COUNTERS = frozenset(COUNTERS)
_REASONS = frozenset((*Reason.NAMES, "refused"))


class Names:
    """handshakes: those of the scan."""

    def __init__(self, handshakes: Iterable[str]) -> None:
        self._handshakes = frozenset(handshakes)
        self._labels: set[str] = set()

    def check(self, counts: Counts) -> None:
        """Raises SchemaError for names that there are not, or too many of those that there may be."""
        tally = counts.summary
        by = {name for name, _, _ in counts.found} | {one[3] for one in counts.latest}
        for what, names, known in (
            ("counter", tally.counters.keys(), _COUNTERS),
            ("reason", tally.reasons.keys(), _REASONS),
            ("handshake", tally.handshakes.keys() | by, self._handshakes),
        ):
            if not known.issuperset(names):
                raise SchemaError(f"a {what} that there is not")
        new = (tally.fingerprints.keys() | {label for _, label, _ in counts.found}) - self._labels
        if len(self._labels) + len(new) > MOST_LABELS:
            raise SchemaError(f"more than {MOST_LABELS:,} fingerprints")
        self._labels |= new
