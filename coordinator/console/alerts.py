"""What a running scan loses results by, noticed while it runs: said at once, and it stands to the end."""

from __future__ import annotations

from coordinator.console.console import Watch
from coordinator.guard.watch import GuardWatch


class Alerts:
    """One for a scan. Cheap: called in every turn of its loop."""

    def __init__(self, watch: Watch, guarded: GuardWatch) -> None:
        self._watch = watch
        self._guarded = guarded
        self._refused = 0

    def look(self, now: float) -> None:
        """now: monotonic seconds."""
        totals = self._watch.totals
        if said := self._guarded.look(now):
            totals.guard_missing = self._guarded.missing
            self._watch.alert("guard", said, lost=True)
        refused = totals.outcomes["send_refused"]
        if refused != self._refused:
            self._refused = refused
            self._watch.alert("egress", _refused(refused), lost=True)


def _refused(count: int) -> str:
    targets = "target was" if count == 1 else "targets were"
    return (
        f"{count:,} {targets} not scanned: this host's own firewall drops what is sent there (records with "
        "reason send_refused); look at nft list ruleset (egress hooks) and tc filter show"
    )
