"""Puts together the parts of a running scan: each is given here what it needs of the others."""

from __future__ import annotations

import time
from functools import partial

from msgspec import Struct

from coordinator.checkpoint.checkpoint import Checkpoint
from coordinator.console.alerts import Alerts
from coordinator.console.console import Console
from coordinator.guard.watch import GuardWatch
from coordinator.input.intake import Intake
from coordinator.monitor.snapshot import Totals
from coordinator.processes.pool import Pool
from coordinator.processes.supervisor import Supervisor
from coordinator.scan import runningsweep
from coordinator.scan.accounts import Accounts, Acknowledgements
from coordinator.scan.blocks import Blocks, of_plain
from coordinator.scan.feeder import Feeder
from coordinator.scan.prepare import Prepared
from coordinator.scan.reading import InputReading
from coordinator.scan.runningsweep import LONG_STRIDE, STRIDE, RunningSweep
from coordinator.setup.egress import RoutesInUse
from lzr.ipc.schema import Message
from lzr.pacing import maxrate
from lzr.pacing.pacer import Pacer
from lzr.pacing.tokenbucket import DEPTH
from lzr.sweep.scheduler import Scheduler


class ScanState(Struct):
    """What the loop has decided, by itself or because somebody asked for it. `Upkeep` has it shown."""

    begun: bool = False  # the first workers and collectors were asked for
    paused: bool = False  # no input is read, nothing new is begun
    draining: bool = False  # no more is begun, as somebody asked for that
    cut_short: bool = False  # it ends before its input does
    ending: str = ""  # why it ended, where it was not done
    busy_ns: int = 0  # time for which the loop did not wait


class Parts(Struct, frozen=True):
    """The parts of a running scan. sweeping: None unless address space is swept. checkpoint: None without
    --checkpoint.
    """

    ready: Prepared
    console: Console
    state: ScanState
    totals: Totals
    pool: Pool
    intake: Intake
    checkpoint: Checkpoint | None
    routes: RoutesInUse
    accounts: Accounts
    supervisor: Supervisor
    acknowledgements: Acknowledgements
    pacer: Pacer
    reading: InputReading
    feeder: Feeder
    sweeping: RunningSweep | None
    blocks: Blocks
    alerts: Alerts


def assemble(ready: Prepared, guarded: GuardWatch) -> Parts:
    """Make the parts from what is prepared; no process is started yet."""
    opened, begun, job, console = ready.opened, ready.begun, ready.job, ready.console
    options, checkpoint, routes = job.options, opened.checkpoint, ready.egress.routes
    totals = console.totals
    accounts = Accounts(
        begun.ledger,
        begun.intake,
        opened.outputs,
        totals,
        checkpoint=checkpoint,
        findings=console.findings,
        max_results=options.max_results,
        handshakes=options.handshakes,
    )
    blocks = _blocks(ready)
    supervisor = _supervisor(ready, blocks)
    rate = options.rate if options.send_syns or options.reopen else None
    pacer = Pacer(rate, time.monotonic(), DEPTH if opened.sweep is None else runningsweep.DEPTH)
    reading = InputReading(
        begun.intake,
        opened.text if begun.more else None,
        zmap_waits=not options.send_syns,
        note=console.note,
    )
    feeder = Feeder(
        begun.intake,
        ready.sources,
        pacer,
        routes.routing,
        accounts,
        shard_key=job.secrets.shard,
        shards=job.shards,
    )
    return Parts(
        ready=ready,
        console=console,
        state=ScanState(),
        totals=totals,
        pool=opened.pool,
        intake=begun.intake,
        checkpoint=checkpoint,
        routes=routes,
        accounts=accounts,
        supervisor=supervisor,
        acknowledgements=Acknowledgements(opened.pool),
        pacer=pacer,
        reading=reading,
        feeder=feeder,
        sweeping=_sweeping(ready, feeder, accounts),
        blocks=blocks,
        alerts=Alerts(console, guarded, routes.routing, begun.intake.fates),
    )


def _supervisor(ready: Prepared, blocks: Blocks) -> Supervisor:
    opened, console = ready.opened, ready.console
    return Supervisor(
        opened.pool,
        ready.job.shards,
        ready.begun.ledger,
        opened.outputs.for_collector,
        partial(_first_orders, ready, blocks),
        console.meter,
        console.note,
        console.log.debug,
    )


def _first_orders(ready: Prepared, blocks: Blocks) -> list[Message]:
    """What a new flow worker is told before anything else."""
    orders: list[Message] = [ready.egress.routes.order()]
    sweep = ready.opened.sweep
    if sweep is not None:
        orders.append(runningsweep.order(sweep.share, sweep.key, ready.sources.addresses))
    if blocks:
        orders.append(blocks.order())
    return orders


def _blocks(ready: Prepared) -> Blocks:
    """The orders to block; those that hold from the beginning are in force in the intake already."""
    blocks = Blocks(of_plain(ready.opened.blocks))
    if blocks:
        ready.begun.intake.block(blocks.ranges)
    return blocks


def _sweeping(ready: Prepared, feeder: Feeder, accounts: Accounts) -> RunningSweep | None:
    """The sweep, if this is one."""
    sweep, options, begun = ready.opened.sweep, ready.job.options, ready.begun
    if sweep is None:
        return None
    checkpoint = ready.opened.checkpoint
    done = None if checkpoint is None else checkpoint.done
    scheduler = Scheduler(
        sweep.total,
        cooldown=options.cooldown,
        probes=options.probes,
        begin=begun.low,
        done=None if done is None else done.among,
    )
    found = RunningSweep(
        sweep.share,
        scheduler,
        ledger=begun.ledger,
        feeder=feeder,
        accounts=accounts,
        routes=ready.egress.routes,
        shards=ready.job.shards,
        longest_stride=LONG_STRIDE if checkpoint is None else STRIDE,
    )
    found.limit = maxrate.syns(options.max_rate, options.bandwidth)
    if checkpoint is not None and checkpoint.resumed is not None:
        found.ackfirewalls.recall(checkpoint.resumed.hosts(options))
    return found
