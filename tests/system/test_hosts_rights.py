"""Who runs it, with which rights: the least that is enough works, and what is less has one sentence."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.net import Lab
from tests.lab.responder import FIRST, PORT, SCANNER, Range
from tests.lab.scan import LZR, parse
from tests.system.test_e2e_responder import services
from tests.unit.coordinator.doctor.test_doctor import everybodys  # noqa: F401  # fixtures

pytestmark = pytest.mark.root

QUICK = ("-sendSYNs", "-rt", "0.3", "-t", "6", "-c", "5", "-w", "1", "--no-dashboard", "-q", "-f", "-")
COUNT = 64


@pytest.fixture(scope="module")
def here() -> Iterator[Range]:
    with Lab() as lab:
        made = Range(lab)
        made.respond(first=FIRST, count=COUNT, port=PORT, source=SCANNER, classes="h")
        yield made


def scanned(here: Range, *words: str | Path) -> tuple[int, int, str]:
    """(status, records, what was said) of a scan; no guard may be left."""
    done = here.scanner.run(*words, input="".join(services(COUNT)), check=False, timeout=120)
    assert "Traceback" not in done.stderr, done.stderr
    assert "lzr_" not in here.scanner.rules()
    return done.returncode, len(parse(done.stdout)[0]), done.stderr


def test_packets_without_a_guard_need_one_right(here: Range) -> None:
    """NET_RAW is enough for --guard none, and NET_ADMIN is asked for where there is to be one."""
    rights = ("--bounding-set=-all,+net_raw", "--inh-caps=-all,+net_raw")
    held = ("setpriv", *rights, LZR, *QUICK)
    status, _, said = scanned(here, *held)
    assert (status, "CAP_NET_ADMIN missing" in said, "sudo" in said) == (2, True, False), said
    done = here.scanner.run(*held[:3], LZR, "guard", "on", "--source-ip", "192.0.2.1", check=False)
    assert "sudo" not in done.stderr
    assert "(CAP_NET_ADMIN missing): --cap-add NET_ADMIN in a container" in done.stderr
    status, _, said = scanned(here, *held, "--guard", "none", "-G", here.gateway_mac)
    # Of raw packets nothing is missing any more; what root has to give up is.
    assert (status, "raw packets" in said, "CAP_SETUID" in said) == (2, False, True), said


ALONE = r"""
import http.server, os, subprocess, sys, threading
subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
server = http.server.ThreadingHTTPServer(("127.0.0.1", 8080), http.server.SimpleHTTPRequestHandler)
threading.Thread(target=server.serve_forever, daemon=True).start()
pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
scan = subprocess.Popen(sys.argv[1:], **pipes, text=True)
scan.stdin.write("127.0.0.1:8080\n")
scan.stdin.flush()
first = scan.stdout.readline()
for name in os.listdir("/proc"):
    if name.isdigit():
        status = open(f"/proc/{name}/status").read()
        title = open(f"/proc/{name}/cmdline").read().strip("\0")
        if title.startswith(("lzr: flow", "lzr: collector", "lzr: fork")):
            held = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
            sets = {held[f"Cap{kind}"] for kind in ("Inh", "Prm", "Eff", "Bnd", "Amb")}
            sure = held["NoNewPrivs"], held["Seccomp"], sets == {"0" * 16}, os.readlink(f"/proc/{name}/root")
            print(title, *sure)
