"""Everything that watches, behind the one object the loop has."""

from __future__ import annotations

import csv
import fcntl
import json
import os
import re
import resource
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from coordinator.console.console import Console
from coordinator.endpoints import control
from coordinator.endpoints.prometheus import exposition
from coordinator.monitor.log import WARN, Log, open_log
from coordinator.monitor.snapshot import Phase
from lzr.errors import UsageError
from lzr.options.table import Options
from tests import ROOT
from tests.dashboard_driver import Scan


@pytest.fixture(autouse=True)
def _place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "run").mkdir(mode=0o700)
    monkeypatch.setattr(control, "directories", lambda: [tmp_path / "run"])


def make_console(**options: object) -> Console:
    made = Console(Options(**options), 100.0, results_on_stdout=False)  # type: ignore[arg-type]
    made.open()
    return made


@pytest.fixture
def plain() -> Iterator[Console]:
    made = make_console()
    yield made
    made.abandon()


def test_a_line_a_second_on_stderr(plain: Console, capsys: pytest.CaptureFixture[str]) -> None:
    plain.totals.read = 1234
    for quarter in range(4 * 5 + 1):
        assert plain.tick(100 + quarter / 4, 0.0) == []
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(" ")[0] for line in lines] == ["0:01", "0:02", "0:03", "0:04", "0:05"]
    assert "read: 1234 " in lines[-1]
    assert plain.wait(105.25) == pytest.approx(0.75)


