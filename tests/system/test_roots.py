"""Roots of Debian packages, the daemons in them, and a bare Debian to try everything on."""

from __future__ import annotations

import hashlib
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import ROOT, fresh
from tests.lab import net, roots
from tests.lab.daemons import Daemon, Fleet
from tests.lab.health import failure
from tests.lab.net import Lab, LabError, namespaces, run

needs_root = pytest.mark.root
pytestmark = pytest.mark.timeout(600)  # what apt downloads may come slowly


def test_sources_are_the_hosts_own_mirrors() -> None:
    rows = [
        ["https://download.example.com/linux/debian/", "bookworm", "stable", "Docker"],
        ["https://repo.example.com/", "bookworm", "main", "MariaDB"],
        ["http://mirror.example.net/debian/", "bookworm", "main", "Debian"],
        ["http://mirror.example.net/debian/", "bookworm", "contrib", "Debian"],
        ["http://mirror.example.net/debian/", "bookworm-updates", "main", "Debian"],
        ["http://security.example.net/debian-security/", "bookworm-security", "main", "Debian-Security"],
    ]
    expected = [
        "deb http://mirror.example.net/debian SUITE main",
        "deb http://security.example.net/debian-security SUITE-security main",
        "deb http://mirror.example.net/debian SUITE-updates main",
    ]
    for suite in ("bookworm", "trixie"):
        assert roots.sources_from(rows, "bookworm", suite) == [
            line.replace("SUITE", suite) for line in expected
        ]


def test_sources_before_any_list_was_fetched_and_without_any() -> None:
    """apt knows no labels then; a bare root has one line only."""
    rows = [["http://mirror.example.net/debian/", "stable", "main"], ["file:/media/x/", "trixie", "main"]]
    assert roots.sources_from(rows, "trixie", "trixie") == [
        "deb http://mirror.example.net/debian trixie main"
    ]
    assert roots.sources_from([], "trixie", "bookworm") == [f"deb {roots.MIRROR} bookworm main"]


@pytest.mark.parametrize(
    ("label", "answer"),
    [
        ("ftp", b"500 OOPS: vsftpd: cannot locate user specified in 'ftp_username':ftp\r\n"),
        ("ftp", b"421 Too many connections\r\n"),
        ("smtp", b"554 lab.example.org not ready\r\n"),
        ("mysql", b"C\0\0\0\xffj\x04Host '10.1.0.2' is not allowed to connect to this MariaDB server"),
        ("imap", b"* BYE Disconnected for inactivity.\r\n"),
        ("pop3", b"-ERR [SYS/PERM] disabled\r\n"),
        ("ssh", b"Exceeded MaxStartups\r\n"),
        ("http", b"HTTP/1.1 500 Internal Server Error\r\n\r\n"),
        ("http", b"HTTP/1.1 403 Forbidden\r\n\r\n"),
        ("redis", b"-DENIED Redis is running in protected mode\r\n"),
        ("tls", b"\x15\x03\x03\0\x02\x02\x28"),
        ("dns", b"\0\x11]\x9f\x80\x82\0\1\0\0\0\0\0\0\0\0\2\0\1"),
        ("telnet", b"python3: can't open file '/lab/x': [Errno 2] No such file or directory\n"),
        ("cvs", b"Traceback (most recent call last):\n"),
    ],
)
def test_an_answer_that_tells_of_a_failure(label: str, answer: bytes) -> None:
    assert failure(label, answer, own=True)


@pytest.mark.parametrize(
    ("label", "answer"),
    [
        ("ftp", b"220 (vsFTPd 3.0.3)\r\n"),
        ("mysql", b"d\0\0\0\n5.5.5-10.11.19-MariaDB"),
        ("http", b"HTTP/1.1 400 Bad Request\r\n\r\n"),
        ("dns", b"\0\x11]\x9f\x80\x85\0\1\0\0\0\0\0\0\0\0\2\0\1"),
        ("telnet", b"\xff\xfb%\xff\xfb&"),
        ("postgres", b"N"),
        ("finger", b"Login: root\r\n"),
    ],
)
def test_an_answer_that_does_not(label: str, answer: bytes) -> None:
    assert not failure(label, answer, own=True)


def test_asked_in_other_words_a_working_server_may_refuse() -> None:
    assert not failure("redis", b"-ERR unknown command\r\n", own=False)
    assert not failure("memcached_ascii", b"ERROR\r\n", own=False)
    assert failure("ftp", b"500 what?\r\n", own=False)
    assert not failure("ftp", b"", own=True)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[roots.Root, bytes]]:
    """A root with one package that exists and one that does not, and what dpkg said of this host before."""
    before = host_packages()
    cache = Path("/var/tmp") / tmp_path_factory.mktemp("roots").name
    wanted = {"real": ("python3", "iproute2"), "invented": ("no-such-package-at-all",)}
    try:
        yield roots.root_with(wanted, cache / "lab"), before
    finally:
        shutil.rmtree(cache, ignore_errors=True)


def host_packages() -> bytes:
    return hashlib.sha256(Path("/var/lib/dpkg/status").read_bytes()).digest()


