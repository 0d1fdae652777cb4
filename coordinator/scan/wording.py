"""What the user is told when a scan begins and ends, in the log, on stderr and in the metadata."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from coordinator.checkpoint import resumecommand
from coordinator.console.console import Console
from coordinator.console.signals import Signals
from coordinator.input.awaiting import nothing
from coordinator.monitor import numbers
from coordinator.monitor.log import Log
from coordinator.monitor.snapshot import Snapshot
from coordinator.network.discover import Network
from coordinator.network.ownsources import is_own
from coordinator.processes import cpus
from coordinator.results.metadata import Metadata
from coordinator.results.outputs import begin
from coordinator.scan.accounts import Accounts
from coordinator.scan.prepare import Begun, Prepared
from coordinator.setup.opened import Opened
from lzr import __version__, safetext
from lzr.exitstatus import FAILED, LOST, OK
from lzr.options import handshakes
from lzr.options.table import Options
from lzr.records.encoders import ENCODERS
from lzr.records.fields import written

_SILENT = ("no_syn_ack", "silent")
_TUNNELS = ("tun", "tap", "wg", "ppp", "utun", "tailscale", "zt", "nordlynx", "proton")
_ETHERNET = "1"  # ARPHRD_ETHER, in /sys/class/net/*/type
_SHOWN = 2  # source addresses that the sentence names


def announce(ready: Prepared) -> None:
    """Log what is scanned and how, and make the outputs ready for the first record."""
    opened, job, net = ready.opened, ready.job, ready.egress.network
    options, log = opened.options, opened.log
    how = "".join(f" {flag}={value}" for flag, value in options.echo())
    log.info(f"version {__version__}, options{how or ': none'}")
    log.info(
        f"handshakes {handshakes.shown(options.handshakes)}; "
        f"{net.interface} from {', '.join(net.sources) or 'the addresses that lines name'}; "
        f"{job.shards} shards; seed {job.seed}"
    )
    log.info(begin(opened.outputs, opened.checkpoint, options))
    log.info(f"workers: {ready.workers.why}")
    if job.cores:
        log.info(cpus.bound(net.interface, ready.workers, job.cores))
    for gateway, mac in ((net.gateway_v4, net.gateway_mac_v4), (net.gateway_v6, net.gateway_mac_v6)):
        if mac is not None:
            log.debug(f"gateway {gateway or 'on this link'} has {mac.hex(':')}")


def nothing_to_do(opened: Opened, begun: Begun, console: Console, signals: Signals) -> tuple[int, str]:
    """The input held no target: an empty result, and the summary that says why. Returns the exit status, and
    the failure in a sentence."""
    options, outputs, intake = opened.options, opened.outputs, begun.intake
    if not signals.count:
        why, warned = nothing(intake, options)
        opened.log.info(begin(outputs, opened.checkpoint, options))
        if warned:
            console.alert("nothing", why, lost=False)
        else:
            opened.log.info(why)
    failure = ""
    for descriptor, form, fresh in zip(outputs.descriptors, outputs.forms, outputs.fresh, strict=True):
        if form in ENCODERS and fresh:
            names = written(options.output_fields, enrich=options.enrich)
            failure = failure or _heading(descriptor, ENCODERS[form](fields=names).header())
    accounts = Accounts(begun.ledger, intake, outputs, console.totals)
    accounts.update(0)
    console.miss("profile", opened.profiles.finish())
    for sentence in intake.refused:
        console.note(sentence)
    tail = accounts.summary.lines()
    console.close(time.monotonic(), time.time(), tail, outputs.closing(), outputs.name)
    if signals.count:
        return 128 + signals.number, failure
    return (FAILED if failure else OK), failure


def _heading(descriptor: int, header: bytes) -> str:
    """Write what a file of results begins with; why that was not possible."""
    try:
        while header:
            header = header[os.write(descriptor, header) :]
    except BrokenPipeError:  # who has stopped reading misses nothing
        return ""
    except OSError as error:
        return f"cannot write results: {error.strerror}"
    return ""


def unanswered(snapshot: Snapshot, net: Network, *, opening: bool, given_mac: str | None = None) -> str:
    """What to check, in a sentence, if every target that was begun has stayed silent; else empty.

    opening: the connections were opened by us, not by ZMap. given_mac: --gateway-mac.
    """
    outcomes = {name: count for name, count in snapshot.outcomes.items() if count}
    silent = set(_SILENT[:1] if snapshot.sweep else _SILENT)  # who is silent in a sweep has sent a SYN-ACK
    if not snapshot.tx or not outcomes or set(outcomes) - silent:
        return ""
    sources = [*net.sources]
    shown = ", ".join(sources[:_SHOWN]) + (" and others" if len(sources) > _SHOWN else "")
    back = "nothing came back" if not snapshot.rx else f"of {snapshot.rx:,} that came back none was an answer"
    via = f"{net.interface} from {shown}" if sources else net.interface
    checks = []
    foreign = [address for address in sources if not is_own(address)]
    if foreign:
        checks.append(f"{foreign[0]} is no address of this machine, are answers to it routed here?")
    if not opening:
        checks.append("do these connections still exist? lzr has to run while zmap does: zmap ... | lzr")
    if snapshot.guard_missing:
        checks.append("the kernel's RSTs are not suppressed (--without-guard)")
    gateways = [gateway for gateway in (net.gateway_v4, net.gateway_v6) if gateway]
    if given_mac is not None:
        checks.append(f"is {given_mac} the gateway's MAC? without --gateway-mac the kernel is asked for it")
    elif gateways:
        checks.append(f"does the gateway {gateways[0]} forward from this address?")
    else:
        checks.append("the hosts are on this link, are they up?")
    if _is_tunnel(net.interface):
        checks.append(f"{net.interface} is a tunnel (a VPN?), which may not carry such packets")
    else:
        checks.append("does a firewall, a VPN or the provider drop them?")
    sent = numbers.many(snapshot.tx, "packet")
    return f"nobody answered: {sent} left {via}, {back}. To check: {'; '.join(checks)}"


def _is_tunnel(interface: str) -> bool:
    if interface.startswith(_TUNNELS):
        return True
    try:
        return Path(f"/sys/class/net/{interface}/type").read_text().strip() not in (_ETHERNET, "772")
    except OSError:
        return False


def say_how_to_go_on(options: Options, log: Log) -> None:
    """Print the command that goes on with the scan, as the last line on stderr."""
    stdin = resumecommand.stdin_file() if options.input_file is None else None
    try:
        directory = os.getcwd()
    except OSError:
        directory = ""
    program = resumecommand.program_name()
    text = resumecommand.command(options, program, stdin, os.environ, directory)
    same = " (INPUT: the same lines again)" if text.endswith("< INPUT") else ""
    log.note(f"to go on with this scan: {text}")
    if options.quiet:
        return
    print(safetext.lines(f"This scan is not finished. To go on with it{same}:\n{text}"), file=sys.stderr)


def conclude(record: Metadata, console: Console, log: Log) -> int:
    """Write the last lines of the log, and the metadata. Returns the exit status, LOST where one of them is
    not whole.
    """
    wall = time.time()
    snapshot = console.snapshot(time.monotonic(), wall)
    if record.failure:
        log.fatal(record.failure)
    record.status = _with_losses(record.status, console)
    log.note(
        f"ended with status {record.status}: {snapshot.read} inputs read, {snapshot.done} done, "
        f"{snapshot.tx} packets sent, {snapshot.rx} received, {snapshot.drops} dropped"
    )
    console.look_at_log()
    record.status = _with_losses(record.status, console)
    record.snapshot = console.snapshot(time.monotonic(), wall)
    if trouble := record.write(wall, time.clock_gettime(time.CLOCK_BOOTTIME)):
        console.miss("metadata", trouble)
        console.look_at_log()
    status = _with_losses(record.status, console)
    return FAILED if status is None else status


def _with_losses(status: int | None, console: Console) -> int | None:
    """The exit status, which is LOST in place of OK where results, or a file beside them, were lost."""
    return LOST if status == OK and (console.results_lost or console.not_whole) else status
