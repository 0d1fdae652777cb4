"""Everything that shows or steers a running scan, as one object for the coordinator's loop.

The loop calls `tick` whenever it wakes (and when the time of `wait` is over) and gets back the commands of
people and scripts. Nothing here waits, and nothing here can end the scan: a terminal that is gone, a full
disk under the status file or a broken scrape is at most a warning.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from coordinator.console.statusfile import StatusFile
from coordinator.dashboard.terminal import abilities, columns, wanted
from coordinator.endpoints.control import ControlServer
from coordinator.endpoints.ctlcommands import Change, Command
from coordinator.endpoints.named import ControlError
from coordinator.endpoints.prometheus import MetricsServer
from coordinator.files import patient, readiness
from coordinator.files.opening import Interrupted, WhileWaiting, is_deleted, is_regular, open_written
from coordinator.monitor import autoscale, status
from coordinator.monitor.findings import on_terminal
from coordinator.monitor.log import ERROR, Log
from coordinator.monitor.meter import Meter
from coordinator.monitor.snapshot import Phase, Snapshot, Totals
from lzr import safetext
from lzr.errors import UsageError
from lzr.options.handshakes import shown

if TYPE_CHECKING:
    from coordinator.dashboard.dashboard import Dashboard
    from lzr.options.table import Options

FRAME = 0.25
"""Seconds between pictures of the dashboard. A judgement: quick enough for the eye to follow; a picture costs
about a millisecond."""

_FRESH_ENOUGH = 0.5
"""Seconds; how old the figures may be that the metrics port serves. A judgement."""
_GROWING = ("egress", "unroutable", "neighbours", "drops", "answers", "messages")
"""Alerts that contain a growing count: only the first is logged."""
FRESH = 60.0
"""Seconds for which a note is shown among the dashboard's warnings; the summary at the end lists all
notes."""


class About(Struct, frozen=True):
    """What the dashboard's header says. title: what is scanned how, empty for the handshakes' names. cores:
    that may be used. guard_missing: our kernel's RSTs are not dropped.
    """

    title: str = ""
    cores: int = 1
    guard_missing: bool = False


_UNTOLD = About()


class Console:
    """Dashboard or status line, status file, metrics, control socket, automatic worker counts.

    totals: the coordinator's own figures, kept up to date by its `Upkeep`.
    meter: where the processes' reports go (`feed`, `launched`, `restarted`, `removed`, `mark`).
    invoker: user and group that files made here belong to.
    typed: the input is typed on the terminal that the dashboard would be on.
    pause: waits so many seconds, returns whether the user wants to end.
    """

    def __init__(
        self,
        options: Options,
        now: float,
        *,
        results_on_stdout: bool,
        invoker: tuple[int, int] | None = None,
        log: Log | None = None,
        typed: bool = False,
        about: About = _UNTOLD,
        pause: Callable[[float], bool] = lambda _: False,
    ) -> None:
        self.options = options
        self.log = Log(options.verbosity) if log is None else log
        self.totals = Totals(
            total=options.targets_total,
            packet_limit=options.max_rate,
            bit_limit=options.bandwidth,
            auto_workers=options.auto_workers,
            sweep=bool(options.target_ports),
            title=about.title or shown(options.handshakes),
            cores=about.cores,
            guard_missing=about.guard_missing,
        )
        self.meter = Meter(now)
        self._cpu_before = time.process_time_ns()  # of starting, which is no load of the scan
        self._notes: deque[tuple[float, str]] = deque(maxlen=20)
        self._now = now
        self._invoker = invoker
        self._typed = typed
        self._pause = pause
        self._results: tuple[str, int] | None = None
        self.not_whole: dict[str, str] = {}
        """Of files beside the results that were asked for and do not hold all: sentences, by what it is."""
        self._summed_up = False
        self._shows = wanted(options.dashboard, results_on_stdout) and not (options.debug or options.quiet)
        self.findings = on_terminal(options, live=not self._shows)
        self._dashboard: Dashboard | None = None
        self._control: ControlServer | None = None
        self._metrics: MetricsServer | None = None
        self._status_file: StatusFile | None = None
        self._autoscale = autoscale.Observed()
        self._next_frame = now
        self._next_second = now + 1
        self._snapshot = Snapshot(now=now, started=now)

    def open(
        self, announce: Callable[[], None] = lambda: None, results: tuple[str, int] | None = None
    ) -> None:
        """Make sockets and files, then take over the terminal. Raises UsageError.

        announce: prints what is left to say, when nothing can fail any more. results: name and descriptor of
        the result file, None where it is no regular file.
        """
        self._results = results
        try:
            self._open(self.options, announce)
        except BaseException:
            self.abandon()
            raise

    def _open(self, options: Options, announce: Callable[[], None]) -> None:
        if options.metrics_port is not None:
            try:
                self._metrics = MetricsServer(options.metrics_port, options.metrics_address)
            except OSError as error:
                raise UsageError(error.strerror or str(error)) from error
        try:
            self._control = ControlServer(options.control_socket, self._invoker)
        except ControlError as error:
            if options.control_socket:
                raise UsageError(str(error)) from error
            self.note(f"no control socket, lzr ctl will not work: {error}")
        if options.status_updates_file:
            waiting = WhileWaiting(self._pause, self.log.info)
            self._status_file = StatusFile(options.status_updates_file, self._invoker, waiting, self.miss)
        announce()
        if self._shows:
            from coordinator.dashboard.dashboard import Dashboard  # rich, only now

            self._dashboard = Dashboard(typed=self._typed)
            self._dashboard.start(sys.stderr)
            self.log.screen_taken = True
            if self._typed:
                self.note("targets are read from this terminal, below; Ctrl-D ends them")

    @property
    def results_lost(self) -> bool:
        """Whether an alert said that results are missing or wrong."""
        return self.totals.results_lost

    @property
    def report_every(self) -> float:
        """Seconds between reports of the other processes, so that what is shown is recent enough."""
        return FRAME if self._shows else 2 * FRAME

    def filenos(self) -> list[int]:
        """Descriptors that become readable when `tick` has something to do."""
        return [server.fileno() for server in (self._control, self._metrics) if server is not None]

    def wait(self, now: float) -> float:
        """Seconds until `tick` must be called."""
        due = min(self._next_frame, self._next_second) if self._dashboard else self._next_second
        return max(0.0, due - now)

    def note(self, sentence: str) -> None:
        """Tell the user something: in the log, and on the dashboard among the warnings."""
        self.log.warn(sentence)
        if self._dashboard is not None:
            self._notes.append((self._now, sentence))

    def alert(self, kind: str, sentence: str, *, lost: bool) -> None:
        """Show a warning that stays to the end, in the log and wherever warnings are shown.

        kind: its subject; a later alert of the same kind replaces it. lost: results are missing or wrong
        because of it, so the scan ends with a status of its own.
        """
        again = kind in _GROWING and kind in self.totals.alerts  # the last figure is in the summary
        if not again:
            (self.log.error if lost else self.log.warn)(sentence)
        self.totals.alerts[kind] = sentence
        self.totals.results_lost |= lost

    def withdraw(self, kind: str) -> None:
        """Show the warning of this kind no more: what it said has passed."""
        self.totals.alerts.pop(kind, None)

    def miss(self, what: str, sentence: str) -> None:
        """Say that a file beside the results (a log, a trace, metadata) does not hold all: no result is lost,
        but the scan ends with a status that tells. what: which file; only the first sentence counts.
        """
        if not sentence or what in self.not_whole:
            return
        self.not_whole[what] = self.totals.alerts[what] = sentence
        on_stderr = self.log.file is None and self.log.verbosity >= ERROR and not self.log.screen_taken
        if not (on_stderr and sentence == self.log.trouble):  # which has been said there
            self.log.error(sentence)
        if not on_stderr and (self._summed_up or self.options.quiet):  # in no summary
            _print(f"lzr: {sentence}")

    def look_at_log(self) -> None:
        """Say if the log does not hold all that was written to it."""
        self.miss("log", self.log.trouble)

    def acknowledge(self, sentence: str) -> None:
        """Answer a signal, where the dashboard does not show that it was received."""
        if self._dashboard is None and not self.options.quiet:
            _print(f"lzr: {sentence}")

    def _fresh_notes(self, now: float) -> list[str]:
        return [sentence for when, sentence in self._notes if now - when < FRESH]

    def tick(self, now: float, wall: float, *, touched: bool = True) -> list[Command]:
        """Show what is due, answer clients; returns the commands received, in order.

        touched: whether one of `filenos` may have become readable.
        """
        found: list[Command] = []
        self._now = now
        if self.findings is not None:
            self.findings.flush()
        second = now >= self._next_second
        frame = self._dashboard is not None and now >= self._next_frame
        if not (second or frame or touched):
            return found
        self.totals.warnings = self._fresh_notes(now)
        if second or frame:
            self.meter.feed(now, self._own_report())
            self._snapshot = self.meter.snapshot(now, self.totals, wall)
        found += self._serve(now, wall, late=second)
        if frame and self._dashboard is not None:
            if self._typed and self.totals.input_ended:
                self._typed = False
                self._dashboard.take_keys()
            self._next_frame = now + FRAME
            found += self._dashboard.commands()
            self._dashboard.update(self._snapshot)
        if second:
            self._next_second += max(1, int(now - self._next_second) + 1)
            found += self._each_second(self._snapshot)
        return found

    def _serve(self, now: float, wall: float, *, late: bool) -> list[Command]:
        """Answer clients with the current figures. late: also look for clients that send nothing, to time
        them out.
        """
        servers: list[ControlServer | MetricsServer]
        servers = [server for server in (self._control, self._metrics) if server is not None]
        asked = readiness.readable(servers, 0)
        if not asked and not late:
            return []
        # Anybody may ask for metrics, as often as he likes: the figures are not quite of this moment.
        if now - self._snapshot.now > (0.0 if self._control in asked else _FRESH_ENOUGH):
            self._snapshot = self.meter.snapshot(now, self.totals, wall)
        for server in servers:
            server.publish(self._snapshot)
        if self._metrics is not None:
            self._metrics.handle(now)
        return self._control.handle(now) if self._control is not None else []

    def _own_report(self) -> dict[str, Any]:
        used = time.process_time_ns() - self._cpu_before
        report = {"role": "coordinator", "pid": os.getpid(), "cpu_ns": used}
        return report | ({"busy_ns": self.totals.busy_ns} if self.totals.busy_ns else {})

    def snapshot(self, now: float, wall: float) -> Snapshot:
        """The state of the scan now."""
        return self.meter.snapshot(now, self.totals, wall)

    def suspend(self) -> None:
        """Before the process stops itself on SIGTSTP."""
        if self._dashboard is not None:
            self._dashboard.suspend()

    def resume(self) -> None:
        """After SIGCONT."""
        if self._dashboard is not None:
            self._dashboard.resume()

    def close(
        self,
        now: float,
        wall: float,
        tail: Sequence[str] = (),
        results: Sequence[str] = (),
        where: str = "",
    ) -> None:
        """Restore the terminal and print the summary on stderr.

        tail: lines after the table. results: lines that say where the results are; where: the file.
        """
        self._look_at_results()
        self.look_at_log()
        self.totals.phase = Phase.DONE
        self.totals.warnings = [sentence for _, sentence in self._notes]
        if self._status_file is not None:
            self._status_file.write(self.meter.snapshot(now, self.totals, wall))
            self._status_file.close()
        if self.options.dashboard_file:
            self._save_frame(self.options.dashboard_file, self.meter.snapshot(now, self.totals, wall))
        snapshot = self.meter.snapshot(now, self.totals, wall)
        unicode = sys.stderr.isatty() and abilities(sys.stderr).unicode
        width = 10_000 if self.options.quiet else columns(sys.stderr)  # lines are picked: none is wrapped
        text = status.summary(snapshot, tail, results, unicode=unicode, width=width)
        if self.options.quiet:  # that something was lost is an error, and said
            text = "".join(line for line in text.splitlines(True) if "DISAGREE" in line)
        self.abandon()
        self._summed_up = True
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write(safetext.lines(text))
            sys.stderr.flush()
        if self.findings is not None:
            self.findings.close(where)

    def abandon(self) -> None:
        """Close everything without a summary: the scan ends with an error. May be called twice."""
        dashboard, self._dashboard = self._dashboard, None
        if dashboard is not None:
            dashboard.stop()
            self.log.screen_taken = False
        for server in (self._control, self._metrics):
            if server is not None:
                server.close()
        self._control = self._metrics = None
        if self._status_file is not None:
            self._status_file.close()

    def _look_at_results(self) -> None:
        """Warn once if the result file has been deleted: what it holds is lost at the end."""
        name, descriptor = self._results or ("", -1)
        if descriptor < 0:
            return
        with contextlib.suppress(OSError):
            if is_deleted(descriptor, name):
                self._results = None
                self.alert(
                    "result file",
                    f"{name} was deleted while it is written: what it holds is lost when this scan ends; "
                    f"until then cp /proc/{os.getpid()}/fd/{descriptor} saves it",
                    lost=True,
                )

    def _each_second(self, snapshot: Snapshot) -> list[Command]:
        self._look_at_results()
        if self._status_file is not None:
            self._status_file.write(snapshot)
        if self._dashboard is None and not self.options.quiet:
            _print(status.line(snapshot))
        if self.log.file is not None:
            self.log.trace(status.line(snapshot))
        if not self.totals.auto_workers:
            return []
        self._autoscale, advice = autoscale.step(self._autoscale, snapshot)
        if advice is None:
            return []
        self.note(f"workers: {advice.reason}")
        changes = {"flow": Change(advice.flow), "collect": Change(advice.collect)}
        return [Command("workers", workers=changes)]

    def _save_frame(self, path: str, snapshot: Snapshot) -> None:
        from coordinator.dashboard.dashboard import export, export_kind

        try:
            descriptor = open_written(path, self._invoker, append=False, waiting=WhileWaiting(lambda _: True))
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                text = export(snapshot, export_kind(path))
                if is_regular(descriptor):
                    file.truncate(0)
                    file.write(text)
                else:
                    patient.write_whole(descriptor, text.encode())
        except Interrupted:
            self.miss("picture", f"cannot write {safetext.line(path)}: nobody reads that FIFO")
        except (OSError, ValueError, UsageError) as error:
            why = getattr(error, "strerror", "") or error
            self.miss("picture", f"cannot write {safetext.line(path)}: {why}")


def _print(line: str) -> None:
    with contextlib.suppress(OSError, ValueError):
        print(safetext.line(line), file=sys.stderr, flush=True)
