"""A made-up fleet on the real terminal: `python -m tests.fleet_driver --help`.

Each box's status goes through the JSON that a box sends; one of them falls silent after some seconds, one is
done.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from typing import Any

from coordinator.fleet.watching import screen, statuses
from coordinator.monitor import status
from lzr.fleet.lock import Run
from lzr.fleet.view import LastReport, view
from tests.dashboard_driver import Scan

SHARDS = 64
WALL = 1_795_000_000.0


class Fleet:
    """Boxes at a time `t` seconds after their start. silent: the second box is not heard from then on."""

    def __init__(
        self, boxes: int, *, silent: float = 1e9, total: int = 400_000, hostile: bool = False
    ) -> None:
        self.names = [f"{('fra', 'ams', 'nyc', 'sin')[n % 4]}{n // 4 + 1}" for n in range(boxes)]
        self._scans = [Scan(2, total, 3000 + 500 * n, hostile=hostile) for n in range(boxes)]
        self._silent = silent
        self._last: dict[str, tuple[float, dict[str, Any]]] = {}
        each = SHARDS // boxes
        self.runs = tuple(
            Run(name, 1, tuple(range(n * each, (n + 1) * each)), (f"192.0.2.{n + 1}",))
            for n, name in enumerate(self.names)
        )

    def heard(self, t: float) -> dict[str, LastReport]:
        """What each box told last."""
        for number, (name, scan) in enumerate(zip(self.names, self._scans, strict=True)):
            if number == 1 and t >= self._silent:
                continue
            told = {
                "state": "running",
                "status": status.as_json(scan.at(t)),
                "status_at": t + 1,
                "now": t + 1,
            }
            if number == 2 and t > self._silent + 5:
                told |= {"state": "failed", "sentence": "the network of eth0 is down"}
            self._last[name] = WALL + t, json.loads(json.dumps(told))
        return {name: statuses.heard(at, told) for name, (at, told) in self._last.items()}

    def look(self, t: float) -> screen.Looked:
        """All of them."""
        heard = self.heard(t)
        return screen.looked(view("census-443", self.runs, heard, WALL + t), heard)


def main() -> int:
    parser = argparse.ArgumentParser(description="a made-up fleet on the screen")
    parser.add_argument("--boxes", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--silent", type=float, default=65.0)
    parser.add_argument("--hostile", action="store_true")
    arguments = parser.parse_args()
    fleet = Fleet(arguments.boxes, silent=arguments.silent, hostile=arguments.hostile)
    for second in range(60):
        fleet.heard(second)
    begun = time.monotonic()

    def look() -> screen.Looked:
        return fleet.look(60 + time.monotonic() - begun)

    found = screen.watch(look, until=lambda _: time.monotonic() - begun > arguments.seconds)
    print(f"cpu {time.process_time():.3f} s", file=sys.stderr)
    return found


if __name__ == "__main__":
    sys.exit(main())
