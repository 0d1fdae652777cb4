"""The dry run of a sweep: the targets in the order in which they would be scanned, on stdout.

No packet is sent, only names are looked up, nothing else is written, and root is not needed.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from secrets import randbits as random_bits

import numpy as np

from coordinator.files import readiness
from coordinator.files.filereader import FileReader
from coordinator.input import networklists
from coordinator.input.sweptspace import swept
from coordinator.setup.opened import read_orders
from lzr import safetext
from lzr.errors import UsageError
from lzr.options import byport
from lzr.options.table import Options
from lzr.rows import FRAME, Rows
from lzr.sweep import listing
from lzr.sweep.share import Share

_AT_ONCE = 1 << 15  # pairs of one write


def show(options: Options) -> None:
    """Print the targets. Raises UsageError for what the scan would refuse, OSError of stdout."""
    reader = FileReader(_pause, _say)
    orders = read_orders(options, reader)
    options, _ = byport.choose_default(options, orders)
    if options.handshakes_by_port:
        byport.port_orders(options.handshakes, orders)
    blocklist = networklists.policy(options, reader, warn=_say)
    seed = random_bits(64) if options.seed is None else options.seed
    tell = (lambda _: None) if options.quiet else _say
    sweep = swept(options, reader, blocklist, seed, tell=tell)
    space, encode = sweep.share.space, listing.lines
    if options.dryrun == "fast":
        encode = listing.records
        if not listing.v4(space.hi, space.lo).all():
            raise UsageError("-dryrun=fast: six bytes hold no IPv6 address; -dryrun prints both families")
    if not options.quiet:
        _say(f"{sweep.sentence}; nothing is sent")
    _print(sweep.share, sweep.total, encode)


def _print(share: Share, total: int, encode: Callable[[Rows], bytes]) -> None:
    for place in range(0, total, _AT_ONCE):
        rows = np.zeros(min(_AT_ONCE, total - place), FRAME)
        share.pairs(place, rows)
        _write(encode(rows))


def _write(data: bytes) -> None:
    """Write all of it to stdout, which may be a pipe that another process has made non-blocking."""
    left = memoryview(data)
    while left:
        try:
            left = left[os.write(1, left) :]
        except BlockingIOError:
            readiness.writable(1)


def _pause(seconds: float) -> bool:
    time.sleep(seconds)
    return False


def _say(sentence: str) -> None:
    print(safetext.line(f"lzr: {sentence}"), file=sys.stderr, flush=True)
