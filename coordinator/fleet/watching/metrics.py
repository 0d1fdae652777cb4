"""The metrics of all boxes for Prometheus, at one port: those of each scan with a label ``box``.

They are served from an event loop that has other things to do: a scrape is answered from what was heard last.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping

from coordinator.endpoints import prometheus
from coordinator.fleet.watching.screen import Looked
from coordinator.monitor.figures import Metric
from coordinator.monitor.snapshot import Snapshot
from lzr.errors import UsageError
from lzr.fleet.view import FleetView

Samples = list[tuple[dict[str, str], float]]

EVERY = 1.0
"""Seconds after which a page is made anew, if somebody asks for it."""


@contextlib.asynccontextmanager
async def serving(port: int, address: str, look: Callable[[], Looked]) -> AsyncIterator[int]:
    """Serve the metrics meanwhile; gives the port. look: is called when somebody asks. Raises UsageError."""
    try:
        server = prometheus.MetricsServer(port, address)
    except OSError as error:
        raise UsageError(str(error.strerror or error)) from error
    loop = asyncio.get_running_loop()

    def page() -> str:
        seen = look()
        return exposition(seen.view, seen.scans)

    async def renew() -> None:
        while True:
            server.publish_page(page)
            server.handle(time.monotonic())
            await asyncio.sleep(EVERY)

    loop.add_reader(server.fileno(), lambda: server.handle(time.monotonic()))
    task = asyncio.ensure_future(renew())
    try:
        yield server.port
    finally:
        task.cancel()
        loop.remove_reader(server.fileno())
        server.close()


def exposition(view: FleetView, scans: Mapping[str, Snapshot]) -> str:
    """The page. scans: the last figures of each box that has any."""
    return prometheus.page((*_of_fleet(view), *_of_boxes(scans)))


def _of_boxes(scans: Mapping[str, Snapshot]) -> Iterable[Metric]:
    """Each metric once, with the samples of all boxes."""
    found: dict[str, Metric] = {}
    for box, snapshot in scans.items():
        for metric in prometheus.families(snapshot):
            one = found.setdefault(metric.name, metric._replace(samples=[]))
            one.samples.extend(({"box": box, **labels}, value) for labels, value in metric.samples)
    return found.values()


def _of_fleet(view: FleetView) -> Iterable[Metric]:
    rows = view.rows
    here: Samples = [({"box": row.name}, float(row.name not in view.blind)) for row in rows]
    yield Metric("fleet_box_heard", "gauge", "1 while a box is heard of.", here)
    ages: Samples = [({"box": row.name}, row.age) for row in rows if row.age is not None]
    yield Metric("fleet_box_age_seconds", "gauge", "Time since anything was heard of it.", ages)
    states: Samples = [({"box": row.name, "state": row.state}, 1) for row in rows]
    yield Metric("fleet_box_state", "gauge", "1 for the state a box is in.", states)
    shards: Samples = [({"box": row.name}, row.shards) for row in rows]
    yield Metric("fleet_box_shards", "gauge", "Shards of the plan that a box has.", shards)
    shares: Samples = [({"box": row.name}, row.share) for row in rows if row.share is not None]
    yield Metric("fleet_box_done_ratio", "gauge", "How far it is, 0 to 1.", shares)
    if view.totals.share is not None:
        yield Metric("fleet_done_ratio", "gauge", "How far all are, 0 to 1.", [({}, view.totals.share)])
    yield Metric("fleet_done_rate", "gauge", "Inputs done per second, now.", [({}, view.totals.rate_done)])
    yield Metric("fleet_warnings", "gauge", "Warnings shown at this moment.", [({}, len(view.warnings))])