@needs_root
def test_packages_are_installed_into_the_root_and_not_here(small: tuple[roots.Root, bytes]) -> None:
    root, before = small
    assert (root.path / "usr/bin/python3").exists()
    assert list(root.trouble) == ["invented"]
    assert "no-such-package-at-all" in root.trouble["invented"]
    assert root.python.startswith("3.")
    assert host_packages() == before
    mounts = Path("/proc/mounts").read_text()
    assert str(root.path) not in mounts


@needs_root
def test_what_excludes_others_comes_as_a_layer_with_its_user(small: tuple[roots.Root, bytes]) -> None:
    root, before = small
    layer = root.apart(("vsftpd",))
    assert (layer / "usr/sbin/vsftpd").exists()
    assert not (root.path / "usr/sbin/vsftpd").exists()
    assert "\nftp:" in (layer / "etc/passwd").read_text()
    assert not list(layer.glob("etc/systemd/system/*/sshd*"))
    made = layer.stat().st_mtime_ns
    assert root.apart(("vsftpd",)) == layer
    assert layer.stat().st_mtime_ns == made
    with pytest.raises(LabError, match="no-such-package-at-all"):
        root.apart(("no-such-package-at-all",))
    assert not list(root.path.parent.glob("*.new"))
    assert host_packages() == before


@needs_root
def test_roots_in_use_are_not_removed(small: tuple[roots.Root, bytes], tmp_path: Path) -> None:
    root, _ = small
    assert roots.remove_unused(root.path.parent, days=-1) == []
    unused = tmp_path / "trixie-1-0"
    unused.mkdir()
    unused.with_name("trixie-1-0+vsftpd").mkdir()
    unused.with_name("trixie-1-0.lock").touch()
    assert roots.remove_unused(tmp_path, days=1) == []
    assert unused in roots.remove_unused(tmp_path, days=-1)
    assert [path.name for path in tmp_path.iterdir()] == ["trixie-1-0.lock"]


@needs_root
def test_one_that_cannot_start_is_named_and_the_others_run(lab: Lab, small: tuple[roots.Root, bytes]) -> None:
    root, _ = small
    long = "import sys\nfor n in range(400): print('line', n, file=sys.stderr)\n1 / 0\n"
    serve = "exec python3 -m http.server -b @ADDRESS@ @PORT@\n"
    space = lab.namespace("hosts")
    fleet = Fleet(lab, space, "127.0.0.1", root)
    broken = fleet.start(
        Daemon("broken", "http", "exec python3 /lab/x.py @PORT@\n", files={"/lab/x.py": long})
    )
    absent = fleet.start(Daemon("invented", "http", serve, packages=("no-such-package-at-all",)))
    alone = fleet.start(Daemon("alone", "http", serve, apart=("no-such-package-at-all",)))
    good = fleet.start(Daemon("good", "http", serve))
    assert fleet.await_all() == [broken, absent, alone]
    assert good.port in fleet.listening()
    assert not good.trouble
    for sign in ("status 1", "line 0\n", "Traceback (most recent call last)", "ZeroDivisionError"):
        assert sign in broken.trouble
    assert "no-such-package-at-all" in absent.trouble
    assert "no-such-package-at-all" in alone.trouble


@needs_root
def test_the_demo_goes_on_without_a_daemon_and_fails_in_the_end() -> None:
    """Two broken daemons: one ends with a traceback, one answers with a failure of its own."""
    script = (
        "import sys\nfrom dataclasses import replace\nfrom demo import internet\n"
        "boom = 'exec python3 -c \"import os; os.listdir(str(0) * 3)\"\\n'\n"
        "oops = 'exec python3 /lab/inetd.py @ADDRESS@ @PORT@ echo \"500 OOPS: cannot locate user\"\\n'\n"
        "for name, script in (('redis', boom), ('vsftpd', oops)):\n"
        "    internet.DAEMONS[name] = replace(internet.DAEMONS[name], script=script)\n"
        "from demo.__main__ import main\nsys.exit(main())\n"
    )
    words = [sys.executable, "-c", script]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=170, check=False)
    said = done.stdout
    assert done.returncode == 1, said + done.stderr
    assert "demo: at 10.2.0.10:8080: redis: ended with status 1" in said
    assert "FileNotFoundError" in said
    assert "could not be started: redis" in said
    assert "its own failure" in said
    assert "2 of 30 differ" in said
    assert not [name for name in namespaces() if name.startswith(f"{net.MARK}-") and f"-{done.args}-" in name]


