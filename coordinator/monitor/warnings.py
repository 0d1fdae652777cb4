"""What a person should worry about: a `Snapshot` in, sentences out, the worst first.

A warning says in one line what is wrong and what to do about it, and goes away when it is no longer true
(what happened more than a minute ago is a figure, not a warning). Alerts stay to the end, since the scan may
have lost results.
"""

from __future__ import annotations

from coordinator.monitor import numbers
from coordinator.monitor.snapshot import ProcessState, Snapshot

ENOUGH = 500
"""Finished inputs from which on a low hit rate is reported. A judgement: of 500 with a true rate of 2 % ten
have data, and fewer than four in one case of a hundred."""

LOW_HIT_RATE = 0.02  # share of finished inputs with data, below which a warning says so; a judgement


_FULL = {"ENOBUFS", "EAGAIN", "ENOMEM", "NO_ROOM"}
_UNSENT = {"ENETDOWN": "is the interface down?", "EMSGSIZE": "has the size of packets (MTU) changed?"}


def warnings(snapshot: Snapshot) -> tuple[str, ...]:
    """Every warning that follows from the figures."""
    found = list(snapshot.alerts)
    if snapshot.guard_missing:
        found.append("RST guard missing: the kernel resets connections before we can use them (lzr guard on)")
    if snapshot.gateway_silent and not snapshot.unreachable:
        found.append(f"nothing received, {snapshot.tx:,} packets sent: check --gateway-mac, --interface")
    processes = (*snapshot.workers, *snapshot.collectors)
    for process in processes:
        if process.state == ProcessState.DEAD:
            found.append(f"{process.name} died, a successor is being started")
        elif process.state == ProcessState.SILENT:
            found.append(f"{process.name} (pid {process.pid}) has not reported for some seconds")
    if snapshot.recent_drops:
        dropped = numbers.many(snapshot.recent_drops, "packet")
        found.append(f"kernel dropped {dropped} in the last minute: + or a lower rate")
    if lost := snapshot.ignored.get("icmp_lost", 0):
        errors = numbers.many(lost, "ICMP error")
        found.append(f"{errors} found no room: their pairs may count as silent; a lower rate")
    if snapshot.recent_send_failures:
        errors = ", ".join(sorted(snapshot.send_errors))
        what = _UNSENT.get(errors, "lower the rate" if _FULL & {*snapshot.send_errors} else "see above")
        if snapshot.outcomes.get("send_refused"):
            what = "this host's own firewall drops some"
        refused = f"{numbers.many(snapshot.recent_send_failures, 'send')} refused in the last minute"
        found.append(f"{refused} ({errors}): {what}")
    heard = snapshot.rx or snapshot.unreachable
    low = snapshot.hit_rate < LOW_HIT_RATE and not (snapshot.sweep and heard)
    if snapshot.done >= ENOUGH and low:
        found.append(_low(snapshot))
    if snapshot.recent_restarts:
        names = ", ".join(f"{p.name} x{p.restarts}" for p in processes if p.restarts)
        found.append(
            f"{snapshot.recent_restarts} restarted in the last minute" + (f" ({names})" if names else "")
        )
    return tuple(found)


def _low(snapshot: Snapshot) -> str:
    share = f"hit rate suspiciously low: {snapshot.hit_rate:.1%} sent data"
    if not snapshot.rx:
        return f"{share}, no packet received at all: check --gateway-mac, --interface and --source-ip"
    outcomes = snapshot.outcomes
    if outcomes.get("no_syn_ack", 0) > snapshot.done // 2:
        return f"{share}, most hosts do not answer SYN: is the list old, the rate too high?"
    if outcomes.get("rst", 0) > snapshot.done // 2:
        return f"{share}, most answered RST: is the RST guard working, is ZMap's input fresh?"
    return f"{share}, most are silent: is the rate too high for the path?"
