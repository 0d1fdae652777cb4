"""Shows on the terminal what was found, where the user has not named a file for the results.

A line for each service as it is found (where there is no dashboard, which has a panel for them), and at the
end a table of all of them if it fits the screen. The terminal is never waited for: what it does not take is
left out and counted. Every text of strangers passes through `lzr.safetext`.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Sequence

from coordinator.files import readiness
from coordinator.monitor.status import table
from lzr import addresses
from lzr.options.table import Options
from lzr.safetext import plain

Finding = tuple[str, int, str, str, str]
"""Address, port, fingerprint, product, version."""

_PENDING = 1 << 16  # bytes kept for a terminal that is slower than we are
_MOST = 200  # findings kept for the table
_OTHERS = 4  # lines of the screen that are left for the prompt and what stands above


def are_wanted(options: Options) -> bool:
    """Whether they are shown: on a terminal, without -f, and not where stdout has another use."""
    if options.quiet or options.feed_zgrab or options.metadata_file == "-" or options.output_file == "-":
        return False
    return "output_file" not in options.given and os.isatty(1)


class Findings:
    """live: a line for each as it comes. size: columns and lines of the terminal."""

    def __init__(self, *, live: bool, descriptor: int, size: tuple[int, int]) -> None:
        """descriptor: of the terminal; it should not block."""
        self._live = live
        self._fd = descriptor
        self._width, self._height = size
        self._kept: list[Finding] = []
        self._pending = b""
        self.count = 0
        self.skipped = 0  # that were not shown as they came

    def add(self, found: Sequence[Finding], omitted: int) -> None:
        """omitted: how many more of the same batch are not in `found`."""
        self.count += len(found) + omitted
        if len(self._kept) < _MOST:
            self._kept += found[: _MOST - len(self._kept)]
        if not self._live:
            return
        self.skipped += omitted
        for one in found:
            line = self._cut("  ".join(cell for cell in _cells(one) if cell)) + "\n"
            if len(self._pending) + len(line) > _PENDING:
                self.skipped += 1
            else:
                self._pending += line.encode("ascii", "replace")
        self.flush()

    def _cut(self, line: str) -> str:
        """As much as the screen is wide; a mark says that there is more, so that 9.2p1 is not read as 9."""
        return line if len(line) <= self._width else line[: self._width - 1] + "~"

    def flush(self) -> None:
        """Write what the terminal takes now."""
        with contextlib.suppress(BlockingIOError):
            while self._pending:
                try:
                    self._pending = self._pending[os.write(self._fd, self._pending) :]
                except BlockingIOError:
                    raise
                except OSError:  # it is gone
                    self._pending = b""

    def close(self, where: str) -> None:
        """The rest, and the table. where: the file that has all of them."""
        text = ""
        if self.count and self.count <= min(_MOST, self._height - _OTHERS):
            rows = [
                ("address", "fingerprint", "product", "version"),
                *map(_cells, sorted(self._kept, key=_order)),
            ]
            text = "".join(f"{self._cut(line)}\n" for line in table(rows))
        elif self.skipped:
            text = f"{self.skipped:,} more were found than are shown here; all are in {plain(where, 1000)}\n"
        self._pending += text.encode("ascii", "replace")
        self.flush()
        if self._pending and readiness.writable(self._fd, 0.5):
            self.flush()


def _order(one: Finding) -> tuple[tuple[int, int], int]:
    try:
        return addresses.parse(one[0]), one[1]
    except ValueError:
        return (0, 0), one[1]


def _cells(one: Finding) -> tuple[str, str, str, str]:
    address, port, label, product, version = one
    host = f"[{address}]" if ":" in address else address
    return f"{plain(host, 48)}:{port}", *_short((label, product, version))  # type: ignore[return-value]


def _short(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(plain(text, 40, mark="~") for text in texts)


def on_terminal(options: Options, *, live: bool) -> Findings | None:
    """Where they are wanted. The terminal is opened anew: non-blocking for us, and for nobody else."""
    if not are_wanted(options):
        return None
    try:
        size = os.get_terminal_size(1)
        descriptor = os.open(os.ttyname(1), os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return None
    return Findings(live=live, descriptor=descriptor, size=(size.columns or 80, size.lines or 24))