def test_what_starting_has_cost_is_no_load(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first picture named a coordinator that was busy to 353 %, and how to relieve it."""
    used = iter((4 * 10**9, 41 * 10**8))
    monkeypatch.setattr("time.process_time_ns", lambda: next(used))
    made = make_console()
    made.tick(101.0, 0.0)
    assert made.snapshot(101.0, 0.0).coordinator.cpu == pytest.approx(0.1)
    made.abandon()


def test_a_late_loop_prints_one_line_not_many(plain: Console, capsys: pytest.CaptureFixture[str]) -> None:
    plain.tick(110.3, 0.0)
    plain.tick(110.9, 0.0)
    plain.tick(111.0, 0.0)
    assert [line.split(" ")[0] for line in capsys.readouterr().err.splitlines()] == ["0:10", "0:11"]


def test_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    quiet = make_console(quiet=True)
    quiet.tick(101, 0.0)
    assert capsys.readouterr().err == ""
    quiet.totals.done = quiet.totals.read = 5
    quiet.close(102, 0.0, ['{"TotalResponses":5}'])
    assert capsys.readouterr().err == ""


def test_quiet_is_silent_about_all_but_errors(capsys: pytest.CaptureFixture[str]) -> None:
    with open_log(Options(quiet=True)) as log:
        log.info("what is scanned how")
        log.warn("what the user should know")
        assert capsys.readouterr().err == ""
        log.error("what went wrong")
        assert "what went wrong" in capsys.readouterr().err
    with open_log(Options(quiet=True, verbosity=2)) as log:
        log.warn("asked for by its number")
        assert "asked for" in capsys.readouterr().err
    quiet = make_console(quiet=True)
    quiet.totals.read = 5
    quiet.close(102, 0.0)
    text = capsys.readouterr().err
    assert "DISAGREE" in text, "inputs without a fate are an error of ours"
    assert text.count("\n") == 1


def test_commands_come_in_by_the_control_socket(plain: Console, tmp_path: Path) -> None:
    plain.totals.phase, plain.totals.shards = Phase.RUNNING, 8
    plain.tick(101, 0.0)
    (path,) = (tmp_path / "run").glob("*.sock")
    assert path.stem == str(os.getpid())
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(60)
        sock.connect(str(path))
        sock.sendall(b"workers flow=4\n")
        asked = []
        for _ in range(3):  # accept, read
            asked += plain.tick(101.1, 0.0)
        assert sock.recv(1000).startswith(b"ok workers flow=4")
    assert [command.wanted(2, 1) for command in asked] == [(4, 1)]
    plain.abandon()
    assert not path.exists()


def test_the_status_file_and_the_frame(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, frame = tmp_path / "status.csv", tmp_path / "frame.svg"
    made = make_console(status_updates_file=str(status), dashboard_file=str(frame), quiet=True)
    for second in range(1, 4):
        made.totals.read = second
        made.tick(100 + second, 1_700_000_000 + second)
    made.close(104, 1_700_000_004)
    rows = list(csv.DictReader(status.read_text().splitlines()))
    assert [row["read-total"] for row in rows] == ["1", "2", "3", "3"]
    assert rows[0]["real-time"] == "2023-11-14 22:13:21"
    assert status.stat().st_mode & 0o777 == 0o644
    assert frame.read_text().startswith("<svg")
    capsys.readouterr()


def test_a_full_disk_under_the_status_file_is_said_once_and_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UsageError, match="cannot write /dev/full: No space left on device"):
        make_console(status_updates_file="/dev/full")
    path = tmp_path / "status.csv"
    made = make_console(status_updates_file=str(path), quiet=True)
    capsys.readouterr()
    most = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 5, most[1]))
    try:
        made.tick(101, 0.0)
        made.tick(102, 0.0)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, most)
        signal.signal(signal.SIGXFSZ, before)
    assert capsys.readouterr().err.count(" any more: File too large") == 1
    assert (list(made.not_whole), made.totals.results_lost) == (["status updates"], False)
    made.abandon()


def test_a_status_file_that_is_deleted_and_one_whose_reader_sleeps(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = make_console(status_updates_file=str(tmp_path / "status.csv"), quiet=True)
    (tmp_path / "status.csv").unlink()
    made.close(101, 0.0)
    assert " does not hold every status: it was deleted" in capsys.readouterr().err
    assert list(made.not_whole) == ["status updates"]
    os.mkfifo(tmp_path / "fifo")
    reader = os.open(tmp_path / "fifo", os.O_RDONLY | os.O_NONBLOCK)
    made = make_console(status_updates_file=str(tmp_path / "fifo"), quiet=True)
    os.set_blocking(reader, True)
    os.read(reader, 1)
    fcntl.fcntl(reader, 1031, 4096)  # F_SETPIPE_SZ: a page, which is soon full
    for second in range(1, 60):
        made.tick(100 + second, 0.0)
    made.close(200, 0.0)
    said = capsys.readouterr().err
    assert "lines found no room, since its reader was behind" in said
    assert list(made.not_whole) == ["status updates"]
    os.close(reader)


def test_a_status_file_of_our_parent_that_never_had_a_name_is_whole() -> None:
    with tempfile.TemporaryFile() as file:
        made = make_console(status_updates_file=f"/proc/self/fd/{file.fileno()}", quiet=True)
        made.close(101, 0.0)
        assert made.not_whole == {}


def test_a_file_that_is_not_whole_after_the_summary_is_said_although_there_is_a_log(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with (tmp_path / "log").open("w", buffering=1) as file:
        log = Log(WARN, file, str(tmp_path / "log"))
        made = Console(Options(), 100.0, results_on_stdout=False, log=log)
        made.open()
        made.close(101, 0.0)
        capsys.readouterr()
        made.miss("metadata", "cannot write meta: why")
        assert capsys.readouterr().err == "lzr: cannot write meta: why\n"
        assert "[ERROR] lzr: cannot write meta: why" in (tmp_path / "log").read_text()
        (tmp_path / "log").unlink()
        made.look_at_log()
        assert " is not whole: it was deleted while it was written" in capsys.readouterr().err


def test_what_cannot_be_is_the_users_mistake() -> None:
    with pytest.raises(UsageError, match="cannot write /nowhere"):
        make_console(status_updates_file="/nowhere/status.csv")
    with pytest.raises(UsageError, match="control socket"):
        make_console(control_socket="/nowhere/lzr.sock")
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(UsageError, match="for metrics"):
        make_console(metrics_port=taken.getsockname()[1])


def test_automatic_workers_ask_by_the_same_command(capsys: pytest.CaptureFixture[str]) -> None:
    made = make_console(auto_workers=True, quiet=True)
    totals = made.totals
    totals.phase, totals.shards, totals.cores, totals.wanted_flow = Phase.RUNNING, 8, 8, 1
    asked = []
    for t in range(101, 115):
        busy = {"role": "flow", "index": 0, "pid": 7, "busy_ns": int((t - 100) * 1e9)}
        made.meter.feed(t, busy)
        made.meter.feed(t, {"role": "collect", "index": 0, "pid": 8, "busy_ns": 0})
        asked += made.tick(t, 0.0)
    assert [command.wanted(1, 1) for command in asked][:1] == [(2, 1)]
    assert "flow=2, collect=1" in capsys.readouterr().err
    made.abandon()


def test_without_a_dashboard_rich_is_not_imported() -> None:
    import subprocess

    loads = "any(m.split('.')[0] == 'rich' for m in sys.modules)"
    script = f"import sys, coordinator.console.console; sys.exit({loads})"
    assert subprocess.run([sys.executable, "-c", script], check=False, timeout=60).returncode == 0


def test_the_ledger_has_room_for_fates_of_other_kinds(capsys: pytest.CaptureFixture[str]) -> None:
    made = make_console()
    made.totals.read, made.totals.done, made.totals.other = (
        9,
        5,
        {"unroutable": 3, "resumed": 1, "surplus": 0},
    )
    made.close(101, 0.0)
    assert "9 read = 5 recorded + 3 unroutable + 1 resumed (agree)" in capsys.readouterr().err


def test_the_grafana_board_asks_for_metrics_that_exist() -> None:
    board = json.loads((ROOT / "etc/grafana-lzr.json").read_text())
    asked = set(re.findall(r"\blzr_[a-z_]+", json.dumps(board)))
    exposed = set(re.findall(r"^# TYPE (\S+)", exposition(Scan().at(5.0)), re.MULTILINE))
    assert asked
    assert asked <= exposed
    identifiers = [panel["id"] for panel in board["panels"]]
    assert len(identifiers) == len(set(identifiers))


def test_a_note_fades_and_is_there_at_the_end(
    plain: Console, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Screen:
        def update(self, _: object) -> None: ...
        def commands(self) -> list[object]:
            return []

        def stop(self) -> None: ...

    monkeypatch.setattr(plain, "_dashboard", Screen())
    plain.tick(101, 0.0)
    plain.note("flow-0.1 ended")
    plain.tick(102, 0.0)
    assert plain._snapshot.warnings == ("flow-0.1 ended",)
    plain.tick(170, 0.0)
    assert plain._snapshot.warnings == ()
    plain.close(180, 0.0)
    assert "warning: flow-0.1 ended" in capsys.readouterr().err
