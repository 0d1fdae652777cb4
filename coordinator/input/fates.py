"""What became of the inputs that never reached a worker, counted by reason."""

from __future__ import annotations

import numpy as np
from msgspec import Struct, field
from numpy.typing import NDArray

from lzr.addresses import text
from lzr.packet.ways import WayKind
from lzr.rows import Rows


class Fates(Struct):
    """By reason, how many inputs ended before a worker saw them; `read` counts all inputs."""

    read: int = 0
    rejected: int = 0
    unresolved: int = 0  # names without an address
    elsewhere: int = 0  # another box's share
    blocklisted: int = 0
    blocked: int = 0  # by whoever watched the scan, after it had been let in
    printers: int = 0
    duplicates: int = 0
    surplus: int = 0  # beyond --max-targets
    unroutable: dict[str, int] = field(default_factory=dict)  # by reason, see `lzr.packet.ways.WayKind`
    examples: dict[str, str] = field(default_factory=dict)  # the first of them, by reason
    resumed: int = 0  # had its fate in the scan that is resumed
    foreign: int = 0  # half-open on a port of ours that we do not listen on
    no_syn_ack: int = 0  # ZMap's row says so itself; and so the next two
    unsuccessful: int = 0
    repeated: int = 0

    def lose(self, rows: Rows, kinds: NDArray[np.uint8]) -> None:
        """Count TARGET rows that cannot be reached. kinds: the `ways.WayKind` of each, the reason."""
        for kind, why in WayKind.WHY.items():
            found = np.flatnonzero(kinds == kind)
            if len(found):
                row = rows[found[0]]
                self.unroutable[why] = self.unroutable.get(why, 0) + len(found)
                self.examples.setdefault(why, text(int(row["peer_hi"]), int(row["peer_lo"])))

    def other(self) -> dict[str, int]:
        """Counts of the reasons that have no figure of their own, as the summary names them."""
        return {
            "name without an address": self.unresolved,
            "for another shard": self.elsewhere,
            "blocked while it ran": self.blocked,
            "printer port": self.printers,
            "beyond --max-targets": self.surplus,
            **{f"unroutable ({why})": count for why, count in self.unroutable.items()},
            "done before": self.resumed,
            "outside --source-port": self.foreign,
            "not a SYN-ACK": self.no_syn_ack,
            "unsuccessful": self.unsuccessful,
            "repeat": self.repeated,
        }
