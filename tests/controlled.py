"""The server of a control socket in a thread of its own, as in a scan's loop."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

from coordinator.endpoints.control import ControlServer
from coordinator.endpoints.ctlcommands import Command
from coordinator.monitor.snapshot import Phase, Snapshot


class Running:
    """A server in a thread of its own, as in a scan's loop."""

    def __init__(self, path: Path) -> None:
        self.server = ControlServer(path)
        self.server.publish(
            Snapshot(phase=Phase.RUNNING, shards=8, wanted_flow=2, rate_limit=1000.0, read=77)
        )
        self.commands: list[Command] = []
        self._wake, self._stop = socket.socketpair()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        import select

        now = 0.0
        while True:
            ready, _, _ = select.select([self.server, self._wake], [], [])
            if self._wake in ready:
                return
            self.commands += self.server.handle(now)

    def close(self) -> None:
        self._stop.send(b"x")
        self._thread.join()
        self.server.close()
        self._wake.close()
        self._stop.close()