out, said = scan.communicate(timeout=120)
print(first.strip(), scan.returncode)
sys.stderr.write(said)
"""


def test_a_user_namespace_with_one_user(here: Range) -> None:
    """As in a container without root. Nobody else can be become: workers give up all that can be given up."""
    wanted = ("unshare", "-U", "-r", "-n", "-p", "-f", "--mount-proc", sys.executable, "-c", ALONE)
    words = (word for word in QUICK if word != "-q")
    done = here.scanner.run(*wanted, LZR, *words, "--handshakes", "http", timeout=90)
    *processes, record = done.stdout.splitlines()
    assert '"fingerprint":"http"' in record, done.stderr
    assert record.endswith(" 0"), done.stderr
    assert len(processes) == 3, done.stdout
    for process in processes:
        title, confined = process.split(" 1 ", 1)
        filtered, bare, root = confined.split()
        assert (bare, root.startswith("/") and root != "/") == ("True", True), process
        assert filtered == ("0" if "fork" in title else "2"), process
    assert "this user namespace has one user, so workers stay" in done.stderr
    # Without a right that this takes, one sentence names the remedy, as before.
    few = ("setpriv", "--bounding-set=-sys_chroot", "--inh-caps=-sys_chroot")
    status, _, said = scanned(here, "unshare", "-U", "-r", "-n", *few, LZR, *QUICK, "-i", "lo")
    assert (status, said.count("\n")) == (2, 1), said
    assert "this user namespace has no user" in said


def test_without_proc(here: Range) -> None:
    words = ("unshare", "-m", "sh", "-c", 'umount -l /proc && exec "$@"', "sh", LZR)
    status, _, said = scanned(here, *words, *QUICK)
    assert (status, said.count("\n"), "/proc is not mounted" in said) == (2, 1, True), said
    done = here.scanner.run(*words, "doctor", check=False, timeout=120)
    assert (done.returncode, "/proc is not mounted" in done.stdout) == (2, True), done.stderr


def test_no_place_to_write(here: Range) -> None:
    """A read-only root, as containers have it: what is missing is named; with a /run to write it works."""
    if not shutil.which("unshare"):
        pytest.fail("util-linux is not installed")
    bare = ("env", "-u", "TMPDIR", "-u", "RUNTIME_DIRECTORY")
    for run, expected in (("ro", (2, 0, 1)), ("rw", (0, COUNT, 0))):
        # Bound to themselves and not covered: the checkout may lie in one of them.
        mounts = [
            f"mount --bind {place} {place} && mount -o remount,bind,ro {place}"
            for place in ("/run", "/tmp", "/var/tmp", "/dev/shm")
        ]
        if run == "rw":
            mounts.append("mount -t tmpfs none /run")
        prepared = " && ".join(["mount -o remount,bind,ro /", *mounts, 'exec "$@"'])
        words = (*bare, "unshare", "-m", "sh", "-c", prepared, "sh", LZR, *QUICK)
        status, found, said = scanned(here, *words)
        assert (status, found, said.count("\n")) == expected, said
        assert status == 0 or "no place for the sockets of a run" in said


CONTAINER = (
    "-all,+chown,+dac_override,+fsetid,+fowner,+mknod,+net_raw,+net_admin,+setgid,+setuid,+setfcap,+setpcap,"
    "+net_bind_service,+sys_chroot,+kill,+audit_write"
)
"""What `docker run --cap-add NET_ADMIN` leaves."""
TWO = "-all,+net_raw,+net_admin"


def test_all_of_twenty_thousand_with_few_rights(tmp_path: Path, everybodys: Path) -> None:
    """In a container, and as an ordinary user with two ambient capabilities: as many results as hosts."""
    many = 20_000
    with Lab() as lab:
        here = Range(lab)
        here.respond(first=FIRST, count=many, port=PORT, source=SCANNER, classes="h")
        (tmp_path / "list").write_text("".join(services(many)))
        words = ("-sendSYNs", "-rate", "20000", "-rn", "2", "-w", "1", "--no-dashboard", "-q", "-f", "-")
        user = ("--reuid=65534", "--regid=65534", "--clear-groups", f"--ambient-caps={TWO}")
        for rights in (
            (f"--bounding-set={CONTAINER}", f"--inh-caps={CONTAINER}"),
            (f"--inh-caps={TWO}", *user),
        ):
            with (tmp_path / "list").open() as source:
                done = here.scanner.run("setpriv", *rights, everybodys, *words, stdin=source, timeout=120)
            assert done.stdout.count("\n") == many, done.stderr
