"""Whole scans from an installation that only root can read: what children need is loaded before root is gone.

Where the kernel has Landlock, every file is closed to them besides, so the other end-to-end tests prove the
same; here is what must hold where there is none, or where it is not switched on.
"""

from __future__ import annotations

import ipaddress
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests import faults
from tests.faults import Victim, lines_in, once_each, read
from tests.host_net import ROOT
from tests.lab import scan as scanning
from tests.lab.net import run, wait_for
from tests.lab.responder import FIRST, PORT, SCANNER, SCANNER6, Range, expected, letter_of
from tests.lab.scan import Scan, scan
from tests.private import Installation
from tests.system.test_e2e_responder import assert_right, services
from tests.system.test_faults_processes import LIVELY, right, wanted

pytestmark = pytest.mark.root

QUICK = ("-rt", "0.3", "-t", "2", "-c", "2")
PATIENT = ("-rt", "1.5", "-t", "6", "-c", "2")
"""Where what is found is judged: a process that is held up for five seconds still answers in time."""
ELSEWHERE = {"TZ": "Asia/Kathmandu", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": "cp1252"}
"""Another time zone, locale and encoding."""
NEVER_WELL = re.compile(r"Traceback|ended unasked|was not loaded|Permission denied|failed; its story")


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """A directory that anybody may enter, for directories that only root may."""
    made = Path(tempfile.mkdtemp(prefix="lzr-private-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


@pytest.fixture(scope="module")
def installed(place: Path) -> Installation:
    """As it is, Landlock and all."""
    return Installation(place / "p")


@pytest.fixture(scope="module")
def unlocked(place: Path) -> Installation:
    """As on a kernel without Landlock: only the directory's mode keeps the children out."""
    made = Installation(place / "q")
    made.change("workers/confinement.py", "def version() -> int:", "def version() -> int:\n    return 0\n")
    return made


@pytest.fixture(params=["landlock", "modes"])
def either(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Installation:
    """Both, and `lzr` in the lab is the one."""
    installation: Installation = request.getfixturevalue(
        "installed" if request.param == "landlock" else "unlocked"
    )
    use(installation, monkeypatch)
    return installation


@pytest.fixture
def private(installed: Installation, monkeypatch: pytest.MonkeyPatch) -> Installation:
    """`lzr` in the lab is the one as it is."""
    use(installed, monkeypatch)
    return installed


def use(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scanning, "LZR", installation.lzr)
    monkeypatch.setattr(faults, "LZR", installation.lzr)


def well(found: Scan) -> None:
    assert not NEVER_WELL.search(found.stderr), found.stderr[-3000:]
    assert found.returncode == 0, found.stderr[-3000:]
    assert "(agree)" in found.stderr


def test_it_is_closed_to_the_workers_user(installed: Installation) -> None:
    """What the scans below have to do without."""
    asked = (installed.lzr, installed.packages / "zmq" / "utils" / "garbage.py")
    for path in asked:
        assert path.exists()
        refused = subprocess.run(["cat", path], user=65534, group=65534, capture_output=True, check=False)
        assert b"Permission denied" in refused.stderr
    which = "import coordinator, lzr, workers, numpy; print(lzr.__path__, numpy.__file__)"
    said = run(installed.venv / "bin" / "python", "-P", "-c", which, cwd=installed.directory).stdout
    assert said.count(str(installed.packages)) == 2
    assert str(ROOT) not in said


def test_large_batches(arena: Range, either: Installation) -> None:
    """20,000 at 20,000 a second: messages above the size from which ZeroMQ does not copy them."""
    count = 20_000
    arena.respond(first=FIRST, count=count, port=PORT, source=SCANNER)
    found = scan(arena.scanner, "-sendSYNs", "-rate", "20000", *PATIENT, lines=services(count))
    well(found)
    assert_right(found, count)


@pytest.mark.parametrize(
    ("options", "handshakes"),
    [
        (("-haf", "3", "-d", "-cpuprofile", "profile"), ("http",)),
        (("-forceAllHandshakes", "-O", "csv"), ("http", "tls", "ssh")),
        (("--output-filter", "fingerprint = http && ttl > 0", "-feedZGrab"), ("wait", "http")),
    ],
    ids=["haf, debug and profile", "all handshakes and CSV", "filter and feed"],
)
def test_what_else_is_done_in_a_child(
    arena: Range, private: Installation, options: Sequence[str], handshakes: Sequence[str]
) -> None:
    count = 1000
    arena.respond(first=FIRST, count=count, port=PORT, source=SCANNER, classes=LIVELY)
    words = ("-sendSYNs", "-rate", "20000", "-handshakes", ",".join(handshakes), *options, *PATIENT)
    directory = arena.lab.directory
    (directory / "in").write_text("".join(services(count)))
    with (directory / "in").open() as stdin:
        target = directory / "out"
        done = arena.scanner.run(
            *(private.lzr, "--no-dashboard", *words, "-f", target),
            stdin=stdin,
            cwd=directory,
            check=False,
            timeout=120,
        )
    well(Scan(done.returncode, [], done.stderr))
    assert lines_in(target) > 100
    if "-d" in options:
        assert done.stderr.count("10.64.0.1:") > 1
        profile = (directory / "profile").read_text()
        assert all(f"lzr:_{process};" in profile for process in ("coordinator", "flow_0", "collect_0"))


def test_ipv6(arena: Range, private: Installation) -> None:
    hosts = [str(ipaddress.IPv6Address("fd00:64::") + index) for index in range(256)]
    arena.respond()
    words = ("-sendSYNs", "-sourceIP", SCANNER6, *PATIENT)
    found = scan(arena.scanner, *words, lines=[f"[{host}]:{PORT}\n" for host in hosts])
    well(found)
    assert len(found.records) == len(hosts)
    assert not [w for r in found.records if (w := expected(letter_of(r["saddr"])).wrong(r))]


def test_a_live_change_of_worker_counts(arena: Range, private: Installation) -> None:
    count, share = 6000, 1200
    arena.respond(first=FIRST, count=count, port=PORT, source=SCANNER, classes=LIVELY)
    target = arena.lab.directory / "out"
    words = ("-sendSYNs", "-rate", "5000", "-w", "flow=1,collect=1", *PATIENT, "-f", target)
    victim = Victim(arena.scanner, *words, stdin=subprocess.PIPE)
    lines, done = services(count), 0
    assert victim.process.stdin is not None
    steer = (private.lzr, "ctl", "--socket", f"/run/lzr/{victim.pid}.sock", "--wait", "workers")
    for change in ("", "flow=3", "collect=2", "flow=1", "collect=1"):
        if change:
            run(*steer, change, timeout=120)
        victim.process.stdin.write("".join(lines[done : done + share]).encode())
        victim.process.stdin.flush()
        done += share
        wait_for(lambda wanted=done - share: lines_in(target) > wanted, "records of the last lines")
    victim.process.stdin.close()
    assert victim.wait(120) == 0, victim.said()[-3000:]
    assert not NEVER_WELL.search(victim.said()), victim.said()[-3000:]
    records = read(target)
    once_each(records, wanted(count))
    right(records)


def test_a_crash_is_told_with_its_lines_and_outlived(
    arena: Range, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The traceback of a worker quotes sources that it cannot read any more; a successor goes on."""
    crashing = Installation(place / "crashing")
    fault = '(self._name == "flow-0.1" and table.in_flight > 100) and table.no_such_thing  # to be seen'
    crashing.change(
        "workers/flow/worker.py",
        "        usage = resource.getrusage",
        f"        {fault}\n        usage = resource.getrusage",
    )
    use(crashing, monkeypatch)
    count = 4000
    arena.respond(first=FIRST, count=count, port=PORT, source=SCANNER, classes=LIVELY)
    found = scan(arena.scanner, "-sendSYNs", "-rate", "1000", *PATIENT, lines=services(count))
    assert found.returncode == 0, found.stderr[-3000:]
    assert_right(found, count, classes=LIVELY)
    story = found.stderr.partition("lzr: flow 0 failed; its story:\n")[2]
    assert story.startswith("Traceback (most recent call last)"), found.stderr[-3000:]
    assert f'File "{crashing.packages}/workers/flow/worker.py", line' in story
    assert f"    {fault}" in story
    assert "AttributeError: 'FlowTable' object has no attribute 'no_such_thing'" in story
    assert "ended unasked and were replaced: 1" in found.stderr


def test_directories_that_only_root_may_enter(arena: Range, private: Installation) -> None:
    """Called from one, with modules looked for in one, temporary files in one, which is long besides."""
    closed = arena.lab.directory / "closed"
    closed.mkdir(0o700)
    far = closed
    while len(str(far)) < 200:
        far /= "x" * 40
        far.mkdir(0o700)
    count = 1000
    arena.respond(first=FIRST, count=count, port=PORT, source=SCANNER, classes=LIVELY)
    (closed / "in").write_text("".join(services(count)))
    for name, runtime in (("its own", ""), ("as systemd says", str(far))):
        places = {"TMPDIR": str(far), "PYTHONPATH": str(closed), "RUNTIME_DIRECTORY": runtime}
        target = closed / name
        with (closed / "in").open() as stdin:
            done = arena.scanner.run(
                *(private.lzr, "--no-dashboard", "-sendSYNs", "-rate", "10000", *QUICK, "-f", target),
                stdin=stdin,
                env=os.environ | places | ELSEWHERE,
                cwd=far,
                check=False,
                timeout=120,
            )
        well(Scan(done.returncode, [], done.stderr))
        assert lines_in(target) == count
    assert list(far.iterdir()) == []