@needs_root
class TestFresh:
    """The namespaces of `make fresh`, on the small root instead of a bare one."""

    @pytest.fixture(autouse=True)
    def _own_cache(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setattr(fresh, "CACHE", tmp_path)

    def test_all_ends_with_it(self, small: tuple[roots.Root, bytes]) -> None:
        copy = small[0].path
        inside = (
            "set -e; ip netns add lzrlab-fresh-test; ip netns exec lzrlab-fresh-test true; "
            "test $(stat -c %a /root) = 700; sleep 12345"
        )
        begun = time.monotonic()
        assert fresh.execute(copy, "test", inside, 8) == 124
        assert time.monotonic() - begun < 60
        assert "lzrlab-fresh-test" not in namespaces()
        net.wait_for(lambda: "sleep 12345" not in run("ps", "ax").stdout, "the end of what ran in it", 60)
        assert str(copy) not in Path("/proc/mounts").read_text()

    def test_a_process_left_running_is_a_failure(
        self, small: tuple[roots.Root, bytes], capfd: pytest.CaptureFixture[str]
    ) -> None:
        assert fresh.execute(small[0].path, "test", "exit 7", 60) == 7
        assert fresh.execute(small[0].path, "test", "true", 60) == 0
        assert fresh.execute(small[0].path, "test", "sleep 4321 &", 60) == 1
        # A shell, if it has not become the program yet.
        assert re.search("left running: (sh -c )?sleep 4321", capfd.readouterr().err)

    def test_a_copy_is_removed_whatever_happens(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        bare = tmp_path / "bare"
        bare.mkdir()
        monkeypatch.setattr(fresh, "bare", lambda suite: bare)
        left = tmp_path / "run-1-1-trixie"
        left.mkdir()
        copies = []

        def interrupted() -> None:
            with fresh.copy_of("trixie", keep=False) as copy:
                copies.append((copy, copy.is_dir()))
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            interrupted()
        ((copy, was_there),) = copies
        assert was_there
        assert not copy.exists()
        assert not left.exists()

    def test_the_clone_is_of_head_and_nobody_elses(self, tmp_path: Path) -> None:
        (tmp_path / "root").mkdir()
        fresh.clone(tmp_path)
        assert (tmp_path / "root").stat().st_mode & 0o777 == 0o700
        git = ["git", "-C", str(tmp_path / "root/lzr"), "status", "--porcelain"]
        assert not subprocess.run(git, capture_output=True, text=True, check=True).stdout

    def test_releases_side_by_side_are_told_apart(
        self, capfd: pytest.CaptureFixture[str], tmp_path: Path
    ) -> None:
        """Each waits for the other, so one after the other they would not end."""
        script = (
            "import os, sys, time; from pathlib import Path; own, here = sys.argv[2], Path(sys.argv[1])\n"
            "(here / own).touch()\n"
            "while len(os.listdir(here)) < 2: time.sleep(0.01)\n"
            f"print('step of', own); print({fresh.TOOK!r}); print(own, 'demo 5 s')\n"
            "sys.exit(3 if own == 'trixie' else 0)\n"
        )
        done = fresh.side_by_side(("bookworm", "trixie"), (sys.executable, "-c", script, str(tmp_path)))
        assert done == (["bookworm demo 5 s", "trixie demo 5 s"], 3)
        lines = sorted(capfd.readouterr().out.splitlines())
        assert lines == ["bookworm: step of bookworm", "trixie: step of trixie"]

    def test_one_of_two_that_reports_nothing_has_failed(self) -> None:
        words = (sys.executable, "-c", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
        report, status = fresh.side_by_side(("trixie",), words)
        assert status == -signal.SIGKILL
        assert "FAILED" in report[0]

    def test_who_interrupts_ends_both(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        script = (
            "import signal, sys; from pathlib import Path; mark = Path(sys.argv[1], sys.argv[2])\n"
            "def end(*_): mark.write_text('cleaned up'); sys.exit(130)\n"
            "signal.signal(signal.SIGTERM, end); mark.touch()\n"
            "while True: signal.pause()\n"
        )
        marks = [tmp_path / "bookworm", tmp_path / "trixie"]
        wait = subprocess.Popen.wait

        def interrupted(process: subprocess.Popen[str], timeout: float | None = None) -> int:
            """^C once both run; after that it waits as ever."""
            monkeypatch.setattr(subprocess.Popen, "wait", wait)
            net.wait_for(lambda: all(mark.exists() for mark in marks), "both run")
            raise KeyboardInterrupt

        monkeypatch.setattr(subprocess.Popen, "wait", interrupted)
        with pytest.raises(KeyboardInterrupt):
            fresh.side_by_side([mark.name for mark in marks], (sys.executable, "-c", script, str(tmp_path)))
        assert [mark.read_text() for mark in marks] == ["cleaned up", "cleaned up"]

    def test_pip_reaches_what_it_reaches_here(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        wheels = tmp_path / "wheels"
        (tmp_path / "index/simple").mkdir(parents=True)
        wheels.mkdir()
        monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
        monkeypatch.setenv("PIP_EXTRA_INDEX_URL", f"file://{tmp_path}/index/simple")
        monkeypatch.setenv("https_proxy", "http://proxy.example.net:3128")
        env, binds = fresh.settings(tmp_path)
        assert env["https_proxy"] == "http://proxy.example.net:3128"
        assert {f"{path}:{path}:ro" for path in (wheels, tmp_path / "index")} <= set(binds)

    def test_the_readme_says_what_is_done(self) -> None:
        text = (ROOT / "README.md").read_text()
        for line in (fresh.BEFORE, "make demo", "make test"):
            assert f"    {line}" in text
        assert all((ROOT / name).exists() for name in fresh.QUICK)
