"""Identifies and encodes a batch of outcomes: the lines for each output, and the counts for the coordinator.

This part of a collector has no I/O; any of several processes can do it, while one writes.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lzr import addresses
from lzr.fingerprint.classifier import Classifier
from lzr.ipc.counts import Counts, Tally
from lzr.options.handshakes import tried
from lzr.options.table import Options
from lzr.protocols import Identity, handshake
from lzr.records.encoders import ENCODERS, UNKNOWN, Encoder, ZgrabEncoder
from lzr.records.fields import written
from lzr.records.filter import record_filter
from lzr.records.summary import Summary
from lzr.rows import Reason, among, distinct

_LATEST = 2  # services of a batch that the dashboard may show in its panel of latest services
_FINDINGS = 256  # services of a batch that are listed on a terminal where there is no result file
_PHRASE = 100  # characters of a product or version in such a list
_REMEMBERED, _REPEATED = 4096, 4096
"""Replies whose identity is remembered, and the longest of them in bytes; when full, all are forgotten.
`python -m benchmarks.endtoend` shows what it saves where replies repeat; longer ones seldom do. The sizes are
a judgement: 16 MB at most."""
_SHOWN = 160  # bytes of a banner in the panel of latest services
SAMPLE = 1024
"""Replies after which it is decided whether identities are remembered (`Repeats`)."""
_NEW = 0.8
"""Share of a sample that may be new: a remembered reply costs a quarter of one that is identified."""
_REST = 16
"""Samples that pass before it is tried again, so that trying costs next to nothing."""


@dataclass
class Labelled:
    """What a batch became. lines: bytes to write, by output. tickets: (n,) uint32, of inputs that are done.
    records: lines in the first output. counts: what it adds to the figures.
    """

    lines: list[bytes]
    tickets: NDArray[np.uint32]
    records: int
    counts: Counts


class Repeats:
    """Decides whether identities of replies are remembered: only while enough replies repeat.

    Remembering a reply costs as much as identifying that of a plain web server. So where no two replies are
    alike, as on the Internet, it is left off for a while and then tried again. pay: whether it pays to
    remember what comes next. Tell `met` how that went.
    """

    def __init__(self) -> None:
        self.pay = True
        self._replies = self._new = 0

    def met(self, replies: int, new: int) -> None:
        """Count replies that were looked up, and how many of them were new."""
        self._replies += replies
        self._new += new
        if self._replies < (SAMPLE if self.pay else SAMPLE * _REST):
            return
        self.pay = not self.pay or self._new <= self._replies * _NEW
        self._replies = self._new = 0


class Labeller:
    """Identifies and encodes batches by the options of the scan."""

    def __init__(self, options: Options, forms: list[str], *, findings: bool = False) -> None:
        """forms: by output, a name in ENCODERS, or `feed` for the ZGrab feed.

        findings: each service is to be reported to the coordinator, which lists it on a terminal.
        """
        self._findings = findings
        self._options = options
        self.encoders = [_encoder(options, form) for form in forms]
        self._classifier = _classifier(options)
        self._sent = [handshake(name, options.user_agent) for name in tried(options.handshakes)]
        # Many services say the same to the byte: banners, alerts, error pages.
        self._known: dict[tuple[int, bytes], Identity] = {}
        self._repeats = Repeats()

    def make(self, rows: NDArray[Any], blob: bytes) -> Labelled:
        """Identify and encode a batch. rows: OUTCOME rows; blob: their payloads end to end."""
        identities, found = self._identify(rows, blob)
        before = [encoder.lines for encoder in self.encoders]
        lines = [encoder.encode(rows, blob, identities) for encoder in self.encoders]
        summary = self._summary(rows, identities, found)
        findings, omitted = self._found(rows, blob, identities) if self._findings else ([], 0)
        counts = Counts(
            findings=findings,
            omitted=omitted,
            summary=Tally(**summary.to_dict()),
            duplicates=int(np.count_nonzero(rows["reason"] == Reason.DUPLICATE)),
            blocked=int(np.count_nonzero(rows["reason"] == Reason.BLOCKED)),
            found=[(self._options.handshakes[by], label, n) for (by, label), n in found.items()],
            latest=self._latest(rows, blob, identities),
            lines=[encoder.lines - was for encoder, was in zip(self.encoders, before, strict=True)],
        )
        return Labelled(lines, rows["ticket"][rows["final"] != 0], len(rows), counts)

    def _summary(
        self, rows: NDArray[Any], identities: list[Identity], found: Counter[tuple[int, str]]
    ) -> Summary:
        """Counts of a batch. found: of what brought data, as `_identify` has it; the others are unknown."""
        summary = Summary()
        labels: Counter[str] | list[str]
        if np.count_nonzero(rows["record"]) == len(rows):
            labels = Counter({UNKNOWN.label: len(rows) - found.total()} if found.total() < len(rows) else {})
            for (_, label), count in found.items():
                labels[label] += count
        else:
            labels = [identity.label for identity in identities]
        summary.add(rows, labels, self._options.handshakes)
        return summary

    def part(self, rows: NDArray[Any], blob: bytes, records: int) -> Labelled:
        """The beginning of a batch that gives the first output `records` more records (at least 1).

        A target counts as done even if only some of its records are in the part.
        """
        identities, _ = self._identify(rows, blob)
        kept = np.flatnonzero(self.encoders[0].keep(rows, blob, identities))
        end = int(kept[records - 1]) + 1 if records <= len(kept) else len(rows)
        block = self.make(rows[:end], blob[: int(rows["data_len"][:end].sum(dtype=np.int64))])
        begun, behind = rows["ticket"][:end], rows["ticket"][end:][rows["final"][end:] != 0]
        block.tickets = np.concatenate((block.tickets, distinct(begun[among(begun, behind)])))
        return block

    def _identify(self, rows: NDArray[Any], blob: bytes) -> tuple[list[Identity], Counter[tuple[int, str]]]:
        """The identity of each row; and for each handshake (by index), how often each label was found."""
        identities: list[Identity] = [UNKNOWN] * len(rows)
        left, plain = self._classifier.identify_plain(rows, blob, self._sent, identities)
        found = Counter(plain)
        known, identify, sent = self._known, self._classifier.identify, self._sent
        pay = self._repeats.pay
        if len(known) > _REMEMBERED or not pay:
            known.clear()
        new = 0
        lengths, handshakes = (rows["data_len"].tolist(), rows["handshake"].tolist()) if left else ([], [])
        for row, at in left:
            length, by = lengths[row], handshakes[row]
            data = blob[at : at + length]
            identity = known.get((by, data)) if pay else None
            if identity is None:
                identity = identify(data, sent[by])
                new += 1
                if pay and length <= _REPEATED:
                    known[by, data] = identity
            identities[row] = identity
            found[by, identity.label] += 1
        self._repeats.met(len(left), new)
        return identities, found

    def _found(
        self, rows: NDArray[Any], blob: bytes, identities: list[Identity]
    ) -> tuple[list[tuple[str, int, str, str, str]], int]:
        """Address, port, label, product, version of the services that sent data and are recorded; in a port
        scan, of all that answered.
        """
        open_ = rows["reason"] == Reason.SA_ONLY
        kept = self.encoders[0].keep(rows, blob, identities) & ((rows["reason"] == Reason.DATA) | open_)
        chosen = np.flatnonzero(kept).tolist()
        found = []
        for row in chosen[:_FINDINGS]:
            peer, identity = (
                addresses.text(int(rows["peer_hi"][row]), int(rows["peer_lo"][row])),
                identities[row],
            )
            words = (identity.product or identity.application)[:_PHRASE], identity.version[:_PHRASE]
            label = "open" if open_[row] else identity.label
            found.append((peer, int(rows["peer_port"][row]), label, *words))
        return found, max(0, len(chosen) - _FINDINGS)

    def _latest(
        self, rows: NDArray[Any], blob: bytes, identities: list[Identity]
    ) -> list[tuple[str, int, str, str, bytes]]:
        """Address, port, label, handshake, banner of the last identified services."""
        chosen = np.flatnonzero(rows["reason"] == Reason.DATA)[-_LATEST:]
        if not len(chosen):
            return []
        ends = np.cumsum(rows["data_len"])
        found = []
        for row in chosen.tolist():
            end = int(ends[row])
            start = end - int(rows["data_len"][row])
            peer = addresses.text(int(rows["peer_hi"][row]), int(rows["peer_lo"][row]))
            by = self._options.handshakes[int(rows["handshake"][row])]
            banner = blob[start : min(end, start + _SHOWN)]
            found.append((peer, int(rows["peer_port"][row]), identities[row].label, by, banner))
        return found


def _classifier(options: Options) -> Classifier:
    preferred = options.priority_fingerprint or tried(options.handshakes)
    if not options.enrich:
        return Classifier(preferred)
    from lzr.fingerprint.enrichment import EnrichingClassifier  # half a megabyte of fingerprints

    return EnrichingClassifier(preferred)


def _encoder(options: Options, form: str) -> Encoder:
    common: dict[str, Any] = {
        "handshakes": options.handshakes,
        "expanded": options.ipv6,
        "only_data": options.only_data_record,
        "wanted": record_filter(options.output_filter) if options.output_filter else None,
    }
    if form in ("feed", "zgrab"):
        return ZgrabEncoder(known_only=options.zgrab_only_known, **common)
    return ENCODERS[form](fields=written(options.output_fields, enrich=options.enrich), **common)
