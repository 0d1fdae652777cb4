"""Adds product and version from the replies to records that do not have them (``--products``)."""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np

from coordinator.analysis import arrowstream as arrow
from lzr.analysis.columns import NAMES
from lzr.fingerprint.enrichment import EnrichingClassifier
from lzr.records.fields import ENRICHED

FILLED = ("application", "product", "version", *ENRICHED)
"""The columns that are filled."""

_LABEL, _DATA = NAMES.index("fingerprint"), NAMES.index("data")
_AT = tuple(map(NAMES.index, FILLED))


class Products:
    """Looks replies up, those that repeat once."""

    def __init__(self) -> None:
        self._classifier = EnrichingClassifier()
        self._of = lru_cache(maxsize=1 << 15)(self._identified)

    def _identified(self, label: str, data: bytes) -> tuple[str, ...]:
        """A text for each of FILLED; nothing where the reply is not what the record says it is."""
        found = self._classifier.identify(data)
        if found.label != label:
            return ()
        return (found.application, found.product, found.version, *found.details)

    def fill(self, batch: arrow.ColumnBatch) -> tuple[arrow.ColumnBatch, list[tuple[str | None, ...]]]:
        """The batch with these columns filled, and for each record what was filled in, by FILLED."""
        labels, replies = strings(batch, _LABEL), values(batch, _DATA)
        before = [strings(batch, at) for at in _AT]
        added: list[tuple[str | None, ...]] = []
        for label, data, *there in zip(labels, replies, *before, strict=True):
            said = self._of(label, data) if label and data else ()
            added.append(
                tuple(new if new and not old else None for old, new in zip(there, said, strict=False))
            )
        columns = list(batch.columns)
        for number, (at, old) in enumerate(zip(_AT, before, strict=True)):
            new = [new[number] if new else None for new in added]
            if any(new):
                columns[at] = arrow.texts([a or b for a, b in zip(old, new, strict=True)])
        return arrow.ColumnBatch(batch.rows, columns), added


def values(batch: arrow.ColumnBatch, at: int) -> list[bytes | None]:
    """The bytes in a column of text or bytes."""
    bits, offsets, joined = batch.columns[at].buffers
    ends = np.frombuffer(offsets, np.int32).tolist()  # type: ignore[arg-type]
    whole: Any = joined
    found: list[bytes | None] = [whole[a:b] for a, b in pairwise(ends)]
    if bits is not None:
        there = np.unpackbits(np.frombuffer(bits, np.uint8), bitorder="little")[: batch.rows].tolist()
        found = [value if is_there else None for value, is_there in zip(found, there, strict=True)]
    return found


def strings(batch: arrow.ColumnBatch, at: int) -> list[str | None]:
    """The texts in a column of a batch; None where there is none."""
    return [None if value is None else value.decode() for value in values(batch, at)]
