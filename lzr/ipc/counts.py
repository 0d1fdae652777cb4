"""Bounds on what a batch of results may add to the figures: only names that the scan has, and not too many.

Counts come from processes that read bytes of strangers. An endless supply of names would fill the memory of
whoever adds them up, and every screen and file on which they are shown.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from msgspec import Meta, Struct

from lzr.ipc.schema import Counters, Number, Port, SchemaError, Word
from lzr.records.summary import COUNTERS
from lzr.rows import Reason

MOST_LABELS = 4096
"""Most fingerprints, names such as `smtp-ftp` included; a scan of everything has a few hundred."""
_COUNTERS = frozenset(COUNTERS)
_REASONS = frozenset((*Reason.NAMES, "refused"))


class Tally(Struct, frozen=True, forbid_unknown_fields=True):
    """A `lzr.records.summary.Summary` in the form in which it travels."""

    counters: Counters
    fingerprints: Counters
    handshakes: Counters
    reasons: Counters
    resolved: Number


Phrase = Annotated[str, Meta(max_length=100)]


class Counts(Struct, frozen=True, forbid_unknown_fields=True):
    """What a batch of results adds to the figures.

    found: records with data, by handshake and label. latest: address, port, label, handshake and banner of a
    few. lines: records, by output. findings: address, port, label, product and version of those
    that are shown to who has no file of results; omitted: how many more there were. blocked: inputs that
    ended because their hosts were blocked.
    """

    summary: Tally
    duplicates: Number
    found: Annotated[list[tuple[Word, Word, Number]], Meta(max_length=4096)]
    latest: Annotated[
        list[tuple[Word, Port, Word, Word, Annotated[bytes, Meta(max_length=256)]]], Meta(max_length=16)
    ]
    lines: Annotated[list[Number], Meta(max_length=16)]
    findings: Annotated[list[tuple[Word, Port, Word, Phrase, Phrase]], Meta(max_length=256)] = []
    omitted: Number = 0
    blocked: Number = 0


class Names:
    """The names under which a scan counts. handshakes: those of the scan."""

    def __init__(self, handshakes: Iterable[str]) -> None:
        self._handshakes = frozenset(handshakes)
        self._labels: set[str] = set()

    def check(self, counts: Counts) -> None:
        """Raise SchemaError for names that the scan does not have, or for more names than there may be."""
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
