"""How long a collector waits after a turn, so that more gathers for the next one."""

from __future__ import annotations

_PAUSE = 160_000_000
"""ns from one small turn to the next: they cost more than their lines (`python -m benchmarks.calm`). A
judgement: a record is on the screen and in a pipe within a sixth of a second."""
_MANY = 512
"""Records of a turn that is no small one: by `benchmarks.stages` larger batches save little."""
_SHORT_PAUSE = 40_000_000
"""ns from a turn of that many to the next. A flow worker takes no new targets while half a megabyte of its
results has waited for 200 ms: with a pause of 160 ms, 400,000 lines waited for that 1.5 s in all
(`benchmarks.endtoend` on a busy machine), with 40 ms not at all."""
_DEAR = 20_000_000
"""ns; after a turn that takes longer there is no pause. Where every record is dear (a long --output-filter),
a collector that paused after each turn was never more than 60 % busy, and held up the flow workers."""


def pause(records: int, took: int, *, begun: bool) -> int:
    """How many ns from the start of a turn to that of the next, which more may be in.

    records: how many it wrote. took: how many ns it took. begun: a message is read in part; what is left
    fits into no socket's buffer, and its sender, a flow worker with many results, waits while we pause. With
    that, half of all scans of 400,000 lines stood still for 0.15 to 0.7 s (`benchmarks.paired`).
    """
    if not records or took >= _DEAR or begun:
        return took
    return _SHORT_PAUSE if records >= _MANY else _PAUSE
