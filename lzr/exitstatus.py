"""The exit statuses of `lzr`, scans and subcommands alike; `lzr.options.manpage` tells users what they mean.

A subcommand may have one of its own for what it was asked (`lzr diff`: 1, the results differ).
"""

from __future__ import annotations

OK = 0
FAILED = 1
"""It could not be done; a sentence on stderr says why."""
MISTAKE = 2
"""The user's mistake, found before anything was done: before a packet was sent, if it was to be a scan."""
LOST = 3
"""Done, but some results were lost, or could not be read, or a file beside them is not whole."""
